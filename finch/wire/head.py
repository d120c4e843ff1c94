"""Reads a request's head strictly: it refuses whatever two readers could understand differently.

Nothing is repaired. If a proxy and the server behind it understand a request differently, an
attacker can make each of them see another request (RFC 9112, section 11.2). So this module accepts
only what the RFCs allow, and nothing that h11 refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from finch.errors import ProtocolError

RawHeaders = list[tuple[bytes, bytes]]

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # RFC 9110, section 5.6.2
# no space before the colon, no control character in the value (RFC 9112, section 5)
FIELD_LINE: Final = TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n"
# headers that frame or route a message: allowed only in its head (RFC 9110, section 6.5.1)
FRAMING: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))

_SPECIAL: Final = FRAMING | {b"connection", b"expect"}
_REQUEST_LINE: Final = rb"(" + TOKEN + rb") ([!-~]++) HTTP/([0-9]\.[0-9])\r\n"
_LINE: Final = re.compile(_REQUEST_LINE)
_HEAD: Final = re.compile(_REQUEST_LINE + rb"((?:" + FIELD_LINE + rb")*+)\r\n")
_FIRST: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]|\r?\Z")

# RFC 3986, and characters that browsers send unencoded although it forbids them: "[]^|" in a path;
# these, "\`{}" and any "%" in a query (WHATWG URL, section 1.3). An encoded NUL is refused.
_PATH: Final = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]^|]++|%(?!00)[0-9A-Fa-f]{2})*+"
_QUERY: Final = rb"(?:\?[!$-;=?-~]*+)?"
# A host has no comma, although RFC 3986 allows it: it means that a proxy has joined two Hosts.
_AUTHORITY: Final = (
    rb"(?:\[([0-9A-Fa-f:.]++)\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]++|%[0-9A-Fa-f]{2})++)"
    rb"(?::(?:[0-9]{0,4}|[0-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)
_HOST: Final = re.compile(_AUTHORITY)
_ORIGIN_FORM: Final = re.compile(rb"/" + _PATH + _QUERY)
_ABSOLUTE_FORM: Final = re.compile(
    rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]++)(?:/" + _PATH + rb")?" + _QUERY
)
_LENGTH: Final = re.compile(rb"[0-9]++")
LONGEST_LENGTH: Final = 18
"""Digits of a Content-Length. No real body needs more."""


@dataclass(slots=True)
class RequestHead:
    """A request without its body: method and target as sent, header names in lower case.

    If the target is a whole URL, the ``host`` header is the host of that URL.
    """

    method: str
    target: bytes
    headers: RawHeaders
    version: str


def read_head(head: bytes) -> tuple[RequestHead, int | None, bool]:
    """Read a whole head.

    Parameters:
        head: from the method to the empty line, both included.

    Returns:
        The head; the length of the body in bytes, None if it is chunked; whether another request
        may follow.

    Raises:
        ProtocolError: 400 if it is malformed or ambiguous, 413 if the Content-Length is too large,
            417 for an unknown expectation, 501 for a method or coding that this server does not
            support, 505 for another version.

    Source: RFC 9112, sections 2 to 6; RFC 9110, section 5.

    Example::

        head, length, keep_alive = read_head(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    """
    found = _HEAD.fullmatch(head)
    if found is None:
        check_beginning(head)
        raise ProtocolError(400, "a header line is not of the form 'Name: value'")
    method, target, version, lines = found.groups()
    host = _check_line(method, target, version)
    headers = []
    special = []
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        field = (name.lower(), value.strip(b" \t"))
        headers.append(field)
        if field[0] in _SPECIAL:
            special.append(field)
    del headers[-1]  # the empty text after the last line end
    # A request with a later minor version is read as "the highest minor version within that major
    # version to which the recipient is conformant" (RFC 9110, 2.5)
    old = version == b"1.0"
    length, keep_alive = _check_fields(special, old)
    if host is not None:
        # "an origin server MUST ignore the received Host header field (if any) and instead use the
        # host information of the request-target" (RFC 9112, 3.2.2)
        headers = [(b"host", host), *[item for item in headers if item[0] != b"host"]]
    if method == b"TRACE" and length != 0:
        raise ProtocolError(400, "a TRACE has no body")  # RFC 9110, 9.3.8
    request = RequestHead(method.decode(), target, headers, "1.0" if old else "1.1")
    return request, length, keep_alive


def check_beginning(part: bytes) -> None:
    """Refuse an incomplete head if it can never become a valid one.

    So the server need not wait for the rest if the peer does not speak HTTP/1. The request line is
    checked when it is complete.

    Raises:
        ProtocolError: 400, 501 or 505, as :func:`read_head` would.
    """
    if not _FIRST.match(part):
        raise ProtocolError(400, "this is not HTTP/1.1; a request begins with its method")
    line = part[: part.find(b"\n") + 1]
    if line.endswith(b"\r\n"):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ProtocolError(400, "the request line is not of the form 'GET /path HTTP/1.1'")
        _check_line(*found.groups())
    check_line_ends(part)


def check_line_ends(part: bytes) -> None:
    """Refuse a part of a head that has a bare LF.

    Raises:
        ProtocolError: 400.
    """
    # "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, 2.2): Finch does not.
    if part.count(b"\n") != part.count(b"\r\n"):
        raise ProtocolError(400, "a line of the request ends in a bare LF; it must end in CRLF")


def _check_line(method: bytes, target: bytes, version: bytes) -> bytes | None:
    """Refuse a request line that this server does not support. Returns the host if the target has
    one."""
    if not version.startswith(b"1."):
        raise ProtocolError(505, "this server speaks HTTP/1.1 and HTTP/1.0")
    # origin-form, absolute-form or asterisk-form (RFC 9112, section 3.2)
    if method == b"CONNECT":
        raise ProtocolError(501, "this server is not a proxy")
    if _ORIGIN_FORM.fullmatch(target) or (target == b"*" and method == b"OPTIONS"):
        return None
    found = _ABSOLUTE_FORM.fullmatch(target)
    if found is None or not is_host(found[1]):
        raise ProtocolError(400, "the request target is neither a path nor a URL; encode it")
    host: bytes = found[1]
    return host


def is_host(value: bytes) -> bool:
    """Whether a value may be a ``Host``: a name or address, with or without a port."""
    # not empty: the "http" scheme has no such URI (RFC 9110, 4.2.1)
    found = _HOST.fullmatch(value)
    if found is None:
        return False
    if found[1] is not None:
        try:
            IPv6Address(found[1].decode())
        except AddressValueError:
            return False
    return True


def _check_fields(fields: RawHeaders, old: bool) -> tuple[int | None, bool]:
    """Refuse a request whose host, body or expectation is ambiguous. Returns the length of the body
    and whether another request may follow, as :func:`read_head`.

    Parameters:
        fields: the headers in ``_SPECIAL``.
        old: whether it is HTTP/1.0. That has neither ``Transfer-Encoding`` nor ``Expect``; it has
            keep-alive only with a header that proxies handle wrongly.
    """
    host = length = coding = expected = None
    keep_alive = not old
    for name, value in fields:
        if name == b"host":
            # "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
            # message that lacks a Host header field and to any request message that contains more
            # than one Host header field line or a Host header field with an invalid field value."
            # (RFC 9112, 3.2)
            if host is not None:
                raise ProtocolError(400, "more than one Host")
            host = value
        elif name == b"connection":
            if b"close" in value.lower() and b"close" in members(value):
                keep_alive = False
        elif name == b"content-length":
            if length is not None:
                raise ProtocolError(400, "more than one Content-Length")
            length = value
        elif name == b"transfer-encoding":
            coding = value if coding is None else coding + b"," + value
        else:
            expected = value if expected is None else expected + b"," + value
    if host is None:
        if not old:
            raise ProtocolError(400, "no Host")
    elif not is_host(host):
        raise ProtocolError(400, "the Host is not valid")
    if coding is not None:
        _check_coding(coding, length, old)
    if expected is not None and not old:
        _check_expectation(expected)
    if length is None:
        return (0 if coding is None else None), keep_alive
    if not _LENGTH.fullmatch(length):
        raise ProtocolError(400, "the Content-Length is not a number")
    if len(length) > LONGEST_LENGTH:
        raise ProtocolError(413, "the Content-Length is too large")
    return int(length), keep_alive


def _check_coding(coding: bytes, length: bytes | None, old: bool) -> None:
    # "A server MAY reject a request that contains both Content-Length and Transfer-Encoding"
    # (RFC 9112, 6.1): request smuggling uses both
    if length is not None:
        raise ProtocolError(400, "both a Content-Length and a Transfer-Encoding")
    if old:
        raise ProtocolError(400, "HTTP/1.0 has no Transfer-Encoding")
    if coding.lower() != b"chunked":
        # "If a Transfer-Encoding header field is present in a request and the chunked transfer
        # coding is not the final encoding, ... the server MUST respond with the 400" (6.3)
        *others, last = members(coding)
        if last != b"chunked" or b"chunked" in others or not all(others):
            raise ProtocolError(400, "chunked must be the last Transfer-Encoding, and occur once")
        raise ProtocolError(501, "this server supports no Transfer-Encoding but chunked")


def _check_expectation(expected: bytes) -> None:
    # "A server that receives an Expect field value containing a member other than 100-continue MAY
    # respond with a 417" (RFC 9110, 10.1.1)
    if not {b"100-continue", b""}.issuperset(members(expected)):
        raise ProtocolError(417, "this server supports no expectation but 100-continue")


def members(value: bytes) -> list[bytes]:
    """The members of a list of tokens, in lower case (RFC 9110, 5.6.1)."""
    return [member.strip(b" \t") for member in value.lower().split(b",")]
