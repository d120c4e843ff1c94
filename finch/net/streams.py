"""Connections that are trio streams: TLS, and the in-memory streams of tests.

Most of this is about the end of a TLS connection:

- If data arrives that nobody reads, TCP sends a reset, and the peer may lose the last bytes that we
  sent. So when TLS is closed, the stream below TLS is still read for a while.
- OpenSSL sends its goodbye (close_notify) only if all bytes from the peer have been read. So they
  are read first.

Source: RFC 8446, section 6.1; RFC 9112, sections 9.6 and 9.8.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import trio

from finch.net.flusher import AtOnce
from finch.net.transport import (
    ENOUGH,
    READ_SIZE,
    Spawn,
    Transport,
    is_hung_up,
    reset_at_close,
)
from finch.wire.hello import NO_APPLICATION_PROTOCOL, offers_only_others

_AT_ONCE: Final = AtOnce()  # a burst of writes is gathered by its task
_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError)


class StreamTransport(Transport):
    """A transport over any trio stream.

    A stream cannot send without waiting. So each burst of writes gets a task, which ends when all
    is sent.

    Parameters:
        stream: the stream; this transport owns it from now on. If it cannot close only its sending
            side (as TLS cannot), nothing is received after ``finish``.
        spawn: starts the task that sends.
        patience: seconds that the peer has to take a goodbye and to close its side.
        sock: the socket below the stream, if there is one.
    """

    __slots__ = (
        "_ahead",
        "_finished",
        "_finishing",
        "_left",
        "_looking",
        "_patience",
        "_receiving",
        "_stream",
        "_users",
        "socket",
    )

    _finished: trio.Event  # exists only if _finishing

    def __init__(
        self,
        stream: trio.abc.Stream,
        spawn: Spawn,
        patience: float,
        sock: socket.socket | None = None,
    ) -> None:
        super().__init__(spawn, _AT_ONCE)
        self._stream: trio.abc.Stream | None = stream
        self._patience = patience
        self.socket = sock
        self._receiving: trio.CancelScope | None = None
        self._looking: trio.Event | None = None  # not None while a task looks for a hang-up
        self._ahead: bytes | None = None  # the bytes that this task has received
        self._finishing = False  # whether both sides are being closed, or were
        self._left = False  # whether the stream is closed, so nobody may begin to use it
        self._users = 0  # how many tasks are using the stream

    @contextmanager
    def _in_use(self) -> Iterator[Any]:
        """The stream, marked as in use. It is not taken apart before the block ends.

        Raises:
            trio.ClosedResourceError: if the stream is gone.
        """
        stream = self._stream
        if stream is None:
            raise trio.ClosedResourceError
        self._users += 1
        try:
            yield stream
        finally:
            self._users -= 1
            self._take_apart()

    def _let_go(self) -> None:
        """Called when the stream is closed: nobody may begin to use it."""
        self._left = True
        self._take_apart()

    def _take_apart(self) -> None:
        """Free the stream if it is closed and no task uses it.

        A ``trio.SSLStream`` refers to itself. So only the garbage collector would free it, and with
        it 30 KB of OpenSSL. But in a server, the collector runs seldom (``tune_gc``), and hardly
        ever looks at old objects. While a task is inside the stream, this waits: the task still
        needs the parts.
        """
        if self._left and not self._users:
            if isinstance(self._stream, trio.SSLStream):
                vars(self._stream).clear()
            self._stream = None

    async def receive(self) -> bytes:
        if not self._finishing:
            try:
                with self._in_use() as stream, trio.CancelScope() as self._receiving:
                    if self._looking is not None:
                        await self._looking.wait()
                    if self._ahead is not None:
                        ahead, self._ahead = self._ahead, None
                        return ahead
                    return bytes(await stream.receive_some(READ_SIZE))
            except _BROKEN:
                pass
            finally:
                self._stop_receiving()
        if self._finishing:
            # _finish_stream uses the stream now. If the caller got b"" at once, it would close the
            # stream in the middle of that, and the peer could lose the last bytes.
            with trio.CancelScope() as self._receiving:
                await self._finished.wait()
        return b""

    async def drain(self, below: int = 0) -> None:
        await super().drain(below)
        if self._finishing:  # sending close_notify may wait for the peer too
            await self._finished.wait()

    @property
    def drained(self) -> bool:
        return super().drained and (not self._finishing or self._finished.is_set())

    def _stop_receiving(self) -> None:
        self._receiving = None
        # Only one task may read from a TLS stream. So if _send_eof finds a reader, it only cancels
        # the reader, and the reader starts the finish here, when it no longer uses the stream.
        if self._finishing:
            self._spawn(self._finish_stream)

    def interrupt(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()

    def hung_up(self) -> bool:
        if self.closed:
            return True
        if self.socket is not None:
            return is_hung_up(self.socket)
        # a stream in memory shows a hang-up only to a reader, so a task reads ahead
        if self._looking is None and self._ahead is None and self._receiving is None:
            self._looking = trio.Event()
            self._spawn(self._look_ahead)
        return self._ahead == b""

    async def _look_ahead(self) -> None:
        assert self._looking is not None
        try:
            with self._in_use() as stream:
                self._ahead = bytes(await stream.receive_some(READ_SIZE))
        except _BROKEN:
            self._ahead = b""
        finally:
            self._looking.set()
            self._looking = None

    def _send_now(self, data: bytes | memoryview) -> int:
        return 0

    async def _send_some(self, data: memoryview) -> int:
        piece = data[:ENOUGH]  # in pieces, so that stalled() sees the progress
        try:
            with self._in_use() as stream:
                await stream.send_all(piece)
        except _BROKEN:
            self.close()
        return len(piece)

    def _send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            self._spawn(self._stream_eof)
        else:
            self._finishing = True
            self._finished = trio.Event()
            if self._receiving is None:
                self._spawn(self._finish_stream)
            else:
                self._receiving.cancel()  # see _stop_receiving

    async def _stream_eof(self) -> None:
        try:
            with self._in_use() as stream:
                await stream.send_eof()
        except _BROKEN:
            pass

    async def _finish_stream(self) -> None:
        try:
            # A timeout, because sending even a goodbye waits until the peer reads. First read, then
            # close: in the other order, OpenSSL would send no close_notify.
            with self._in_use() as stream, trio.move_on_after(self._patience):
                if isinstance(stream, trio.SSLStream):
                    await _read_what_is_there(stream)
                await stream.aclose()
        except _BROKEN:
            pass
        finally:
            self._finished.set()  # after a failure too: receive() and drain() wait for it

    def _close(self) -> None:
        if self._flushing and self.socket is not None:
            reset_at_close(self.socket)
        # Close the lowest stream, the socket. Tasks may be inside TLS or the lingering stream, and
        # closing those would only wait for these tasks.
        stream: Any = self._stream
        lowest = stream.transport_stream.stream if isinstance(stream, trio.SSLStream) else stream
        if isinstance(lowest, trio.SocketStream):
            lowest.socket.close()  # needs no task: the server's nursery may have ended
            self._let_go()
        else:
            try:
                self._spawn(partial(self._close_stream, lowest))
            except RuntimeError:  # the server has ended, so no task is in the stream
                self._let_go()

    async def _close_stream(self, stream: trio.abc.Stream) -> None:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)  # does not wait, so the shield holds nobody up
        self._let_go()


class LingeringStream(trio.abc.Stream):
    """The stream below a server's TLS. It closes without losing data, and refuses a client that
    wants another protocol.

    When it is closed, it reads on until the peer closes or the caller cancels it. And it checks the
    first bytes from the client: if the client offers protocols by ALPN and none of them is ours, it
    must be refused (RFC 7301, section 3.2), but ``ssl`` goes on.

    Parameters:
        stream: the stream of the socket; this object owns it from now on.

    Attributes:
        stream: the stream of the socket.
        dry: whether receiving raises ``trio.WouldBlock`` instead of waiting.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.dry = False
        self._hello: bytes | None = b""  # the client's first bytes; None once they were checked

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self.dry:
            raise trio.WouldBlock
        data = await self.stream.receive_some(max_bytes)
        if self._hello is not None:
            await self._judge(bytes(data))
        return data

    async def _judge(self, data: bytes) -> None:
        assert self._hello is not None
        self._hello += data
        refused = offers_only_others(self._hello) if data else False
        if refused is None:
            return
        self._hello = None
        if refused:
            await self.stream.send_all(NO_APPLICATION_PROTOCOL)
            raise trio.BrokenResourceError

    async def aclose(self) -> None:
        try:
            await self.stream.send_eof()
            while await self.stream.receive_some(READ_SIZE):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone, or the connection was closed
        finally:
            await trio.aclose_forcefully(self.stream)


async def _read_what_is_there(stream: trio.SSLStream[LingeringStream]) -> None:
    """Read all bytes that a TLS stream has received but not decrypted yet."""
    stream.transport_stream.dry = True
    try:
        while await stream.receive_some(READ_SIZE):
            pass
    except (trio.WouldBlock, trio.BrokenResourceError):
        pass
    finally:
        stream.transport_stream.dry = False
