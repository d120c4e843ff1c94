"""One connection's HTTP life: request after request, up to an upgrade or the end.

Errors: what the peer does wrong is answered and ends the connection; what the application does
wrong is answered by ``app.handle``. Nothing else may escape, and the server catches even that.
"""

from __future__ import annotations

import enum
import logging
import math
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Any, Final

import trio

from finch.app import FinchApp
from finch.errors import Disconnected, HTTPError, ProtocolError
from finch.proxies import Source, Trust
from finch.request import Address, BodySource, Request
from finch.response import Response, StreamingResponse, TextResponse
from finch.sockets.upgrade import Upgrade
from finch.transport import Transport
from finch.wire.head import RequestHead
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")
_access = logging.getLogger("finch.access")

_DISCARD: Final = 64 * 1024  # of an unread body, rather than a new connection
_PIECES: Final = 256  # of a body, before everybody else has a turn
_NO_BODY: Final = (204, 304)
_FRAMING: Final = (b"content-length", b"transfer-encoding")  # ours to say


class _Waiting(enum.Enum):
    """What the connection waits for, and so what its deadline means."""

    REQUEST = "the next request"
    HEAD = "the rest of a head"
    BODY = "more of a body"
    HANDLER = "the handler"
    END = "the peer to close"


class Connection:
    """HTTP/1.1 on one transport.

    Parameters:
        transport: the connection.
        app: whose requests these are.
        client: where they come from.
        scheme: ``http`` or ``https``.
        access_log: whether each request is logged.
        trust: which proxies are believed; nobody where left out.

    Attributes:
        deadline: when :meth:`expire` wants to be called, by trio's clock.

    Source: RFC 9110, RFC 9112.
    """

    __slots__ = (
        "_access_log",
        "_app",
        "_http",
        "_interrupted",
        "_limits",
        "_refusal",
        "_scheme",
        "_stopping",
        "_trust",
        "_waiting",
        "client",
        "deadline",
        "transport",
    )

    def __init__(
        self,
        transport: Transport,
        app: FinchApp,
        *,
        client: Address,
        scheme: str = "http",
        access_log: bool = False,
        trust: Trust | None = None,
    ) -> None:
        self.transport = transport
        self.deadline = math.inf
        self._app = app
        self._limits = app.limits
        self._http = HTTPConnection(app.limits)
        self.client = client
        self._scheme = scheme
        self._trust = trust if trust is not None and trust.believes(client) else None
        self._access_log = access_log
        self._waiting = _Waiting.REQUEST
        self._interrupted = False  # the time to receive is over
        self._stopping = False
        self._refusal: HTTPError | None = None

    async def run(self) -> tuple[Upgrade, bytes] | None:
        """Serve requests until the connection ends or is upgraded.

        Returns:
            The upgrade, and what the peer sent behind its request; None where the connection is
            over and only has to be closed.
        """
        try:
            upgraded = await self._serve()
            if upgraded is not None:
                return upgraded
        except HTTPError as error:
            self._refuse(error)
        except Disconnected:
            pass  # nobody is left to be answered, or a response is left without its end
        await self._hang_up()
        return None

    async def refuse(self, error: HTTPError) -> None:
        """Answer the first request, whatever it is, with that error; then end."""
        self._refusal = error
        await self.run()

    async def _serve(self) -> tuple[Upgrade, bytes] | None:
        first = True
        while True:
            head = await self._read_head(first)
            if head is None:
                return None
            first = False
            if self._refusal is not None:
                raise self._refusal
            self._wait_for(_Waiting.HANDLER, math.inf)
            client, scheme, host = self.client, self._scheme, None
            if self._trust is not None:
                client, scheme, host = self._trust.trace(head.headers, Source(client, scheme))
            body = _Body(self)
            request = Request(
                head,
                client=client,
                scheme=scheme,
                host=host,
                body=body,
                app=self._app,
                max_body=self._limits.max_body,
            )
            response = await self._app.handle(request)
            if isinstance(response, Upgrade):
                return self._upgrade(request, response)
            try:
                await self._respond(request, response)
                if self._stopping or self._interrupted:
                    return None
                if self._http.has_body and not await self._discard(body):
                    return None
            finally:
                body.over = True
            if not self._http.next_cycle():
                return None
            if not self._http.idle:  # pipelined: others have a turn first
                await trio.lowlevel.checkpoint()

    # Reading

    async def _read_head(self, first: bool) -> RequestHead | None:
        """The next request's head; None where the peer has no further request.

        Raises:
            ProtocolError: where it is malformed, or 408 where the rest of it does not come.
        """
        limits = self._limits
        now = trio.current_time()
        if first:
            self._wait_for(_Waiting.REQUEST, now + limits.head_timeout)
        else:
            self._wait_for(_Waiting.REQUEST, now + limits.keep_alive_timeout)
        while True:
            if not self._http.idle and self._waiting is _Waiting.REQUEST:
                begun = now if first else trio.current_time()
                self._wait_for(_Waiting.HEAD, begun + limits.head_timeout)
            head = self._http.read_head()
            if head is not None:
                return head
            if self._http.closed or (self._stopping and self._http.idle):
                return None
            if not await self._receive():
                if self._waiting is _Waiting.HEAD:
                    raise ProtocolError(408, "waited too long for the rest of the request's head")
                return None

    async def _receive(self) -> bool:
        """Take in more of what the peer sends; False where the time for that is over."""
        if not self._interrupted:
            data = await self.transport.receive()
            if not self._interrupted:
                self._http.receive_data(data)
                return True
        return False

    async def read_body(self) -> bytes:
        """The next piece of the current request's body, ``b""`` at its end.

        Raises:
            Disconnected: where the peer left before.
            HTTPError: 400 where the framing is broken, 408 where the peer is too slow.
        """
        try:
            return await self._read_body()
        except ProtocolError:
            if self._http.closed:
                raise Disconnected("the client left before its body was complete") from None
            raise

    async def _read_body(self) -> bytes:
        if self._http.expects_continue:
            self.transport.write(self._http.send_continue())
        while (piece := self._http.read_body()) is None:
            if not await self._receive():
                raise ProtocolError(408, "waited too long for more of the request's body")
        return piece

    async def _discard(self, body: _Body) -> bool:
        """Read what the handler left of the body; False where that is not worth it."""
        if self._http.expects_continue:
            return False
        left = _DISCARD
        try:
            while piece := await body.read_body():
                left -= len(piece)
                if left < 0:
                    return False
        except (HTTPError, Disconnected):
            return False
        return True

    # Writing

    async def _respond(self, request: Request, response: Response) -> None:
        http = self._http
        headers = response.raw_headers()
        streamed = isinstance(response, StreamingResponse)
        if not streamed or response.status in _NO_BODY:
            headers = [item for item in headers if item[0] not in _FRAMING]
        headers.append((b"date", _date()))
        if self._stopping or self._interrupted or http.expects_continue:
            headers.append((b"connection", b"close"))
        if isinstance(response, StreamingResponse):
            await self._stream(request, response, headers)
        else:
            if response.status not in _NO_BODY:
                headers.append((b"content-length", b"%d" % len(response.body)))
            body = response.body if response.status not in _NO_BODY else b""
            self.transport.write(
                http.send_head(response.status, headers) + http.send_body(body) + http.send_end()
            )
        self._log(request, response.status)
        if self.transport.pending > self._limits.backpressure:
            await self.transport.drain(self._limits.backpressure)

    async def _stream(
        self, request: Request, response: StreamingResponse, headers: list[tuple[bytes, bytes]]
    ) -> None:
        http, transport = self._http, self.transport
        chunks: Any = response.chunks
        try:
            transport.write(http.send_head(response.status, headers))
            if request.method != "HEAD" and response.status not in _NO_BODY:
                async for chunk in chunks:
                    data = chunk.encode("utf-8") if isinstance(chunk, str) else bytes(chunk)
                    if data:
                        transport.write(http.send_body(data))
                    await transport.drain(self._limits.backpressure)
                    if transport.lost:
                        raise Disconnected("the client left while its response was streamed")
                    await trio.lowlevel.checkpoint()
            transport.write(http.send_end())
        except Disconnected:
            raise
        except Exception:
            _log.exception("the stream of %s %s raised", request.method, request.raw_path)
            # All that tells the peer that the body is not whole is that it has no end.
            if http.ends_by_closing:
                transport.abort()
            raise Disconnected("the response could not be completed") from None
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()

    def _upgrade(self, request: Request, upgrade: Upgrade) -> tuple[Upgrade, bytes]:
        self._http.read_body()  # its end, which a handshake has at once
        headers = upgrade.raw_headers()
        headers.append((b"date", _date()))
        self.transport.write(self._http.send_upgrade(headers))
        self._log(request, 101)
        request.settle()
        return upgrade, self._http.trailing_data

    def _refuse(self, error: HTTPError) -> None:
        """Answer what no handler sees."""
        if self._http.can_respond:
            self._write_last(TextResponse(error.message, error.status, error.headers))
            if self._access_log:
                _access.info('%s "-" %d', self.client, error.status)

    def _write_last(self, response: Response) -> None:
        """The connection's last response."""
        http = self._http
        headers = [
            *response.raw_headers(),
            (b"date", _date()),
            (b"content-length", b"%d" % len(response.body)),
            (b"connection", b"close"),
        ]
        self.transport.write(
            http.send_head(response.status, headers)
            + http.send_body(response.body)
            + http.send_end()
        )

    def _log(self, request: Request, status: int) -> None:
        if self._access_log:
            _access.info(
                '%s "%s %s HTTP/%s" %d',
                request.client,
                request.method,
                request.raw_path,
                request.http_version,
                status,
            )

    # Ending

    async def _hang_up(self) -> None:
        """Close our side and read on until the peer closes its own, or it would lose our answer:
        TCP answers unread data with a reset (RFC 9112, section 9.6)."""
        self._wait_for(_Waiting.END, math.inf)
        self.transport.finish()
        await self.transport.drain()  # for as long as the peer takes some of it
        if self._http.closed:
            return
        self._wait_for(_Waiting.END, trio.current_time() + self._limits.close_timeout)
        self._interrupted = False
        while await self.transport.receive() and not self._interrupted:
            pass

    def _interrupt(self) -> None:
        self._interrupted = True
        self.transport.interrupt()

    def _wait_for(self, what: _Waiting, deadline: float) -> None:
        self._waiting = what
        self.deadline = deadline

    def wait_for_body(self, deadline: float) -> None:
        """The handler reads the body, which must go on before the deadline."""
        self._wait_for(_Waiting.BODY, deadline)

    def wait_for_handler(self) -> None:
        """The handler has what it read; it may take its time."""
        self._wait_for(_Waiting.HANDLER, math.inf)

    def expire(self, now: float) -> None:
        """The deadline has come."""
        self.deadline = math.inf
        self._interrupt()

    def drop(self) -> None:
        """Give up on the peer without another word."""
        self.transport.close()

    def shut_down(self) -> None:
        """The server is going down: end with the current request."""
        self._stopping = True
        if self._waiting is _Waiting.REQUEST:
            self._interrupt()


class _Body(BodySource):
    """The body of one request, paced: a peer slower than ``Limits.body_rate`` is given up."""

    __slots__ = ("_connection", "_pieces", "_received", "_waited", "over")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pieces = 0
        self._received = 0
        self._waited = 0.0
        self.over = False  # the request is answered, and what follows is another's

    async def read_body(self) -> bytes:
        if self.over:
            raise RuntimeError("the request is answered; its body is gone. Read it before.")
        self._pieces += 1
        if self._pieces % _PIECES == 0:  # one read may hold 10,000 chunks of a byte
            await trio.lowlevel.checkpoint()
        connection = self._connection
        limits = connection._limits
        begun = trio.current_time()
        allowed = limits.body_grace + self._received / limits.body_rate
        connection.wait_for_body(begun + allowed - self._waited)
        try:
            piece = await connection.read_body()
        finally:
            connection.wait_for_handler()
        self._waited += trio.current_time() - begun
        self._received += len(piece)
        return piece


@lru_cache(maxsize=1)
def _date_of(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def _date() -> bytes:
    """The ``Date`` of a response (RFC 9110, section 6.6.1)."""
    return _date_of(int(time()))
