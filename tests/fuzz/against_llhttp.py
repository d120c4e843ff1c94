"""Requests, read by Finch, by llhttp (Node's parser, through httptools) and by h11.

What Finch accepts the others accept, and take for the same requests: one method, one target, the
same headers, the same body, the same end. Finch may refuse more. Where two servers disagree about
this, a proxy in front of one of them can be made to see other requests than it passes on (RFC 9112,
section 11.2).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import h11
import httptools

from finch.config import Limits
from tests.fuzz.head import Exchange, Reading, read


@dataclass
class Parsed:
    """A request as another parser took it."""

    method: bytes = b""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    head: bool = False
    """Whether its head is whole."""
    body: bytes = b""
    whole: bool = False


def target(data: bytes) -> None:
    reading = read([data] if data else [], Limits())
    compare(data, reading, by_llhttp(data), _LLHTTP)
    for exchange in reading.exchanges:  # h11 rewrites this one value
        exchange.head.headers = [_lower_coding(header) for header in exchange.head.headers]
    compare(data, reading, by_h11(data), _H11)


def _said(headers: list[tuple[bytes, bytes]], target: bytes) -> list[tuple[bytes, bytes]]:
    """The headers without a Host that counts for nothing: of a target in absolute-form "the host
    information of the request-target" is taken "instead" (RFC 9112, section 3.2.2)."""
    if target.startswith((b"/", b"*")):
        return headers
    return [header for header in headers if header[0] != b"host"]


def _lower_coding(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return (header[0], header[1].lower()) if header[0] == b"transfer-encoding" else header


def compare(
    data: bytes, reading: Reading, theirs: list[Parsed], differences: "Differences"
) -> None:
    """Every request that Finch took against the other's, up to an allowed difference."""
    for place, ours in enumerate(reading.exchanges):
        other = theirs[place] if place < len(theirs) else Parsed()
        if any(is_allowed(data, ours, other) for is_allowed in differences):
            return
        assert other.head, f"refused: {ours}"
        assert other.method == ours.head.method.encode(), (ours, other)
        assert other.target == ours.head.target, (ours, other)
        assert _said(other.headers, other.target) == _said(ours.head.headers, other.target)
        assert other.body.startswith(ours.body), (ours, other)
        if ours.whole:
            assert other.whole, f"not at its end: {ours}"
            assert other.body == ours.body, (ours, other)


# llhttp


class _Listener:
    """What httptools calls."""

    def __init__(self) -> None:
        self.requests: list[Parsed] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.requests.append(Parsed())

    def on_url(self, url: bytes) -> None:
        self.requests[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.requests[-1].head:  # or it is a trailer
            self.requests[-1].headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.requests[-1].head = True
        self.requests[-1].method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self.requests[-1].body += body

    def on_message_complete(self) -> None:
        self.requests[-1].whole = True


def by_llhttp(data: bytes) -> list[Parsed]:
    """The requests that llhttp finds, the last one perhaps not whole."""
    found: list[Parsed] = []
    while data:
        listener = _Listener()
        upgraded = 0
        try:
            listener.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            upgraded = upgrade.args[0]  # where the other protocol would begin
        except httptools.HttpParserError:
            pass
        found += listener.requests
        data = data[upgraded:] if upgraded else b""
    return found


# h11


def by_h11(data: bytes) -> list[Parsed]:
    """The requests that h11 finds when each is answered, the last one perhaps not whole."""
    found: list[Parsed] = []
    while data := _without_empty_lines(data):
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(data)
        connection.receive_data(b"")
        try:
            data = _one_by_h11(connection, found)
        except (h11.RemoteProtocolError, h11.LocalProtocolError):
            break
    return found


def _without_empty_lines(data: bytes) -> bytes:
    """h11 refuses those before a request, which "SHOULD" be ignored (RFC 9112, section 2.2)."""
    while data.startswith(b"\r\n"):
        data = data[2:]
    return data


def _one_by_h11(connection: h11.Connection, found: list[Parsed]) -> bytes:
    """Read one request and answer it; what follows it, if anything may."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            found.append(Parsed(event.method, event.target, list(event.headers), head=True))
        elif isinstance(event, h11.Data):
            found[-1].body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            found[-1].whole = True
            length = [(b"content-length", b"0")]
            connection.send(h11.Response(status_code=200, headers=length))
            connection.send(h11.EndOfMessage())
            return connection.trailing_data[0] if connection.our_state is h11.DONE else b""
        else:
            return b""


# Allowed differences


def is_unknown_method(data: bytes, ours: Exchange, theirs: Parsed) -> bool:
    """llhttp knows the methods by a list. For Finch any token may be one, as RFC 9110, section 9.1,
    has it; the application then answers 405 or 501."""
    return not theirs.head and ours.head.method not in _LLHTTP_METHODS


_LLHTTP_METHODS: Final = frozenset(
    "DELETE GET HEAD POST PUT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
    "BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE "
    "PATCH PURGE MKCALENDAR LINK UNLINK SOURCE QUERY".split()
)


def is_unknown_version(data: bytes, ours: Exchange, theirs: Parsed) -> bool:
    """llhttp knows HTTP/1.0 and HTTP/1.1. Finch may take a later minor version as the "highest
    minor version within that major version to which the recipient is conformant" (RFC 9110, 2.5).
    """
    return not theirs.head and _LATER_VERSION.search(data) is not None


_LATER_VERSION: Final = re.compile(rb" HTTP/1\.[2-9]\r\n")


def is_tab_behind_coding(data: bytes, ours: Exchange, theirs: Parsed) -> bool:
    """llhttp takes a tab behind ``chunked`` for part of it. It is optional whitespace, which "is
    excluded by parsers when extracting the field line value" (RFC 9112, section 5.1)."""
    return not theirs.whole and not theirs.body and _TAB_BEHIND_CODING.search(data) is not None


_TAB_BEHIND_CODING: Final = re.compile(
    rb"transfer-encoding:[ \t]*chunked[ \t]*\t[ \t]*\r\n", re.IGNORECASE
)


def is_blank_in_chunk_extension(data: bytes, ours: Exchange, theirs: Parsed) -> bool:
    """llhttp refuses whitespace in a chunk extension, where the grammar has some that a recipient
    "MUST" parse and remove (RFC 9112, section 7.1.1; RFC 9110, section 5.6.3)."""
    return not theirs.whole and _BLANK_IN_CHUNK_EXTENSION.search(data) is not None


_BLANK_IN_CHUNK_EXTENSION: Final = re.compile(
    rb"\r\n[0-9a-fA-F]+(?:[ \t]+;|;[^\r\n]*[ \t])[^\r\n]*\r\n"
)


def is_connection_trailer(data: bytes, ours: Exchange, theirs: Parsed) -> bool:
    """llhttp obeys a trailer that says ``Connection: close``. A trailer is not to be taken for a
    header (RFC 9110, section 6.5.1)."""
    return not theirs.head and _CONNECTION_TRAILER.search(data) is not None


_CONNECTION_TRAILER: Final = re.compile(
    rb"\r\n0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*(?:proxy-)?connection:", re.IGNORECASE
)

Differences = tuple[Callable[[bytes, Exchange, Parsed], bool], ...]

_LLHTTP: Final[Differences] = (
    is_unknown_method,
    is_unknown_version,
    is_tab_behind_coding,
    is_blank_in_chunk_extension,
    is_connection_trailer,
)
_H11: Final[Differences] = ()
