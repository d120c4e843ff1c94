"""The WebSocket of a test's client: sends messages and waits for messages."""

from __future__ import annotations

import inspect
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

from finch.errors import FinchError, HTTPError
from finch.testing.answers import (
    DEADLINE,
    Joined,
    NotAnEnvelope,
    Refused,
    ServerMessage,
    SocketClosed,
    TestResponse,
    deadline,
)
from finch.testing.streamed import Streamed, addressed, named


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
        self._sending = trio.Lock()
        self._events = self._protocol.events()
        self._kept: list[str | bytes] = []  # came while something else was waited for
        self._asked = 0  # messages that were sent with an id of our own
        self._answers: dict[str, Any] = {}  # what answers the server's calls, by path

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
        await self._send(self._protocol.send(event))

    async def receive(self, timeout: float = DEADLINE) -> ServerMessage:
        """The server's next envelope.

        Raises:
            WaitedTooLong: if none comes within ``timeout`` seconds.
            SocketClosed: if the server closed the socket.
            NotAnEnvelope: if the message is not an envelope; those of raw sockets are not.
        """
        message = await self.receive_raw(timeout)
        envelope = _read(message)
        if envelope is None:
            raise NotAnEnvelope(message, self._path)
        return envelope

    async def receive_raw(self, timeout: float = DEADLINE) -> str | bytes:
        """The server's next message as it is. Answers pings. Raises ``WaitedTooLong`` and
        ``SocketClosed`` as :meth:`receive`."""
        with deadline(timeout, f"a message at {self._path}"):
            return self._kept.pop(0) if self._kept else await self._arriving()

    # Messages that are answered

    async def call(
        self,
        path: str,
        data: Any = msgspec.UNSET,
        *,
        room: str | None = None,
        timeout: float = DEADLINE,
    ) -> Any:
        """Send a message with an ``id``, and wait for its answer. Other messages that come
        meanwhile are kept for :meth:`receive`.

        Parameters:
            path: the channel.
            data: its data. If left out, the envelope has no ``data``.
            room: the room that the message is addressed to.
            timeout: seconds to wait.

        Returns:
            The data of the answer.

        Raises:
            Refused: if the answer is an error.
            WaitedTooLong, SocketClosed: as :meth:`receive`.

        Example::

            assert await socket.call("say", {"text": "hi"}, room="chat/lobby") == "said"
        """
        what = named(path, room)
        answer = await self._ask(what, timeout, path, data, addressed(room))
        if answer.more:
            raise FinchError(f"{what} is answered by a stream; read it with socket.call_stream()")
        return answer.data

    def call_stream(
        self,
        path: str,
        data: Any = msgspec.UNSET,
        *,
        room: str | None = None,
        timeout: float = DEADLINE,
    ) -> Streamed:
        """Send a message whose handler yields several answers.

        Parameters:
            path, data, room: as for :meth:`call`.
            timeout: seconds to wait for each answer.

        Returns:
            An asynchronous iterator over the data of the answers.

        Example::

            async for row in socket.call_stream("rows", {"table": "birds"}):
                ...
        """
        return Streamed(self, timeout, path, data, room)

    async def join(
        self,
        room: str,
        meta: Any = msgspec.UNSET,
        *,
        since: str | None = None,
        last: int | None = None,
        timeout: float = DEADLINE,
    ) -> Joined:
        """Join a room. The messages that were missed follow: read them with :meth:`receive`.

        Parameters:
            room: the room's name.
            meta: the data of the message, for presence.
            since: the position of the last message that the test has seen.
            last: how many of the newest messages to get, if ``since`` is left out or unknown.
            timeout: seconds to wait.

        Raises:
            Refused: if the client may not join; its ``status`` says why.
            WaitedTooLong, SocketClosed: as :meth:`receive`.

        Example::

            joined = await socket.join("chat/lobby")
            ...
            again = await other.join("chat/lobby", since=joined.position)
            assert again.recovered
        """
        fields: dict[str, Any] = {"room": room}
        if since is not None:
            fields["since"] = str(since)
        if last is not None:
            fields["last"] = last
        answer = await self._ask(named("finch.join", room), timeout, "finch.join", meta, fields)
        return msgspec.convert(
            {**answer.data, "room": answer.room, "seq": answer.seq, "epoch": answer.epoch}, Joined
        )

    async def leave(self, room: str, *, timeout: float = DEADLINE) -> None:
        """Leave a room.

        Raises:
            Refused: if the client is not in it.
            WaitedTooLong, SocketClosed: as :meth:`receive`.
        """
        what = named("finch.leave", room)
        await self._ask(what, timeout, "finch.leave", msgspec.UNSET, {"room": room})

    def answer(self, path: str, answer: Any) -> None:
        """Answer the server's calls of a path from now on, while the test waits for messages.

        Without it, :meth:`receive` returns such a call; its ``id`` is the ``reply`` of the answer.

        Parameters:
            path: the path of the calls.
            answer: the answer; or a function that is called with the call's data, and returns the
                answer. If it raises :class:`finch.HTTPError`, the answer is an error.

        Example::

            socket.answer("confirm", lambda question: question == "really?")
            assert await socket.call("delete") == "deleted"
        """
        self._answers[path] = answer

    async def _ask(
        self, what: str, timeout: float, path: str, data: Any, fields: dict[str, Any]
    ) -> ServerMessage:
        id = await self._send_numbered(path, data, fields)
        return await self._answer_to(id, what, timeout)

    async def _send_numbered(self, path: str, data: Any, fields: dict[str, Any]) -> str:
        self._asked += 1
        id = f"test-{self._asked}"
        await self.send(path, data, id=id, **fields)
        return id

    async def _answer_to(self, id: str, what: str, timeout: float) -> ServerMessage:
        """The next answer to the message with this id."""
        with deadline(timeout, f"the answer to {what}"):
            for place, message in enumerate(self._kept):
                answer = _read(message)
                if answer is not None and answer.reply == id:
                    del self._kept[place]
                    break
            else:
                while True:
                    message = await self._arriving()
                    answer = _read(message)
                    if answer is not None and answer.reply == id:
                        break
                    self._kept.append(message)
        if answer.path == "error" and answer.status >= 400:
            raise Refused(what, answer.status, answer.data)
        return answer

    async def _arriving(self) -> str | bytes:
        """The next message that is not a call which :meth:`answer` has an answer for."""
        while True:
            message = await self._next()
            if message is None:
                continue
            call = _read(message) if self._answers else None
            if call is None or call.id is None or call.path not in self._answers:
                return message
            await self._answer_call(call)

    async def _answer_call(self, call: ServerMessage) -> None:
        answer = self._answers[call.path]
        try:
            if callable(answer):
                answer = answer(call.data)
                if inspect.isawaitable(answer):
                    answer = await answer
        except HTTPError as error:
            data = {"message": error.message}
            await self.send(call.path, data, reply=call.id, status=error.status)
        else:
            await self.send(call.path, answer, reply=call.id)

    # The end

    async def wait_closed(self, timeout: float = DEADLINE) -> SocketClosed:
        """Wait until the server closes the socket. Messages that come before are dropped.

        Returns:
            The close code and reason.

        Raises:
            WaitedTooLong: if the server does not close it within ``timeout`` seconds.
        """
        self._kept.clear()
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
                await self._send(self._protocol.send(CloseConnection(code=code, reason=reason)))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            await self.wait_closed()

    async def _send(self, data: bytes) -> None:
        """Send bytes. One task may send while another one reads, and so answers pings."""
        async with self._sending:
            await self.stream.send_all(data)

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
            await self._send(self._protocol.send(event.response()))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


def _read(message: str | bytes) -> ServerMessage | None:
    try:
        return msgspec.json.decode(message, type=ServerMessage)
    except (msgspec.DecodeError, UnicodeError):
        return None
