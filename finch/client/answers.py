"""Answers the calls of the server, with the functions that an application has registered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from finch.calls import attempt
from finch.client.said import Message, write
from finch.errors import HTTPError
from finch.failures import report

_log = logging.getLogger("finch.client")

MOST: Final = 64
"""Calls that are answered at the same time. A server that sends more gets 429 for them. Each has a
task, and perhaps somebody who is asked."""

Answerer = Callable[[Any], Awaitable[Any]]
"""Answers calls of the server: called with their data."""


class Answers:
    """Who answers calls of the server, by path.

    Attributes:
        answerers: the functions.
    """

    def __init__(self) -> None:
        self.answerers: dict[str, Answerer] = {}
        self._running = 0

    async def to(self, message: Message) -> tuple[Any, int]:
        """The answer to a call of the server: its data and status."""
        path = message.path
        answerer = self.answerers.get(path)
        if answerer is None:
            return _error(f"this client does not answer {path!r}"), 404
        if self._running >= MOST:
            return _error(f"this client answers {MOST} calls already"), 429
        self._running += 1
        try:
            data, error = await attempt(answerer, message.data)
        finally:
            self._running -= 1
        if error is None:
            return self._checked(path, data)
        if isinstance(error, HTTPError):
            status, text, _ = error.answer()
            return _error(text), status
        report(_log, "the answer to %r raised", path, error=error)
        return _error("the client has failed"), 500

    def _checked(self, path: str, data: Any) -> tuple[Any, int]:
        try:
            write(path, data)
        except TypeError as error:  # JSON cannot hold it
            report(_log, "the answer to %r cannot be sent", path, error=error)
            return _error("the client has failed"), 500
        return data, 200


def _error(message: str) -> dict[str, str]:
    return {"message": message}
