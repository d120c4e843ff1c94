"""One request to the server, and its response while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import h11
import trio

from finch.headers import Headers
from finch.testing.answers import ResponseCut, TestResponse, deadline


class Exchange:
    """A request and its response, on a connection of its own.

    Parameters:
        stream: the connection.
        what: what error messages call the response.

    Attributes:
        status: that of the response; 0 as long as its head has not come.
        headers: those of the response.
        stream: the connection.
    """

    def __init__(self, stream: trio.abc.Stream, what: str) -> None:
        self.status = 0
        self.headers = Headers()
        self.stream = stream
        self._what = what
        self._http = h11.Connection(h11.CLIENT)
        self._pieces: list[bytes] = []
        self._over = False

    async def send(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        """Send the request. The server may respond before it has read all of it."""
        http = self._http
        pieces = [http.send(h11.Request(method=method, target=target, headers=headers))]
        if body:
            pieces.append(http.send(h11.Data(data=body)))
        pieces.append(http.send(h11.EndOfMessage()))
        try:
            for piece in pieces:
                await self.stream.send_all(piece or b"")
        except trio.BrokenResourceError:
            pass  # the server has responded and closed before it read everything

    async def read_head(self) -> None:
        """Read until the head of the response has come.

        Raises:
            ResponseCut: if the connection ends before.
        """
        while not self.status:
            event = await self._next_event()
            if event.status_code == 101 or event.status_code >= 200:
                self.status, self.headers = event.status_code, Headers.from_raw(event.headers)

    async def read_piece(self) -> bytes:
        """The next piece of the body; empty at its end. A 101 has no body.

        Raises:
            ResponseCut: if the connection ends before.
        """
        if self.status == 101 or self._over:
            return b""
        event = await self._next_event()
        if not isinstance(event, h11.Data):
            self._over = True
            return b""
        self._pieces.append(bytes(event.data))
        return self._pieces[-1]

    async def read_all(self) -> None:
        """Read the head, and the body to its end.

        Raises:
            ResponseCut: if the connection ends before.
        """
        await self.read_head()
        while await self.read_piece():
            pass

    @property
    def behind(self) -> bytes:
        """What came after a 101."""
        return self._http.trailing_data[0]

    def response(self) -> TestResponse:
        """The received response."""
        return TestResponse(self.status, self.headers, b"".join(self._pieces))

    def so_far(self) -> TestResponse | None:
        """The received part of the response; None if its head has not come."""
        return self.response() if self.status else None

    async def _next_event(self) -> Any:
        data = None
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                data = await _receive(self.stream)
                self._http.receive_data(data)
        except h11.RemoteProtocolError:
            if data != b"":
                raise
            raise ResponseCut(self._what, self.so_far()) from None
        return event


async def _receive(stream: trio.abc.Stream) -> bytes:
    try:
        return bytes(await stream.receive_some())
    except trio.BrokenResourceError:
        return b""


class StreamedResponse:
    """A response that is read while it comes: ``async for piece in response``.

    Each piece must come within the seconds of ``timeout``.

    Attributes:
        status: the status.
        headers: the headers.
    """

    def __init__(self, exchange: Exchange, what: str, timeout: float) -> None:
        self._exchange = exchange
        self._what = what
        self._timeout = timeout
        self.status = exchange.status
        self.headers = exchange.headers

    async def receive(self, timeout: float | None = None) -> bytes:
        """The next piece of the body; empty at its end.

        Parameters:
            timeout: seconds to wait for it.

        Raises:
            WaitedTooLong: if it does not come in time.
            ResponseCut: if the connection ends before the response does.
        """
        seconds = self._timeout if timeout is None else timeout
        with deadline(seconds, f"the next piece of {self._what}", self._exchange.so_far):
            return await self._exchange.read_piece()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.receive():
            yield piece

    def __repr__(self) -> str:
        return f"<StreamedResponse {self.status}>"
