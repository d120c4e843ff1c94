"""The bytes of one connection, in and out. A plain socket is used directly, without a stream.

Writing never waits. All bytes that are written in one turn of the event loop are sent when the
turn ends, in one piece for each peer. So a burst of messages costs one system call and no task.
Bytes that the peer does not take then stay in the outbox, and a task sends them; only a slow peer
has such a task. The caller decides how many bytes may wait (``pending``, ``drain``), and the server
drops a peer that takes nothing (``stalled``).

Errors: if a peer is gone, nothing raises. ``receive`` returns ``b""``, and written bytes are lost.
So only the reader has to handle it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import trio

from finch.net.flusher import Flusher, have_another_turn
from finch.net.slices import FileSlice, send_slice

READ_SIZE: Final = 64 * 1024
"""Bytes received from a peer at a time. ``finch.turns`` limits how much work is done with them."""

ENOUGH: Final = 64 * 1024  # more bytes than this do not wait for the end of the turn

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
"""Starts a task that outlives the caller. The task must not raise."""


class Transport(ABC):
    """The bytes of one connection, with the outbox that all kinds of transports share."""

    __slots__ = (
        "_closing",
        "_emptied",
        "_flushing",
        "_outbox",
        "_progress",
        "_spawn",
        "_written",
        "closed",
        "lost",
        "pending",
    )

    sends_files: ClassVar[bool] = False
    """Whether it has :meth:`send_file`."""

    def __init__(self, spawn: Spawn, written: Callable[[Transport], None]) -> None:
        self._spawn = spawn
        self._written = written  # called when something is written to an empty outbox
        self._outbox: list[bytes | memoryview] | None = None  # None if nothing waits
        self._flushing = False  # whether a task is sending the outbox
        self._emptied: trio.Event | None = None
        self._progress = 0.0
        self._closing = False
        self.pending = 0
        """Bytes that wait for the peer or for the end of the turn."""
        self.lost = False
        """Whether it is known that the peer takes nothing more."""
        self.closed = False
        """Whether nothing more can be sent or received."""

    @abstractmethod
    async def receive(self) -> bytes:
        """Bytes from the peer, at most ``READ_SIZE``; ``b""`` if it is gone."""

    @abstractmethod
    def interrupt(self) -> None:
        """Make a task that waits in :meth:`receive` stop waiting: it gets ``b""``. The connection
        is not changed. A cancel scope around each connection would cost ten times as much."""

    @abstractmethod
    def hung_up(self) -> bool:
        """Whether the peer has left, found out without reading. False if unknown."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order, without waiting. They are lost if the peer is gone."""
        if self.lost or self._closing or not data:
            return
        self.pending += len(data)
        if self._outbox is None:
            self._outbox = [data]
            self._written(self)
        else:
            self._outbox.append(data)
        if self.pending > ENOUGH and not self._flushing:
            self.flush()

    async def drain(self, below: int = 0) -> None:
        """Wait until at most ``below`` bytes wait for the peer, or the connection is closed."""
        if not self._flushing:
            self.flush()
        while self.pending > below and not self.closed:
            if self._emptied is None:
                self._emptied = trio.Event()
            await self._emptied.wait()

    @property
    def drained(self) -> bool:
        """Whether :meth:`drain` would not wait."""
        return not self.pending

    def stalled(self, now: float, patience: float) -> bool:
        """Whether bytes wait, and the peer has taken none of them for ``patience`` seconds."""
        return self._flushing and not self.closed and now - self._progress >= patience

    def finish(self) -> None:
        """Close the sending side, after the waiting bytes are sent."""
        if not self._closing:
            self._closing = True
            if not self._flushing:
                self.flush()
            if self._outbox is None and not self.closed:
                self._send_eof()

    def drop(self) -> None:
        """Close the connection so that the peer notices that its data is incomplete."""
        self.close()

    def close(self) -> None:
        """Close the connection at once. Bytes that the peer does not take at once are lost."""
        if not self.closed:
            if not self._flushing and not self.lost:
                self.flush()
            # The state is final before anybody is woken: a task in drain() must see it as closed.
            self.closed = self.lost = True
            self._outbox = None
            self.pending = 0
            self._wake()
            self._close()

    async def send_file(self, part: FileSlice) -> None:
        """Send a part of a file, after all bytes written before, and wait until the peer has taken
        it. Call it only if ``sends_files``.

        Raises:
            FileEnded: if the file is shorter.
            OSError: if it cannot be read.
        """
        raise NotImplementedError

    def flush(self) -> None:
        """Send what can be sent without waiting, and start a task for the rest."""
        outbox = self._outbox
        if outbox is None or self._flushing:
            return
        data = outbox[0] if len(outbox) == 1 else b"".join(outbox)
        sent = self._send_now(data)
        self.pending -= sent
        if sent == len(data):
            self._outbox = None
            if self._emptied is not None:
                self._wake()
            return
        self._outbox = [memoryview(data)[sent:]]
        self._flushing = True
        self._progress = trio.current_time()
        self._spawn(self._flush_slowly)
        have_another_turn()  # this may run at the end of a turn: trio must notice the new task

    async def _flush_slowly(self) -> None:
        while self._outbox:
            if len(self._outbox) > 1:
                self._outbox = [memoryview(b"".join(self._outbox))]
            waiting = memoryview(self._outbox[0])
            sent = await self._send_some(waiting)
            if self.closed:
                return
            self._progress = trio.current_time()
            self.pending -= sent
            if sent == len(waiting):
                del self._outbox[0]
            else:
                self._outbox[0] = waiting[sent:]
            self._wake()
        self._outbox = None
        self._flushing = False
        if self._closing:
            self._send_eof()

    def _wake(self) -> None:
        if self._emptied is not None:
            self._emptied.set()
            self._emptied = None

    @abstractmethod
    def _send_now(self, data: bytes | memoryview) -> int:
        """Send what can be sent without waiting. Returns how many bytes were sent."""

    @abstractmethod
    async def _send_some(self, data: memoryview) -> int:
        """Send some bytes, and wait for the peer if needed. Returns how many were sent."""

    @abstractmethod
    def _send_eof(self) -> None:
        """Close the sending side."""

    @abstractmethod
    def _close(self) -> None:
        """Release the connection."""


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
    """

    __slots__ = ("_begun", "_buffer", "_socket", "on_close")

    sends_files = hasattr(os, "sendfile")

    def __init__(
        self, sock: socket.socket, spawn: Spawn, flusher: Flusher, buffer: memoryview
    ) -> None:
        super().__init__(spawn, flusher.add)
        sock.setblocking(False)
        self._socket = sock
        self._buffer = buffer
        self._begun = False
        self.on_close: Callable[[int], None] | None = None
        """Called with the descriptor just before it is closed. After that, another socket may get
        the same number."""

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive_nowait(self) -> bytes | None:
        """Bytes from the peer; ``b""`` if it is gone; None if there are none yet."""
        buffer = self._buffer
        try:
            return bytes(buffer[: self._socket.recv_into(buffer)])
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
                await trio.lowlevel.wait_readable(self._socket)
                data = self.receive_nowait()
                if data is not None:
                    return data
        except (OSError, trio.ClosedResourceError):
            return b""

    def interrupt(self) -> None:
        if not self.closed:
            trio.lowlevel.notify_closing(self._socket)

    def hung_up(self) -> bool:
        return self.closed or is_hung_up(self._socket)

    def _send_now(self, data: bytes | memoryview) -> int:
        try:
            return self._socket.send(data)
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
                return self._socket.send(data)
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
            sent = send_slice(self._socket, part, part.size - left)
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
            await trio.lowlevel.wait_writable(self._socket)
        except trio.ClosedResourceError:
            # Closed, or not: interrupt() wakes all tasks that wait for this socket, but it means
            # only the reader. So the caller looks, and may go on.
            pass

    def _lost(self) -> None:
        self.lost = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader: it sees the end
        except OSError:
            pass

    def _send_eof(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def drop(self) -> None:
        if not self.closed:
            self.flush()
            reset_at_close(self._socket)
            self.close()

    def _close(self) -> None:
        if self.on_close is not None:
            self.on_close(self._socket.fileno())
        if self._flushing:
            reset_at_close(self._socket)
        # First wake the tasks that wait for this socket, then close it. In the other order, they
        # would wait for a descriptor that is closed, or that soon belongs to another connection.
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


def reset_at_close(sock: socket.socket) -> None:
    """Make the close a reset instead of a normal end. Then the kernel keeps no bytes for the peer.
    Otherwise, if the peer reads nothing, it keeps 4 MB for more than five minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def is_hung_up(sock: socket.socket) -> bool:
    """Whether a socket's peer has left; False if unknown."""
    if not hasattr(select, "poll"):  # Windows cannot tell
        return False
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))
