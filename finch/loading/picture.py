"""The picture of a run, as SVG written by hand: the distribution of latencies, and their course."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from finch.loading.plan import Second

COLOURS: Final = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#0e7490", "#a16207", "#475569")

_STYLE: Final = (
    "<style>text{font:12px system-ui,sans-serif;fill:#334155}.t{font-size:15px;font-weight:600}"
    ".s{font-size:11px;fill:#64748b}.g{stroke:#e2e8f0}.l{fill:none;stroke-width:2}</style>"
)


def picture(curve: Sequence[tuple[float, float]], series: Sequence[Second], title: str) -> str:
    """Both in one picture.

    Parameters:
        curve: as for :func:`distribution`.
        series: as for :func:`course`.
    """
    upper, lower = distribution({"latency": curve}, title), course(series)
    inner = lower.replace("<svg ", '<svg y="420" ', 1)
    return f"{opening(740, 720)}\n{upper}{inner}</svg>\n"


def course(series: Sequence[Second]) -> str:
    """Latency and rate over time: the median, the 99th percentile and the longest, second by
    second."""
    width, height, left, top, right, bottom = 740, 300, 70, 30, 36, 46
    last = max((second.at for second in series), default=1.0)
    longest = max((second.longest for second in series), default=0.0) or 1.0
    fastest = max((second.rate for second in series), default=0.0) or 1.0

    def points(values: Sequence[float], greatest: float) -> str:
        return " ".join(
            f"{left + second.at / last * (width - left - right):.1f},"
            f"{height - bottom - value / greatest * (height - bottom - top):.1f}"
            for second, value in zip(series, values, strict=True)
        )

    lines = [
        ("p50", [second.half for second in series], longest, COLOURS[1]),
        ("p99", [second.most for second in series], longest, COLOURS[0]),
        ("longest", [second.longest for second in series], longest, COLOURS[6]),
        (f"rate (up to {fastest:,.0f}/s)", [one.rate for one in series], fastest, COLOURS[2]),
    ]
    parts = [opening(width, height)]
    for share in (0.0, 0.5, 1.0):
        at = height - bottom - share * (height - bottom - top)
        parts.append(f'<path class="g" d="M{left} {at:.1f}H{width - right}"/>')
        time = _time(longest * share)
        parts.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{time}</text>')
    for number, (name, values, greatest, colour) in enumerate(lines):
        dashes = ' stroke-dasharray="4 3"' * (number == 3)
        parts.append(
            f'<polyline class="l" stroke="{colour}"{dashes} points="{points(values, greatest)}"/>'
        )
        parts.append(
            f'<text x="{left + 150 * number}" y="{top - 12}" style="fill:{colour}">{name}</text>'
        )
    parts.append(
        f'<text class="s" x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">'
        f"time, {last:,.0f} s</text>"
    )
    return "\n".join([*parts, "</svg>\n"])


def distribution(curves: Mapping[str, Sequence[tuple[float, float]]], title: str) -> str:
    """Latency over percentile, both logarithmic.

    Parameters:
        curves: name to points (microseconds, share of messages that took longer).
    """
    width, height, left, top, right, bottom = 740, 420, 70, 44, 36, 46
    points = [point for curve in curves.values() for point in curve if point[1] > 0]
    low = math.floor(math.log10(max(1.0, min((p[0] for p in points), default=1.0))))
    high = math.ceil(math.log10(max(10.0, max((p[0] for p in points), default=10.0))))
    high = max(high, low + 1)
    nines = max(2, math.ceil(-math.log10(min((p[1] for p in points), default=0.01))))

    def x(share: float) -> float:
        return left - math.log10(max(share, 10.0**-nines)) / nines * (width - left - right)

    def y(microseconds: float) -> float:
        part = (math.log10(max(microseconds, 10.0**low)) - low) / (high - low)
        return height - bottom - part * (height - bottom - top)

    parts = [opening(width, height), f'<text class="t" x="{left}" y="24">{escape(title)}</text>']
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path class="g" d="M{left} {at:.1f}H{width - right}"/>')
        parts.append(
            f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{_time(10.0**power)}</text>'
        )
    for share in [1.0, 0.5, *(10.0**-power for power in range(1, nines + 1))]:
        at = x(share)
        parts.append(f'<path class="g" d="M{at:.1f} {top}V{height - bottom}"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{height - bottom + 18}" text-anchor="middle">'
            f"{100 - share * 100:.6g} %</text>"
        )
    parts.append(
        f'<text class="s" x="{(left + width - right) / 2}" y="{height - 8}" text-anchor="middle">'
        "share of messages answered within</text>"
    )
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x(share):.1f},{y(time):.1f}" for time, share in curve)
        parts.append(f'<polyline class="l" stroke="{colour}" points="{path}"/>')
        if len(curves) > 1:
            parts.append(
                f'<text x="{left + 10}" y="{top + 16 + 16 * number}" style="fill:{colour}">'
                f"{escape(name)}</text>"
            )
    return "\n".join([*parts, "</svg>\n"])


def opening(width: int, height: int) -> str:
    """The beginning of a picture, in pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{_STYLE}'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )


def _time(microseconds: float) -> str:
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:.3g} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.3g} ms"
    return f"{microseconds:.3g} us"
