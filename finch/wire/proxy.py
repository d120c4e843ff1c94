"""The PROXY protocol: a header in which a proxy says whose connection it passes on.

The header comes before all other bytes, even before TLS. A wrong header is a ``ProtocolError``. It
gets no response, because the other side does not speak HTTP yet.
"""

from __future__ import annotations

import re
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple

from finch.errors import ProtocolError

MAX_PROXY_HEADER: Final = 2064
"""Bytes of the longest header. The addresses take at most 232, and the standard limits senders to
536. The rest is room for the name of a client certificate."""

_V1: Final = b"PROXY "
_V1_LONGEST: Final = 107
_V1_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: (?:[^\r\n]|\r(?!\n))*+)?|TCP([46]) ([0-9A-Fa-f:.]++) ([0-9A-Fa-f:.]++)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)

_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED: Final = struct.Struct("!12xBBH")  # version and command, family, length of the rest
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESSES: Final = {  # bytes of the addresses, by family and transport
    0x00: 0,  # unspecified
    0x11: 12,  # IPv4: TCP, UDP
    0x12: 12,
    0x21: 36,  # IPv6: TCP, UDP
    0x22: 36,
    0x31: 216,  # unix: stream, datagram
    0x32: 216,
}
_TLV: Final = struct.Struct("!BH")
_TLV_TLS: Final = 0x20
_CLIENT_TLS: Final = 0x01


class ProxyHeader(NamedTuple):
    """What a PROXY header says.

    Attributes:
        size: the length of the header in bytes.
        client: the client's address and port; ``("", 0)`` for a client on a unix socket. None if
            the connection is the proxy's own (a health check) or the proxy does not know the
            client; then the address of the connection counts.
        tls: whether the client speaks TLS with the proxy, as the proxy says.
    """

    size: int
    client: tuple[str, int] | None = None
    tls: bool = False


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the PROXY header, version 1 or 2, at the beginning of a connection.

    Parameters:
        data: all bytes received so far.

    Returns:
        The header, or None while it is incomplete and not wrong so far.

    Raises:
        ProtocolError: if the connection does not begin with a correct header.

    Source: proxy-protocol.txt of HAProxy, sections 2.1 and 2.2.

    Example::

        parse_proxy_header(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\\r\\nGET /")
        # ProxyHeader(size=49, client=("192.0.2.1", 56324), tls=False)
    """
    for begin, parse in ((_V1, _parse_v1), (_V2, _parse_v2)):
        if data.startswith(begin):
            return parse(data)
        if begin.startswith(data):
            return None
    raise _wrong("the connection does not begin with one")


def _wrong(why: str) -> ProtocolError:
    return ProtocolError(400, f"wrong PROXY header: {why}")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    # "The receiver must not tolerate a single CR or LF character to end the line"
    end = data.find(b"\n", 0, _V1_LONGEST) + 1
    if not end:
        if len(data) >= _V1_LONGEST:
            raise _wrong(f"it is longer than {_V1_LONGEST} bytes")
        return None
    line = _V1_LINE.fullmatch(data[:end])
    if line is None:
        raise _wrong("it is not the line of version 1")
    version, client, server, port, server_port = line.groups()
    if version is None:
        return ProxyHeader(end)
    read = _ipv4 if version == b"4" else _ipv6
    try:
        host, _ = read(client.decode()), read(server.decode())
    except AddressValueError:
        raise _wrong("an address is not valid") from None
    if int(port) > 65535 or int(server_port) > 65535:
        raise _wrong("a port is not valid")
    return ProxyHeader(end, (host, int(port)))


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED.size:
        return None
    command, family, length = _V2_FIXED.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise _wrong("it is neither LOCAL nor PROXY of version 2")
    size = _V2_FIXED.size + length
    if size > MAX_PROXY_HEADER:
        raise _wrong(f"it is longer than {MAX_PROXY_HEADER} bytes")
    if command == _PROXY and length < _ADDRESSES.get(family, size):
        raise _wrong("its address family is unknown, or it is too short for its addresses")
    if len(data) < size:
        return None
    if command == _LOCAL or family not in (0x11, 0x21, 0x31):
        # UDP does not come over this connection: "automatically falls back to the UNSPEC mode"
        return ProxyHeader(size)
    rest = data[_V2_FIXED.size : size]
    return ProxyHeader(size, _v2_client(family, rest), _has_tls(rest[_ADDRESSES[family] :]))


def _v2_client(family: int, addresses: bytes) -> tuple[str, int]:
    """The source address and port. The port comes after the destination's address."""
    if family == 0x11:
        return _ipv4(addresses[:4]), int.from_bytes(addresses[8:10])
    if family == 0x21:
        return _ipv6(addresses[:16]), int.from_bytes(addresses[32:34])
    return "", 0


def _ipv4(address: str | bytes) -> str:
    return str(IPv4Address(address))


def _ipv6(address: str | bytes) -> str:
    """The address as text: the IPv4 address, if it came to a socket for IPv4 and IPv6."""
    parsed = IPv6Address(address)
    return str(parsed.ipv4_mapped or parsed)


def _has_tls(tlvs: bytes) -> bool:
    """Whether the fields after the addresses say that the client speaks TLS (section 2.2.6)."""
    tls = False
    while tlvs:
        if len(tlvs) < _TLV.size:
            raise _wrong("a TLV ends early")
        kind, length = _TLV.unpack_from(tlvs)
        value, tlvs = tlvs[_TLV.size : _TLV.size + length], tlvs[_TLV.size + length :]
        if len(value) < length or (kind == _TLV_TLS and length < 5):
            raise _wrong("a TLV ends early")
        if kind == _TLV_TLS:
            tls = bool(value[0] & _CLIENT_TLS)
    return tls
