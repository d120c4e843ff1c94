"""HTTP/1.1 on the server's side of one connection: bytes to requests, and one cycle after another.

A head is read strictly, when it is complete and within the limits. h11 reads a chunked body: it
gets the head again, and the bytes after it if their framing is correct. Requests without a body,
and those that say its length, do not need h11. ``finch.wire.response`` writes the responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import (
    RequestHead,
    check_beginning,
    check_line_ends,
    read_head,
)
from finch.wire.response import ResponseWriter, Sent
from finch.wire.sized import SizedBody

if TYPE_CHECKING:
    from finch.wire.body import RequestBody

_CR: Final = 0x0D


class HTTPConnection(ResponseWriter):
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
        "_closed",
        "_limits",
        "_line_is_right",
        "_scanned",
    )

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._limits = limits
        self._buffer = bytearray()  # received, but not yet read
        self._scanned = 0  # this many bytes of it do not contain the end of a head
        self._line_is_right = False  # whether the request line is complete and correct
        self._closed = False
        self._body: RequestBody | SizedBody | None = None  # None if the request has no body

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
        if length is None:
            from finch.wire.body import RequestBody

            self._body = RequestBody(raw, length, limits)
        elif length:
            self._body = SizedBody(head, length)
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
            self._sent is Sent.NOTHING
            and self._body is not None
            and not self._buffer  # else the peer did not wait
            and self._body.awaits_continue
        )

    @property
    def trailing_data(self) -> bytes:
        """Bytes that the peer sent after an upgrade request. They belong to the new protocol."""
        return bytes(self._buffer)

    def send_continue(self) -> bytes:
        """``100 Continue``: the body is wanted (RFC 9110, section 10.1.1)."""
        assert self._body is not None
        return self._body.send_continue()

    def next_cycle(self) -> bool:
        """Prepare for the next request of the connection; False if there cannot be one."""
        if self._sent is not Sent.ALL or not self._keep_alive:
            return False
        if self._body is not None:
            if self._body.unread:
                return False
            self._body = None
        self._sent = Sent.NOTHING
        self._head_only = self._chunked = False
        self._left = None
        return True
