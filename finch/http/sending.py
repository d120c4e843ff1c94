"""Sends large responses, and responses that are streamed while they are made."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import trio

from finch.config import Limits
from finch.errors import Disconnected
from finch.failures import failure_of, report
from finch.http.request import Request
from finch.http.returned import chunk_to_bytes
from finch.http.streaming import Stream, StreamingResponse
from finch.net.transport import Transport
from finch.turns import account
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")

SLICE: Final = 64 * 1024
"""Bytes of a large body that the transport gets at a time. If it got the whole body at once, each
slow peer would need memory for a copy of the whole body."""


class Sender:
    """Sends the responses of one connection.

    Parameters:
        transport: the connection's bytes.
        http: the connection's protocol, which frames the responses.
        limits: the application's; only the limits for slow and lost peers are used.
        wait_until: called with the time when :meth:`look` must be called, by trio's clock.

    Attributes:
        streaming: whether a response is being streamed.
    """

    __slots__ = ("_gone_since", "_http", "_limits", "_stream", "_transport", "_wait_until")

    def __init__(
        self,
        transport: Transport,
        http: HTTPConnection,
        limits: Limits,
        wait_until: Callable[[float], None],
    ) -> None:
        self._transport = transport
        self._http = http
        self._limits = limits
        self._wait_until = wait_until
        self._stream: Stream | None = None
        self._gone_since = math.inf  # since when the peer's side is known to be closed

    @property
    def streaming(self) -> bool:
        return self._stream is not None

    async def send_whole(self, head: bytes, content: bytes) -> None:
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
        for begin in range(0, len(view), SLICE):
            await self._send_piece(bytes(view[begin : begin + SLICE]))

    async def _send_piece(self, piece: bytes) -> None:
        transport, most = self._transport, self._limits.backpressure
        transport.write(self._http.send_body(piece))
        if transport.pending > most:
            await transport.drain(most)
        if transport.lost:
            raise Disconnected("the client left before its response was sent")
        self._gone_since = math.inf  # the peer still takes what we send
        if account.spend(len(piece)):
            await trio.lowlevel.checkpoint()

    async def send_stream(self, head: bytes, request: Request, response: StreamingResponse) -> None:
        """Send a response while its body is made.

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
            if not http.has_content:
                await stream.aclose()
            else:
                self._stream = stream
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
                    transport.abort()
            raise Disconnected("the response could not be completed") from None
        finally:
            self._stream = None

    async def _send_chunk(self, origin: object, chunk: Any) -> None:
        data = chunk if type(chunk) is bytes else chunk_to_bytes(chunk, origin)
        if len(data) > SLICE:
            await self._send_slices(data)
        else:
            await self._send_piece(data)

    def look(self, now: float) -> None:
        """Check whether the peer of a stream is still there. A stream may send nothing for long.

        A peer that has closed its own side may still read. But if nothing is sent to it for
        ``Limits.leave_grace`` after that, it counts as gone. (If a peer takes nothing of what is
        sent, the server drops it, and not this method.)
        """
        assert self._stream is not None
        transport, grace = self._transport, self._limits.leave_grace
        if transport.pending or not transport.hung_up():
            self._gone_since = math.inf
        else:
            self._gone_since = min(self._gone_since, now)
        if transport.closed or now - self._gone_since >= grace:
            stream, self._stream = self._stream, None
            stream.cancel()
        else:
            self._wait_until(now + grace)
