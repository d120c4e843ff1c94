"""What feeds upgraded sockets: a hub for all plain ones, or a task for each.

The hub is one task with an epoll of its own that owns every plain socket: an idle connection costs
no task and no wait of trio's. Where there is no epoll, and for streams (TLS, tests), each link has
a task. Both do the same: bytes from the transport to the link, unless it is paused, until the end
of the stream; a turn takes at most ``READ_SIZE`` bytes and a bounded number of events of a peer.
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
    """What is fed: an upgraded connection. None of these waits."""

    transport: Transport
    reader: Any
    """Who feeds it, and wants to know when it may go on."""
    paused: bool
    """Whether nothing may be read for now."""

    @property
    def unread(self) -> bool:
        """Whether it has not dealt with all that it was fed."""

    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the peer; :meth:`pump` deals with them."""

    def pump(self) -> bool:
        """Deal with what was received; whether it stopped only to let others have a turn."""

    def eof(self) -> None:
        """Nothing more will come from the peer."""

    def drop(self) -> None:
        """Give up on the peer."""


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
    """Feeds every link on a plain socket, in one task.

    Level-triggered: what is not read in one turn is reported again in the next. A paused link
    keeps its place until its socket is reported; only then is it taken out of the epoll, so that a
    short pause costs nothing. Sockets are known by their descriptors for as long as they are
    open: closing one takes it out, before the number can be another's.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._links: dict[int, Fed] = {}
        self._resting: set[int] = set()  # open, but not in the epoll
        # stopped only to let others have a turn; in order
        self._unfinished: dict[Fed, None] = {}
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._alarm, select.EPOLLIN)

    def add(self, link: Fed) -> None:
        """Feed a link from now on, and deal with what it holds already."""
        transport = link.transport
        assert isinstance(transport, SocketTransport)
        link.reader = self
        if transport.closed:  # dropped while its handshake was handled
            link.eof()
            return
        number = transport.fileno()
        self._links[number] = link
        self._epoll.register(number, select.EPOLLIN)
        transport.on_close = self._remove
        if link.unread:  # came with the handshake
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
        """Deal with what a link holds in the next turn; and have one, for the hub may be waiting
        for sockets."""
        self._unfinished[link] = None
        os.eventfd_write(self._alarm, 1)

    async def run(self) -> None:
        """Feed links until cancelled."""
        while True:
            if self._unfinished:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
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
        """Let go of the epoll, when every link is closed."""
        self._epoll.close()
        os.close(self._alarm)

    def _feed(self, number: int, link: Fed, now: float) -> None:
        try:
            if link.paused:
                self._rest(number)
                return
            if self._unfinished and link in self._unfinished:
                return  # first what it has
            transport: SocketTransport = link.transport  # type: ignore[assignment]  # see add
            data = transport.receive_nowait()
            if data is None:
                return
            if not data:
                self._rest(number)  # there is nothing to wait for any more
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
