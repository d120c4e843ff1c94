"""``python -m tests.soak``: ten thousand clients, good and bad, for half an hour, and a verdict."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.process import raise_file_limit
from tests.soak.conductor import Conductor, Plan
from tests.soak.verdict import Evidence, Finding, judge

_SPARE = 1_000  # descriptors beside those of the clients


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print what was found; 0 where all holds, 1 where something does not."""
    options = _parser().parse_args(arguments)
    clients = min(options.connections, raise_file_limit(options.connections + _SPARE) - _SPARE)
    if clients < options.connections:
        print(f"only {clients:,} connections: this process may not have more files (ulimit -n)")
    plan = Plan(
        clients=clients,
        churn=options.churn,
        seconds=options.minutes * 60,
        every=options.every,
        kill_every=options.kill_every,
        mortals=options.mortals,
    )
    folder = options.out or Path(tempfile.mkdtemp(prefix="finch-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and everybody with it
    conductor = Conductor(plan, folder / "server.log", lambda line: print(line, flush=True))
    evidence = conductor.run()
    findings = judge(evidence, tolerance=options.tolerance)
    text = report(plan, evidence, findings)
    print(text)
    (folder / "report.txt").write_text(text + "\n")
    (folder / "report.json").write_text(json.dumps(_to_json(evidence, findings), indent=2))
    print(f"the report, the samples and the server's log are in {folder}")
    return 0 if all(finding.holds for finding in findings) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (%(default)s)")
    parser.add_argument(
        "--connections", type=int, default=10_000, help="WebSockets that are held (%(default)s)"
    )
    parser.add_argument(
        "--churn", type=int, default=5_000, help="that leave and come in a minute (%(default)s)"
    )
    parser.add_argument(
        "--tolerance", type=float, default=5.0, help="MiB that memory may grow (%(default)s)"
    )
    parser.add_argument(
        "--every", type=float, default=10.0, help="seconds between two samples (%(default)s)"
    )
    parser.add_argument(
        "--kill-every", type=float, default=30.0, help="seconds between two kills (%(default)s)"
    )
    parser.add_argument(
        "--mortals", type=int, default=5, help="processes that are killed in turn (%(default)s)"
    )
    parser.add_argument("--out", type=Path, help="a folder for the report; a temporary one")
    return parser


def report(plan: Plan, evidence: Evidence, findings: Sequence[Finding]) -> str:
    """The verdict as text."""
    news, end = evidence.news, evidence.end
    minutes = max(plan.seconds / 60, 1e-9)
    lines = [
        "",
        f"{plan.clients:,} connections for {minutes:.1f} minutes, {news.leaves:,} left by "
        f"themselves or were killed; Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()}",
        f"{end.connects:,} connects of managers' clients; {news.sent:,} messages to "
        f"{news.delivered:,} receivers, the slowest after {news.slowest:.2f} s; {news.echoes:,} "
        f"echoes; {news.pongs:,} pongs",
        "how long the server's patience was, in seconds: "
        + "; ".join(f"{who} {a:.1f} to {b:.1f}" for who, (a, b) in sorted(news.patience.items())),
        "how long a flood went on at most: "
        + "; ".join(f"{who} {ms / 1000:.1f} s" for who, ms in sorted(end.longest_ms.items())),
        "stories: " + ", ".join(f"{who} {number:,}" for who, number in news.stories.most_common()),
        "",
        *map(str, findings),
    ]
    for what, number in (news.wrong + evidence.complaints).most_common(20):
        lines.append(f"      {number} x {what}")
    return "\n".join(lines)


def _to_json(evidence: Evidence, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "holds": all(finding.holds for finding in findings),
        "findings": [vars(finding) for finding in findings],
        "clients": evidence.clients,
        "start": evidence.start.to_json(),
        "end": evidence.end.to_json(),
        "samples": [sample.to_json() for sample in evidence.running],
        "news": vars(evidence.news),
        "complaints": evidence.complaints,
    }


if __name__ == "__main__":
    sys.exit(main())
