"""One connection's HTTP life: request after request, up to an upgrade or the end.

Errors: what the peer does wrong is answered and ends the connection; what the application does
wrong is answered by ``app.handle``. Nothing else may escape, and the server catches even that.
"""

from __future__ import annotations

import enum
import logging
import math
from contextvars import copy_context
from email.utils import formatdate
from functools import lru_cache, partial
from time import time
from typing import Any, Final

import trio

from finch.access import AccessLog
from finch.app import FinchApp
from finch.errors import Disconnected, HTTPError, ProtocolError
from finch.failures import failure_of, report
from finch.proxies import Source, Trust
from finch.request import Address, BodySource, Request
from finch.response import Response, StreamingResponse, TextResponse, chunk_to_bytes
from finch.sockets.upgrade import Upgrade
from finch.streaming import Stream
from finch.tasks import change_context
from finch.transport import Spawn, Transport
from finch.turns import account
from finch.wire.head import RawHeaders, RequestHead
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")

_DISCARD: Final = 64 * 1024  # of an unread body, rather than a new connection
_SLICE: Final = 64 * 1024  # of a large body, which waits in the kernel and not here


class _Waiting(enum.Enum):
    """What the connection waits for, and so what its deadline means."""

    REQUEST = "the next request"
    HEAD = "the rest of a head"
    BODY = "more of a body"
    HANDLER = "the handler"
    STREAM = "the next chunk of a stream"
    END = "the peer to close"


class Connection:
    """HTTP/1.1 on one transport.

    Parameters:
        transport: the connection.
        app: whose requests these are.
        client: where they come from.
        spawn: starts a task that outlives the caller.
        scheme: ``http`` or ``https``.
        access_log: told of each request, if there is one.
        trust: which proxies are believed; nobody where left out.

    Attributes:
        deadline: when :meth:`expire` wants to be called, by trio's clock.

    Source: RFC 9110, RFC 9112.
    """

    __slots__ = (
        "_access_log",
        "_app",
        "_gone_since",
        "_http",
        "_interrupted",
        "_limits",
        "_refusal",
        "_scheme",
        "_spawn",
        "_stopping",
        "_stream",
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
        spawn: Spawn,
        scheme: str = "http",
        access_log: AccessLog | None = None,
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
        self._spawn = spawn
        self._stream: Stream | None = None  # being sent
        self._gone_since = math.inf  # when its peer was seen to have closed its side
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
        context = copy_context()
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
            body = _Body(self, _length(head) if self._http.has_body else None)
            request = Request(
                head,
                client=client,
                scheme=scheme,
                host=host,
                body=body,
                spawn=self._spawn,
                app=self._app,
                max_body=self._limits.max_body,
            )
            try:
                response = await self._app.handle(request)
                if isinstance(response, Upgrade):
                    if response.request is request:
                        return self._upgrade(request, response)
                    report(
                        _log,
                        "%s %s was answered with the upgrade of another request; write 'return "
                        "manager.request_handle(request)' for each",
                        request.method,
                        request.raw_path,
                    )
                    response = TextResponse("Internal Server Error", 500)
                last = await self._respond(request, response, body)
                if last or self._stopping or self._interrupted:
                    return None
                if self._http.has_body and not await self._discard(body):
                    return None
            finally:
                body.over = True
                await self._close_streams(request)
            if not self._http.next_cycle():
                return None
            if copy_context() != context:  # what this request's code has set is not the next one's
                await change_context(context.copy())
            if not self._http.idle:  # pipelined: others have a turn first
                await trio.lowlevel.checkpoint()

    async def _close_streams(self, request: Request) -> None:
        try:
            await request.close_streams()
        except BaseException as raised:
            report(
                _log,
                "the generator of %s %s raised when it was closed",
                request.method,
                request.raw_path,
                error=failure_of(raised),
            )

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

    @property
    def holds_more(self) -> bool:
        """Whether something that was received is not dealt with."""
        return not self._http.idle

    async def _discard(self, body: _Body) -> bool:
        """Read what the handler left of the body; False where that is not worth it."""
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

    async def _respond(self, request: Request, response: Response, body: _Body) -> bool:
        """Send a response; whether it says that it is the connection's last."""
        http = self._http
        try:
            headers, content = response.raw_headers(), response.body
            if not isinstance(content, bytes):
                raise TypeError(f"the body of {response!r} is bytes, not {type(content).__name__}")
        except BaseException as raised:  # a subclass of the application's
            error = failure_of(raised)
            report(
                _log,
                "the response to %s %s cannot be sent",
                request.method,
                request.raw_path,
                error=error,
            )
            response = TextResponse("Internal Server Error", 500)
            headers, content = response.raw_headers(), response.body
        last = (
            self._stopping
            or self._interrupted
            or (http.has_body and self._gives_up(body, response.status))
        )
        if isinstance(response, StreamingResponse):
            head = http.send_head(response.status, headers, date=_date(), close=last)
            await self._send_stream(request, response, head)
        else:
            length: int | None = len(content)
            if not content and request.method == "HEAD":
                length = _said_length(headers)
            head = http.send_head(response.status, headers, date=_date(), close=last, length=length)
            if len(content) <= _SLICE:
                self.transport.write(head + http.send_body(content) + http.send_end())
            else:
                self.transport.write(head)
                if http.has_content:
                    await self._send_large(content)
                self.transport.write(http.send_end())
        self._log(request, response.status)
        if self.transport.pending > self._limits.backpressure:
            await self.transport.drain(self._limits.backpressure)
        return last

    def _gives_up(self, body: _Body, status: int) -> bool:
        """Whether the rest of a request's body is not worth reading: the peer still waits to be
        told to send it, or it is long."""
        if body.ended:
            return False
        if self._http.expects_continue or status == 413:
            return True
        return body.length is not None and body.length - body.received > _DISCARD

    async def _send_large(self, content: bytes) -> None:
        """Send a body that the peer may take long for: of what waits there is one copy, and not
        one for each peer.

        Raises:
            Disconnected: where the peer has left.
        """
        view = memoryview(content)
        transport, most = self.transport, self._limits.backpressure
        for begin in range(0, len(view), _SLICE):
            transport.write(self._http.send_body(bytes(view[begin : begin + _SLICE])))
            if transport.pending > most:
                await transport.drain(most)
            if transport.lost:
                raise Disconnected("the client left before its response was sent")
            if account.spend(_SLICE):
                await trio.lowlevel.checkpoint()

    async def _send_stream(
        self, request: Request, response: StreamingResponse, head: bytes
    ) -> None:
        http, transport = self._http, self.transport
        stream: Any = response.chunks
        if not isinstance(stream, Stream):
            stream = request.stream_in_task(stream)
        try:
            transport.write(head)
            if not http.has_content:
                await stream.aclose()
            else:
                self._stream = stream
                self._watch_stream(trio.current_time())
                await stream.send_to(partial(self._send_chunk, response.origin))
                if self._stream is None:  # cancelled
                    raise Disconnected("the client left while its response was streamed")
            transport.write(http.send_end())
        except BaseException as raised:
            error = failure_of(raised)
            if not isinstance(error, Disconnected):
                report(
                    _log,
                    "the stream of %s %s raised",
                    request.method,
                    request.raw_path,
                    error=error,
                )
                # All that tells the peer that the body is not whole is that it has no end.
                if http.ends_by_closing:
                    transport.abort()
            raise Disconnected("the response could not be completed") from None
        finally:
            self._stream = None
            self._wait_for(_Waiting.HANDLER, math.inf)

    async def _send_chunk(self, origin: object, chunk: Any) -> None:
        data = chunk if type(chunk) is bytes else chunk_to_bytes(chunk, origin)
        if len(data) > _SLICE:
            await self._send_large(data)
            return
        transport = self.transport
        transport.write(self._http.send_body(data))
        if transport.pending > self._limits.backpressure:
            await transport.drain(self._limits.backpressure)
        if transport.lost:
            raise Disconnected("the client left while its response was streamed")
        self._gone_since = math.inf  # it can still be sent to
        if account.spend(len(data)):
            await trio.lowlevel.checkpoint()

    def _watch_stream(self, now: float) -> None:
        """Look now and then whether the peer of a stream, in which nothing may happen for long, is
        still there. One that has closed its own side may be reading on; but if nothing is sent to
        it for ``Limits.leave_grace``, it has left."""
        assert self._stream is not None
        grace = self._limits.leave_grace
        self._gone_since = min(self._gone_since, now) if self.transport.hung_up() else math.inf
        if self.transport.closed or now - self._gone_since >= grace:
            stream, self._stream = self._stream, None
            stream.cancel()
            return
        self._wait_for(_Waiting.STREAM, now + grace)

    def _upgrade(self, request: Request, upgrade: Upgrade) -> tuple[Upgrade, bytes]:
        self._http.read_body()  # its end, which a handshake has at once
        self.transport.write(self._http.send_upgrade(upgrade.raw_headers(), _date()))
        self._log(request, 101)
        request.settle()
        return upgrade, self._http.trailing_data

    def _refuse(self, error: HTTPError) -> None:
        """Answer what no handler sees."""
        if self._http.can_respond:
            status, text, headers = error.answer()
            self._write_last(TextResponse(text, status, headers))
            if self._access_log is not None:
                self._access_log.note(self.client, "-", status)

    def _write_last(self, response: Response) -> None:
        """The connection's last response."""
        http = self._http
        self.transport.write(
            http.send_head(
                response.status,
                response.raw_headers(),
                date=_date(),
                close=True,
                length=len(response.body),
            )
            + http.send_body(response.body)
            + http.send_end()
        )

    def _log(self, request: Request, status: int) -> None:
        if self._access_log is not None:
            line = f"{request.method} {request.raw_path} HTTP/{request.http_version}"
            self._access_log.note(request.client, line, status)

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
        if self._stream is not None:
            self._watch_stream(now)
            return
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

    __slots__ = ("_connection", "_waited", "ended", "length", "over", "received")

    def __init__(self, connection: Connection, length: int | None) -> None:
        self._connection = connection
        self._waited = 0.0
        self.length = length  # bytes; None where the peer did not say
        self.received = 0
        self.ended = False
        self.over = False  # the request is answered, and what follows is another's

    async def read_body(self) -> bytes:
        if self.over:
            raise RuntimeError("the request is answered; its body is gone. Read it before.")
        connection = self._connection
        limits = connection._limits
        begun = trio.current_time()
        allowed = limits.body_grace + self.received / limits.body_rate
        connection.wait_for_body(begun + allowed - self._waited)
        try:
            piece = await connection.read_body()
        finally:
            connection.wait_for_handler()
        self._waited += trio.current_time() - begun
        self.received += len(piece)
        self.ended = not piece
        if piece and connection.holds_more:  # one read may hold 10,000 chunks of a byte
            await trio.lowlevel.checkpoint()
        return piece


def _said_length(headers: RawHeaders) -> int | None:
    """The length for a HEAD whose handler made no body: None if the headers say one, that of the
    body that a GET would get (RFC 9110, section 9.3.2)."""
    return (
        None if any(name == b"content-length" and value.isdigit() for name, value in headers) else 0
    )


def _length(head: RequestHead) -> int | None:
    for name, value in head.headers:
        if name == b"content-length":
            return int(value)
    return None


@lru_cache(maxsize=1)
def _date_of(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def _date() -> bytes:
    """The ``Date`` of a response (RFC 9110, section 6.6.1)."""
    return _date_of(int(time()))
