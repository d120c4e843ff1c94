"""Reads from upgraded connections: what a reader needs of them, and a reader with a task for each.

All plain sockets have one reader, the hub (``finch.net.hub``). If there is no epoll, and for
streams (TLS, tests), each link has a task. Both do the same: they pass bytes from the transport to
the link, unless it is paused, until the stream ends. One turn takes at most ``READ_SIZE`` bytes and
a limited number of events from a peer.
"""

from __future__ import annotations

from typing import Any, Protocol

import trio

from finch.net.transport import Transport


class Fed(Protocol):
    """An upgraded connection that a reader feeds with bytes. None of these methods waits."""

    transport: Transport
    reader: Any
    """The reader that feeds it. Its ``resume`` is called when it may go on."""
    paused: bool
    """Whether nothing may be read for now."""

    @property
    def unread(self) -> bool:
        """Whether it has not handled all its bytes yet."""

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the peer; :meth:`pump` handles them."""

    def pump(self) -> bool:
        """Handle the received bytes. Returns whether it stopped only to let others have a turn."""

    def eof(self) -> None:
        """Called when nothing more will come from the peer."""

    def drop(self) -> None:
        """End the connection at once."""


class TaskReader:
    """Feeds one link, in a task of its own."""

    __slots__ = ("_resumed",)

    def __init__(self) -> None:
        self._resumed: trio.Event | None = None

    async def read(self, link: Fed) -> None:
        """Feed a link until its stream ends."""
        link.reader = self
        transport = link.transport
        while True:
            while link.pump():
                await trio.lowlevel.checkpoint()
            if link.paused:
                # nothing is awaited between the check and the new event, so no resume() is missed
                self._resumed = trio.Event()
                await self._resumed.wait()
                continue
            data = await transport.receive()
            if not data:
                link.eof()
                return
            link.receive(data, trio.current_time())

    def resume(self, link: Fed, more: bool) -> None:
        if self._resumed is not None:
            self._resumed.set()
