"""The end of a server: everybody is let go in peace, and dropped when the time for that is over."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Final, Protocol

import trio

from finch.config import Limits
from finch.failures import report
from finch.net.transport import Transport
from finch.sockets.link import Link

_log = logging.getLogger("finch.server")

_CLOSINGS: Final = 0.001  # seconds between two sockets' closings, if there is time
_CROWD: Final = 0.02  # seconds whose closings are sent together
_LAST_TURNS: Final = 8  # of the event loop, before a peer is dropped


class Watched(Protocol):
    """A connection in either of its lives."""

    transport: Transport
    deadline: float

    def expire(self, now: float) -> None: ...
    def drop(self) -> None: ...
    def shut_down(self) -> None: ...


class Drain:
    """Lets a server's connections end.

    Parameters:
        watched: the connections; whoever is over leaves it.
        limits: of these, the ones for the shutdown.
    """

    def __init__(self, watched: Collection[Watched], limits: Limits) -> None:
        self._watched = watched
        self._limits = limits
        self._in_peace = trio.CancelScope()
        self._hurry: float | None = None  # seconds for goodbyes, if nobody else is waited for
        self._left = trio.Event()

    def hurry(self, seconds: float) -> None:
        """Wait for nobody any more, but for goodbyes, and for those no longer than that."""
        self._hurry = seconds
        self._in_peace.cancel()

    def left(self) -> None:
        """Somebody is over."""
        self._left.set()

    async def run(self) -> None:
        """Let everybody end in peace; drop whoever has not by the end of the time for it."""
        limits = self._limits
        deadline = trio.current_time() + limits.shutdown_timeout
        if self._hurry is None:
            with self._in_peace:
                peace = min(limits.leave_grace, limits.shutdown_timeout / 2)
                with trio.move_on_at(deadline - peace):
                    await self._say_goodbye()
                    await self._until_empty()
        if self._hurry is not None:
            deadline = min(deadline, trio.current_time() + self._hurry)
        await self._drop()
        with trio.move_on_at(deadline):
            await self._until_empty(Link if self._hurry is not None else object)

    async def _say_goodbye(self) -> None:
        links = []
        for item in list(self._watched):
            if isinstance(item, Link):
                links.append(item)
            else:
                item.shut_down()
        begun = trio.current_time()
        pause = min(_CLOSINGS, self._limits.shutdown_spread / max(1, len(links)))
        for number, link in enumerate(links):
            due = begun + number * pause
            if due > trio.current_time() + _CROWD:
                await trio.sleep_until(due)
            try:
                link.shut_down()
            except Exception as error:
                report(_log, "a bug in Finch: %r cannot say goodbye", link, error=error)
                link.drop()

    async def _drop(self) -> None:
        left = list(self._watched)
        for item in left:
            item.shut_down()
        for _ in range(_LAST_TURNS):  # TLS takes some to send a socket's Close
            if not any(item.transport.pending for item in left):
                break
            await trio.lowlevel.checkpoint()
        for item in left:
            item.drop()
            item.expire(trio.current_time())  # handlers are cancelled; on_disconnect still runs

    async def _until_empty(self, kind: type = object) -> None:
        while any(isinstance(item, kind) for item in self._watched):
            self._left = trio.Event()
            await self._left.wait()
