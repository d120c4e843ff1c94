"""What can go wrong, as types. Each one can be caught for a reason of its own.

FinchError
├── ConfigurationError   the application is put together wrongly; raised before it serves
├── HTTPError            an answer, raised by a handler or by Finch
├── ProtocolError        a peer broke HTTP or the WebSocket handshake
├── Disconnected         the client left while its request body was being read
└── ConnectionClosed     a raw WebSocket is used after it was closed
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class FinchError(Exception):
    """The root of everything that Finch raises on purpose."""


class ConfigurationError(FinchError):
    """The application is put together wrongly: a route twice, a handler of the wrong shape.

    Raised where the mistake is written, before anything is served; the message says what to write
    instead.
    """


class HTTPError(FinchError):
    """An error that is an answer.

    Raised in an HTTP handler it becomes the response; raised in a socket handler it becomes an
    envelope with ``path="error"``, this status and this message.

    Parameters:
        status: an HTTP status code, 400 to 599 (RFC 9110, section 15).
        message: text for the client; the standard phrase where it is left out.
        headers: further response headers; a socket's client does not see them.

    Raises:
        ValueError: where ``status`` is no error status.

    Example::

        raise HTTPError(404, "no such room")
    """

    def __init__(
        self, status: int, message: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(
                f"HTTPError takes a status from 400 to 599, not {status!r}; "
                "return (value, status) or a Response for any other"
            )
        if message is None:
            message = status_phrase(status)
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return f"{self.status} {self.message}"


class ProtocolError(HTTPError):
    """A peer sent what HTTP or the WebSocket handshake does not allow.

    An answer like any other :class:`HTTPError`; one to a malformed head ends the connection, and no
    handler sees it.
    """


class Disconnected(FinchError):
    """The client left before its request body was complete. There is nobody left to answer."""


class ConnectionClosed(FinchError):
    """A raw WebSocket was sent to after it was closed.

    Parameters:
        code: the close code (RFC 6455, section 7.4), 1006 where no Close frame came.
        reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        said = f": {self.reason}" if self.reason else ""
        return f"the WebSocket is closed with code {self.code}{said}"


def status_phrase(status: int) -> str:
    """The standard phrase of a status code, or an empty string for one without."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
