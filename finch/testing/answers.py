"""What a test gets from the server, and what it is told when that does not come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import trio

from finch.errors import FinchError
from finch.headers import Headers

DEADLINE: Final = 5.0
"""Seconds that a client waits for the server, unless told otherwise."""


class WaitedTooLong(FinchError, AssertionError):
    """What a test waited for did not come in time."""


class HandshakeRefused(FinchError):
    """The server answered an upgrade with something else. ``response`` is what it said."""

    def __init__(self, response: TestResponse) -> None:
        super().__init__(f"the server answered {response.status}: {response.text}")
        self.response = response


class SocketClosed(FinchError):
    """The server closed the socket.

    Attributes:
        code: the close code; 1006 where it left without a Close.
        reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server closed the socket with {code}: {reason}")
        self.code = code
        self.reason = reason


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
        """The body as JSON, converted where a type is given."""
        return msgspec.json.decode(self.body, type=type)

    def __repr__(self) -> str:
        return f"<TestResponse {self.status} {self.body[:60]!r}>"


class ServerMessage(msgspec.Struct):
    """An envelope from the server. Its fields are attributes, and items as well."""

    path: str
    status: int
    timestamp: int
    language: str
    client: str
    data: Any
    reply: Any = None

    def __getitem__(self, key: str) -> Any:
        try:
            return getattr(self, key)
        except AttributeError:
            raise KeyError(key) from None


@contextmanager
def deadline(seconds: float, what: str) -> Iterator[None]:
    """``trio.fail_after`` that says what was waited for."""
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise WaitedTooLong(f"waited {seconds:g} s for {what}; it did not come")
