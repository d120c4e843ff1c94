"""``python -m tests.soak.cluster``: several processes, one Redis, and what goes wrong with them."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import raise_file_limit
from tests.soak.cluster.conductor import Conductor, Phase, Plan, table
from tests.soak.cluster.faults import FAULTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print the table; 0 if all holds, 1 if something does not."""
    options = _parser().parse_args(arguments)
    raise_file_limit(options.clients * 2 + 1000)
    plan = Plan(
        workers=options.workers,
        clients=options.clients,
        senders=options.senders,
        rate=options.rate,
        seconds=options.seconds,
        faults=options.faults.split(","),
        deliveries=options.deliveries,
    )
    folder = options.out or Path(tempfile.mkdtemp(prefix="finch-soak-cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and everybody with it
    logging.getLogger("finch.client").setLevel(logging.ERROR)  # that connections end is the point
    conductor = Conductor(plan, folder, lambda line: print(line, flush=True))
    began = time.monotonic()
    wrong = conductor.run()
    seconds = time.monotonic() - began
    text = "\n".join(
        [
            "",
            f"{conductor.delivered:,} deliveries in {seconds:.0f} s: {plan.senders} senders, "
            f"{plan.clients} clients, {plan.workers} processes, {plan.rate:g} messages a second; a "
            f"fault lasts {plan.seconds:g} s; Python {platform.python_version()}, "
            f"{platform.system()} {platform.release()}",
            "",
            table(list(conductor.phases.values())),
            "",
            *(f"WRONG: {what}" for what in wrong[:20]),
            "something does not hold" if wrong else "all holds",
        ]
    )
    print(text)
    (folder / "report.txt").write_text(text + "\n")
    (folder / "report.json").write_text(json.dumps(_to_json(conductor, wrong), indent=2))
    print(f"the report and the logs are in {folder}")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.cluster", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="at least (%(default)s)")
    parser.add_argument("--workers", type=int, default=3, help="processes (%(default)s)")
    parser.add_argument("--clients", type=int, default=200, help="that listen (%(default)s)")
    parser.add_argument("--senders", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--rate", type=float, default=40, help="messages a second (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="that a fault lasts (%(default)s)"
    )
    parser.add_argument("--faults", default=",".join(FAULTS), help="their names (%(default)s)")
    parser.add_argument("--out", type=Path, help="a folder for the report; a temporary one")
    return parser


def _to_json(conductor: Conductor, wrong: Sequence[str]) -> dict[str, object]:
    def figures(phase: Phase) -> dict[str, object]:
        return {
            "times": phase.times,
            "longest": phase.longest,
            "caught_up": phase.caught_up,
            "counted": phase.counted,
            **phase.counts,
        }

    return {
        "holds": not wrong,
        "wrong": list(wrong),
        "delivered": conductor.delivered,
        "phases": {name: figures(phase) for name, phase in conductor.phases.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
