"""What a test gets from the server, and the errors if it does not come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import trio

from finch.errors import FinchError
from finch.headers import Headers

DEADLINE: Final = 5.0
"""Seconds that a client waits for the server, unless told otherwise."""

_EXCERPT: Final = 200  # characters of a body in an error message


class WaitedTooLong(FinchError, AssertionError):
    """A response or message did not come in time.

    Attributes:
        response: the received part of a response. None if its head has not come, and for messages.
    """

    def __init__(self, text: str, response: TestResponse | None = None) -> None:
        super().__init__(text)
        self.response = response


class ResponseCut(FinchError):
    """The server closed the connection before its response was complete.

    Attributes:
        response: the received part of the response; None if its head has not come.
    """

    def __init__(self, what: str, response: TestResponse | None = None) -> None:
        super().__init__(
            f"the server closed the connection before {what} was complete; {_so_far(response)}"
        )
        self.response = response


class HandshakeRefused(FinchError):
    """The server refused an upgrade. ``response`` is its response."""

    def __init__(self, response: TestResponse, path: str = "") -> None:
        hint = ""
        if path and response.status == 404:
            hint = f"; nothing is at {path}"
        elif path and response.status < 400:
            hint = f"; {path} is not the path of a socket, but of an ordinary handler"
        text = _excerpt(response.body)
        super().__init__(f"the server answered {response.status}: {text}{hint}")
        self.response = response


class NotAnEnvelope(FinchError):
    """A message is not one of Finch's envelopes. ``message`` is the message, text or bytes."""

    def __init__(self, message: str | bytes, path: str) -> None:
        text = message if isinstance(message, bytes) else message.encode()
        super().__init__(
            f"a message at {path} is not an envelope: {_excerpt(text)}; read it with receive_raw()"
        )
        self.message = message


class SocketClosed(FinchError):
    """The server closed the socket.

    Attributes:
        code: the close code; 1006 if the server left without a Close.
        reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server closed the socket with {code}: {reason}")
        self.code = code
        self.reason = reason


class Refused(FinchError):
    """The server answered a message with an error.

    Attributes:
        status: the status, as in HTTP.
        data: the data of the answer: an object with the error's ``message``.
    """

    def __init__(self, what: str, status: int, data: Any) -> None:
        said = data.get("message") if isinstance(data, dict) else data
        super().__init__(f"{what} was answered with {status}: {said}")
        self.status = status
        self.data = data


class TestResponse:
    """A response: ``status``, ``headers``, ``body``, ``text`` and ``json()``."""

    __test__ = False

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8")

    def json(self, type: Any = Any) -> Any:
        """The body parsed as JSON, and converted if a type is given."""
        return msgspec.json.decode(self.body, type=type)

    def __repr__(self) -> str:
        return f"<TestResponse {self.status} {self.body[:60]!r}>"


class ServerMessage(msgspec.Struct):
    """An envelope from the server. Its fields are attributes and also items.

    Attributes:
        reply: the ``id`` of the message that this one answers.
        room: the room that it comes from.
        seq: its number in that room; None if the room has no history.
        epoch: the numbering of ``seq``, in the answer to a join.
        id: set if the server asks for an answer: ``await socket.send(path, data, reply=id)``.
        more: whether another item of the same answer follows.
    """

    path: str
    status: int
    timestamp: int
    language: str
    client: str
    data: Any
    reply: Any = None
    room: str | None = None
    seq: int | None = None
    epoch: str | None = None
    id: Any = None
    more: bool = False

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None


class Joined(msgspec.Struct, frozen=True):
    """The answer to a join.

    Attributes:
        room: the room.
        recovered: whether the messages that follow are all that was missed.
        missed: how many messages follow at once; None if the room has no history.
        seq, epoch: the position of the room's newest message; None if the room has no history.
        presence: who is in the room, as the server sends it; None if the room has no presence.
        count: how many are in the room; None if the room has no presence.
    """

    room: str
    recovered: bool
    missed: int | None = None
    seq: int | None = None
    epoch: str | None = None
    presence: list[dict[str, Any]] | None = None
    count: int | None = None

    @property
    def position(self) -> str:
        """The position of the room's newest message: the ``since`` of a later join.

        Raises:
            FinchError: if the room has no history.
        """
        if self.epoch is None or self.seq is None:
            raise FinchError(f"the room {self.room!r} has no history, so there are no positions")
        return f"{self.epoch}:{self.seq}"


@contextmanager
def deadline(
    seconds: float, what: str, so_far: Callable[[], TestResponse | None] | None = None
) -> Iterator[None]:
    """Like ``trio.fail_after``; the error says what was waited for, and how much of it has come.

    Raises:
        WaitedTooLong: if the block takes longer than ``seconds``.
    """
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        response = so_far() if so_far is not None else None
        came = "it did not come"
        if response is not None:
            came = f"{_so_far(response)} (client.stream() reads a response without an end)"
        raise WaitedTooLong(f"waited {seconds:g} s for {what}; {came}", response)


def _so_far(response: TestResponse | None) -> str:
    if response is None:
        return "nothing has come"
    if not response.body:
        return f"its status is {response.status}, and nothing of its body has come"
    return (
        f"its status is {response.status}, and {len(response.body)} bytes of its body have come: "
        f"{_excerpt(response.body)}"
    )


def _excerpt(body: bytes) -> str:
    """The beginning of a body, for an error message."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = repr(body[:_EXCERPT])
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."
