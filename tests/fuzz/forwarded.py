"""``Forwarded`` and ``X-Forwarded-*`` of a believed proxy: where the request comes from, or 400.

An input is header lines. Whatever a client wrote itself is on the left of what the proxies add, and
must change nothing.
"""

from ipaddress import ip_address
from typing import Final

from finch.errors import ProtocolError
from finch.net.address import NOWHERE, Address
from finch.net.proxies import Source, Trust
from finch.wire.head import RawHeaders, is_host

_TRUST: Final = Trust(["10.0.0.0/8", "fd00::/8"])
_PEER: Final = Source(Address("10.0.0.1", 50000), "http")
_INVENTED: Final = {
    b"forwarded": b"for=203.0.113.9;proto=https;host=evil.example, ",
    b"x-forwarded-for": b"203.0.113.9, ",
}


def target(data: bytes) -> None:
    headers = read_lines(data)
    source = trace(headers)
    if source is None:
        return
    assert source.scheme in ("http", "https")
    assert source.host is None or is_host(source.host.encode())
    client = source.client
    assert 0 <= client.port <= 65535
    assert client == NOWHERE or str(ip_address(client.host)) == client.host
    if client == NOWHERE or not _TRUST.believes(client):
        assert trace(invent(headers)) == source, "the client can write where it comes from"


def read_lines(data: bytes) -> RawHeaders:
    lines = [line.partition(b":") for line in data.split(b"\r\n")]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in lines]


def trace(headers: RawHeaders) -> Source | None:
    try:
        return _TRUST.trace(headers, _PEER)
    except ProtocolError as error:
        assert error.status == 400
        return None


def invent(headers: RawHeaders) -> RawHeaders:
    """The same with a hop more, on the client's side of each chain that the proxies add to."""
    invented = dict(_INVENTED)
    return [
        (name, invented.pop(name, b"") + value if value.strip(b" \t,;") else value)
        for name, value in headers
    ]
