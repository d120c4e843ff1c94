"""Responses on their way to the peer: whole, large, or streamed while they are made."""

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
from finch.http.response import StreamingResponse
from finch.http.returned import chunk_to_bytes
from finch.http.streaming import Stream
from finch.net.transport import Transport
from finch.turns import account
from finch.wire.http import HTTPConnection

_log = logging.getLogger("finch.app")

SLICE: Final = 64 * 1024
"""Bytes of a large body that are handed over at a time. What waits for a slow peer waits as the one
body that there is, and not as a copy for each peer."""


class Sender:
    """Sends the responses of one connection.

    Parameters:
        transport: the connection's bytes.
        http: its protocol, which frames them.
        limits: of these, the ones for peers that are slow or gone.
        wait_until: told when :meth:`look` wants to be called, by trio's clock.

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
        self._gone_since = math.inf  # when the peer was seen to have closed its side

    @property
    def streaming(self) -> bool:
        return self._stream is not None

    async def send_whole(self, head: bytes, content: bytes) -> None:
        """Send a response whose body is large.

        Raises:
            Disconnected: the peer has left.
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
        self._gone_since = math.inf  # it can still be sent to
        if account.spend(len(piece)):
            await trio.lowlevel.checkpoint()

    async def send_stream(self, head: bytes, request: Request, response: StreamingResponse) -> None:
        """Send a response while its body is made.

        Raises:
            Disconnected: the peer has left, or the body cannot be made; nothing more can be sent.
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
                # All that tells the peer that the body is not whole is that it has no end.
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
        """See whether the peer of a stream, in which nothing may happen for long, is still there.

        One that has closed its own side may be reading on; but if nothing is sent to it for
        ``Limits.leave_grace``, it has left. (One that takes nothing of what is sent is stalled, and
        the server drops it.)
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
