"""A request's head, read strictly: what two readers could take differently is refused.

Nothing is repaired. Where a proxy in front and the server behind disagree about a request, one of
them can be made to see another request than the other (RFC 9112, section 11.2); so what this module
accepts is what the RFCs write, and nothing that h11 refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from finch.errors import ProtocolError

RawHeaders = list[tuple[bytes, bytes]]

_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
# request-line and field lines as RFC 9112, sections 3 and 5, write them: no obs-fold, no space
# before a colon, no control character in a value, no fragment in a target
_HEAD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!\x22$-~]+) HTTP/([0-9]\.[0-9])\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_AUTHORITY: Final = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]{least,})(?::[0-9]{0,5})?"
_HOST: Final = re.compile(_AUTHORITY.replace(b"least", b"0"))
_ABSOLUTE: Final = re.compile(
    rb"https?://" + _AUTHORITY.replace(b"least", b"1") + rb"(?=[/?]|\Z)", re.IGNORECASE
)
_ASTERISK: Final = ("OPTIONS", b"*")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_FRAMING: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))


@dataclass(slots=True)
class RequestHead:
    """A request without its body: method and target as sent, header names in lower case."""

    method: str
    target: bytes
    headers: RawHeaders
    version: str


def read_head(head: bytes) -> tuple[RequestHead, bool]:
    """What a whole head says, and whether a body follows.

    Parameters:
        head: from the method to the empty line, both included.

    Raises:
        ProtocolError: 400 where it is malformed or ambiguous, 501 for a method or coding that is
            not for this server, 505 for another version.

    Source: RFC 9112, sections 2 to 6; RFC 9110, section 5.

    Example::

        head, has_body = read_head(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    """
    # "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2): not this one.
    if _BARE_LF.search(head):
        raise ProtocolError(400, "a line of the request ends in a bare LF")
    found = _HEAD.fullmatch(head)
    if found is None:
        raise ProtocolError(400, "malformed request head")
    version = found[3].decode()
    if version != "1.1" and version != "1.0":
        raise ProtocolError(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    method, target = found[1].decode(), found[2]
    if method == "CONNECT":
        raise ProtocolError(501, "this server is no proxy")
    # origin-form, absolute-form or asterisk-form (RFC 9112, section 3.2)
    if not (target.startswith(b"/") or _ABSOLUTE.match(target) or (method, target) == _ASTERISK):
        raise ProtocolError(400, "the request target is none")
    headers = [
        (name.lower(), value.strip(b" \t"))
        for name, _, value in [line.partition(b":") for line in found[4].split(b"\r\n")[:-1]]
    ]
    has_body = _check_framing([item for item in headers if item[0] in _FRAMING], version)
    return RequestHead(method, target, headers, version), has_body


def _check_framing(framing: RawHeaders, version: str) -> bool:
    """Refuse a request whose body, or whose host, is not beyond doubt; whether it has a body."""
    hosts = [value for name, value in framing if name == b"host"]
    # "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
    # that lacks a Host header field and to any request message that contains more than one Host
    # header field line or a Host header field with an invalid field value." (RFC 9112, 3.2)
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise ProtocolError(400, "a request has one Host")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise ProtocolError(400, "the Host is no host")
    if len(framing) == len(hosts):
        return False
    lengths = [value for name, value in framing if name == b"content-length"]
    codings = [value for name, value in framing if name == b"transfer-encoding"]
    if codings:
        # "A server MAY reject a request that contains both Content-Length and Transfer-Encoding"
        # (RFC 9112, 6.1): smuggling looks like that
        if lengths:
            raise ProtocolError(400, "a body has a Content-Length or a Transfer-Encoding")
        if version == "1.0":
            raise ProtocolError(400, "HTTP/1.0 has no Transfer-Encoding")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise ProtocolError(501, "the only Transfer-Encoding here is chunked")
        return True
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise ProtocolError(400, "a Content-Length is one number")
    return lengths[0].strip(b"0") != b""


def tokens(headers: RawHeaders, name: bytes) -> list[bytes]:
    """The members of a header that is a list of tokens, in lower case (RFC 9110, 5.6.1)."""
    return [
        token.strip(b" \t").lower()
        for key, value in headers
        if key == name
        for token in value.split(b",")
    ]
