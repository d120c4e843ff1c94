"""Reads from upgraded connections: one hub for all plain sockets, or a task for each connection.

The hub is one task with its own epoll for all plain sockets. So an idle connection needs no task,
and trio does not wait for it. If there is no epoll, and for streams (TLS, tests), each link has a
task. Both do the same: they pass bytes from the transport to the link, unless it is paused, until
the stream ends. One turn takes at most ``READ_SIZE`` bytes and a limited number of events from a
peer.
"""

from __future__ import annotations

import logging
import os
import select
from typing import Any, Final, Protocol

import trio

from finch.failures import report
from finch.net.transport import SocketTransport, Transport
from finch.turns import SOCKETS

_log = logging.getLogger("finch.server")

HAS_HUB: Final = hasattr(select, "epoll") and hasattr(os, "eventfd")


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


class Hub:
    """Feeds all links on plain sockets, in one task.

    The epoll is level-triggered: if a turn does not read all bytes of a socket, the next turn
    reports it again. A paused link stays in the epoll until its socket is reported, and only then
    is it taken out; so a short pause costs nothing. Sockets are known by their descriptors. A
    socket is removed just before it is closed: after that, another one may get the same number.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._links: dict[int, Fed] = {}
        self._resting: set[int] = set()  # open, but not in the epoll
        # links that stopped only to let others have a turn; in order
        self._unfinished: dict[Fed, None] = {}
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._alarm, select.EPOLLIN)

    def add(self, link: Fed) -> None:
        """Feed a link from now on, and handle the bytes that it already has."""
        transport = link.transport
        assert isinstance(transport, SocketTransport)
        link.reader = self
        if transport.closed:  # the link was dropped during the handshake
            link.eof()
            return
        number = transport.fileno()
        self._links[number] = link
        self._epoll.register(number, select.EPOLLIN)
        transport.on_close = self._remove
        if link.unread:  # bytes came together with the handshake
            self._finish_later(link)

    def _remove(self, number: int) -> None:
        del self._links[number]
        if number in self._resting:
            self._resting.discard(number)
        else:
            self._epoll.unregister(number)

    def _rest(self, number: int) -> None:
        self._epoll.unregister(number)
        self._resting.add(number)

    def resume(self, link: Fed, more: bool) -> None:
        transport = link.transport
        if transport.closed:
            return
        assert isinstance(transport, SocketTransport)
        number = transport.fileno()
        if number in self._resting:
            self._resting.discard(number)
            self._epoll.register(number, select.EPOLLIN)
        if more:
            self._finish_later(link)

    def _finish_later(self, link: Fed) -> None:
        """Handle a link's bytes in the next turn. The hub may be waiting for sockets; without the
        alarm, it would not wake up for this."""
        self._unfinished[link] = None
        os.eventfd_write(self._alarm, 1)

    async def run(self) -> None:
        """Feed links until cancelled."""
        while True:
            if self._unfinished:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            # Unfinished links come first, so that messages stay in order. Links that are still
            # unfinished go into the new dict: their turn is the next one, after all sockets.
            unfinished, self._unfinished = self._unfinished, {}
            for link in unfinished:
                self._pump(link)
            now = trio.current_time()
            for number, _ in self._epoll.poll(0, SOCKETS):
                fed = self._links.get(number)
                if fed is not None:
                    self._feed(number, fed, now)
                elif number == self._alarm:
                    os.eventfd_read(number)
                # else: closed earlier in this turn

    def close(self) -> None:
        """Close the epoll, after all links are closed."""
        self._epoll.close()
        os.close(self._alarm)

    def _feed(self, number: int, link: Fed, now: float) -> None:
        try:
            if link.paused:
                self._rest(number)
                return
            if self._unfinished and link in self._unfinished:
                return  # it must first handle the bytes that it has
            transport: SocketTransport = link.transport  # type: ignore[assignment]  # see add
            data = transport.receive_nowait()
            if data is None:
                return
            if not data:
                self._rest(number)  # else the epoll would report the end again and again
                link.eof()
                return
            link.receive(data, now)
            if link.pump():
                self._unfinished[link] = None
        except Exception as error:
            self._failed(link, error)

    def _pump(self, link: Fed) -> None:
        try:
            if link.pump():
                self._unfinished[link] = None
        except Exception as error:
            self._failed(link, error)

    def _failed(self, link: Fed, error: BaseException) -> None:
        report(_log, "a bug in Finch: a link failed", error=error)
        link.drop()
