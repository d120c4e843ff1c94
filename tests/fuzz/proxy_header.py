"""The PROXY protocol: the header that a proxy sends before anything else, or a connection's end."""

import socket
from ipaddress import ip_address
from typing import Final

import trio
import trio.testing

from finch.errors import ProtocolError
from finch.logs import Seldom
from finch.net.address import Address
from finch.net.proxies import Source, read_proxy_header
from finch.wire.proxy import MAX_PROXY_HEADER, ProxyHeader, parse_proxy_header

_PEER: Final = Source(Address("192.0.2.1", 50000), "http")


def target(data: bytes) -> None:
    decided = next((size for size in range(len(data) + 1) if parse(data[:size]) is not None), None)
    if decided is None:
        assert len(data) < MAX_PROXY_HEADER, "it waits for more than the longest header"
        expected: ProxyHeader | ProtocolError | None = None
    else:
        assert decided <= MAX_PROXY_HEADER
        expected = parse(data[:decided])
        for size in (decided + 1, len(data)):
            assert same(parse(data[:size]), expected), "what follows the header changes it"
    if isinstance(expected, ProxyHeader):
        assert expected.size == decided, "it waits for more than the header"
        check_client(expected)
    source, rest = trio.run(read, data, clock=trio.testing.MockClock(autojump_threshold=0))
    if isinstance(expected, ProxyHeader):
        assert source is not None, "the header is not taken"
        assert rest == data[expected.size :], "more or less than the header was read"
    else:
        assert source is None, "what is no header is taken"


def parse(data: bytes) -> ProxyHeader | ProtocolError | None:
    try:
        return parse_proxy_header(data)
    except ProtocolError as error:
        return error


def same(
    one: ProxyHeader | ProtocolError | None, other: ProxyHeader | ProtocolError | None
) -> bool:
    return one == other or (isinstance(one, ProtocolError) and isinstance(other, ProtocolError))


def check_client(header: ProxyHeader) -> None:
    if header.client is not None:
        host, port = header.client
        assert 0 <= port <= 65535
        assert host == "" or str(ip_address(host)) == host


class _Silent(Seldom):
    """A log for what is to be expected."""

    def __init__(self) -> None:
        pass

    def error(self, *_: object) -> None:
        pass


async def read(data: bytes) -> tuple[Source | None, bytes]:
    """What the server makes of it, and what it leaves for whoever reads next."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        source = await read_proxy_header(theirs, _PEER, 10.0, _Silent())
        rest = []
        while source is not None and (piece := theirs.recv(65536)):
            rest.append(piece)
        return source, b"".join(rest)
