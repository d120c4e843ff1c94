"""The client of a test: it serves an application in memory and sends requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import h11
import msgspec
import trio
import trio.testing
from wsproto.utilities import generate_accept_token, generate_nonce

from finch.app import FinchApp
from finch.errors import FinchError
from finch.headers import Headers
from finch.proxies import Trust
from finch.request import Address
from finch.server import Server
from finch.streams import StreamTransport
from finch.testing.answers import DEADLINE, HandshakeRefused, TestResponse, deadline
from finch.testing.socket import TestSocket


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
            with deadline(timeout, f"the response to {method} {path}"):
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
            with deadline(DEADLINE, f"the handshake at {path}"):
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
