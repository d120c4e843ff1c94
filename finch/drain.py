"""The end of a server: connections may end by themselves, and are dropped when time is up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Final, Protocol

import trio

from finch.config import Limits
from finch.failures import report
from finch.net.transport import Transport
from finch.sockets.link import Link

_log = logging.getLogger("finch.server")

_CLOSINGS: Final = 0.001  # seconds between two sockets' closings, if there is time
_LINGER: Final = 1.0
"""Seconds, at a restart, in which an idle connection may still make a request, which is answered
with ``Connection: close``. If it were closed at once, the client's next request could be on its way
already, and would fail."""
_CROWD: Final = 0.02  # closings that are due within this many seconds are sent together
_LAST_TURNS: Final = 8  # turns of the event loop before a peer is dropped


class Watched(Protocol):
    """A connection: HTTP, or upgraded to a WebSocket."""

    transport: Transport
    deadline: float

    def expire(self, now: float) -> None: ...
    def drop(self) -> None: ...
    def retire(self) -> None: ...
    def shut_down(self, code: int = 1001, reason: str = "going away") -> None: ...


class Drain:
    """Lets a server's connections end.

    Parameters:
        watched: the connections. The server removes each one that has ended.
        limits: the limits; only those for the shutdown are used.
    """

    def __init__(self, watched: Collection[Watched], limits: Limits) -> None:
        self._watched = watched
        self._limits = limits
        self._in_peace = trio.CancelScope()
        self._hurry: float | None = None  # seconds for goodbyes only, after hurry()
        self._left = trio.Event()
        self._lingers = False  # whether connections may make one more request
        self._words = (1001, "going away")

    def restart(self) -> None:
        """Others go on serving: clients are to come back at once, and no request may fail."""
        self._lingers = True
        self._words = (1012, "service restart")

    def end(self, item: Watched) -> None:
        """Let a connection end."""
        if self._lingers:
            item.retire()
        else:
            item.shut_down(*self._words)

    def hurry(self, seconds: float) -> None:
        """Stop waiting for connections to end. Wait only for goodbyes, at most this long."""
        self._hurry = seconds
        self._in_peace.cancel()

    def left(self) -> None:
        """A connection has ended."""
        self._left.set()

    async def run(self) -> None:
        """Let all connections end by themselves; drop those that have not ended in time."""
        limits = self._limits
        deadline = trio.current_time() + limits.shutdown_timeout
        if self._hurry is None:
            with self._in_peace:
                # on_disconnect handlers run after the drop. So the last part of the time is kept
                # for them. Otherwise they would get no time at all.
                peace = min(limits.leave_grace, limits.shutdown_timeout / 2)
                with trio.move_on_at(deadline - peace):
                    await self._say_goodbye()
                    await self._until_empty()
        if self._hurry is not None:
            deadline = min(deadline, trio.current_time() + self._hurry)
        await self._drop()
        with trio.move_on_at(deadline):
            if self._hurry is not None:
                await self._until(lambda item: not isinstance(item, Link))
            else:
                await self._until_empty()

    async def _say_goodbye(self) -> None:
        links = [item for item in self._watched if isinstance(item, Link)]
        begun = trio.current_time()
        for item in list(self._watched):
            if not isinstance(item, Link):
                self.end(item)
        pause = self._pause(len(links))
        for number, link in enumerate(links):
            due = begun + number * pause
            if due > trio.current_time() + _CROWD:
                await trio.sleep_until(due)
            try:
                link.shut_down(*self._words)
            except Exception as error:
                report(_log, "a bug in Finch: %r cannot say goodbye", link, error=error)
                link.drop()
        if self._lingers:
            with trio.move_on_at(begun + _LINGER):
                await self._until(lambda item: isinstance(item, Link))
            self._lingers = False
            for item in list(self._watched):
                self.end(item)

    def _pause(self, count: int) -> float:
        """Seconds between two closings."""
        spread = self._limits.shutdown_spread
        if spread is None:  # the other half is for the goodbyes, and for handlers
            spread = self._limits.shutdown_timeout / 2
        return min(_CLOSINGS, spread / max(1, count))

    async def _drop(self) -> None:
        left = list(self._watched)
        for item in left:
            item.shut_down(*self._words)
        for _ in range(_LAST_TURNS):  # TLS needs several turns to send a socket's Close
            if not any(item.transport.pending for item in left):
                break
            await trio.lowlevel.checkpoint()
        for item in left:
            item.drop()
            item.expire(trio.current_time())  # cancels handlers; on_disconnect still runs

    async def _until_empty(self) -> None:
        await self._until(lambda item: False)

    async def _until(self, is_fine: Callable[[Watched], bool]) -> None:
        """Wait until all connections that are left are fine."""
        # Nothing is awaited between the check and the new event, so no end can be missed.
        while not all(map(is_fine, self._watched)):
            self._left = trio.Event()
            await self._left.wait()
