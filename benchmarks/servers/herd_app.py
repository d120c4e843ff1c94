"""A room that clients of ``benchmarks.herd`` are in."""

from __future__ import annotations

from finch import FinchApp, History

app = FinchApp()
app.rooms("herd", history=History())
