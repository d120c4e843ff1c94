"""Connections that are plain sockets, used directly: TCP without TLS, and unix sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable
from typing import Protocol

import trio

from finch.net.flusher import Flusher
from finch.net.slices import FileSlice, send_slice
from finch.net.transport import Spawn, Transport, is_hung_up, reset_at_close


class Readiness(Protocol):
    """Says when sockets have something to receive: :class:`finch.net.hub.Hub`."""

    def readable(self, number: int, /) -> Awaitable[bool]:
        """Wait until this descriptor can be read. False if the wait was ended."""

    def interrupt(self, number: int, /) -> None:
        """End the wait for this descriptor."""

    def forget(self, number: int, /) -> None:
        """This descriptor is about to be closed: end the wait for it."""


class SocketTransport(Transport):
    """A plain TCP or unix socket, used directly.

    A third faster than a ``trio.SocketStream``: it has no lock and no wrapper, and a send that does
    not block needs no task.

    Parameters:
        sock: a connected socket with its options set. It becomes non-blocking, and this transport
            owns it from now on.
        spawn: starts the task that sends to a slow peer.
        flusher: sends at the end of each turn.
        buffer: the buffer for receiving, shared by all transports of a thread. ``recv`` would
            allocate memory for the largest piece, and give the unused part back. If a long-lived
            object is allocated in between, a hole of 64 KB stays each time: 5 MB in half an hour.
        hub: says when there is something to receive. Without it, trio does, which takes a system
            call for each wait.
    """

    __slots__ = ("_begun", "_buffer", "hub", "socket")

    sends_files = hasattr(os, "sendfile")

    def __init__(
        self,
        sock: socket.socket,
        spawn: Spawn,
        flusher: Flusher,
        buffer: memoryview,
        hub: Readiness | None = None,
    ) -> None:
        super().__init__(spawn, flusher)
        sock.setblocking(False)
        self.socket = sock
        self._buffer = buffer
        self.hub = hub
        self._begun = False

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.socket.fileno()

    def receive_nowait(self) -> bytes | None:
        """Bytes from the peer; ``b""`` if it is gone; None if there are none yet."""
        buffer = self._buffer
        try:
            return bytes(buffer[: self.socket.recv_into(buffer)])
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def receive(self) -> bytes:
        if self.closed:
            return b""
        try:
            if not self._begun:
                # usually, the first request has arrived before the connection is accepted
                self._begun = True
                await trio.lowlevel.checkpoint_if_cancelled()
                data = self.receive_nowait()
                if data is not None:
                    return data
            while True:
                if self.hub is None:
                    await trio.lowlevel.wait_readable(self.socket)
                elif not await self.hub.readable(self.socket.fileno()):
                    return b""
                data = self.receive_nowait()
                if data is not None:
                    return data
        except (OSError, trio.ClosedResourceError):
            return b""

    def interrupt(self) -> None:
        if self.closed:
            return
        if self.hub is not None:
            self.hub.interrupt(self.socket.fileno())
        else:
            trio.lowlevel.notify_closing(self.socket)

    def hung_up(self) -> bool:
        return self.closed or is_hung_up(self.socket)

    def _send_now(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            # the reader gets the same error and handles it
            self._lost()
            return len(data)

    async def _send_some(self, data: memoryview) -> int:
        while True:
            await self._wait_writable()
            if self.closed:
                return 0
            try:
                return self.socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._lost()
                return len(data)

    async def send_file(self, part: FileSlice) -> None:
        await self.drain()
        if self.lost or self._closing:
            return
        # As long as this sends, it has the part of the task that sends to a slow peer: the server
        # sees whether the peer takes anything, and what is written meanwhile waits in the outbox.
        self._flushing = True
        self._progress = trio.current_time()
        self.pending += part.size
        left = part.size
        try:
            while left and not self.lost:
                sent = await self._send_from(part, left)
                if self.closed:
                    return
                self._progress = trio.current_time()
                self.pending -= sent
                left -= sent
        finally:
            if not self.closed:
                self.pending -= left
                self._flushing = False
                self.flush()

    async def _send_from(self, part: FileSlice, left: int) -> int:
        """Send some of the last ``left`` bytes of a part; how many were sent."""
        while True:
            sent = send_slice(self.socket, part, part.size - left)
            if sent is None:
                self._lost()
                return left
            if sent:
                return sent
            await self._wait_writable()
            if self.closed:
                return 0

    async def _wait_writable(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self.socket)
        except trio.ClosedResourceError:
            # Closed, or not: without a hub, interrupt() wakes all tasks that wait for this socket,
            # but it means only the reader. So the caller looks, and may go on.
            pass

    def _lost(self) -> None:
        self.lost = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the reader: it sees the end
        except OSError:
            pass

    def _send_eof(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def drop(self) -> None:
        if not self.closed:
            self.flush()
            reset_at_close(self.socket)
            self.close()

    def _close(self) -> None:
        # First wake the tasks that wait for this socket, then close it. In the other order, they
        # would wait for a descriptor that is closed, or that soon belongs to another connection.
        if self.hub is not None:
            self.hub.forget(self.socket.fileno())
        if self._flushing:
            reset_at_close(self.socket)
        if self._flushing or self.hub is None:
            trio.lowlevel.notify_closing(self.socket)
        self.socket.close()
