"""HTTP/1.1 on the server's side of one connection: bytes to requests, responses to bytes.

A head is held back until it is whole and within the limits, and read strictly. A body is h11's,
which gets the head again and what follows, as far as it is framed to the letter; a request without
one never meets it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import RawHeaders, RequestHead, check_beginning, read_head

if TYPE_CHECKING:
    from finch.wire.body import RequestBody

_STATUS_LINES: Final = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


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
        limits: of these, the ones for heads, which bound trailers as well.

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
        "_scanned",
        "_sent",
        "_version",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = bytearray()  # received, and not yet read
        self._scanned = 0  # how much of it is known to hold no end of a head
        self._closed = False
        self._body: RequestBody | None = None  # of a request that has one
        self._version = "1.1"
        self._keep_alive = True  # whether another request may follow
        self._sent = _Sent.NOTHING
        self._head_only = False  # whether the response has no body, whatever its head says
        self._chunked = False
        self._left: int | None = None  # bytes of the response's body that its head promises

    # Reading

    @property
    def closed(self) -> bool:
        """Whether the peer has said that nothing more will come."""
        return self._closed

    @property
    def idle(self) -> bool:
        """Whether not a byte of the next request has arrived."""
        return not self._buffer

    def receive_data(self, data: bytes) -> None:
        """Take in what the peer sent; ``b""`` where it closed."""
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
            self._scanned = len(buffer)
            self._check_so_far(len(buffer))
            return None
        if size > limits.max_request_line or size > limits.max_head:
            self._check_so_far(size)
        raw = bytes(buffer[:size])
        self._scanned = 0
        self._keep_alive = False  # where it is refused
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
        """Refuse a head that is too long, or wrong whatever its rest may be, as it arrives."""
        limits = self._limits
        line = bytes(self._buffer[: limits.max_request_line + 2])
        if b"\n" not in line and len(line) == limits.max_request_line + 2:
            check_beginning(line)
            if b" " not in line:
                # "A server that receives a method longer than any that it implements SHOULD
                # respond with a 501 (Not Implemented) status code." (RFC 9112, 3)
                raise ProtocolError(501, "there is no method of that length")
            raise ProtocolError(414, f"request line longer than {limits.max_request_line} bytes")
        check_beginning(bytes(self._buffer[: min(size, limits.max_head)]))
        if size > limits.max_head:
            raise ProtocolError(431, f"request head longer than {limits.max_head} bytes")

    def read_body(self) -> bytes | None:
        """The next piece of the body, ``b""`` at its end, None while bytes are missing.

        Raises:
            ProtocolError: 400, 413 or 431 where the framing is broken, 400 as well where the peer
                left in the middle.
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
            and not self._buffer  # it did not wait after all
            and self._body.awaits_continue
        )

    @property
    def trailing_data(self) -> bytes:
        """What the peer sent after an upgrade request: already the new protocol's."""
        return bytes(self._buffer)

    # Writing

    @property
    def can_respond(self) -> bool:
        """Whether a response may still begin."""
        return self._sent is _Sent.NOTHING

    @property
    def ends_by_closing(self) -> bool:
        """Whether nothing but the end of the stream marks the end of the response's body."""
        return not self._chunked and self._left is None and not self._head_only

    def send_continue(self) -> bytes:
        """``100 Continue``: the body is wanted (RFC 9110, section 10.1.1)."""
        assert self._body is not None
        return self._body.send_continue()

    def send_upgrade(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """``101 Switching Protocols``: what follows is no longer HTTP (RFC 9110, section 7.8)."""
        self._sent = _Sent.ALL
        self._keep_alive = False
        return b"%b%b\r\n" % (
            _STATUS_LINES[101],
            b"".join([b"%b: %b\r\n" % item for item in headers]),
        )

    def send_head(self, status: int, headers: RawHeaders) -> bytes:
        """Status line and headers.

        Parameters:
            status: 200 to 599.
            headers: names in lower case; checked by whoever made them. Without a
                ``content-length`` the body is chunked, or ended by closing for an HTTP/1.0 peer.

        Source: RFC 9112, sections 4 to 6.
        """
        self._sent = _Sent.HEAD
        self._head_only = self._head_only or status in (204, 304)
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        left = None
        says_close = False
        for name, value in headers:
            if name == b"content-length":
                left = int(value)
            elif name == b"transfer-encoding":
                continue  # that is for this class to say
            elif name == b"connection" and b"close" in value.lower():
                says_close = True
                self._keep_alive = False
            lines.append(b"%b: %b\r\n" % (name, value))
        self._left = left
        if left is None and status not in (204, 304):
            if self._version == "1.1":
                self._chunked = not self._head_only
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self._keep_alive = False
        if not self._keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def send_body(self, data: bytes) -> bytes:
        """A piece of the body. Nothing goes out where the response has none.

        Raises:
            ValueError: for more than the head's ``content-length``.
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
            ValueError: where less was sent than the head's ``content-length``.
        """
        if self._left and not self._head_only:
            raise ValueError("the body is shorter than the response's content-length")
        self._sent = _Sent.ALL
        return b"0\r\n\r\n" if self._chunked else b""

    def next_cycle(self) -> bool:
        """Make ready for the next request of the connection; False where there cannot be one."""
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
