"""One HTTP connection: serves request after request, until it ends or becomes a WebSocket.

Errors: if the peer does something wrong, the connection sends an error response and ends. If the
application does something wrong, ``app.handle`` makes the error response. No other exception should
escape; if one does, the server catches it.
"""

from __future__ import annotations

import enum
import logging
import math
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Protocol

import trio

from finch.access import AccessLog
from finch.config import Limits
from finch.errors import Disconnected, HTTPError, ProtocolError
from finch.failures import failure_of, report
from finch.http.body import Body, declared_length
from finch.http.request import Request
from finch.http.response import Response, TextResponse
from finch.http.sending import Sender
from finch.http.takeover import TakeOver
from finch.net.address import Address
from finch.net.proxies import Source, Trust
from finch.net.transport import Spawn, Transport
from finch.tasks import change_context, is_same
from finch.wire.head import RequestHead
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")


class Application(Protocol):
    """The application that answers a connection's requests."""

    limits: Limits

    async def handle(self, request: Request) -> Response:
        """The response to a request. Every error becomes a response, too.

        Raises:
            Disconnected: if the client leaves before its body is complete.
        """


class _Waiting(enum.Enum):
    """What the connection waits for. It decides what its deadline means."""

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
        app: answers the requests.
        client: the peer's address.
        spawn: starts a task that may run longer than the caller.
        scheme: ``http`` or ``https``.
        access_log: gets a line for each request, if given.
        trust: which proxies are trusted; none if left out.

    Attributes:
        deadline: when the server must call :meth:`expire`, by trio's clock.

    Source: RFC 9110, RFC 9112.
    """

    __slots__ = (
        "_app",
        "_http",
        "_interrupted",
        "_limits",
        "_refusal",
        "_retiring",
        "_scheme",
        "_sender",
        "_spawn",
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
        app: Application,
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
        self._waiting = _Waiting.REQUEST
        self._interrupted = False  # do not wait for more bytes from the peer
        self._stopping = False
        self._retiring = False  # the next response is the last one
        self._spawn = spawn
        self._sender = Sender(
            transport,
            self._http,
            self._limits,
            access_log,
            partial(self._wait_for, _Waiting.STREAM),
        )
        self._refusal: HTTPError | None = None

    async def run(self) -> tuple[TakeOver, bytes] | None:
        """Serve requests until the connection ends or a :class:`TakeOver` takes it over.

        Returns:
            The response that takes the connection over, and the bytes that the peer sent after its
            request; None if the connection is over, so that the caller only closes it.
        """
        try:
            try:
                taken = await self._serve()
                if taken is not None:
                    return taken
            except HTTPError as error:
                self._sender.refuse(error, self.client)
            except Disconnected:
                pass  # the client is gone, or a response broke off: nothing more can be sent
            await self._finish()
            return None
        finally:
            self._sender.end()

    async def refuse(self, error: HTTPError) -> None:
        """Answer the first request with this error, whatever it asks for; then end."""
        self._refusal = error
        await self.run()

    async def _serve(self) -> tuple[TakeOver, bytes] | None:
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
            self._sender.begun = perf_counter()
            client, scheme, host = self.client, self._scheme, None
            if self._trust is not None:
                client, scheme, host = self._trust.trace(head.headers, Source(client, scheme))
            body = Body(
                self, self._limits, declared_length(head.headers) if self._http.has_body else None
            )
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
                try:
                    response = await self._app.handle(request)
                except Disconnected:
                    self._sender.note_left(request)
                    raise
                if isinstance(response, TakeOver):
                    if response.request is request:
                        self._http.read_body()  # a handshake has no body; this reads its end
                        self._sender.hand_over(request, response)
                        request.settle()
                        return response, self._http.trailing_data
                    report(
                        _log,
                        "%s %s was answered with the upgrade of another request; each request "
                        "needs its own: write 'return manager.request_handle(request)'",
                        request.method,
                        request.raw_path,
                    )
                    response = TextResponse("Internal Server Error", 500)
                ending = self._stopping or self._retiring or self._interrupted
                last = await self._sender.respond(request, response, body, ending)
                if last or self._stopping or self._interrupted:
                    return None
                if self._http.has_body and not body.ended and not await self._discard(body):
                    return None
            finally:
                # Before next_cycle(): a task that still read this body would get the bytes of
                # the next request.
                body.over = True
                await self._close_streams(request)
            if not self._http.next_cycle():
                return None
            # the next request must not see the context variables that this one has set
            if not is_same(trio.lowlevel.current_task().context, context):
                await change_context(context.copy())
            if not self._http.idle:  # a pipelined request is here already: let others go first
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
        """The next request's head; None if the peer sends no further request.

        Raises:
            ProtocolError: if the head is malformed; 408 if its rest does not arrive in time.
        """
        limits = self._limits
        now = trio.current_time()
        if first:
            self._wait_for(_Waiting.REQUEST, now + limits.head_timeout)
        else:
            self._wait_for(_Waiting.REQUEST, now + limits.keep_alive_timeout)
        while True:
            head = self._http.read_head()
            if head is not None:
                return head
            if self._http.closed or (self._stopping and self._http.idle):
                return None
            if not self._http.idle and self._waiting is _Waiting.REQUEST:
                begun = now if first else trio.current_time()
                self._wait_for(_Waiting.HEAD, begun + limits.head_timeout)
            if not await self._receive():
                if self._waiting is _Waiting.HEAD:
                    raise ProtocolError(408, "waited too long for the rest of the request's head")
                return None

    async def _receive(self) -> bool:
        """Receive more bytes from the peer; False if the time for that is over."""
        if not self._interrupted:
            data = await self.transport.receive()
            if not self._interrupted:
                self._http.receive_data(data)
                return True
        return False

    def body_so_far(self) -> bytes | None:
        """The next piece of the current request's body, if it has come; else None.

        Raises: as :meth:`read_body`.
        """
        return None if self._http.expects_continue else self._piece()

    async def read_body(self) -> bytes:
        """The next piece of the current request's body; ``b""`` at its end.

        Raises:
            Disconnected: if the peer leaves before the end of the body.
            HTTPError: 400 if the framing is broken, 408 if the peer is too slow.
        """
        if self._http.expects_continue:
            self.transport.write(self._http.send_continue())
        while (piece := self._piece()) is None:
            if not await self._receive():
                raise ProtocolError(408, "waited too long for more of the request's body")
        return piece

    def _piece(self) -> bytes | None:
        try:
            return self._http.read_body()
        except ProtocolError:
            if self._http.closed:
                raise Disconnected("the client left before its body was complete") from None
            raise

    @property
    def holds_more(self) -> bool:
        """Whether bytes have arrived that nobody has read yet."""
        return not self._http.idle

    async def _discard(self, body: Body) -> bool:
        """Read the rest of the body; False if it is too large, or does not arrive."""
        try:
            return await body.discard()
        except (HTTPError, Disconnected):
            return False

    # Ending

    async def _finish(self) -> None:
        """Close our side, and read until the peer closes its own. If we closed with data unread,
        TCP would send a reset, and the peer could lose our answer (RFC 9112, section 9.6)."""
        self._wait_for(_Waiting.END, math.inf)
        self.transport.finish()
        await self.transport.drain()  # no deadline: the server drops a peer that stops reading
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
        """The handler waits for the body; more of it must arrive before the deadline."""
        self._wait_for(_Waiting.BODY, deadline)

    def wait_for_handler(self) -> None:
        """The handler has a piece of the body; it may take as long as it likes."""
        self._wait_for(_Waiting.HANDLER, math.inf)

    def expire(self, now: float) -> None:
        """The server calls this at the deadline."""
        if self._sender.streaming:
            self._sender.look(now)
            return
        self.deadline = math.inf
        self._interrupt()

    def drop(self) -> None:
        """Close the connection at once, without an answer."""
        self.transport.close()

    def retire(self) -> None:
        """The server is replaced: the next request is the last one. Its answer says so."""
        self._retiring = True

    def shut_down(self, code: int = 0, reason: str = "") -> None:
        """The server stops: end the connection after the current request.

        Parameters:
            code, reason: for WebSockets; not needed here.
        """
        self._stopping = True
        self._sender.stop_events()
        if self._waiting is _Waiting.REQUEST:
            self._interrupt()
