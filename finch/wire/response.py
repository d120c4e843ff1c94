"""Writes the responses of one connection: how each is framed, and whether the connection goes on.

The application's headers can only ask for it. What a request says about its response (its version,
its method, its ``Connection``) is set by the half that reads requests, ``finch.wire.http``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from finch.wire.head import LONGEST_LENGTH, RawHeaders, members

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
# The application may set these headers of a response, but this module decides about them.
_DECIDED: Final = frozenset(
    b"connection content-length date keep-alive proxy-connection transfer-encoding upgrade".split()
)
_NEVER_UPGRADED: Final = _DECIDED - {b"connection", b"date", b"upgrade"}
_ONCE_UPGRADED: Final = frozenset(
    b"connection date sec-websocket-accept sec-websocket-extensions sec-websocket-protocol "
    b"upgrade".split()
)


class Sent(enum.Enum):
    """How much of the response is sent."""

    NOTHING = "nothing"
    HEAD = "the head"
    ALL = "all of it"


class ResponseWriter:
    """The half of an HTTP connection that writes, without any I/O.

    A response is written with :meth:`send_head`, :meth:`send_body` and :meth:`send_end`, whose
    bytes the caller transmits.

    Source: RFC 9112.
    """

    __slots__ = ("_chunked", "_head_only", "_keep_alive", "_left", "_sent", "_version")

    def __init__(self) -> None:
        self._version = "1.1"  # of the request
        self._keep_alive = True  # whether another request may follow
        self._sent = Sent.NOTHING
        self._head_only = False  # whether the response has no body, whatever its head says
        self._chunked = False
        self._left: int | None = None  # bytes of the response's body to send, by content-length

    @property
    def can_respond(self) -> bool:
        """Whether the response has not begun yet."""
        return self._sent is Sent.NOTHING

    @property
    def has_content(self) -> bool:
        """Whether the response whose head is sent has a body."""
        return not self._head_only

    @property
    def ends_by_closing(self) -> bool:
        """Whether only the end of the stream marks the end of the response's body."""
        return not self._chunked and self._left is None and not self._head_only

    def send_upgrade(
        self, headers: Iterable[tuple[bytes, bytes]], date: bytes | None = None
    ) -> bytes:
        """``101 Switching Protocols``: what follows is no longer HTTP (RFC 9110, section 7.8).

        Parameters:
            headers: names in lower case; those that accept the upgrade come first. Headers that
                frame a body are left out. If a header may occur only once, the first one is sent.
            date: sent if the headers have none.
        """
        self._sent = Sent.ALL
        self._keep_alive = False
        lines = [_STATUS_LINES[101]]
        once = set()
        for name, value in headers:
            # "A server MUST NOT send a Content-Length header field in any response with a status
            # code of 1xx" (RFC 9110, 8.6); the like for Transfer-Encoding is in RFC 9112, 6.1
            if name in _NEVER_UPGRADED or name in once:
                continue
            if name in _ONCE_UPGRADED:
                once.add(name)
            lines.append(b"%b: %b\r\n" % (name, value))
        if date is not None and b"date" not in once:
            lines.append(b"date: %b\r\n" % date)
        lines.append(b"\r\n")
        return b"".join(lines)

    def send_head(
        self,
        status: int,
        headers: RawHeaders,
        *,
        date: bytes | None = None,
        close: bool = False,
        length: int | None = None,
        until_closed: bool = False,
    ) -> bytes:
        """Status line and headers. Only this method decides how the body is framed and whether the
        connection goes on. The headers can only ask for it.

        - ``connection`` with ``close`` closes. All other headers for a single hop are left out:
          ``keep-alive``, ``proxy-connection``, ``transfer-encoding``, and ``upgrade`` unless the
          status is 426.
        - The length of the body is ``length``, or else the last ``content-length``. Without
          either, the body is chunked; for an HTTP/1.0 peer, closing the connection ends it.
        - 204 and 304 have neither content nor framing. 205 has no content.

        Parameters:
            status: 200 to 599.
            headers: names in lower case; already checked.
            date: sent if the headers have none; else their first one is sent.
            close: whether this is the connection's last response.
            length: bytes of the body, if known.
            until_closed: whether everything up to the end of the stream is the body. The caller
                writes it, without :meth:`send_body`.

        Source: RFC 9112, sections 4 to 6 and 9.6; RFC 9110, sections 6.6.1, 7.6.1, 7.8 and 15.
        """
        self._sent = Sent.HEAD
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        said: dict[bytes, bytes] = {}  # headers that are decided about below
        for name, value in headers:
            if name not in _DECIDED:
                lines.append(b"%b: %b\r\n" % (name, value))
            elif name == b"connection":
                close = close or b"close" in members(value)
            elif name == b"content-length":
                # isdigit: int() alone would accept "+5" and "5_0"
                if value.isdigit() and len(value) <= LONGEST_LENGTH:
                    said[name] = value
            elif name not in said:
                said[name] = value
        date = said.get(b"date", date)
        if date is not None:
            lines.append(b"date: %b\r\n" % date)
        if until_closed:
            close, length = True, None
        elif length is None and b"content-length" in said:
            length = int(said[b"content-length"])
        if close:
            self._keep_alive = False
        if not until_closed:
            self._frame(status, length, lines)
        options = [] if self._keep_alive else [b"close"]
        if status == 426 and b"upgrade" in said:
            # "A server that sends a 426 ... MUST send an Upgrade header field", and "A sender of
            # Upgrade MUST also send an 'Upgrade' connection option" (RFC 9110, 15.5.22 and 7.8)
            lines.append(b"upgrade: %b\r\n" % said[b"upgrade"])
            options.append(b"upgrade")
        if options:
            lines.append(b"connection: %b\r\n" % b", ".join(options))
        lines.append(b"\r\n")
        return b"".join(lines)

    def respond(
        self,
        status: int,
        headers: RawHeaders,
        content: bytes,
        *,
        date: bytes | None = None,
        close: bool = False,
    ) -> bytes:
        """A whole response. Parameters: as for :meth:`send_head`, and the body."""
        head = self.send_head(status, headers, date=date, close=close, length=len(content))
        return head + self.send_body(content) + self.send_end()

    def _frame(self, status: int, length: int | None, lines: list[bytes]) -> None:
        """Decide how the peer finds the end of the response's body, and add the header for it."""
        if status in (204, 304):
            self._head_only = True
            return
        if status == 205:
            # "a server MUST NOT generate content in a 205 response" (RFC 9110, 15.3.6)
            self._head_only = True
            length = 0
        if length is not None:
            self._left = length
            lines.append(b"content-length: %d\r\n" % length)
        elif self._version == "1.1":
            self._chunked = not self._head_only
            lines.append(b"transfer-encoding: chunked\r\n")
        else:
            self._keep_alive = False

    def send_body(self, data: bytes) -> bytes:
        """A piece of the body; ``b""`` if the response has no body.

        Raises:
            ValueError: if it is more than the head's ``content-length``.
        """
        if self._head_only or not data:
            return b""
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise ValueError("the body is longer than the response's content-length")
        return data

    @property
    def counts(self) -> bool:
        """Whether the length of the response's body is known, so that its bytes need no framing."""
        return self._left is not None

    def sent_elsewhere(self, count: int) -> None:
        """So many bytes of the body were sent without :meth:`send_body`. Only if :attr:`counts`.

        Raises:
            ValueError: if it is more than the head's ``content-length``.
        """
        if self._left is None or count > self._left:
            raise ValueError("the body is longer than the response's content-length")
        self._left -= count

    def send_end(self) -> bytes:
        """The end of the body.

        Raises:
            ValueError: if less was sent than the head's ``content-length``.
        """
        if self._left and not self._head_only:
            raise ValueError("the body is shorter than the response's content-length")
        self._sent = Sent.ALL
        return b"0\r\n\r\n" if self._chunked else b""
