"""The client of tests: it serves an application in memory and sends requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
import trio
import trio.testing
from wsproto.utilities import generate_accept_token, generate_nonce

from finch.app import FinchApp
from finch.blocks import Block
from finch.errors import FinchError
from finch.explain import shown
from finch.net.address import Address
from finch.net.streams import StreamTransport
from finch.options import check_app, trust_in
from finch.server import Server
from finch.testing.answers import DEADLINE, HandshakeRefused, TestResponse, deadline
from finch.testing.asking import HeadersGiven, SentHeaders, body_of, host_of, target_of
from finch.testing.cookies import Cookies
from finch.testing.exchange import Exchange, StreamedResponse
from finch.testing.forms import FormItems
from finch.testing.socket import TestSocket


class TestClient:
    """Serves an application in memory and talks to it.

    Parameters:
        app: the application.
        client: the client's address, as the application sees it.
        headers: sent with every request, unless the request has the same names itself.
        forwarded_allow_ips: the proxies whose ``Forwarded`` and ``X-Forwarded-*`` are believed, as
            for :func:`finch.serve`. Write ``"*"`` to believe this client.

    ``cookies`` keeps the cookies that the server sets. They are sent as a browser sends them.

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
        headers: HeadersGiven | None = None,
        forwarded_allow_ips: str | Iterable[str] = (),
    ) -> None:
        check_app(app, "TestClient")
        if (
            not isinstance(client, tuple)
            or len(client) != 2
            or not isinstance(client[0], str)
            or type(client[1]) is not int
        ):
            raise TypeError(
                f"client is the address that the application sees, not {shown(client)}; write "
                "Address('10.0.0.7', 50000)"
            )
        SentHeaders(headers)  # a mistake in them raises here, not at the first request
        self.app = app
        self._cookies = Cookies()
        self._client = Address(*client)
        self._headers = headers
        self._trust = trust_in(forwarded_allow_ips)
        self._server = Server(app, trust=self._trust)
        self._streams: set[trio.abc.Stream] = set()
        self._serves = False

    @property
    def cookies(self) -> Cookies:
        """The cookies of the client: names and values. You may assign a dict."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Mapping[str, str]) -> None:
        self._cookies = Cookies(cookies)

    def __enter__(self) -> NoReturn:
        raise TypeError("use TestClient with: async with TestClient(app) as client:")

    def __exit__(self, *_: object) -> None: ...

    async def __aenter__(self) -> Self:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            raise FinchError(
                "TestClient needs trio, but this test runs under asyncio or without an event loop; "
                "install pytest-trio and set trio_mode = true (with the plugin of anyio: choose "
                "the backend trio), or call trio.run"
            ) from None
        if self._serves:
            raise FinchError("this TestClient is already serving; create another one")
        self._server = Server(self.app, trust=self._trust)
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._server.run, [])
        except BaseException as error:
            self._nursery.cancel_scope.cancel()
            await self._manager.__aexit__(None, None, None)
            raise error from None
        self._serves = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._serves = False
        self._server.stop()
        with trio.CancelScope(shield=True):  # this does not wait, so it may be shielded
            for stream in list(self._streams):
                await trio.aclose_forcefully(stream)
        # The nursery gets no exception: the test's own one is raised as it is, not in a group.
        await self._manager.__aexit__(None, None, None)

    def connect(self) -> trio.abc.Stream:
        """A connection to the server: bytes in, bytes out."""
        self._check_that_it_serves()
        ours, theirs = trio.testing.memory_stream_pair()
        transport = StreamTransport(theirs, self._server.spawn, self._server.limits.close_timeout)
        self._server.spawn(partial(self._server.serve, transport, self._client))
        self._streams.add(ours)
        return ours

    def _check_that_it_serves(self) -> None:
        if not self._serves:
            raise FinchError(
                "TestClient serves only inside its block: async with TestClient(app) as client:"
            )

    # HTTP

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        headers: HeadersGiven | None = None,
        content: bytes | str = b"",
        json: Any = msgspec.UNSET,
        data: FormItems | None = None,
        files: FormItems | None = None,
        timeout: float = DEADLINE,
    ) -> TestResponse:
        """Send a request on a connection of its own.

        Parameters:
            method, path: the method and path. Spaces and non-ASCII letters are encoded; parts that
                are already encoded stay. ``params`` are added to the query.
            headers: names and values. A list of values sends several lines with one name.
            content: the body. Or give ``json``, which is encoded.
            data, files: the fields and files of a form, as in httpx: ``data={"name": "Ada"}``,
                ``files={"photo": ("ada.png", content, "image/png")}``.
            timeout: seconds to wait for the whole response.

        Raises:
            WaitedTooLong: if the response does not come in time.
            ResponseCut: if the server closes the connection before the end of the response.
        """
        self._check_that_it_serves()
        target = path if method == "CONNECT" else target_of(path, params)
        sent = SentHeaders({"host": host_of(target)}, self._headers, headers)
        body = body_of(content, json, sent, data, files)
        if (body or method in ("POST", "PUT", "PATCH")) and "transfer-encoding" not in sent:
            sent.default("content-length", str(len(body)))
        async with self._exchange(f"the response to {method} {target}") as exchange:
            with deadline(timeout, f"the response to {method} {target}", exchange.so_far):
                await self._ask(exchange, method, target, sent, body)
                await exchange.read_all()
        self._keep_cookies(exchange, target)
        return exchange.response()

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

    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        headers: HeadersGiven | None = None,
        content: bytes | str = b"",
        timeout: float = DEADLINE,
    ) -> Streaming:
        """Send a request, and read its response while it comes. What has not come at the end of
        the block is cut off, as if the client had left.

        Parameters: as :meth:`request`; ``timeout`` is for the head, and for each piece.

        Example::

            async with client.stream("/ticks") as response:
                assert await response.receive() == b"data: 1\\n\\n"
        """
        target = target_of(path, params)
        return Streaming(self._streamed(method, target, headers, content, timeout))

    @asynccontextmanager
    async def _streamed(
        self,
        method: str,
        target: str,
        headers: HeadersGiven | None,
        content: bytes | str,
        timeout: float,
    ) -> AsyncIterator[StreamedResponse]:
        self._check_that_it_serves()
        sent = SentHeaders({"host": host_of(target)}, self._headers, headers)
        body = body_of(content, msgspec.UNSET, sent)
        if body:
            sent.default("content-length", str(len(body)))
        what = f"the response to {method} {target}"
        async with self._exchange(what) as exchange:
            with deadline(timeout, what, exchange.so_far):
                await self._ask(exchange, method, target, sent, body)
                await exchange.read_head()
            self._keep_cookies(exchange, target)
            yield StreamedResponse(exchange, what, timeout)

    @asynccontextmanager
    async def _exchange(self, what: str) -> AsyncIterator[Exchange]:
        stream = self.connect()
        try:
            yield Exchange(stream, what)
        finally:
            self._streams.discard(stream)
            await trio.aclose_forcefully(stream)

    async def _ask(
        self, exchange: Exchange, method: str, target: str, headers: SentHeaders, body: bytes
    ) -> None:
        cookie = self.cookies.header(target)
        if cookie:
            headers.default("cookie", cookie)
        await exchange.send(method, target, headers.raw(), body)

    def _keep_cookies(self, exchange: Exchange, target: str) -> None:
        for line in exchange.headers.getlist("set-cookie"):
            self.cookies.take(line, target)

    # Sockets

    def socket(
        self,
        path: str = "/ws",
        *,
        headers: HeadersGiven | None = None,
        subprotocols: Iterable[str] = (),
    ) -> Opening:
        """Open a WebSocket. It is closed at the end of the block.

        Parameters:
            path: the path of a manager or a raw socket.
            headers: sent with the handshake.
            subprotocols: the subprotocols to offer.

        Raises:
            HandshakeRefused: if the server does not upgrade.
        """
        if isinstance(subprotocols, str):
            raise TypeError(f"subprotocols is a list of texts: write [{subprotocols!r}]")
        return Opening(self._socket(target_of(path), headers, ", ".join(subprotocols)))

    @asynccontextmanager
    async def _socket(
        self, target: str, headers: HeadersGiven | None, offered: str
    ) -> AsyncIterator[TestSocket]:
        self._check_that_it_serves()
        nonce = generate_nonce()
        handshake = {
            "host": host_of(target),
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": nonce.decode(),
        }
        offer = {"sec-websocket-protocol": offered} if offered else {}
        sent = SentHeaders(handshake, self._headers, headers, offer)
        what = f"the handshake at {target}"
        async with self._exchange(what) as exchange:
            with deadline(DEADLINE, what, exchange.so_far):
                await self._ask(exchange, "GET", target, sent, b"")
                await exchange.read_all()
            self._keep_cookies(exchange, target)
            response = exchange.response()
            if response.status != 101:
                raise HandshakeRefused(response, target)
            accept = generate_accept_token(nonce).decode()
            if response.headers["sec-websocket-accept"] != accept:
                raise FinchError("the server's Sec-WebSocket-Accept is wrong")
            socket = TestSocket(exchange.stream, target, response, exchange.behind)
            yield socket
            await socket.close()


class Opening(Block[TestSocket]):
    """A socket to be used with ``async with``. Any other use raises an error that says so."""

    how = "open a socket with: async with client.socket(...) as socket:"

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self._block, name)
        except AttributeError:
            raise AttributeError(f"{self.how} (.{name} exists only inside this block)") from None


class Streaming(Block[StreamedResponse]):
    """A response that is to be read with ``async with``."""

    how = "read a stream with: async with client.stream(...) as response:"
