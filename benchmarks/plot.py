"""Pictures in SVG, written by hand: bars, and the distributions that ``finch load`` draws."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from finch.loading.picture import COLOURS, distribution, opening

__all__ = ["COLOURS", "bars", "distribution"]


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
    parts = [opening(column * 2, max(at)), f'<text class="t" x="16" y="28">{escape(title)}</text>']
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


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
