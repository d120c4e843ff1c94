"""Sends what was written in a turn of the event loop, when the turn ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from finch.failures import report
from finch.turns import FLUSHES

_log = logging.getLogger("finch.server")


class Flushable(Protocol):
    """An object with data to send when a turn ends."""

    def flush(self) -> None:
        """Send the written data."""


class Gatherer(Protocol):
    """Decides when what was written is sent."""

    @property
    def add(self) -> Callable[[Flushable], None]:
        """Call it with an object that has data to send. Look it up each time."""


class AtOnce:
    """Sends everything as soon as it is written."""

    def add(self, written: Flushable) -> None:
        """Send the data of an object."""
        written.flush()


class Flusher(trio.abc.Instrument):
    """Sends data that was written in a turn of the event loop, when the turn ends.

    trio calls ``before_io_wait`` when all tasks that can run have run, just before it waits. So no
    task has to be woken for sending.

    What is written first in a turn is sent at once, if nothing else is known to come: usually it is
    the answer to a single message, and whoever waits for it gets it sooner. So a turn costs at most
    one system call more.

    Parameters:
        busy: says whether something waits to be done in this turn.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._written: list[Flushable] = []
        self._begun = False  # whether something was written in this turn
        self.later = self._written.append
        """Call it with an object that has data to send when the turn ends."""
        self._first = self._add_first
        self.add: Callable[[Flushable], None] = self._first
        """Call it with an object that has data to send, now or when the turn ends. Look it up each
        time: behind the first of a turn, it is ``later``, which costs no call of Python."""

    def _add_first(self, written: Flushable) -> None:
        if self.claim():
            written.flush()
        else:
            self.later(written)

    def claim(self) -> bool:
        """Ask to be the first that sends in this turn: see above. Whoever asks next is not."""
        if self._begun:
            return False
        self._begun = True
        self.add = self.later
        return not self._busy()

    def before_io_wait(self, timeout: float) -> None:
        """trio calls this in every turn, when all tasks that can run have run."""
        if self._begun:
            self._begun = False
            self.add = self._first
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
