"""Sends what was written in a turn of the event loop, when the turn ends."""

from __future__ import annotations

import logging
from typing import Protocol

import trio

from finch.failures import report
from finch.turns import FLUSHES

_log = logging.getLogger("finch.server")


class Flushable(Protocol):
    """An object with data to send when a turn ends."""

    def flush(self) -> None:
        """Send the written data."""


class Flusher(trio.abc.Instrument):
    """Sends data that was written in a turn of the event loop, when the turn ends.

    trio calls ``before_io_wait`` when all tasks that can run have run, just before it waits. So no
    task has to be woken for sending.
    """

    def __init__(self) -> None:
        self._written: list[Flushable] = []
        self.add = self._written.append
        """Call it with an object that has data to send, such as a transport."""

    def before_io_wait(self, timeout: float) -> None:
        if self._written:
            written = self._written[:FLUSHES]
            del self._written[:FLUSHES]
            if self._written:
                have_another_turn()
            for transport in written:
                try:
                    transport.flush()
                except Exception as error:
                    # else trio would remove this instrument, and nothing would be sent any more
                    report(_log, "a bug in Finch: sending failed", error=error)


def have_another_turn() -> None:
    """Make trio run another turn at once: it is about to wait and does not know about this work."""
    trio.lowlevel.current_trio_token().run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None: ...
