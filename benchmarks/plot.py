"""Pictures in SVG, written by hand: latency distributions, bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

COLOURS: Final = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#0e7490", "#a16207", "#475569")

_STYLE: Final = (
    "<style>text{font:12px system-ui,sans-serif;fill:#334155}.t{font-size:15px;font-weight:600}"
    ".s{font-size:11px;fill:#64748b}.g{stroke:#e2e8f0}.l{fill:none;stroke-width:2}</style>"
)


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

    parts = [_open(width, height), f'<text class="t" x="{left}" y="24">{escape(title)}</text>']
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


def bars(
    panels: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]],
    highlight: str,
    title: str,
) -> str:
    """Small bar charts in two columns.

    Parameters:
        panels: heading and rows (name, median, least, greatest) in drawing order.
        highlight: the name whose bars are coloured.
    """
    column, line, label, gap = 470, 18, 150, 34
    heights = [gap + line * len(rows) + 14 for _, rows in panels]
    tops: list[tuple[int, int]] = []
    at = [52, 52]
    for height in heights:
        side = 0 if at[0] <= at[1] else 1
        tops.append((side, at[side]))
        at[side] += height
    parts = [_open(column * 2, max(at)), f'<text class="t" x="16" y="28">{escape(title)}</text>']
    for (heading, rows), (side, top) in zip(panels, tops, strict=True):
        origin = side * column + 16
        parts.append(
            f'<text x="{origin}" y="{top + 16}" font-weight="600">{escape(heading)}</text>'
        )
        longest = max((row[3] for row in rows), default=0.0) or 1.0
        room = column - label - 110
        for number, (name, median, least, greatest) in enumerate(rows):
            y = top + gap - 8 + number * line
            colour = COLOURS[0] if name == highlight else "#94a3b8"
            start = origin + label
            end, low, high = (start + value / longest * room for value in (median, least, greatest))
            parts += [
                f'<text x="{start - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                f'<path fill="{colour}" d="M{start} {y + 2}H{end:.1f}V{y + 14}H{start}Z"/>',
                f'<path stroke="#334155" d="M{low:.1f} {y + 8}H{high:.1f}"/>',
                f'<text class="s" x="{high + 6:.1f}" y="{y + 12}">{_number(median)}</text>',
            ]
    return "\n".join([*parts, "</svg>\n"])


def _open(width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">{_STYLE}'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(microseconds: float) -> str:
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:g} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:g} ms"
    return f"{microseconds:g} us"
