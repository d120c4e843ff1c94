"""Finch's exceptions.

FinchError
├── ConfigurationError   the application is set up wrongly; raised before it serves
├── HTTPError            an error response, raised by a handler or by Finch
├── ProtocolError        a peer broke HTTP or the WebSocket handshake
├── Unavailable          the other processes of the application cannot be reached
├── Disconnected         the client left while its request body was being read
├── ConnectionClosed     a raw WebSocket was used after it was closed
├── ClientGone           the client left before it answered a call of the server
├── CallFailed           the other side answered a call with an error
├── ConnectionLost       finch.client: the connection was cut before a call was answered
└── HandshakeFailed      finch.client: the server refused the connection for good
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from finch.explain import kind, not_text, shown
from finch.headers import header_items


class FinchError(Exception):
    """The base class of all exceptions that Finch raises on purpose."""


class ConfigurationError(FinchError):
    """The application is set up wrongly: a route twice, a handler with the wrong arguments.

    Raised where the mistake is written, before anything is served. The message says what to write
    instead.
    """


class HTTPError(FinchError):
    """An error that becomes a response.

    If an HTTP handler raises it, it becomes the response. If a socket handler raises it, it becomes
    an envelope with ``path="error"``, this status and this message. Status, message and headers are
    checked whenever they are set, here or later.

    Parameters:
        status: an HTTP status code, 400 to 599 (RFC 9110, section 15).
        message: text for the client; the default is the standard phrase of the status.
        headers: further response headers; a socket's client does not get them.
        extra: further members of the JSON that a client gets which prefers JSON, such as
            ``{"field": "age"}``; any other client does not get them. ``type``, ``title`` and
            ``instance`` replace Finch's own (RFC 9457, section 3.1).

    Raises:
        TypeError: if ``status`` is not a whole number, ``message`` is not text, or ``headers`` or
            ``extra`` is not a mapping.
        ValueError: if ``status`` is not an error status, a header or the message cannot be sent, or
            ``extra`` has ``status`` or ``detail``.

    Example::

        raise HTTPError(404, "no such room")
    """

    # the values for a subclass whose __init__ does not call this one
    status: int = 500
    message: str = "Internal Server Error"
    headers: dict[str, str] = MappingProxyType({})  # type: ignore[assignment]
    extra: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        status: int,
        message: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.message = status_phrase(status) if message is None else message
        self.headers = headers  # type: ignore[assignment]
        if extra is not None:
            self.extra = extra
        super().__init__(self.status, self.message)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _CHECKS:
            try:
                value = _CHECKS[name](value)
            except TypeError as error:
                raise _WrongType(*error.args) from None
            except ValueError as error:
                raise _WrongValue(*error.args) from None
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return f"{self.status} {self.message}"

    @property
    def has_no_status(self) -> bool:
        """Whether it is of a subclass that has set no status: its ``__init__`` calls no other."""
        return "status" not in vars(self) and type(self).status is HTTPError.status

    def answer(self) -> tuple[int, str, dict[str, str]]:
        """Status, message and headers in a form that can be sent, whatever a subclass did.

        A wrong status becomes 500. A wrong message becomes its ``str`` or the standard phrase.
        Wrong headers are left out.
        """
        status = _if_valid(lambda: _checked_status(self.status), 500)
        message = _if_valid(lambda: _checked_message(_text(self.message)), status_phrase(status))
        headers = _if_valid(lambda: _checked_headers(self.headers), {})
        return status, message, headers


class Unsendable(Exception):
    """The status, message or headers of an :class:`HTTPError` cannot be sent.

    The application wanted to refuse the client, so Finch refuses it if it can.
    """


class _WrongType(Unsendable, TypeError):
    pass


class _WrongValue(Unsendable, ValueError):
    pass


class ProtocolError(HTTPError):
    """A peer sent what HTTP or the WebSocket handshake does not allow.

    It becomes a response like any other :class:`HTTPError`. If the head of a request is malformed,
    no handler sees the error, and the connection ends after the response.
    """


class Unavailable(HTTPError):
    """The other processes of the application cannot be reached, so a message could not be sent to
    all, or a room could not be joined.

    It is an :class:`HTTPError` with the status 503: if a handler does not catch it, its client is
    told to try again.

    Parameters:
        why: what is wrong, for the log.
        done: what was done in spite of that, for the log.
    """

    def __init__(self, why: str, done: str = "nothing was sent") -> None:
        super().__init__(503, "not all servers can be reached; try again")
        self.why = why
        self.done = done

    def __str__(self) -> str:
        return (
            f"the backplane cannot be reached ({self.why}); {self.done}. Catch finch.Unavailable "
            "to try again later, or send with volatile=True what may be lost"
        )


class Disconnected(FinchError):
    """The client left before its request body was complete. There is nobody left to answer."""


class ConnectionClosed(FinchError):
    """The application sent to a raw WebSocket, or by ``finch.client``, after it was closed.

    Parameters:
        code: the close code (RFC 6455, section 7.4); 1006 if no Close frame came.
        reason: the text that came with it.
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        said = f": {self.reason}" if self.reason else ""
        return f"the WebSocket is closed with code {self.code}{said}"


class ClientGone(FinchError):
    """The client left before it answered ``socket.call``."""


class CallFailed(FinchError):
    """The other side answered a call with an error, or with data of another type.

    ``socket.call`` raises it for the answer of a client, and ``finch.client`` for that of a server.

    Parameters:
        status: the status of the answer, 400 or more; 422 if the data has another type.
        data: the data of the answer, or what is wrong with it.
    """

    def __init__(self, status: int, data: Any = None) -> None:
        super().__init__(status, data)
        self.status = status
        self.data = data

    def __str__(self) -> str:
        said = self.data.get("message") if type(self.data) is dict else self.data
        return f"the call was answered with status {self.status}: {shown(said)}"


class ConnectionLost(FinchError):
    """The connection was cut before the answer to a call of ``finch.client`` came.

    Nobody knows whether the server has handled the call. If it may be handled again, call with
    ``retry=True``: then it is sent again after the cut, and the server handles it only once.
    """


class NotSent(ConnectionLost):
    """A call of ``finch.client`` has waited for a connection for too long, or too much waits.

    The server has not handled it, so it can safely be called again.
    """


class HandshakeFailed(FinchError):
    """The server refused the connection of ``finch.client``, and would refuse it again.

    Parameters:
        status: the status of its response, 400 or more.
        message: the beginning of its text.
    """

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        said = f": {self.message}" if self.message else ""
        return f"the server refused the handshake with status {self.status}{said}"


def status_phrase(status: int) -> str:
    """The standard phrase of a status code; empty if it has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _checked_status(status: Any) -> int:
    if not isinstance(status, int) or isinstance(status, bool):
        advice = "write the status first: HTTPError(404, 'no such room')"
        if hasattr(type(status), "raw_headers"):
            advice = "return the response instead of raising an error"
        raise TypeError(f"HTTPError takes a status from 400 to 599, not {shown(status)}; {advice}")
    if not 400 <= status <= 599:
        raise ValueError(
            f"HTTPError takes a status from 400 to 599, not {shown(status)}; "
            "return (value, status) or a Response for any other"
        )
    return int(status)


def _checked_message(message: Any) -> str:
    if not isinstance(message, str):
        advice = "write str(...) around it"
        if isinstance(message, dict | list | tuple):
            advice = (
                "to answer with JSON, return (value, status) in an HTTP handler; "
                "on a socket, send(value, path='error')"
            )
        elif isinstance(message, bytes | bytearray):
            advice = "write message.decode()"
        raise TypeError(
            f"HTTPError's message is text for the client, not {kind(message)}; {advice}"
        )
    fault = None if message.isascii() else not_text(message)
    if fault:
        raise ValueError(f"HTTPError's message has {fault}")
    return message if type(message) is str else str.__str__(message)  # JSON takes no subclass


def _checked_headers(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    items = header_items(headers, "HTTPError")
    if len({name.lower() for name, _ in items}) < len(items):
        raise ValueError(
            "HTTPError takes one value for each header name; return a Response to send several"
        )
    return dict(items)


def _checked_extra(extra: Any) -> dict[str, Any]:
    if not isinstance(extra, Mapping):
        raise TypeError(
            f"HTTPError takes extra as a dict, such as {{'field': 'age'}}, not {kind(extra)}"
        )
    for name in extra:
        if not isinstance(name, str):
            raise TypeError(f"the names in HTTPError's extra are text, not {shown(name)}")
        if name in ("status", "detail"):
            raise ValueError(
                f"HTTPError's extra has {name!r}, which Finch writes: it is the error's "
                + ("status" if name == "status" else "message")
            )
    return dict(extra)


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "status": _checked_status,
    "message": _checked_message,
    "headers": _checked_headers,
    "extra": _checked_extra,
}


def _text(message: Any) -> str:
    return message if isinstance(message, str) else str(message)


def _if_valid(read: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return read()
    except Exception:
        return otherwise
