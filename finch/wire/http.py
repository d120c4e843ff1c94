"""HTTP/1.1 on the server's side of one connection: bytes to requests, responses to bytes.

h11 owns framing and state. This module holds a request's head back until it is whole and within
the limits, and turns what h11 says into Finch's own values and errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11

from finch.config import Limits
from finch.errors import ProtocolError

RawHeaders = list[tuple[bytes, bytes]]

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
# request-line and field lines as RFC 9112, sections 3 and 5, write them: no obs-fold, no space
# before a colon, no control character in a value, no fragment in a target
_HEAD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!\x22$-~]+) HTTP/([0-9]\.[0-9])\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
_FRAMING: Final = re.compile(
    rb"\r\n(host|content-length|transfer-encoding):[\t ]*([^\r]*?)[\t ]*(?=\r\n)", re.IGNORECASE
)
_AUTHORITY: Final = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]{least,})(?::[0-9]{0,5})?"
_HOST: Final = re.compile(_AUTHORITY.replace(b"least", b"0"))
_ABSOLUTE: Final = re.compile(
    rb"https?://" + _AUTHORITY.replace(b"least", b"1") + rb"(?=[/?]|\Z)", re.IGNORECASE
)
_ASTERISK: Final = (b"OPTIONS", b"*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_PHRASES: Final = {status.value: status.phrase.encode() for status in HTTPStatus}


@dataclass(slots=True)
class RequestHead:
    """A request without its body: method and target as sent, header names in lower case."""

    method: str
    target: bytes
    headers: RawHeaders
    version: str


def _check_head(head: bytes) -> None:
    """Refuse what h11 would take and a proxy in front may take differently.

    Nothing is repaired: where two readers can disagree about a request, one of them can be made to
    see another request than the other (RFC 9112, section 11.2).
    """
    # "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2): not this one.
    if _BARE_LF.search(head):
        raise ProtocolError(400, "a line of the request ends in a bare LF")
    found = _HEAD.fullmatch(head)
    if found is None:
        raise ProtocolError(400, "malformed request head")
    method, target, version = found.groups()
    if version not in (b"1.1", b"1.0"):
        raise ProtocolError(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    if method == b"CONNECT":
        raise ProtocolError(501, "this server is no proxy")
    # origin-form, absolute-form or asterisk-form (RFC 9112, section 3.2)
    if not (target.startswith(b"/") or _ABSOLUTE.match(target) or (method, target) == _ASTERISK):
        raise ProtocolError(400, "the request target is none")
    fields: dict[bytes, list[bytes]] = {
        b"host": [],
        b"content-length": [],
        b"transfer-encoding": [],
    }
    for name, value in _FRAMING.findall(head):
        fields[name.lower()].append(value)
    hosts, lengths, codings = fields.values()
    # "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
    # that lacks a Host header field and to any request message that contains more than one Host
    # header field line or a Host header field with an invalid field value." (RFC 9112, 3.2)
    if len(hosts) > 1 or (not hosts and version == b"1.1"):
        raise ProtocolError(400, "a request has one Host")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise ProtocolError(400, "the Host is no host")
    if codings:
        # "A server MAY reject a request that contains both Content-Length and Transfer-Encoding"
        # (RFC 9112, 6.1): smuggling looks like that
        if lengths:
            raise ProtocolError(400, "a body has a Content-Length or a Transfer-Encoding")
        if version == b"1.0":
            raise ProtocolError(400, "HTTP/1.0 has no Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise ProtocolError(501, "the only Transfer-Encoding here is chunked")
    elif lengths and (len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0])):
        raise ProtocolError(400, "a Content-Length is one number")


class HTTPConnection:
    """The server's half of HTTP/1.1 on one connection, without any I/O.

    A request is read with :meth:`read_head`, then :meth:`read_body` until it gives ``b""``; both
    give None while bytes are missing. The response is written with :meth:`send_head`,
    :meth:`send_body` and :meth:`send_end`, whose bytes the caller transmits. :meth:`next_cycle`
    then says whether another request may follow.

    Parameters:
        limits: of these, the ones for heads.

    Source: RFC 9112; the framing is h11's.

    Example::

        http = HTTPConnection(Limits())
        http.receive_data(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        head = http.read_head()
    """

    __slots__ = ("_buffer", "_closed", "_h11", "_limits", "_method", "_scanned")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.max_head)
        self._buffer = bytearray()  # what came before a head was whole
        self._scanned = 0  # how much of it is known to hold no end of a head
        self._closed = False
        self._method = ""

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
        if not data:
            self._closed = True
        if self._h11.their_state is h11.IDLE:
            self._buffer += data
        else:
            self._h11.receive_data(data)

    def read_head(self) -> RequestHead | None:
        """The next request's head, or None while it is incomplete.

        Raises:
            ProtocolError: 400, 414 or 431; the connection cannot go on.
        """
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):
            # "a server that is expecting to receive and parse a request-line SHOULD ignore at
            # least one empty line (CRLF) received prior to the request-line" (RFC 9112, 2.2)
            del buffer[:2]
            self._scanned = 0
        found = _END_OF_HEAD.search(buffer, self._scanned)
        self._check_size(found.end() if found else len(buffer))
        if found is None:
            self._scanned = max(0, len(buffer) - 3)
            return None
        head = bytes(buffer[: found.end()])
        _check_head(head)
        if head.count(b"\r\n") - 2 > self._limits.max_headers:
            raise ProtocolError(431, f"more than {self._limits.max_headers} headers")
        rest = bytes(buffer[found.end() :])
        buffer.clear()
        self._scanned = 0
        self._h11.receive_data(head)
        event = self._next_event()
        if not isinstance(event, h11.Request):
            raise ProtocolError(400, "malformed request")
        self._method = event.method.decode("ascii")
        if rest:
            self._h11.receive_data(rest)
        if self._closed:
            self._h11.receive_data(b"")
        return RequestHead(
            self._method, event.target, list(event.headers), event.http_version.decode("ascii")
        )

    def _check_size(self, size: int) -> None:
        limits = self._limits
        line = self._buffer.find(b"\n", 0, limits.max_request_line + 2)
        if line < 0 and len(self._buffer) > limits.max_request_line + 1:  # the CR may be there
            raise ProtocolError(414, f"request line longer than {limits.max_request_line} bytes")
        if size > limits.max_head:
            raise ProtocolError(431, f"request head longer than {limits.max_head} bytes")

    def read_body(self) -> bytes | None:
        """The next piece of the body, ``b""`` at its end, None while bytes are missing.

        Raises:
            ProtocolError: 400 where the framing is broken or the peer left in the middle.
        """
        while True:
            if self._h11.their_state is not h11.SEND_BODY:
                return b""
            event = self._next_event()
            if isinstance(event, h11.Data):
                if event.data:
                    return bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return b""
            else:
                return None

    def _next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise ProtocolError(error.error_status_hint, f"malformed request: {error}") from None

    @property
    def expects_continue(self) -> bool:
        """Whether the peer waits for ``100 Continue`` before it sends the body."""
        return self._h11.they_are_waiting_for_100_continue

    @property
    def trailing_data(self) -> bytes:
        """What the peer sent after an upgrade request: already the new protocol's."""
        return self._h11.trailing_data[0]

    # Writing

    def send_continue(self) -> bytes:
        """``100 Continue``: the body is wanted (RFC 9110, section 10.1.1)."""
        return self._send(
            h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
        )

    def send_upgrade(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """``101 Switching Protocols``: what follows is no longer HTTP (RFC 9110, section 7.8)."""
        return self._send(
            h11.InformationalResponse(status_code=101, headers=list(headers), reason=_PHRASES[101])
        )

    def send_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers. Without a ``content-length`` the body is chunked, or ended by
        closing for an HTTP/1.0 peer."""
        return self._send(
            h11.Response(
                status_code=status, headers=list(headers), reason=_PHRASES.get(status, b"")
            )
        )

    def send_body(self, data: bytes) -> bytes:
        """A piece of the body. Nothing goes out in answer to HEAD."""
        return b"" if self._method == "HEAD" else self._send(h11.Data(data=data))

    def send_end(self) -> bytes:
        """The end of the body."""
        return self._send(h11.EndOfMessage())

    def _send(
        self, event: h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage
    ) -> bytes:
        return self._h11.send(event)

    @property
    def can_respond(self) -> bool:
        """Whether a response may still begin."""
        return self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    def next_cycle(self) -> bool:
        """Make ready for the next request of the connection; False where there cannot be one."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        rest, _ = self._h11.trailing_data
        if rest:  # pipelined behind a body: only a fresh h11 gives bytes back
            self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.max_head)
            self._buffer += rest
        else:
            self._h11.start_next_cycle()
        return True
