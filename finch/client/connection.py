"""One open WebSocket of a client: bytes to texts and back, pings, and its end.

One task reads, one writes, one watches over the silence. Only the writing task writes, so a task
that is cancelled in the middle of a ``send`` never leaves half a frame on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import trio
from wsproto import WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Ping, TextMessage
from wsproto.utilities import LocalProtocolError

from finch.client.options import Options

_BATCH: Final = 64 * 1024  # characters of small messages that are sent at once
_CHUNK: Final = 64 * 1024  # bytes that are read at once
_REASON: Final = 123  # bytes of a Close frame's reason (RFC 6455, section 5.5)


@dataclass(frozen=True, slots=True)
class Closed:
    """How a WebSocket has ended: 1006 if no Close frame came, 1005 if it had no code."""

    code: int
    reason: str = ""


class Connection:
    """One open WebSocket.

    Parameters:
        stream: the bytes.
        protocol: what frames mean, after the handshake.
        options: the limits.

    Attributes:
        closed: how it has ended; None while it is open.
        paused: whether reading pauses. Then silence says nothing about the server.
    """

    def __init__(self, stream: trio.abc.Stream, protocol: WSConnection, options: Options) -> None:
        self.closed: Closed | None = None
        self.paused = False
        self._stream = stream
        self._protocol = protocol
        self._options = options
        self._control: list[bytes] = []  # pongs and the like, before other texts
        self._closing: tuple[int, str] | None = None  # our Close, after what waits
        self._broken = False  # nothing can be written any more
        self._wake = trio.Event()
        self._heard = trio.current_time()
        self._pieces: list[str] = []
        self._size = 0

    # Reading

    async def receive(self) -> list[str]:
        """The next texts of the server; none if only pings came. Look at ``closed`` afterwards."""
        texts = self._texts()  # what came together with the handshake
        if texts or self.closed is not None:
            await trio.lowlevel.checkpoint()
            return texts
        try:
            data = bytes(await self._stream.receive_some(_CHUNK))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if not data:
            self._end(Closed(1006, "the connection was cut"))
            return []
        self._heard = trio.current_time()
        self._protocol.receive_data(data)
        return self._texts()

    def _texts(self) -> list[str]:
        texts: list[str] = []
        for event in self._protocol.events():
            if isinstance(event, TextMessage):
                self._collect(event, texts)
            elif isinstance(event, Ping):
                if self._protocol.state is ConnectionState.OPEN:
                    self._write_soon(self._protocol.send(event.response()))
            elif isinstance(event, CloseConnection):
                self._close_received(event)
            if self.closed is not None:  # binary messages are ignored: no server sends any
                break
        return texts

    def _collect(self, event: TextMessage, texts: list[str]) -> None:
        self._pieces.append(event.data)
        self._size += len(event.data)
        if self._size > self._options.max_message_size:
            reason = f"a message is longer than {self._options.max_message_size} bytes"
            self._write_soon(self._protocol.send(CloseConnection(1009, reason)))
            self._end(Closed(1009, reason))
        elif event.message_finished:
            texts.append("".join(self._pieces))
            self._pieces.clear()
            self._size = 0

    def _close_received(self, event: CloseConnection) -> None:
        state = self._protocol.state
        if state is ConnectionState.OPEN:
            # It is wsproto's own: the server, or a proxy, has broken the protocol. Another
            # connection may do better.
            self._write_soon(self._protocol.send(event))
            self._end(Closed(1006, f"the server broke the protocol: {event.reason}"))
            return
        if state is ConnectionState.REMOTE_CLOSING:
            self._write_soon(self._protocol.send(event.response()))
        self._end(Closed(int(event.code), event.reason or ""))

    def _end(self, closed: Closed) -> None:
        if self.closed is None:
            self.closed = closed
        self._wake.set()

    # Writing

    def wake(self) -> None:
        """There is something new to write."""
        self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake, after what waits."""
        self._closing = code, reason.encode()[:_REASON].decode(errors="ignore")
        self._wake.set()

    def _write_soon(self, data: bytes) -> None:
        self._control.append(data)
        self._wake.set()

    async def write(self, take: Callable[[], str | None], sent: Callable[[], None]) -> None:
        """Write until the end.

        Parameters:
            take: gives the next text; None if there is none.
            sent: called after some texts were written.
        """
        try:
            while True:
                self._wake = trio.Event()
                data = self._next(take)
                if data:
                    await self._stream.send_all(data)
                    sent()
                elif self.closed is not None:
                    return
                else:
                    await self._wake.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The server may have said why before it ended, so whoever reads goes on.
            self._broken = True

    def _next(self, take: Callable[[], str | None]) -> bytes:
        pieces, self._control = self._control, []
        size = 0
        while self._protocol.state is ConnectionState.OPEN and size < _BATCH:
            text = take()
            if text is None:
                if self._closing is not None:
                    pieces.append(self._protocol.send(CloseConnection(*self._closing)))
                break
            size += len(text)
            pieces.append(self._protocol.send(TextMessage(text)))
        return b"".join(pieces)

    @property
    def broken(self) -> bool:
        """Whether nothing can be written any more."""
        return self._broken

    # Silence

    async def watch(self, give_up: Callable[[], None]) -> None:
        """Ping a silent server, and give it up if it stays silent.

        Without this, a connection whose other end has vanished (a laptop in another network, a
        router that has restarted) would stay open for as long as nothing is sent.
        """
        options = self._options
        while True:
            await trio.sleep_until(self._heard + options.ping_interval)
            asked = trio.current_time()
            if asked < self._heard + options.ping_interval:
                continue
            try:
                self._write_soon(self._protocol.send(Ping()))
            except LocalProtocolError:
                return  # the closing handshake has begun, and has a limit of its own
            await trio.sleep(options.ping_timeout)
            if self._heard < asked and not self.paused:
                self._end(Closed(1006, f"silent for {trio.current_time() - self._heard:.0f} s"))
                give_up()
                return
            if self._heard < asked:
                self._heard = trio.current_time()  # we have not listened: ask again later

    async def aclose(self) -> None:
        """Close the stream, at once."""
        await trio.aclose_forcefully(self._stream)
