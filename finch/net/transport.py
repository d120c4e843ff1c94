"""The bytes of one connection, in and out.

Writing never waits. Bytes that are written in one turn of the event loop are sent when the turn
ends, in one piece for each peer (``finch.net.flusher`` may send the first ones at once). So a burst
of messages costs one system call and no task. Bytes that the peer does not take then stay in the
outbox, and a task sends them; only a slow peer has such a task. The caller decides how many bytes
may wait (``pending``, ``drain``), and the server drops a peer that takes nothing (``stalled``).

Errors: if a peer is gone, nothing raises. ``receive`` returns ``b""``, and written bytes are lost.
So only the reader has to handle it.
"""

from __future__ import annotations

import select
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import trio

from finch.net.flusher import Gatherer, have_another_turn
from finch.net.slices import FileSlice

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
        "_flusher",
        "_flushing",
        "_outbox",
        "_progress",
        "_spawn",
        "closed",
        "lost",
        "pending",
    )

    sends_files: ClassVar[bool] = False
    """Whether it has :meth:`send_file`."""

    def __init__(self, spawn: Spawn, flusher: Gatherer) -> None:
        self._spawn = spawn
        self._flusher = flusher
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
            self._flusher.add(self)
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
                have_another_turn()  # as below
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
