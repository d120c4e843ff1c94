"""Sends the responses of one connection: at once, in slices, or streamed while they are made.

Errors: if an application's own response cannot be sent, a 500 is sent instead. If a response breaks
off, :class:`Disconnected` ends the connection.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import trio

from finch.access import AccessLog
from finch.config import Limits
from finch.errors import Disconnected, HTTPError
from finch.failures import failure_of, report
from finch.http.body import Body
from finch.http.date import date_now
from finch.http.request import Request
from finch.http.response import Response, TextResponse
from finch.http.returned import chunk_to_bytes
from finch.http.streaming import Stream, StreamingResponse
from finch.http.takeover import TakeOver
from finch.net.address import Address
from finch.net.slices import FileSlice
from finch.net.transport import Transport
from finch.turns import account
from finch.wire.head import RawHeaders
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")

# Bytes of a large body that the transport gets at a time. If it got the whole body at once, each
# slow peer would need memory for a copy of the whole body.
_SLICE: Final = 64 * 1024
_LEFT: Final = 499  # in the access log: the client has left. No RFC has it, but nginx's log does


class Sender:
    """Sends the responses of one connection.

    Parameters:
        transport: the connection's bytes.
        http: the connection's protocol, which frames the responses.
        limits: the application's; only the limits for slow and lost peers are used.
        access_log: gets a line for each response, if given.
        wait_until: called with the time when :meth:`look` must be called, by trio's clock.

    Attributes:
        streaming: whether a response is being streamed.
        begun: when the current request came, by ``time.perf_counter``, for the access log.
        sent: bytes of the current response's body that were sent.
    """

    __slots__ = (
        "_access_log",
        "_beats",
        "_gone_since",
        "_http",
        "_limits",
        "_steps",
        "_stream",
        "_transport",
        "_wait_until",
        "begun",
        "sent",
    )

    def __init__(
        self,
        transport: Transport,
        http: HTTPConnection,
        limits: Limits,
        access_log: AccessLog | None,
        wait_until: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._http = http
        self._limits = limits
        self._access_log = access_log
        self._wait_until = wait_until
        self._stream: Stream | None = None
        self.begun = 0.0
        self.sent = 0
        self._gone_since = math.inf  # since when the peer's side is known to be closed
        self._beats: Beats | None = None  # of a stream of events
        self._steps = 0  # grows when a chunk begins and when it is sent: odd within a chunk

    @property
    def streaming(self) -> bool:
        return self._stream is not None

    async def respond(self, request: Request, response: Response, body: Body, ending: bool) -> bool:
        """Send a response.

        Parameters:
            body: the request's. If it is not worth reading to its end, the connection ends.
            ending: whether the connection ends in any case.

        Returns:
            Whether it is the last response of the connection.

        Raises:
            Disconnected: if it cannot be sent to its end.
        """
        http, transport = self._http, self._transport
        try:
            last, head, content = self._head(request, response, body, ending)
        except BaseException as raised:  # by a Response subclass of the application
            error = failure_of(raised)
            report(_log, "the response to %r cannot be sent", request, error=error)
            response = TextResponse("Internal Server Error", 500)
            last, head, content = self._head(request, response, body, ending)
        self.sent = 0
        try:
            if isinstance(response, StreamingResponse):
                await self._send_stream(head, request, response, ending)
                self._wait_until(math.inf)
            elif len(content) <= _SLICE:
                transport.write(head + http.send_body(content) + http.send_end())
                self.sent = len(content) if http.has_content else 0
            else:
                await self._send_whole(head, content)
        finally:  # also if it broke off
            if self._access_log is not None:
                self._note(self._access_log, request, response.status)
        if transport.pending > self._limits.backpressure:
            await transport.drain(self._limits.backpressure)
        return last

    def _head(
        self, request: Request, response: Response, body: Body, ending: bool
    ) -> tuple[bool, bytes, bytes]:
        """Whether a response is the connection's last; its head; and its body, if that is known.

        Raises:
            BaseException: whatever a Response subclass of the application raises.
        """
        http = self._http
        headers, content, status = response.raw_headers(), response.body, response.status
        if not isinstance(content, bytes):
            raise TypeError(f"the body of {response!r} is bytes, not {type(content).__name__}")
        if not 200 <= status <= 599:
            raise ValueError(f"a response's status is 200 to 599, not {status}")
        last = (
            ending
            # a body is not worth waiting for if the peer first waits for a 100 Continue
            or (http.has_body and (http.expects_continue or not body.worth_reading(status)))
        )
        length = None if isinstance(response, StreamingResponse) else len(content)
        if length == 0 and request.method == "HEAD":
            length = _said_length(headers)
        head = http.send_head(status, headers, date=date_now(), close=last, length=length)
        return last, head, content

    def hand_over(self, request: Request, taken: TakeOver) -> None:
        """Send the response after which the connection no longer speaks HTTP."""
        headers, status = taken.raw_headers(), taken.status
        if status == 101:
            head = self._http.send_upgrade(headers, date_now())
        else:
            head = self._http.send_head(status, headers, date=date_now(), until_closed=True)
        self._transport.write(head)
        if self._access_log is not None:
            self._note(self._access_log, request, status)

    def refuse(self, error: HTTPError, client: Address) -> None:
        """Answer a request that is too broken for a handler to see. The connection then ends."""
        if self._http.can_respond:
            status, text, headers = error.answer()
            response = TextResponse(text, status, headers)
            self._transport.write(
                self._http.respond(
                    response.status,
                    response.raw_headers(),
                    response.body,
                    date=date_now(),
                    close=True,
                )
            )
            if self._access_log is not None:
                self._access_log.note(client, "", "", "", status, len(response.body))

    def note_left(self, request: Request) -> None:
        """Log a request whose client has left before it could be answered."""
        if self._access_log is not None:
            self.sent = 0
            self._note(self._access_log, request, _LEFT)

    def _note(self, log: AccessLog, request: Request, status: int) -> None:
        log.note(
            request.client,
            request.method,
            request.raw_path,
            request.http_version,
            status,
            self.sent,
            self.begun,
        )

    async def _send_whole(self, head: bytes, content: bytes) -> None:
        """Send a response with a large body.

        Raises:
            Disconnected: if the peer has left.
        """
        self._transport.write(head)
        if self._http.has_content:
            await self._send_slices(content)
        self._transport.write(self._http.send_end())

    async def _send_slices(self, content: bytes) -> None:
        view = memoryview(content)
        for begin in range(0, len(view), _SLICE):
            await self._send_piece(bytes(view[begin : begin + _SLICE]))

    async def _send_piece(self, piece: bytes) -> None:
        transport, most = self._transport, self._limits.backpressure
        transport.write(self._http.send_body(piece))
        self.sent += len(piece)
        if transport.pending > most:
            await transport.drain(most)
        await self._go_on(len(piece))

    async def _go_on(self, sent: int) -> None:
        """Called when some bytes were sent, before the next.

        Raises:
            Disconnected: if the peer has left.
        """
        if self._transport.lost:
            raise Disconnected("the client left before its response was sent")
        self._gone_since = math.inf  # the peer still takes what we send
        if account.spend(sent):
            await trio.lowlevel.checkpoint()

    async def _send_stream(
        self, head: bytes, request: Request, response: StreamingResponse, ending: bool
    ) -> None:
        """Send a response while its body is made.

        Parameters:
            ending: whether the server stops, so that a stream of events ends at once.

        Raises:
            Disconnected: if the peer has left, or the iterator raises. Nothing more can be sent
                then.
        """
        http, transport = self._http, self._transport
        stream: Any = response.chunks
        if not isinstance(stream, Stream):
            stream = request.stream_in_task(stream)
        try:
            transport.write(head)
            if not http.has_content or (ending and response.keep_alive is not None):
                await stream.aclose()
            else:
                self._stream = stream
                if transport.sends_files and http.counts and hasattr(stream.source, "by_kernel"):
                    stream.source.by_kernel = True  # see FileChunks
                if response.keep_alive is not None:
                    self._beats = Beats(response.keep_alive)
                self.look(trio.current_time())
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
                # The peer must see that the body is incomplete. A chunked body then has no last
                # chunk. A body that ends by closing would look complete: so reset the connection.
                if http.ends_by_closing:
                    transport.drop()
            raise Disconnected("the response could not be completed") from None
        finally:
            self._stream = self._beats = None

    async def _send_chunk(self, origin: object, chunk: Any) -> None:
        if type(chunk) is FileSlice:
            self._http.sent_elsewhere(chunk.size)
            self.sent += chunk.size
            await self._transport.send_file(chunk)
            await self._go_on(chunk.size)
            return
        data = chunk if type(chunk) is bytes else chunk_to_bytes(chunk, origin)
        self._steps += 1
        if len(data) > _SLICE:
            await self._send_slices(data)
        else:
            await self._send_piece(data)
        self._steps += 1

    def end(self) -> None:
        """Nothing more will be sent: let the connection go. Otherwise, each connection would leave
        a reference cycle to the garbage collector, and a burst of them pauses for milliseconds."""
        self._wait_until = _nobody_waits

    def stop_events(self) -> None:
        """The server stops: end a stream of events as if its iterator had ended. ``EventSource``
        comes back by itself."""
        if self._stream is not None and self._beats is not None:
            self._stream.cancel()

    def look(self, now: float) -> None:
        """Check whether the peer of a stream is still there. A stream may send nothing for long.

        A peer that has closed its own side may still read. But if nothing is sent to it for
        ``Limits.leave_grace`` after that, it counts as gone. Whoever reads events does not close
        its side, so it counts as gone at once. (If a peer takes nothing of what is sent, it is
        dropped by the server, not by this method.)
        """
        assert self._stream is not None
        transport, grace, beats = self._transport, self._limits.leave_grace, self._beats
        if transport.pending or not transport.hung_up():
            self._gone_since = math.inf
        else:
            self._gone_since = min(self._gone_since, now)
        if transport.closed or now - self._gone_since >= (0 if beats is not None else grace):
            stream, self._stream = self._stream, None
            stream.cancel()
            return
        if beats is not None and beats.due(now, self._steps):
            from finch.wire.eventstream import BEAT  # few servers have streams of events

            transport.write(self._http.send_body(BEAT))
        self._wait_until(now + grace)


class Beats:
    """Says when a comment must be sent in a stream of events. Plain data.

    Parameters:
        every: seconds of silence before a comment.
    """

    __slots__ = ("_every", "_since", "_steps")

    def __init__(self, every: float) -> None:
        self._every = every
        self._steps = -1
        self._since = 0.0

    def due(self, now: float, steps: int) -> bool:
        """Whether a comment is due.

        Parameters:
            now: trio's time.
            steps: how often a chunk was begun or ended so far.
        """
        if steps != self._steps:  # something was sent since the last look
            self._steps, self._since = steps, now
        # not within an event: the comment would become a part of it
        if steps % 2 or now - self._since < self._every:
            return False
        self._since = now
        return True


def _nobody_waits(deadline: float) -> None:
    pass


def _said_length(headers: RawHeaders) -> int | None:
    """The length for a HEAD whose handler made no body: None if the headers already say the
    length of the body that a GET would get (RFC 9110, section 9.3.2), else 0."""
    return (
        None if any(name == b"content-length" and value.isdigit() for name, value in headers) else 0
    )
