"""Interleaved rounds: each server once a round, so that drift hits all alike."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers import NotStarted, Peer, Server, running
from benchmarks.process import cores, pin
from benchmarks.workloads import Figures, Workload, settle

_PORTS = range(8400, 8600)


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        """``median (least..greatest)``."""
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}..{self.greatest:,.{digits}f})"


@dataclass
class Results:
    """Every figure of every round."""

    peers: list[Peer]
    workloads: list[Workload]
    figures: dict[tuple[str, str], list[Figures | None]] = field(default_factory=dict)
    """(peer, workload) to one entry a round; None where that round failed."""

    def values(self, peer: Peer, workload: Workload, figure: str = "value") -> list[float]:
        """One figure of all rounds that have it."""
        rounds = self.figures.get((peer.name, workload.name), [])
        return [one[figure] for one in rounds if one is not None and figure in one]

    def spread(self, peer: Peer, workload: Workload, figure: str = "value") -> Spread | None:
        """The same, in three numbers; None where there is none."""
        values = self.values(peer, workload, figure)
        return Spread.of(values) if values else None

    def ratio(
        self, peer: Peer, other: Peer, workload: Workload, figure: str = "value"
    ) -> Spread | None:
        """One peer's figure over another's, round by round."""
        ours = self.figures.get((peer.name, workload.name), [])
        theirs = self.figures.get((other.name, workload.name), [])
        ratios = [
            one[figure] / two[figure]
            for one, two in zip(ours, theirs, strict=False)
            if one and two and figure in one and two.get(figure)
        ]
        return Spread.of(ratios) if ratios else None


def measure(
    peers: Sequence[Peer], workloads: Sequence[Workload], rounds: int, seconds: float
) -> Results:
    """Run everything; progress and each round's figures go to stderr as they come.

    The order of the servers is turned by one each round: none is always the first.
    """
    server_core, load_core = cores()
    pin(load_core)
    results = Results(list(peers), list(workloads))
    ports = 0
    for number in range(rounds):
        turn = number % len(peers)
        for peer in [*peers[turn:], *peers[:turn]]:
            for group in _groups(peer, workloads):
                port = _PORTS[ports % len(_PORTS)]
                ports += 1
                _measure_group(results, number, peer, group, port, server_core, seconds)
    return results


def _groups(peer: Peer, workloads: Sequence[Workload]) -> list[list[Workload]]:
    able = [workload for workload in workloads if workload.needs <= peer.can]
    logged = [workload for workload in able if workload.logged]
    shared = [workload for workload in able if not workload.fresh and not workload.logged]
    return [group for group in (shared, logged, *([one] for one in able if one.fresh)) if group]


def _measure_group(
    results: Results,
    number: int,
    peer: Peer,
    group: Sequence[Workload],
    port: int,
    core: int,
    seconds: float,
) -> None:
    try:
        with (
            TemporaryDirectory() as folder,
            running(peer, port, core, log=_log(group, folder)) as server,
        ):
            settle(server)
            for workload in group:
                figures = _run(workload, server, seconds)
                results.figures.setdefault((peer.name, workload.name), []).append(figures)
                say(number, peer, workload, figures)
    except NotStarted as error:
        print(error, file=sys.stderr)
        for workload in group:
            results.figures.setdefault((peer.name, workload.name), []).append(None)


def _log(group: Sequence[Workload], folder: str) -> Path | None:
    return Path(folder, "log") if group[0].logged else None


def _run(workload: Workload, server: Server, seconds: float) -> Figures | None:
    try:
        figures = workload.run(server, seconds)
    except OSError as error:
        print(f"{server.peer.name}, {workload.name}: {error}", file=sys.stderr)
        return None
    return figures if figures["value"] > 0 else None


def say(number: int, peer: Peer, workload: Workload, figures: Figures | None) -> None:
    """One line with a round's figures, to stderr."""
    if figures is None:
        text = "failed"
    else:
        text = f"{figures['value']:>12,.0f}"
        if "cpu_us" in figures:
            text += f"  CPU {figures['cpu_us']:7.1f} us"
        if "load_share" in figures:
            text += f"  load {figures['load_share']:4.0%}"
        if "others_share" in figures:
            text += f"  others {figures['others_share']:4.0%}"
        if "p99_us" in figures:
            text += f"  p50 {figures['p50_us']:9,.0f} us  p99 {figures['p99_us']:9,.0f} us"
        if figures.get("errors"):
            text += f"  {figures['errors']:.0f} errors"
    print(
        f"round {number + 1}  {peer.name:<15} {workload.title:<46} {text}",
        file=sys.stderr,
        flush=True,
    )
