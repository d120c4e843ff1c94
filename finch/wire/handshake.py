"""The opening handshake: reads what an upgrade request asks for, and makes the answer.

wsproto's ``H11Handshake`` is not used: it serialises and parses the request again (290 us of 330),
and accepts empty keys, repeated keys and invalid compression offers.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from finch.errors import ProtocolError
from finch.wire.head import TOKEN, RawHeaders, members

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SUBPROTOCOL: Final = re.compile(TOKEN)
_EXTENSION: Final = re.compile(  # RFC 6455, section 9.1
    rb'%b(?:[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|"%b"))?)*+' % (TOKEN, TOKEN, TOKEN, TOKEN)
)
_KEY: Final = re.compile(rb"[+/0-9A-Za-z]{22}==")  # 16 bytes in base64
_FIELDS: Final = frozenset(
    (
        b"connection",
        b"content-length",
        b"origin",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    )
)
DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# without users and escapes: browsers never send these in an origin
_AUTHORITY: Final = (
    r"(?:([A-Za-z0-9\-._~!$&'()+;=]++)|\[([0-9A-Fa-f:.]++)\])(?::((?:0|[1-9][0-9]{0,4})?))?"
)
_HOST_AND_PORT: Final = re.compile(_AUTHORITY)
_ORIGIN: Final = re.compile(r"([Hh][Tt][Tt][Pp][Ss]?|[Ww][Ss][Ss]?)://" + _AUTHORITY + r"/?")


@dataclass(slots=True)
class Handshake:
    """What the client asks for in a valid upgrade request."""

    key: bytes
    origin: str | None
    subprotocols: tuple[str, ...]
    extensions: tuple[str, ...]


def read_handshake(method: str, version: str, headers: RawHeaders) -> Handshake:
    """Read what an upgrade request asks for.

    Parameters:
        method, version, headers: those of the request; header names are in lower case.

    Raises:
        ProtocolError: 426 if it is not an upgrade request or has another WebSocket version, 400 if
            it is malformed, 405 if the method is not GET.

    Source: RFC 6455, section 4.2.1.
    """
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _FIELDS:
            # "A recipient MAY combine multiple field lines within a field section that have the
            # same field name" (RFC 9110, 5.3)
            fields[name] = fields[name] + b"," + value if name in fields else value
    get = fields.get
    if not (
        b"websocket" in members(get(b"upgrade", b""))
        and b"upgrade" in members(get(b"connection", b""))
    ):
        raise ProtocolError(
            426, "Socket is requested!", {"upgrade": "websocket", "connection": "upgrade"}
        )
    if method != "GET":
        raise ProtocolError(405, "a WebSocket handshake is a GET", {"allow": "GET"})
    if version != "1.1":
        raise ProtocolError(400, "a WebSocket handshake needs HTTP/1.1")
    if get(b"sec-websocket-version") != b"13":
        raise ProtocolError(
            426,
            "this server speaks WebSocket version 13 only",
            {"sec-websocket-version": "13", "upgrade": "websocket", "connection": "upgrade"},
        )
    key = get(b"sec-websocket-key", b"")
    if not _KEY.fullmatch(key):
        raise ProtocolError(400, "Sec-WebSocket-Key must be one base64 value of 16 bytes")
    if b"transfer-encoding" in fields or get(b"content-length", b"0") != b"0":
        raise ProtocolError(400, "a WebSocket handshake has no body")
    subprotocols = _list(fields, b"sec-websocket-protocol", _SUBPROTOCOL)
    if len(subprotocols) > 1 and len(set(subprotocols)) < len(subprotocols):
        raise ProtocolError(400, "Sec-WebSocket-Protocol repeats a name")  # RFC 6455, 4.1
    origin = get(b"origin")
    return Handshake(
        key=key,
        origin=None if origin is None else origin.decode("latin-1"),
        subprotocols=subprotocols,
        extensions=_list(fields, b"sec-websocket-extensions", _EXTENSION),
    )


def wants_events(headers: RawHeaders) -> bool:
    """Whether a request asks for server-sent events by name: ``*/*`` is not enough.

    Source: RFC 9110, section 12.5.1.
    """
    for name, value in headers:
        if name == b"accept":
            for accepted in value.lower().split(b","):
                kind, _, parameters = accepted.partition(b";")
                if kind.strip() == b"text/event-stream":
                    weight = parameters.replace(b" ", b"")
                    return not weight.startswith(b"q=0") or bool(weight[3:].strip(b".0"))
    return False


def choose_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """The first of the server's subprotocols that the client offers, or None.

    Source: RFC 6455, section 4.2.2: the server may choose one or none.
    """
    return next((name for name in supported if name in offered), None)


def accept_headers(handshake: Handshake, subprotocol: str | None) -> list[tuple[bytes, bytes]]:
    """The headers that a 101 to this handshake must have (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(handshake.key + _GUID, usedforsecurity=False).digest()
    headers = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", base64.b64encode(digest)),
    ]
    if subprotocol is not None:
        headers.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
    return headers


def same_origin(origin: str, scheme: str, host: str) -> bool:
    """Whether a browser's ``Origin`` is the host that it connects to.

    Host and port are compared after parsing. A missing port is the default port of the origin's
    scheme. If the socket uses TLS, the page must have come over TLS too: otherwise any network on
    the way could have changed the page.

    Parameters:
        origin: such as ``https://example.org``.
        scheme: the scheme of the connection, ``http`` or ``https``. With ``http``, the page's
            scheme does not matter: TLS may end at a proxy that we do not know about.
        host: the ``Host`` header, such as ``example.org`` or ``example.org:8443``.

    Source: RFC 6455, section 10.2; RFC 6454, section 4.
    """
    theirs = parse_origin(origin)
    if theirs is None:
        return False
    their_scheme = theirs[0]
    if scheme == "https" and their_scheme not in ("https", "wss"):
        return False
    found = _HOST_AND_PORT.fullmatch(host)
    return found is not None and theirs == _triple(their_scheme, *found.groups())


def parse_origin(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web page's origin; None for ``null`` and anything else.

    Parsed strictly, without ``urllib.parse``, which drops tabs and line breaks and treats port 0 as
    no port.
    """
    found = _ORIGIN.fullmatch(origin)
    return None if found is None else _triple(*found.groups())


def _triple(
    scheme: str, name: str | None, address: str | None, port: str | None
) -> tuple[str, str, int] | None:
    scheme = scheme.lower()
    number = int(port) if port else DEFAULT_PORTS[scheme]
    if not 0 < number < 65536:
        return None
    if address is not None:
        try:
            return scheme, IPv6Address(address).compressed, number
        except AddressValueError:
            return None
    assert name is not None
    return scheme, name.lower(), number


def _list(fields: dict[bytes, bytes], name: bytes, element: re.Pattern[bytes]) -> tuple[str, ...]:
    """The members of a header. If the header is present, it must have at least one."""
    value = fields.get(name)
    if value is None:
        return ()
    found = [member for part in value.split(b",") if (member := part.strip(b" \t"))]
    if not (found and all(map(element.fullmatch, found))):
        # "any violations of the ABNF grammar specified for the components of the handshake"
        # (RFC 6455, 4.2.1)
        raise ProtocolError(400, f"{name.decode()} is malformed")
    return tuple([member.decode("ascii") for member in found])
