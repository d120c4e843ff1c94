"""Finch beside one other server: what ``benchmarks.echo`` and ``benchmarks.broadcast`` share."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks import peers, report, rounds
from benchmarks.workloads import Workload, idle_memory


def main(
    name: str, description: str, workloads: Sequence[Workload], arguments: Sequence[str] | None
) -> int:
    """Measure Finch and the other in turn; 0 where both could be."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="of each server, interleaved (%(default)s)")
    add("--seconds", type=float, default=3.0, help="of each workload and round (%(default)s)")
    add("--idle", type=int, default=1000, help="connections for idle memory; 0 for none")
    add("--against", default="websockets", help="the other server (%(default)s)")
    add("--json", action="store_true", help="print every figure as JSON")
    options = parser.parse_args(arguments)
    try:
        ours, theirs = peers.named(f"finch,{options.against}")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    missing = ours.missing() or theirs.missing()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    chosen = [*workloads, *([_idle(options.idle)] if options.idle > 0 else [])]
    results = rounds.measure([ours, theirs], chosen, options.rounds, options.seconds)
    if options.json:
        print(json.dumps(report.to_json(results), indent=2))
    else:
        print(report.against(results, ours, theirs))
    return 0


def _idle(clients: int) -> Workload:
    return Workload(
        f"idle-{clients}",
        f"RSS of an idle connection, {clients:,} conns, bytes",
        partial(idle_memory, clients),
        higher_is_better=False,
        fresh=True,
    )
