"""A request's body on its way to the handler: with a time limit, until the request is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

import trio

from finch.config import Limits
from finch.wire.head import RawHeaders

# Bytes of an unread body that are read and thrown away, so that the connection can be used again.
# If more is left, closing the connection is cheaper.
_DISCARD: Final = 64 * 1024


class BodySource(Protocol):
    """Where a request's body comes from."""

    async def read_body(self) -> bytes:
        """The next piece; ``b""`` at the end.

        Raises:
            Disconnected: if the client leaves before the end of the body.
        """


class Carrier(BodySource, Protocol):
    """The connection that a body arrives on."""

    @property
    def holds_more(self) -> bool:
        """Whether there are received bytes that nobody has used yet."""

    def body_so_far(self) -> bytes | None:
        """The next piece, if it has come already: as :meth:`read_body`, without waiting. None if it
        has not."""

    def wait_for_body(self, deadline: float) -> None:
        """The handler waits for the body; more of it must arrive before the deadline."""

    def wait_for_handler(self) -> None:
        """The handler has a piece of the body; it may take as long as it likes."""


class Body:
    """The body of one request. Reading fails if the peer is slower than ``Limits.body_rate``.

    Parameters:
        carrier: the connection.
        limits: the application's; only the limits for bodies are used.
        length: the number of bytes, if the peer has announced it.
    """

    __slots__ = ("_carrier", "_length", "_limits", "_received", "_waited", "ended", "over")

    def __init__(self, carrier: Carrier, limits: Limits, length: int | None) -> None:
        self._carrier = carrier
        self._limits = limits
        self._length = length
        self._waited = 0.0
        self._received = 0
        self.ended = False
        """Whether all of it was read."""
        self.over = False
        """Whether the request is answered. The bytes that follow then belong to the next request,
        so nobody may read them as this body."""

    async def read_body(self) -> bytes:
        """The next piece; ``b""`` at the end.

        Raises:
            Disconnected: if the client leaves before the end of the body.
            HTTPError: 400 if the framing is broken, 408 if the peer is too slow.
            RuntimeError: if the request is already answered.
        """
        if self.over:
            raise RuntimeError(
                "the request is already answered, and its body is gone; read the body before the "
                "handler returns"
            )
        if self.ended:
            return b""
        piece = self._carrier.body_so_far()
        if piece is None:
            piece = await self._wait()
        self._received += len(piece)
        self.ended = not piece or self._received == self._length
        if piece and self._carrier.holds_more:
            # One read from the network may hold 10,000 chunks of one byte. Without a checkpoint,
            # a handler that reads them all would keep every other task waiting.
            await trio.lowlevel.checkpoint()
        return piece

    async def _wait(self) -> bytes:
        carrier, limits = self._carrier, self._limits
        begun = trio.current_time()
        # Only time spent waiting for the peer counts. A slow handler must not use up the time
        # that the peer has for its body.
        allowed = limits.body_grace + self._received / limits.body_rate
        carrier.wait_for_body(begun + allowed - self._waited)
        try:
            piece = await carrier.read_body()
        finally:
            carrier.wait_for_handler()
        self._waited += trio.current_time() - begun
        return piece

    def worth_reading(self, status: int) -> bool:
        """Whether to read the rest of the body, so that the connection can take the next request.

        Parameters:
            status: the response's status. 413 means that the body is too large to read.
        """
        if self.ended:
            return True
        if status == 413:
            return False
        return self._length is None or self._length - self._received <= _DISCARD

    async def discard(self) -> bool:
        """Read the part that the handler has not read; False if it is too large for that.

        Raises:
            Disconnected, HTTPError: as in :meth:`read_body`.
        """
        left = _DISCARD
        while piece := await self.read_body():
            left -= len(piece)
            if left < 0:
                return False
        return True


def declared_length(headers: RawHeaders) -> int | None:
    """The body's length in bytes, if the headers give one. They must be checked already."""
    for name, value in headers:
        if name == b"content-length":
            return int(value[:19])  # a number that is cut off is still greater than any limit
    return None


class Whole:
    """The source of a body that was already read as a whole."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read_body(self) -> bytes:
        body, self._body = self._body, b""
        return body


class Pieces:
    """Iterates over a body's pieces. Unlike a generator, it need not be closed if a loop over it
    stops early."""

    def __init__(self, source: BodySource) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._source.read_body()
        if not piece:
            raise StopAsyncIteration
        return piece
