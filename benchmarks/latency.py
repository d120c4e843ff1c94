"""Latencies, as ``finch load`` counts them."""

from __future__ import annotations

from finch.loading.histogram import PERCENTILES, Histogram, bucket_of

__all__ = ["PERCENTILES", "Histogram", "bucket_of"]
