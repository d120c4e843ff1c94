"""The same application over in-memory streams, for tests: no port, no real time.

    async def test_time():
        async with TestClient(app) as client:
            response = await client.get("/")
            assert response.text == "hello"
            async with client.socket("/ws") as socket:
                await socket.send("time")
                message = await socket.receive()
                assert message.path == "output"

What the tests talk to is the server itself, with its limits and its sweep, and it goes by trio's
clock: under ``trio.testing.MockClock`` twenty seconds of silence take no time. Every wait for the
server has a deadline and says what it waited for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import h11
import msgspec
import trio
import trio.testing
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Ping,
    TextMessage,
)
from wsproto.utilities import generate_accept_token, generate_nonce

from finch.app import FinchApp
from finch.errors import FinchError
from finch.headers import Headers
from finch.proxies import Trust
from finch.request import Address
from finch.server import Server
from finch.streams import StreamTransport

DEADLINE: Final = 5.0
"""Seconds that a client waits for the server, unless told otherwise."""


class WaitedTooLong(FinchError, AssertionError):
    """What a test waited for did not come in time."""


class HandshakeRefused(FinchError):
    """The server answered an upgrade with something else. ``response`` is what it said."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"the server answered {response.status}: {response.text}")
        self.response = response


class SocketClosed(FinchError):
    """The server closed the socket.

    Attributes:
        code: the close code; 1006 where it left without a Close.
        reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server closed the socket with {code}: {reason}")
        self.code = code
        self.reason = reason


class TestResponse:
    """A response: ``status``, ``headers``, ``body``, ``text`` and ``json()``."""

    __test__ = False

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8")

    def json(self, type: Any = Any) -> Any:
        """The body as JSON, converted where a type is given."""
        return msgspec.json.decode(self.body, type=type)

    def __repr__(self) -> str:
        return f"<TestResponse {self.status} {self.body[:60]!r}>"


class ServerMessage(msgspec.Struct):
    """An envelope from the server. Its fields are attributes, and items as well."""

    path: str
    status: int
    timestamp: int
    language: str
    client: str
    data: Any
    reply: Any = None

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None


class TestClient:
    """Serves an application in memory and talks to it.

    Parameters:
        app: the application.
        client: the address that it sees.
        headers: sent with every request.
        forwarded_allow_ips: the proxies whose ``Forwarded`` and ``X-Forwarded-*`` are believed, as
            :func:`finch.serve` takes them; ``"*"`` for this client, whatever its address.

    Cookies that the server sets are kept and sent, in ``cookies``.

    Example::

        async with TestClient(app) as client:
            response = await client.post("/birds", json={"name": "finch"})
    """

    __test__ = False

    def __init__(
        self,
        app: FinchApp,
        *,
        client: Address = Address("testclient", 50000),  # noqa: B008  an immutable value
        headers: Mapping[str, str] | None = None,
        forwarded_allow_ips: str | Iterable[str] = (),
    ) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self._client = client
        self._headers = dict(headers or {})
        self._server = Server(app, trust=Trust(forwarded_allow_ips))
        self._streams: set[trio.abc.Stream] = set()

    async def __aenter__(self) -> Self:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._server.run, [])
        except BaseException as error:
            self._nursery.cancel_scope.cancel()
            await self._manager.__aexit__(None, None, None)
            raise error from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop()
        with trio.CancelScope(shield=True):  # which does not wait
            for stream in list(self._streams):
                await trio.aclose_forcefully(stream)
        # The test's own exception goes its way by itself, not wrapped by the nursery.
        await self._manager.__aexit__(None, None, None)

    def connect(self) -> trio.abc.Stream:
        """A connection to the server: bytes in, bytes out."""
        ours, theirs = trio.testing.memory_stream_pair()
        transport = StreamTransport(theirs, self._server.spawn, self._server.limits.close_timeout)
        self._server.spawn(partial(self._server.serve, transport, self._client))
        self._streams.add(ours)
        return ours

    # HTTP

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | str = b"",
        json: Any = msgspec.UNSET,
        timeout: float = DEADLINE,
    ) -> TestResponse:
        """Send a request on a connection of its own.

        Parameters:
            method, path: what is asked; ``params`` become its query.
            content: the body; or ``json``, which is encoded.
            timeout: seconds to wait for the whole response.

        Raises:
            WaitedTooLong: where it does not come in time.
        """
        sent = {"host": "testserver", **self._headers, **(headers or {})}
        body = content.encode() if isinstance(content, str) else content
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        if body or method in ("POST", "PUT", "PATCH"):
            sent.setdefault("content-length", str(len(body)))
        if params:
            path = f"{path}?{urlencode(params, doseq=True)}"
        stream = self.connect()
        try:
            with _deadline(timeout, f"the response to {method} {path}"):
                response, _ = await self._exchange(stream, method, path, sent, body)
        finally:
            self._streams.discard(stream)
            await trio.aclose_forcefully(stream)
        return response

    async def get(self, path: str, **options: Any) -> TestResponse:
        """GET; the options are those of :meth:`request`."""
        return await self.request("GET", path, **options)

    async def head(self, path: str, **options: Any) -> TestResponse:
        """HEAD; the options are those of :meth:`request`."""
        return await self.request("HEAD", path, **options)

    async def options(self, path: str, **options: Any) -> TestResponse:
        """OPTIONS; the options are those of :meth:`request`."""
        return await self.request("OPTIONS", path, **options)

    async def post(self, path: str, **options: Any) -> TestResponse:
        """POST; the options are those of :meth:`request`."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> TestResponse:
        """PUT; the options are those of :meth:`request`."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> TestResponse:
        """PATCH; the options are those of :meth:`request`."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> TestResponse:
        """DELETE; the options are those of :meth:`request`."""
        return await self.request("DELETE", path, **options)

    async def _exchange(
        self,
        stream: trio.abc.Stream,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> tuple[TestResponse, bytes]:
        if self.cookies and "cookie" not in headers:
            cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            headers = {**headers, "cookie": cookie}
        http = h11.Connection(h11.CLIENT)
        request = h11.Request(method=method, target=path, headers=list(headers.items()))
        await stream.send_all(http.send(request))
        if body:
            await stream.send_all(http.send(h11.Data(data=body)))
        await stream.send_all(http.send(h11.EndOfMessage()))
        status, received, pieces = 0, Headers(), []
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                if event.status_code == 100:
                    continue
                status, received = event.status_code, Headers.from_raw(event.headers)
                if status == 101:
                    break
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            else:
                break
        self._keep_cookies(received)
        return TestResponse(status, received, b"".join(pieces)), http.trailing_data[0]

    def _keep_cookies(self, headers: Headers) -> None:
        for line in headers.getlist("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.coded_value

    # Sockets

    @asynccontextmanager
    async def socket(
        self,
        path: str = "/ws",
        *,
        headers: Mapping[str, str] | None = None,
        subprotocols: Iterable[str] = (),
    ) -> AsyncIterator[TestSocket]:
        """Open a WebSocket; it is closed at the end of the block.

        Parameters:
            path: of a manager or a raw socket.
            headers: sent with the handshake.
            subprotocols: those offered.

        Raises:
            HandshakeRefused: where the server does not upgrade.
        """
        nonce = generate_nonce()
        sent = {
            "host": "testserver",
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": nonce.decode(),
            **self._headers,
            **(headers or {}),
        }
        offered = ", ".join(subprotocols)
        if offered:
            sent["sec-websocket-protocol"] = offered
        stream = self.connect()
        socket: TestSocket | None = None
        try:
            with _deadline(DEADLINE, f"the handshake at {path}"):
                response, early = await self._exchange(stream, "GET", path, sent, b"")
            if response.status != 101:
                raise HandshakeRefused(response)
            accept = generate_accept_token(nonce).decode()
            if response.headers["sec-websocket-accept"] != accept:
                raise FinchError("the server's Sec-WebSocket-Accept is wrong")
            socket = TestSocket(stream, path, response, early)
            yield socket
            await socket.close()
        finally:
            self._streams.discard(stream)
            await trio.aclose_forcefully(stream)


class TestSocket:
    """A WebSocket to the server: envelopes for a manager, text and bytes for a raw socket.

    Attributes:
        response: the handshake's 101.
        subprotocol: the one agreed on, or None.
        stream: the connection itself, for what no well-behaved client does.
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
            data: its data; none where left out.
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
            WaitedTooLong: where none comes within ``timeout`` seconds.
            SocketClosed: where the server closed the socket instead.
        """
        text = await self.receive_raw(timeout)
        return msgspec.json.decode(text, type=ServerMessage)

    async def receive_raw(self, timeout: float = DEADLINE) -> str | bytes:
        """The server's next message as it is; raises as :meth:`receive`. Pings are answered."""
        with _deadline(timeout, f"a message at {self._path}"):
            while True:
                message = await self._next()
                if message is not None:
                    return message

    async def wait_closed(self, timeout: float = DEADLINE) -> SocketClosed:
        """How the server closed the socket; messages that come before are dropped.

        Raises:
            WaitedTooLong: where it does not within ``timeout`` seconds.
        """
        with _deadline(timeout, f"the server to close {self._path}"):
            while True:
                try:
                    await self._next()
                except SocketClosed as closed:
                    return closed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the socket, and wait for the server to agree."""
        if self._protocol.state is ConnectionState.OPEN and self._closed is None:
            try:
                await self.stream.send_all(
                    self._protocol.send(CloseConnection(code=code, reason=reason))
                )
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            await self.wait_closed()

    async def _next(self) -> str | bytes | None:
        """A whole message, or None for anything else."""
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
                if self._protocol.state is ConnectionState.OPEN:  # else the Close was the last
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


@contextmanager
def _deadline(seconds: float, what: str) -> Iterator[None]:
    """``trio.fail_after`` that says what was waited for."""
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise WaitedTooLong(f"waited {seconds:g} s for {what}; it did not come")
