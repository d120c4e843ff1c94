"""The door of a connection: bytes in and out, and of a plain socket without a stream between.

Writing never waits. What is written in one turn of the event loop leaves when the turn ends, in one
piece for each peer: a burst of messages costs one system call, and no task. What the peer does not
take then goes on waiting, and a task empties it; only a slow peer has one. How much may wait is for
the caller to judge (``pending``, ``drain``), and the server drops a peer that takes nothing
(``stalled``).

Errors: a peer that is gone is not an exception here. ``receive`` gives ``b""`` and what is written
goes nowhere; whoever reads learns it, in one place.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from finch.failures import report
from finch.turns import FLUSHES

_log = logging.getLogger("finch.server")

READ_SIZE: Final = 64 * 1024
"""Bytes taken from a peer at a time. What is made of them at a time is bounded elsewhere."""

ENOUGH: Final = 64 * 1024  # bytes that do not wait for the end of the turn

_RESET: Final = struct.pack("ii", 1, 0)  # linger for no time at all

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
"""Starts a task that outlives the caller. The task must not raise."""


class Flushable(Protocol):
    """Something that is sent when a turn ends."""

    def flush(self) -> None:
        """Send what was written."""


class Flusher(trio.abc.Instrument):
    """Sends what was written in a turn of the event loop when the turn ends.

    trio calls ``before_io_wait`` when every task that could run has run, and before it waits: no
    task has to be woken for it.
    """

    def __init__(self) -> None:
        self._written: list[Flushable] = []
        self.add = self._written.append
        """Told of something that was written to, such as a transport."""

    def before_io_wait(self, timeout: float) -> None:
        if self._written:
            written = self._written[:FLUSHES]
            del self._written[:FLUSHES]
            if self._written:
                _have_another_turn()
            for transport in written:
                try:
                    transport.flush()
                except Exception as error:
                    # trio would take the instrument away, and nobody would be served
                    report(_log, "a bug in Finch: sending failed", error=error)


def _have_another_turn() -> None:
    """trio is about to wait, and does not know that there is something to do."""
    trio.lowlevel.current_trio_token().run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None: ...


class Transport(ABC):
    """One connection's bytes, and the outbox that all kinds share."""

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

    def __init__(self, spawn: Spawn, written: Callable[[Transport], None]) -> None:
        self._spawn = spawn
        self._written = written  # told when something is written where nothing waited
        self._outbox: list[bytes | memoryview] | None = None  # None while nothing waits
        self._flushing = False  # whether a task empties it
        self._emptied: trio.Event | None = None
        self._progress = 0.0
        self._closing = False
        self.pending = 0
        """Bytes that wait for the peer, or for the end of the turn."""
        self.lost = False
        """Whether the peer is known to take nothing more."""
        self.closed = False
        """Whether nothing more can be sent or received."""

    @abstractmethod
    async def receive(self) -> bytes:
        """What the peer sent, at most ``READ_SIZE`` bytes; ``b""`` where it is gone."""

    @abstractmethod
    def interrupt(self) -> None:
        """Have whoever waits in :meth:`receive` stop waiting: it gets ``b""``. The connection
        stays as it is. A cancel scope around each connection does the same for ten times as much.
        """

    @abstractmethod
    def hung_up(self) -> bool:
        """Whether the peer is known to have left, though nobody reads. False where unknown."""

    def write(self, data: bytes) -> None:
        """Hand over bytes, in order, without waiting. They are lost where the peer is gone."""
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
        """Wait until at most ``below`` bytes wait for the peer, or it is gone."""
        if not self._flushing:
            self.flush()
        while self.pending > below and not self.closed:
            if self._emptied is None:
                self._emptied = trio.Event()
            await self._emptied.wait()

    @property
    def drained(self) -> bool:
        """Whether :meth:`drain` has nothing to wait for."""
        return not self.pending

    def stalled(self, now: float, patience: float) -> bool:
        """Whether bytes wait and the peer has taken none of them for ``patience`` seconds."""
        return self._flushing and not self.closed and now - self._progress >= patience

    def finish(self) -> None:
        """Say that nothing more will be sent, once what waits is sent."""
        if not self._closing:
            self._closing = True
            if not self._flushing:
                self.flush()
            if self._outbox is None and not self.closed:
                self._send_eof()

    def abort(self) -> None:
        """Let go of the connection so that the peer cannot take what it got for all there is."""
        self.close()

    def close(self) -> None:
        """Let go of the connection at once. What the peer does not take at once is lost."""
        if not self.closed:
            if not self._flushing and not self.lost:
                self.flush()
            self.closed = self.lost = True
            self._outbox = None
            self.pending = 0
            self._wake()
            self._close()

    def flush(self) -> None:
        """Send what was written and goes without waiting; have a task send the rest."""
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
        _have_another_turn()  # for this may be the end of one

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
        """Send what goes without waiting; how many bytes did."""

    @abstractmethod
    async def _send_some(self, data: memoryview) -> int:
        """Send some bytes, waiting for the peer; how many went."""

    @abstractmethod
    def _send_eof(self) -> None:
        """Close the sending side."""

    @abstractmethod
    def _close(self) -> None:
        """Release the connection."""


class SocketTransport(Transport):
    """A plain TCP or unix socket, used directly.

    A third faster than a ``trio.SocketStream``: no lock, no wrapper, and a send that does not
    block needs no task.

    Parameters:
        sock: connected, with its options set; becomes non-blocking and this transport's own.
        spawn: starts the task that empties the outbox of a slow peer.
        flusher: sends at the end of each turn.
        buffer: what is received into, by all transports of a thread. ``recv`` would allocate for
            the most that may come and give the rest back, and what is allocated just then, and
            lives long, leaves a hole of 64 KB each time: 5 MB in half an hour.
    """

    __slots__ = ("_begun", "_buffer", "_socket", "on_close")

    def __init__(
        self, sock: socket.socket, spawn: Spawn, flusher: Flusher, buffer: memoryview
    ) -> None:
        super().__init__(spawn, flusher.add)
        sock.setblocking(False)
        self._socket = sock
        self._buffer = buffer
        self._begun = False
        self.on_close: Callable[[int], None] | None = None
        """Called with the descriptor just before it is closed, and so free to be another's."""

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive_nowait(self) -> bytes | None:
        """What the peer sent; ``b""`` where it is gone, None where nothing is there yet."""
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
                # a client's first request is mostly there before its connection is accepted
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
            # the reader meets the same error, and it is the one that deals with it
            self._lost()
            return len(data)

    async def _send_some(self, data: memoryview) -> int:
        while True:
            try:
                await trio.lowlevel.wait_writable(self._socket)
                return self._socket.send(data)
            except (BlockingIOError, trio.ClosedResourceError):
                if self.closed:
                    return 0
                # else only the reader was interrupted
            except OSError:
                self._lost()
                return len(data)

    def _lost(self) -> None:
        self.lost = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reader with the end of the stream
        except OSError:
            pass

    def _send_eof(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def abort(self) -> None:
        if not self.closed:
            self.flush()
            reset_at_close(self._socket)
            self.close()

    def _close(self) -> None:
        if self.on_close is not None:
            self.on_close(self._socket.fileno())
        if self._flushing:
            reset_at_close(self._socket)
        trio.lowlevel.notify_closing(self._socket)
        self._socket.close()


def reset_at_close(sock: socket.socket) -> None:
    """Have the peer see a reset instead of an end. The kernel then keeps nothing for it: of a peer
    that reads nothing it keeps 4 MB for more than five minutes otherwise."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def is_hung_up(sock: socket.socket) -> bool:
    """Whether a socket's peer is known to have left."""
    if not hasattr(select, "poll"):  # Windows cannot tell
        return False
    poll = select.poll()
    poll.register(sock, getattr(select, "POLLRDHUP", 0))
    return bool(poll.poll(0))
