"""Latencies: a histogram with logarithmic buckets, precise to 0.8 %, and its percentiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)

_BITS: Final = 7
_SIZE: Final = (64 - _BITS + 1) << _BITS


def bucket_of(nanoseconds: int) -> int:
    """Which bucket counts a latency. The load's inner loops hold a copy of these lines."""
    shift = nanoseconds.bit_length() - _BITS - 1
    if shift <= 0:
        return max(0, nanoseconds)
    return (shift << _BITS) + (nanoseconds >> shift)


def _bounds(index: int) -> tuple[int, int]:
    if index < 2 << _BITS:
        return index, index + 1
    shift = (index >> _BITS) - 1
    low = (index - (shift << _BITS)) << shift
    return low, low + (1 << shift)


class Histogram:
    """Counts of latencies in nanoseconds; its size does not grow with them."""

    def __init__(self) -> None:
        self.buckets = [0] * _SIZE

    def record(self, nanoseconds: int) -> None:
        """Count one latency."""
        self.buckets[bucket_of(nanoseconds)] += 1

    @property
    def count(self) -> int:
        """How many were recorded."""
        return sum(self.buckets)

    def clear(self) -> None:
        """Forget all, in place."""
        self.buckets[:] = [0] * _SIZE

    def percentile(self, percent: float) -> float:
        """The latency in microseconds that ``percent`` of all do not exceed; 0 for none."""
        wanted = self.count * percent / 100
        seen = 0
        for index, count in self._filled():
            seen += count
            if seen >= wanted:
                return sum(_bounds(index)) / 2000
        return 0.0

    def summary(self) -> dict[str, float]:
        """The usual percentiles and the largest, in microseconds."""
        values = {f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES}
        return values | {"max": self.percentile(100)}

    def curve(self) -> list[tuple[float, float]]:
        """Latency in microseconds over the share of messages that took longer, falling."""
        total = self.count
        left = total
        points = []
        for index, count in self._filled():
            points.append((_bounds(index)[0] / 1000, left / total))
            left -= count
            points.append((_bounds(index)[1] / 1000, left / total))
        return points

    def _filled(self) -> Iterator[tuple[int, int]]:
        return ((index, count) for index, count in enumerate(self.buckets) if count)

    def to_counts(self) -> dict[int, int]:
        """The buckets that are not empty, to be sent to another process."""
        return dict(self._filled())

    def add_counts(self, counts: Mapping[int, int]) -> None:
        """Add another histogram's :meth:`to_counts`."""
        for index, count in counts.items():
            self.buckets[index] += count
