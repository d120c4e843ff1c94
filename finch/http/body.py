"""A request's body on its way to the handler: paced, and over when its request is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

import trio

from finch.config import Limits
from finch.wire.head import RawHeaders

_DISCARD: Final = 64 * 1024  # bytes of an unread body, rather than a new connection


class BodySource(Protocol):
    """Where a request's body comes from."""

    async def read_body(self) -> bytes:
        """The next piece, ``b""`` at the end.

        Raises:
            Disconnected: the client left before.
        """


class Carrier(BodySource, Protocol):
    """The connection that a body comes over."""

    @property
    def holds_more(self) -> bool:
        """Whether something that was received is not dealt with."""

    def wait_for_body(self, deadline: float) -> None:
        """The body is being waited for; it must go on before the deadline."""

    def wait_for_handler(self) -> None:
        """The handler has what it read; it may take its time."""


class Body:
    """The body of one request. A peer slower than ``Limits.body_rate`` is given up.

    Parameters:
        carrier: the connection.
        limits: of these, the ones for bodies.
        length: bytes, if the peer has said how many.
    """

    __slots__ = ("_carrier", "_ended", "_length", "_limits", "_received", "_waited", "over")

    def __init__(self, carrier: Carrier, limits: Limits, length: int | None) -> None:
        self._carrier = carrier
        self._limits = limits
        self._length = length
        self._waited = 0.0
        self._received = 0
        self._ended = False
        self.over = False
        """Whether the request is answered, so that what follows is another's."""

    async def read_body(self) -> bytes:
        """The next piece, ``b""`` at the end.

        Raises:
            Disconnected: the client left before.
            HTTPError: 400 if the framing is broken, 408 if the peer is too slow.
            RuntimeError: the request is answered.
        """
        if self.over:
            raise RuntimeError("the request is answered; its body is gone. Read it before.")
        carrier, limits = self._carrier, self._limits
        begun = trio.current_time()
        allowed = limits.body_grace + self._received / limits.body_rate
        carrier.wait_for_body(begun + allowed - self._waited)
        try:
            piece = await carrier.read_body()
        finally:
            carrier.wait_for_handler()
        self._waited += trio.current_time() - begun
        self._received += len(piece)
        self._ended = not piece
        if piece and carrier.holds_more:  # one read may hold 10,000 chunks of a byte
            await trio.lowlevel.checkpoint()
        return piece

    def worth_reading(self, status: int) -> bool:
        """Whether what the handler left of it is to be read, for the sake of the next request.

        Parameters:
            status: of the response. 413 says that there is too much.
        """
        if self._ended:
            return True
        if status == 413:
            return False
        return self._length is None or self._length - self._received <= _DISCARD

    async def discard(self) -> bool:
        """Read what the handler left; False if that is more than it is worth.

        Raises:
            Disconnected, HTTPError: as :meth:`read_body`.
        """
        left = _DISCARD
        while piece := await self.read_body():
            left -= len(piece)
            if left < 0:
                return False
        return True


def declared_length(headers: RawHeaders) -> int | None:
    """The bytes of a body, if a checked head says how many."""
    return next((int(value) for name, value in headers if name == b"content-length"), None)


class Whole:
    """The source of a body that was read whole."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read_body(self) -> bytes:
        body, self._body = self._body, b""
        return body


class Pieces:
    """A body's pieces. Unlike a generator it may be left before its end."""

    def __init__(self, source: BodySource) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._source.read_body()
        if not piece:
            raise StopAsyncIteration
        return piece
