"""The WebSocket of a test's client: sends messages and waits for messages."""

from __future__ import annotations

from typing import Any

import msgspec
import trio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Ping,
    TextMessage,
)

from finch.testing.answers import (
    DEADLINE,
    NotAnEnvelope,
    ServerMessage,
    SocketClosed,
    TestResponse,
    deadline,
)


class TestSocket:
    """A WebSocket to the server: envelopes for a manager, text and bytes for a raw socket.

    Attributes:
        response: the server's 101 response to the handshake.
        subprotocol: the subprotocol that the server chose, or None.
        stream: the connection itself, for testing what a correct client never does.
    """

    __test__ = False

    def __init__(
        self, stream: trio.abc.Stream, path: str, response: TestResponse, early: bytes
    ) -> None:
        self.stream = stream
        self.response = response
        self.subprotocol = response.headers.get("sec-websocket-protocol")
        self._path = path
        self._protocol = Connection(ConnectionType.CLIENT, trailing_data=early)
        self._pieces: list[Any] = []
        self._closed: SocketClosed | None = None
        self._events = self._protocol.events()

    async def send(self, path: str, data: Any = msgspec.UNSET, **fields: Any) -> None:
        """Send an envelope.

        Parameters:
            path: the channel.
            data: its data. If left out, the envelope has no ``data``.
            fields: further top-level keys, such as ``id=1``.
        """
        message = {"path": path, **fields}
        if data is not msgspec.UNSET:
            message["data"] = data
        await self.send_raw(msgspec.json.encode(message).decode())

    async def send_raw(self, message: str | bytes) -> None:
        """Send a text or binary message as it is."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        await self.stream.send_all(self._protocol.send(event))

    async def receive(self, timeout: float = DEADLINE) -> ServerMessage:
        """The server's next envelope.

        Raises:
            WaitedTooLong: if none comes within ``timeout`` seconds.
            SocketClosed: if the server closed the socket.
            NotAnEnvelope: if the message is not an envelope; those of raw sockets are not.
        """
        message = await self.receive_raw(timeout)
        try:
            return msgspec.json.decode(message, type=ServerMessage)
        except (msgspec.DecodeError, UnicodeError):
            raise NotAnEnvelope(message, self._path) from None

    async def receive_raw(self, timeout: float = DEADLINE) -> str | bytes:
        """The server's next message as it is. Answers pings. Raises ``WaitedTooLong`` and
        ``SocketClosed`` as :meth:`receive`."""
        with deadline(timeout, f"a message at {self._path}"):
            while True:
                message = await self._next()
                if message is not None:
                    return message

    async def wait_closed(self, timeout: float = DEADLINE) -> SocketClosed:
        """Wait until the server closes the socket. Messages that come before are dropped.

        Returns:
            The close code and reason.

        Raises:
            WaitedTooLong: if the server does not close it within ``timeout`` seconds.
        """
        with deadline(timeout, f"the server to close {self._path}"):
            while True:
                try:
                    await self._next()
                except SocketClosed as closed:
                    return closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket, and wait for the server to close it too."""
        if self._protocol.state is ConnectionState.OPEN and self._closed is None:
            try:
                await self.stream.send_all(
                    self._protocol.send(CloseConnection(code=code, reason=reason))
                )
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            await self.wait_closed()

    async def _next(self) -> str | bytes | None:
        """The next whole message, or None if something else came."""
        if self._closed is not None:
            raise self._closed
        for event in self._events:
            if isinstance(event, TextMessage | BytesMessage):
                self._pieces.append(event.data)
                if event.message_finished:
                    whole = type(event.data)().join(self._pieces)
                    self._pieces = []
                    return whole if isinstance(whole, str) else bytes(whole)
            elif isinstance(event, Ping):
                if self._protocol.state is ConnectionState.OPEN:  # after a Close, send nothing
                    await self._answer(event)
            elif isinstance(event, CloseConnection):
                self._closed = SocketClosed(int(event.code), event.reason or "")
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self._answer(event)
                raise self._closed
        try:
            data = bytes(await self.stream.receive_some())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        self._protocol.receive_data(data or None)
        self._events = self._protocol.events()
        return None

    async def _answer(self, event: Ping | CloseConnection) -> None:
        try:
            await self.stream.send_all(self._protocol.send(event.response()))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
