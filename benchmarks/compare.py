"""``python -m benchmarks.compare``: Finch and every peer, workload by workload, as table and chart.

All of it takes hours with the defaults; ``--only`` and ``--workloads`` choose::

    python -m benchmarks.compare --only finch,aiohttp --workloads json-64,broadcast-1000
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import peers, report, rounds, workloads


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 where there are results."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        _list()
        return 0
    if options.node_modules is not None:
        os.environ["NODE_PATH"] = str(options.node_modules.resolve())
    if options.json_library == "msgspec":
        os.environ["BENCHMARK_JSON"] = "msgspec"
    try:
        wanted = peers.named(options.only) if options.only else list(peers.PEERS)
        chosen = (
            workloads.named(options.workloads) if options.workloads else list(workloads.WORKLOADS)
        )
    except ValueError as error:
        parser.error(str(error))
    present = []
    for peer in wanted:
        missing = peer.missing()
        if missing:
            print(f"{peer.name} is skipped: {missing}", file=sys.stderr)
        else:
            present.append(peer)
    if not present:
        return 1
    if len(os.sched_getaffinity(0)) < 2:
        print("one core only: server and load share it", file=sys.stderr)
    results = rounds.measure(present, chosen, options.rounds, options.seconds)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(report.to_json(results), indent=1) + "\n")
    table = report.markdown(results, options.rounds, options.seconds)
    (out / "results.md").write_text(table)
    (out / "results.svg").write_text(report.chart(results))
    print(table)
    return 0


def _list() -> None:
    for peer in peers.PEERS:
        print(f"{peer.name:<16} {peer.title:<36} {peer.missing() or peer.versions()}")
    print()
    for workload in workloads.WORKLOADS:
        print(f"{workload.name:<16} {workload.title}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Measure Finch beside its peers."
    )
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="interleaved rounds (%(default)s)")
    add("--seconds", type=float, default=3.0, help="of each workload and round (%(default)s)")
    add("--only", metavar="PEERS", help="comma-separated; all where left out")
    add("--workloads", metavar="NAMES", help="comma-separated; all where left out")
    add("--out", type=Path, default=Path("benchmarks/results"), help="folder (%(default)s)")
    add("--node-modules", type=Path, metavar="DIR", help="where npm put ws and socket.io")
    add(
        "--json-library",
        choices=("json", "msgspec"),
        default="json",
        help="what the Python peers parse JSON with (%(default)s)",
    )
    add("--list", action="store_true", help="list peers and workloads")
    return parser


if __name__ == "__main__":
    sys.exit(main())
