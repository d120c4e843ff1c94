"""The answers of a handler that yields them, as a test reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from finch.errors import FinchError
from finch.testing.answers import Refused

if TYPE_CHECKING:
    from finch.testing.socket import TestSocket


class Streamed:
    """The answers of a handler that yields them: an asynchronous iterator over their data.

    Raises :class:`Refused` if an answer is an error, and what :meth:`TestSocket.receive` raises.
    """

    def __init__(
        self, socket: TestSocket, timeout: float, path: str, data: Any, room: str | None
    ) -> None:
        self._socket = socket
        self._timeout = timeout
        self._message = (path, data, addressed(room))
        self._what = named(path, room)
        self._id: str | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._ended:
            raise StopAsyncIteration
        if self._id is None:
            self._id = await self._socket._send_numbered(*self._message)
        try:
            answer = await self._socket._answer_to(self._id, self._what, self._timeout)
        except Refused:
            self._ended = True
            raise
        if answer.more:
            return answer.data
        self._ended = True
        if answer.data is not None:
            raise FinchError(f"{self._what} is answered by one value; read it with socket.call()")
        raise StopAsyncIteration

    async def cancel(self) -> None:
        """Ask the server to cancel the handler. The next answer is then an error, with status
        499."""
        if self._id is not None:
            await self._socket.send("finch.cancel", id=self._id)


def addressed(room: str | None) -> dict[str, Any]:
    """The fields of a message to a room; none without a room."""
    return {} if room is None else {"room": room}


def named(path: str, room: str | None) -> str:
    """What errors call a message."""
    return repr(path) if room is None else f"{path!r} in the room {room!r}"
