"""The headers in which proxies say where a request came from: ``Forwarded``, ``X-Forwarded-*``.

Both become the same list of hops. A hop's parts are parsed only when they are needed: a client can
invent hops, and nobody needs to read those.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple

from finch.errors import ProtocolError
from finch.wire.head import TOKEN, is_host

# a parameter or nothing, and the separator after it; "*+" so that nothing is tried twice
_PARAMETER: Final = re.compile(
    rb"[ \t]*+(?:(%b)=(?:(%b)|"
    % (TOKEN, TOKEN)
    + rb'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+)")[ \t]*+)?'
    rb"([,;]|\Z)"
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)")
_NODE: Final = re.compile(
    rb"(?:(unknown|_[A-Za-z0-9._\-]++)|([0-9.]++)|\[([0-9A-Fa-f:.]++)\])"
    rb"(?::(?:([0-9]{1,5})|_[A-Za-z0-9._\-]++))?",
    re.IGNORECASE,
)
# some proxies write the WebSocket's scheme for a handshake
_SCHEMES: Final = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}


class Hop(NamedTuple):
    """How a request reached one proxy, as that proxy says; None for each part that it omits.

    Attributes:
        node: who sent the request to the proxy, for :func:`parse_node`.
        proto: the scheme that was used, for :func:`parse_scheme`.
        host: the host that was asked for, for :func:`parse_host`.
    """

    node: bytes | None = None
    proto: bytes | None = None
    host: bytes | None = None


def read_forwarded(value: bytes) -> list[Hop]:
    """The hops of ``Forwarded``, the client's first.

    Parameters:
        value: the header's value; several headers are joined with commas.

    Raises:
        ProtocolError: 400 if it is malformed.

    Source: RFC 7239, section 4; white space around ``;`` as RFC 9110, section 5.6.6.

    Example::

        read_forwarded(b'for=192.0.2.43, for="[2001:db8::17]:4711";proto=https')
    """
    hops: list[Hop] = []
    hop: dict[bytes, bytes] = {}
    position, separator = 0, b","
    while separator:
        found = _PARAMETER.match(value, position)
        if found is None:
            raise ProtocolError(400, "malformed Forwarded")
        position = found.end()
        name, token, quoted, separator = found.groups()
        if name is not None:
            name = name.lower()
            # "Each parameter MUST NOT occur more than once per field-value"
            if name in hop:
                raise ProtocolError(400, f"{name.decode()} twice in one element of Forwarded")
            hop[name] = token if token is not None else _QUOTED_PAIR.sub(rb"\1", quoted)
        if hop and separator != b";":
            hops.append(Hop(hop.get(b"for"), hop.get(b"proto"), hop.get(b"host")))
            hop = {}
    return hops


def read_x_forwarded(nodes: bytes, protos: bytes, hosts: bytes) -> list[Hop]:
    """The hops of ``X-Forwarded-For``, ``-Proto`` and ``-Host``, the client's first.

    There is no standard for these three. Every proxy adds a member to ``X-Forwarded-For``. For the
    other two, some proxies add a member, some overwrite the header, and some pass on what the first
    proxy wrote. So their members are counted from the right. If there are too few, the leftmost one
    is used for all hops before it.

    Parameters:
        nodes, protos, hosts: the values of the headers; several of one name are joined with
            commas; empty if there is none.

    Example::

        read_x_forwarded(b"192.0.2.43, 10.0.0.1", b"https", b"")
    """
    addresses = [_as_node(address) for address in _members(nodes)]
    schemes, names = _members(protos), _members(hosts)
    return [
        Hop(_from_right(addresses, back), _from_right(schemes, back), _from_right(names, back))
        for back in range(len(addresses) or 1, 0, -1)
    ]


def _from_right(members: list[bytes], back: int) -> bytes | None:
    return members[-min(back, len(members))] if members else None


def _members(value: bytes) -> list[bytes]:
    return [member for part in value.split(b",") if (member := part.strip(b" \t"))]


def _as_node(address: bytes) -> bytes:
    """An address of ``X-Forwarded-For`` as ``Forwarded`` writes it: IPv6 gets brackets."""
    bare = address.count(b":") > 1 and not address.startswith(b"[")
    return b"[%b]" % address if bare else address


def parse_node(node: bytes) -> tuple[str, int]:
    """The address and port of a node; the port is 0 if the node has none. ``("", 0)`` if the proxy
    does not know the node (``unknown``) or hides it (``_gazonk``).

    Raises:
        ProtocolError: 400 if it is not a node.

    Source: RFC 7239, section 6.
    """
    found = _NODE.fullmatch(node)
    if found is None:
        raise _no_address()
    hidden, ipv4, ipv6, port = found.groups()
    if int(port or 0) > 65535:
        raise _no_address()
    if hidden:
        return "", 0
    try:
        if ipv4:
            return str(IPv4Address(ipv4.decode())), int(port or 0)
        address = IPv6Address(ipv6.decode())
    except AddressValueError:
        raise _no_address() from None
    # the IPv4 address, if it came to a socket for IPv4 and IPv6
    return str(address.ipv4_mapped or address), int(port or 0)


def _no_address() -> ProtocolError:
    return ProtocolError(400, "a client in Forwarded or X-Forwarded-For is not an IP address")


def parse_scheme(proto: bytes) -> str:
    """``"http"`` or ``"https"``; ``ws`` and ``wss`` become these too.

    Raises:
        ProtocolError: 400 for any other scheme.
    """
    scheme = _SCHEMES.get(proto.lower())
    if scheme is None:
        raise ProtocolError(400, "Forwarded or X-Forwarded-Proto is neither http nor https")
    return scheme


def parse_host(host: bytes) -> str:
    """A host, with or without a port, as in ``Host``.

    Raises:
        ProtocolError: 400 if it is not a host.
    """
    if not is_host(host):
        raise ProtocolError(400, "a host in Forwarded or X-Forwarded-Host is not valid")
    return host.decode()
