"""Connections that are trio streams: TLS, and the in-memory streams of tests.

Ending TLS well is most of it. TCP answers data that nobody reads with a reset, and the peer then
forgets what it was sent last; so the stream below TLS is read on for a while when TLS is closed.
And OpenSSL says goodbye (close_notify) only where nothing of the peer's is left to be read.

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

from finch.net.transport import (
    ENOUGH,
    READ_SIZE,
    Spawn,
    Transport,
    is_hung_up,
    reset_at_close,
)
from finch.wire.hello import NO_APPLICATION_PROTOCOL, offers_only_others

_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError)


class StreamTransport(Transport):
    """Any trio stream.

    A stream cannot send without waiting, so each burst of writes has a task for as long as it
    takes.

    Parameters:
        stream: becomes this transport's own. One that cannot close its sending side alone, as TLS
            cannot, is not received from any more once it is finished.
        spawn: starts the task that sends.
        patience: seconds that the peer is given to take a goodbye and to close its side.
        sock: what the stream's bytes travel through, where it is a socket.
    """

    __slots__ = (
        "_ahead",
        "_finished",
        "_finishing",
        "_left",
        "_looking",
        "_patience",
        "_receiving",
        "_socket",
        "_stream",
        "_users",
    )

    _finished: trio.Event  # there while it is finishing

    def __init__(
        self,
        stream: trio.abc.Stream,
        spawn: Spawn,
        patience: float,
        sock: socket.socket | None = None,
    ) -> None:
        super().__init__(spawn, Transport.flush)
        self._stream: trio.abc.Stream | None = stream
        self._patience = patience
        self._socket = sock
        self._receiving: trio.CancelScope | None = None
        self._looking: trio.Event | None = None  # there while a task looks for a hang-up
        self._ahead: bytes | None = None  # what it found
        self._finishing = False  # both sides are being closed
        self._left = False  # the stream is closed, and what it is made of
        self._users = 0  # tasks that are in the stream

    @contextmanager
    def _in_use(self) -> Iterator[Any]:
        """The stream, for as long as there is one.

        Raises:
            trio.ClosedResourceError: where it is gone.
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
        """The stream is closed, and nobody may begin to use it."""
        self._left = True
        self._take_apart()

    def _take_apart(self) -> None:
        """Let the last who leaves the closed stream free it.

        A ``trio.SSLStream`` refers to itself, so only the garbage collector would find it, and with
        it the 30 KB that OpenSSL keeps; but in a server that looks seldom (``tune_gc``), and hardly
        ever at what has lived for long.
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
            with trio.CancelScope() as self._receiving:
                await self._finished.wait()
        return b""

    async def drain(self, below: int = 0) -> None:
        await super().drain(below)
        if self._finishing:  # close_notify waits for the peer too
            await self._finished.wait()

    @property
    def drained(self) -> bool:
        return super().drained and (not self._finishing or self._finished.is_set())

    def _stop_receiving(self) -> None:
        self._receiving = None
        if self._finishing:  # it waits for us
            self._spawn(self._finish_stream)

    def interrupt(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()

    def hung_up(self) -> bool:
        if self.closed:
            return True
        if self._socket is not None:
            return is_hung_up(self._socket)
        # a stream in memory tells only whoever receives
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
        piece = data[:ENOUGH]  # so that progress is seen
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
                self._receiving.cancel()

    async def _stream_eof(self) -> None:
        try:
            with self._in_use() as stream:
                await stream.send_eof()
        except _BROKEN:
            pass

    async def _finish_stream(self) -> None:
        try:
            # even a goodbye waits for a peer that reads
            with self._in_use() as stream, trio.move_on_after(self._patience):
                if isinstance(stream, trio.SSLStream):
                    await _read_what_is_there(stream)
                await stream.aclose()
        except _BROKEN:
            pass
        finally:
            self._finished.set()

    def _close(self) -> None:
        if self._flushing and self._socket is not None:
            reset_at_close(self._socket)
        # not TLS, nor what lingers below it: they may be at work, and only wait for each other
        stream: Any = self._stream
        lowest = stream.transport_stream.stream if isinstance(stream, trio.SSLStream) else stream
        if isinstance(lowest, trio.SocketStream):
            lowest.socket.close()  # which takes no task: the server's may be over
            self._let_go()
        else:
            try:
                self._spawn(partial(self._close_stream, lowest))
            except RuntimeError:  # the server is over: nobody is in the stream
                self._let_go()

    async def _close_stream(self, stream: trio.abc.Stream) -> None:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)  # forcefully: it does not wait
        self._let_go()


class LingeringStream(trio.abc.Stream):
    """What is below a server's TLS: a socket's stream that is closed without a loss, and refuses a
    client that wants to speak something else.

    What still comes is read before it is closed, until the peer closes or the caller's patience
    ends. The first bytes are looked at on their way up: ``ssl`` goes on where a client offers
    protocols by ALPN and none of them is ours (RFC 7301, section 3.2).

    Parameters:
        stream: becomes this one's own.

    Attributes:
        stream: the socket's own.
        dry: whether receiving raises ``trio.WouldBlock`` instead of waiting.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.dry = False
        self._hello: bytes | None = b""  # the client's, until it is judged

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
            pass  # the peer is gone, or it is given up
        finally:
            await trio.aclose_forcefully(self.stream)


async def _read_what_is_there(stream: trio.SSLStream[LingeringStream]) -> None:
    """Take what has been received and not decrypted from a TLS stream over a lingering one."""
    stream.transport_stream.dry = True
    try:
        while await stream.receive_some(READ_SIZE):
            pass
    except (trio.WouldBlock, trio.BrokenResourceError):
        pass
    finally:
        stream.transport_stream.dry = False
