"""HTTP/1.1 on the server's side of one connection: bytes to requests, responses to bytes.

A head is read strictly, when it is complete and within the limits. h11 reads a body: it gets the
head again, and the bytes after it if their framing is correct. Requests without a body do not need
h11.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import (
    LONGEST_LENGTH,
    RawHeaders,
    RequestHead,
    check_beginning,
    check_line_ends,
    members,
    read_head,
)

if TYPE_CHECKING:
    from finch.wire.body import RequestBody

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}
_CR: Final = 0x0D
# The application may set these headers of a response, but this module decides about them.
_DECIDED: Final = frozenset(
    b"connection content-length date keep-alive proxy-connection transfer-encoding upgrade".split()
)
_NEVER_UPGRADED: Final = _DECIDED - {b"connection", b"date", b"upgrade"}
_ONCE_UPGRADED: Final = frozenset(
    b"connection date sec-websocket-accept sec-websocket-extensions sec-websocket-protocol "
    b"upgrade".split()
)


class _Sent(enum.Enum):
    """How much of the response is sent."""

    NOTHING = "nothing"
    HEAD = "the head"
    ALL = "all of it"


class HTTPConnection:
    """The server's half of HTTP/1.1 on one connection, without any I/O.

    A request is read with :meth:`read_head`, then :meth:`read_body` until it gives ``b""``; both
    give None while bytes are missing. The response is written with :meth:`send_head`,
    :meth:`send_body` and :meth:`send_end`, whose bytes the caller transmits. :meth:`next_cycle`
    then says whether another request may follow.

    Parameters:
        limits: only the limits for heads are used; they apply to trailers, too.

    Source: RFC 9112.

    Example::

        http = HTTPConnection(Limits())
        http.receive_data(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        head = http.read_head()
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_chunked",
        "_closed",
        "_head_only",
        "_keep_alive",
        "_left",
        "_limits",
        "_line_is_right",
        "_scanned",
        "_sent",
        "_version",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()  # received, but not yet read
        self._scanned = 0  # this many bytes of it do not contain the end of a head
        self._line_is_right = False  # whether the request line is complete and correct
        self._closed = False
        self._body: RequestBody | None = None  # None if the request has no body
        self._version = "1.1"
        self._keep_alive = True  # whether another request may follow
        self._sent = _Sent.NOTHING
        self._head_only = False  # whether the response has no body, whatever its head says
        self._chunked = False
        self._left: int | None = None  # bytes of the response's body to send, by content-length

    # Reading

    @property
    def closed(self) -> bool:
        """Whether the peer has closed its side: nothing more will come."""
        return self._closed

    @property
    def idle(self) -> bool:
        """Whether no byte of the next request has arrived."""
        return not self._buffer

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` if it closed."""
        if data:
            self._buffer += data
        else:
            self._closed = True

    def read_head(self) -> RequestHead | None:
        """The next request's head, or None while it is incomplete.

        Raises:
            ProtocolError: 400, 413, 414, 417, 431, 501 or 505; the connection cannot go on.
        """
        buffer, limits = self._buffer, self._limits
        if not buffer:
            return None
        while buffer.startswith(b"\r\n"):
            # "a server that is expecting to receive and parse a request-line SHOULD ignore at
            # least one empty line (CRLF) received prior to the request-line" (RFC 9112, 2.2)
            del buffer[:2]
            self._scanned = 0
        size = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3)) + 4
        if size < 4:
            self._check_so_far(len(buffer))
            self._scanned = len(buffer)
            return None
        if size > limits.max_request_line or size > limits.max_head:
            self._check_so_far(size)
        raw = bytes(buffer[:size])
        self._scanned = 0
        self._line_is_right = False
        self._keep_alive = False  # stays False if the head is refused below
        head, length, keep_alive = read_head(raw)
        if len(head.headers) > limits.max_headers:
            raise ProtocolError(431, f"more than {limits.max_headers} headers")
        del buffer[:size]
        self._version = head.version
        self._head_only = head.method == "HEAD"
        if length != 0:
            from finch.wire.body import RequestBody

            self._body = RequestBody(raw, length, limits)
        self._keep_alive = keep_alive
        return head

    def _check_so_far(self, size: int) -> None:
        """Refuse an incomplete head if it is too long, or already wrong.

        A head may come byte by byte. So no bytes are checked twice, except for the first few.
        """
        buffer, limits = self._buffer, self._limits
        begin, end = self._scanned, min(size, limits.max_head)
        if self._line_is_right:
            if buffer[begin - 1] == _CR:
                begin -= 1
            check_line_ends(bytes(buffer[begin:end]))
        else:
            longest = limits.max_request_line + 2
            line_end = buffer.find(b"\n", begin, longest) + 1
            if not line_end and len(buffer) >= longest:
                self._refuse_line(bytes(buffer[:longest]))
            if line_end or begin < 2:
                check_beginning(bytes(buffer[:end]))
            self._line_is_right = 0 < line_end <= end
        if size > limits.max_head:
            raise ProtocolError(431, f"request head longer than {limits.max_head} bytes")

    def _refuse_line(self, line: bytes) -> NoReturn:
        check_beginning(line)
        if b" " not in line:
            # "A server that receives a method longer than any that it implements SHOULD respond
            # with a 501 (Not Implemented) status code." (RFC 9112, 3)
            raise ProtocolError(501, "the method is too long; this server has no such method")
        raise ProtocolError(414, f"request line longer than {self._limits.max_request_line} bytes")

    def read_body(self) -> bytes | None:
        """The next piece of the body; ``b""`` at its end; None while bytes are missing.

        Raises:
            ProtocolError: 400, 413 or 431 if the framing is broken; also 400 if the peer left in
                the middle.
        """
        if self._body is None:
            return b""
        try:
            return self._body.read(self._buffer, self._closed)
        except ProtocolError:
            self._keep_alive = False
            raise

    @property
    def has_body(self) -> bool:
        """Whether the request has a body, read or not."""
        return self._body is not None

    @property
    def expects_continue(self) -> bool:
        """Whether the peer waits for ``100 Continue`` before it sends the body."""
        return (
            self._sent is _Sent.NOTHING
            and self._body is not None
            and not self._buffer  # else the peer did not wait
            and self._body.awaits_continue
        )

    @property
    def trailing_data(self) -> bytes:
        """Bytes that the peer sent after an upgrade request. They belong to the new protocol."""
        return bytes(self._buffer)

    # Writing

    @property
    def can_respond(self) -> bool:
        """Whether the response has not begun yet."""
        return self._sent is _Sent.NOTHING

    @property
    def has_content(self) -> bool:
        """Whether the response whose head is sent has a body."""
        return not self._head_only

    @property
    def ends_by_closing(self) -> bool:
        """Whether only the end of the stream marks the end of the response's body."""
        return not self._chunked and self._left is None and not self._head_only

    def send_continue(self) -> bytes:
        """``100 Continue``: the body is wanted (RFC 9110, section 10.1.1)."""
        assert self._body is not None
        return self._body.send_continue()

    def send_upgrade(
        self, headers: Iterable[tuple[bytes, bytes]], date: bytes | None = None
    ) -> bytes:
        """``101 Switching Protocols``: what follows is no longer HTTP (RFC 9110, section 7.8).

        Parameters:
            headers: names in lower case; those that accept the upgrade come first. Headers that
                frame a body are left out. If a header may occur only once, the first one is sent.
            date: sent if the headers have none.
        """
        self._sent = _Sent.ALL
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

        Source: RFC 9112, sections 4 to 6 and 9.6; RFC 9110, sections 6.6.1, 7.6.1, 7.8 and 15.
        """
        self._sent = _Sent.HEAD
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
        if length is None and b"content-length" in said:
            length = int(said[b"content-length"])
        if close:
            self._keep_alive = False
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

    def send_end(self) -> bytes:
        """The end of the body.

        Raises:
            ValueError: if less was sent than the head's ``content-length``.
        """
        if self._left and not self._head_only:
            raise ValueError("the body is shorter than the response's content-length")
        self._sent = _Sent.ALL
        return b"0\r\n\r\n" if self._chunked else b""

    def next_cycle(self) -> bool:
        """Prepare for the next request of the connection; False if there cannot be one."""
        if self._sent is not _Sent.ALL or not self._keep_alive:
            return False
        if self._body is not None:
            if self._body.unread:
                return False
            self._body = None
        self._sent = _Sent.NOTHING
        self._head_only = self._chunked = False
        self._left = None
        return True
