"""Results as JSON, as text for a terminal, as a Markdown table and as a chart."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from benchmarks import plot
from benchmarks.peers import Peer
from benchmarks.rounds import Results, Spread
from benchmarks.workloads import Workload

_BUSY = 0.9  # of its core: with more, the load generator may be what limits a figure
_FIGURES = {
    "cpu_us": "server CPU, us",
    "redis_us": "Redis CPU, us",
    "p50_us": "p50, us",
    "p99_us": "p99, us",
}


def to_json(results: Results) -> dict[str, Any]:
    """Every round's figures, and what they were measured on."""
    return {
        "machine": machine(),
        "versions": {peer.name: peer.versions() for peer in results.peers},
        "figures": {
            peer.name: {
                workload.name: results.figures[peer.name, workload.name]
                for workload in results.workloads
                if (peer.name, workload.name) in results.figures
            }
            for peer in results.peers
        },
    }


def machine() -> str:
    """Processor, kernel and Python."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return (
        f"{os.cpu_count()} x {model}, {platform.system()} {platform.release().split('-')[0]},"
        f" {platform.python_implementation()} {platform.python_version()}"
    )


def against(results: Results, ours: Peer, theirs: Peer) -> str:
    """Two servers side by side, and the ratio of each figure."""
    lines = []
    for workload in results.workloads:
        lines.append(workload.title)
        for figure, title in {"value": "", **_FIGURES}.items():
            digits = 1 if figure == "cpu_us" else 0
            for peer in (ours, theirs):
                spread = results.spread(peer, workload, figure)
                if spread is not None:
                    lines.append(f"  {peer.name:<12} {title:<16} {spread.text(digits)}")
            ratio = results.ratio(ours, theirs, workload, figure)
            if ratio is not None:
                lines.append(f"  {'ratio':<12} {title:<16} {ratio.text(2)}")
    return "\n".join(lines)


def markdown(
    results: Results,
    rounds: int,
    seconds: float,
    where: str = "server and load on a core of their own",
) -> str:
    """Tables: medians, spread, CPU, and Finch's ratio to each.

    Parameters:
        where: what ran on which core.
    """
    peers = results.peers
    lines = [
        "# Results",
        "",
        f"{machine()}. {rounds} interleaved rounds of {seconds:g} s; {where}; median, and"
        " least..greatest below it. The best of each row is bold.",
        "",
        "| | " + " | ".join(peer.title for peer in peers) + " |",
        "|---" * (len(peers) + 1) + "|",
    ]
    for workload in results.workloads:
        spreads = [results.spread(peer, workload) for peer in peers]
        best = _best(workload, spreads)
        cells = [_cell(spread, spread is best) for spread in spreads]
        lines.append(f"| {workload.title} | " + " | ".join(cells) + " |")
    for figure, title in _FIGURES.items():
        rows = []
        for workload in results.workloads:
            values = [results.spread(peer, workload, figure) for peer in peers]
            if any(values):
                cells = ["-" if one is None else f"{one.median:,.1f}" for one in values]
                rows.append(f"| {workload.title} | " + " | ".join(cells) + " |")
        if rows:
            lines += ["", f"## {title} (a message, delivery, request or handshake)", ""]
            lines += ["| | " + " | ".join(peer.title for peer in peers) + " |"]
            lines += ["|---" * (len(peers) + 1) + "|", *rows]
    lines += _busy_loads(results)
    finch = next((peer for peer in peers if peer.name == "finch"), None)
    if finch is not None and len(peers) > 1:
        lines += _ratios(results, finch)
    lines += ["", "## Versions", ""]
    lines += [f"- {peer.title}: {peer.versions()}" for peer in peers]
    return "\n".join(lines) + "\n"


def _busy_loads(results: Results) -> list[str]:
    """Where the load generator had hardly any time to spare: the server may be faster than that."""
    busy = [
        f"- {workload.title}, {peer.title}: {share.median:.0%}".replace("%", " %")
        for workload in results.workloads
        for peer in results.peers
        if (share := results.spread(peer, workload, "load_share")) and share.median > _BUSY
    ]
    return ["", "## The load generator needed most of its core", "", *busy] if busy else []


def _ratios(results: Results, finch: Peer) -> list[str]:
    others = [peer for peer in results.peers if peer is not finch]
    lines = ["", "## Finch over each, round by round", ""]
    lines += ["| | " + " | ".join(peer.title for peer in others) + " |"]
    lines += ["|---" * (len(others) + 1) + "|"]
    for workload in results.workloads:
        ratios = [results.ratio(finch, peer, workload) for peer in others]
        cells = ["-" if ratio is None else ratio.text(2) for ratio in ratios]
        better = "" if workload.higher_is_better else " (less is better)"
        lines.append(f"| {workload.title}{better} | " + " | ".join(cells) + " |")
    return lines


def _best(workload: Workload, spreads: list[Spread | None]) -> Spread | None:
    present = [spread for spread in spreads if spread is not None]
    if not present:
        return None
    choose = max if workload.higher_is_better else min
    return choose(present, key=lambda spread: spread.median)


def _cell(spread: Spread | None, best: bool) -> str:
    if spread is None:
        return "-"
    median = f"**{spread.median:,.0f}**" if best else f"{spread.median:,.0f}"
    return f"{median}<br>{spread.least:,.0f}..{spread.greatest:,.0f}"


def chart(results: Results) -> str:
    """One panel of bars for each workload, the best first."""
    panels = []
    for workload in results.workloads:
        rows = []
        for peer in results.peers:
            spread = results.spread(peer, workload)
            if spread is not None:
                rows.append((peer.name, spread.median, spread.least, spread.greatest))
        rows.sort(key=lambda row: row[1], reverse=workload.higher_is_better)
        if rows:
            note = "" if workload.higher_is_better else " (less is better)"
            panels.append((workload.title + note, rows))
    return plot.bars(panels, "finch", f"Medians and spread. {machine()}")
