"""The hub: reads all plain sockets through one epoll, without a task for each of them.

An upgraded connection is fed: what its socket has received goes to its link. An HTTP connection has
a task, which waits here until its socket has something to receive. trio would take a system call
for each such wait; here, a socket stays in the epoll.

The hub works at the beginning of a turn of the event loop, before tasks run. So a message is read,
handled and answered in one turn. trio must only know when to wake up: for that, one of the workers
that have nothing to do watches the epoll.
"""

from __future__ import annotations

import logging
import os
import select
import types
from collections.abc import Generator
from typing import Any, Final, Protocol

import trio
from trio.lowlevel import Task, current_task

from finch.failures import report
from finch.net.flusher import have_another_turn
from finch.net.plain import SocketTransport
from finch.net.readers import Fed
from finch.turns import SOCKETS
from finch.waits import NO, UNTIL_WOKEN, is_yes, wake

_log = logging.getLogger("finch.server")

HAS_HUB: Final = hasattr(select, "epoll") and hasattr(os, "eventfd")


class Watchers(Protocol):
    """Tasks, one of which waits in :meth:`Hub.watch` while it has nothing else to do."""

    def woken(self) -> None:
        """trio has woken the task that watches: it runs in this turn."""

    def wake(self) -> None:
        """Nobody watches. Wake a task for that."""


class Hub(trio.abc.Instrument):
    """Feeds all links on plain sockets, and wakes the tasks that wait for others.

    The epoll is level-triggered: if a turn does not read all bytes of a socket, the next turn
    reports it again. A socket that nobody reads for now (a paused link, an HTTP connection whose
    handler runs) stays in the epoll until it is reported, and only then is it taken out; so a short
    pause costs nothing. Sockets are known by their descriptors. A socket is removed just before it
    is closed: after that, another one may get the same number.

    Parameters:
        watchers: the tasks that watch.
    """

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers
        self._watcher: Task | None = None  # the task that waits for the epoll
        self._works = False
        self._epoll = select.epoll()
        # the link of each open socket; None for an HTTP connection
        self._links: dict[int, Fed | None] = {}
        self._waiting: dict[int, Task] = {}  # the tasks of HTTP connections
        self._resting: set[int] = set()  # open, but not in the epoll
        # links that stopped only to let others have a turn; in order
        self._unfinished: dict[Fed, None] = {}
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._alarmed = False
        self._epoll.register(self._alarm, select.EPOLLIN)

    # Links

    def add(self, link: Fed) -> None:
        """Feed a link from now on, and handle the bytes that it already has."""
        transport = link.transport
        assert isinstance(transport, SocketTransport)
        assert transport.hub is self  # else it would not be forgotten when it is closed
        link.reader = self
        if transport.closed:  # the link was dropped during the handshake
            link.eof()
            return
        number = transport.fileno()
        self._watch(number)
        self._links[number] = link
        if link.unread:  # bytes came together with the handshake
            self._finish_later(link)

    def resume(self, link: Fed, more: bool) -> None:
        """Read for a link again. ``more``: it still has received bytes to process."""
        transport = link.transport
        if transport.closed:
            return
        assert isinstance(transport, SocketTransport)
        self._watch(transport.fileno())
        if more:
            self._finish_later(link)

    # Tasks

    @types.coroutine
    def readable(self, number: int) -> Generator[Any, Any, bool]:
        """Wait until a socket has something to receive, which may be its end.

        Parameters:
            number: its descriptor.

        Returns:
            False if :meth:`interrupt` or :meth:`forget` has ended the wait.

        Raises:
            BusyResourceError: if another task waits for it already.
        """
        other = self._waiting.get(number)
        if other is not None and other.custom_sleep_data is self:  # else it is cancelled
            raise trio.BusyResourceError("another task is already reading from this connection")
        self._watch(number)
        task = self._waiting[number] = current_task()
        task.custom_sleep_data = self
        answer = yield UNTIL_WOKEN
        try:
            return is_yes(answer)
        except trio.Cancelled:
            if self._waiting.get(number) is task:
                del self._waiting[number]
            raise

    def interrupt(self, number: int) -> None:
        """End the wait of the task that waits for this descriptor, if there is one."""
        task = self._waiting.pop(number, None)
        if task is not None:
            wake(task, self, NO)

    # Descriptors

    def _watch(self, number: int) -> None:
        if number not in self._links:
            self._links[number] = None
        elif number in self._resting:
            self._resting.discard(number)
        else:
            return
        self._epoll.register(number, select.EPOLLIN)

    def _rest(self, number: int) -> None:
        self._epoll.unregister(number)
        self._resting.add(number)

    def forget(self, number: int) -> None:
        """A descriptor is about to be closed."""
        if number not in self._links:
            return
        link = self._links.pop(number)
        if link is not None:
            self._unfinished.pop(link, None)
        self.interrupt(number)
        if number in self._resting:
            self._resting.discard(number)
        else:
            self._epoll.unregister(number)

    # Turns

    def start(self) -> None:
        """Work in every turn from now on."""
        trio.lowlevel.add_instrument(self)
        self._works = True

    def stop(self) -> None:
        """Read nothing more. May be called twice."""
        if self._works:
            self._works = False
            trio.lowlevel.remove_instrument(self)

    @property
    def watched(self) -> bool:
        """Whether a task watches, or is woken and has not run yet."""
        return self._watcher is not None

    async def watch(self) -> None:
        """Wait until there is something to do in a turn. One task at a time may watch."""
        self._watcher = task = current_task()
        task.custom_sleep_data = self  # trio clears it when it wakes the task
        try:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
        finally:
            self._watcher = None

    def before_io_wait(self, timeout: float) -> None:
        """trio calls this in every turn, when all tasks that can run have run."""
        if self._watcher is None and self._links:
            try:
                self._watchers.wake()  # whoever has watched waits for something else now
                if timeout > 0:  # trio is about to sleep
                    have_another_turn()
            except Exception as error:
                report(_log, "a bug in Finch: nobody watches the sockets", error=error)

    def after_io_wait(self, timeout: float) -> None:
        """trio calls this in every turn, before it looks which tasks can run."""
        if not self._links and not self._alarmed:
            return
        if self._watcher is not None:
            if self._watcher.custom_sleep_data is self:
                return  # trio has not woken it: neither a socket nor the alarm has anything
            self._watchers.woken()
        try:
            self._turn()
        except Exception as error:
            # else trio would remove this instrument, and nothing would be read any more
            report(_log, "a bug in Finch: reading failed", error=error)

    def _turn(self) -> None:
        # Unfinished links come first, so that messages stay in order. Links that are still
        # unfinished go into the new dict: their turn is the next one, after all sockets.
        if self._unfinished:
            unfinished, self._unfinished = self._unfinished, {}
            for link in unfinished:
                self._pump(link)
        if self._alarmed and not self._unfinished:
            os.eventfd_read(self._alarm)
            self._alarmed = False
        reported = self._epoll.poll(0, SOCKETS)
        if not reported:
            return
        now = trio.current_time()
        for number, _ in reported:
            fed = self._links.get(number)
            if fed is not None:
                self._feed(number, fed, now)
            elif number in self._waiting:
                wake(self._waiting.pop(number), self)
            elif number in self._links:
                self._rest(number)
            # else: the alarm, or closed earlier in this turn

    def _finish_later(self, link: Fed) -> None:
        """Handle a link's bytes in the next turn. Without the alarm, trio would wait for sockets
        before that turn."""
        self._unfinished[link] = None
        if not self._alarmed:
            os.eventfd_write(self._alarm, 1)
            self._alarmed = True

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
                self._finish_later(link)
        except Exception as error:
            self._failed(link, error)

    def _pump(self, link: Fed) -> None:
        try:
            if link.pump():
                self._finish_later(link)
        except Exception as error:
            self._failed(link, error)

    def _failed(self, link: Fed, error: BaseException) -> None:
        report(_log, "a bug in Finch: a link failed", error=error)
        try:
            link.drop()
        except Exception as again:  # the other links must still have their turn
            report(_log, "a bug in Finch: a link cannot be dropped", error=again)

    def close(self) -> None:
        """Close the epoll, after all links are closed."""
        self._epoll.close()
        os.close(self._alarm)
