"""Proxies: which ones are believed, and what they say about a client.

A proxy says where a request came from, in headers or with the PROXY protocol. But any client can
send such headers too. So they count only if they come from a proxy that the server was told to
believe.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, NamedTuple, TypeVar

import trio

from finch.errors import ConfigurationError, ProtocolError
from finch.logs import Seldom
from finch.net.address import NOWHERE, Address
from finch.wire.forwarded import (
    Hop,
    parse_host,
    parse_node,
    parse_scheme,
    read_forwarded,
    read_x_forwarded,
)
from finch.wire.head import RawHeaders
from finch.wire.proxy import MAX_PROXY_HEADER, parse_proxy_header

T = TypeVar("T")

_FORWARDED: Final = b"forwarded"
_X_FORWARDED: Final = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
_READ: Final = frozenset((_FORWARDED, *_X_FORWARDED))


class Source(NamedTuple):
    """Where a request comes from, and where it was sent to.

    Attributes:
        client: who sent it.
        scheme: ``"http"`` or ``"https"``.
        host: the host that the client asked for; None if that is what ``Host`` says.
    """

    client: Address
    scheme: str
    host: str | None = None


class Trust:
    """The proxies that are believed.

    Parameters:
        believed: ``forwarded_allow_ips``: IP addresses and networks, ``"unix"`` for peers on a unix
            socket, ``"*"`` for all peers. A text may have several, separated by commas.

    Raises:
        ConfigurationError: if an entry is none of these.

    Example::

        Trust(["10.0.0.0/8", "unix"]).believes(Address("10.1.2.3", 50000))  # True
    """

    def __init__(self, believed: str | Iterable[str] = ()) -> None:
        entries = believed.split(",") if isinstance(believed, str) else believed
        names = {entry.strip() for entry in entries} - {""}
        self._everybody = "*" in names
        self._unix = "unix" in names
        self._networks = [_network(name) for name in sorted(names - {"*", "unix"})]

    def believes(self, peer: Address) -> bool:
        """Whether a peer is believed."""
        if self._everybody:
            return True
        if peer == NOWHERE:
            return self._unix
        if not self._networks:
            return False
        address = _parse(peer.host)
        return address is not None and any(address in network for network in self._networks)

    def trace(self, headers: RawHeaders, peer: Source) -> Source:
        """Follow the chain of proxies back to the client, as far as they are believed.

        Both ``Forwarded`` and ``X-Forwarded-*`` are read. If a request has both, they must agree. A
        proxy that sets one of them passes on the other one as the client wrote it. So if one of
        them had priority, a client could choose its own address.

        Parameters:
            headers: the request's headers.
            peer: where the connection comes from. It is a proxy that is believed.

        Raises:
            ProtocolError: 400 if the headers are malformed or disagree. They are not ignored: then
                a client that sends malformed ones would look like the proxy itself, which is
                trusted with a lot.

        Source: RFC 7239, sections 5 and 7.4.
        """
        fields: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in _READ:
                fields[name] = b"%b,%b" % (fields[name], value) if name in fields else value
        if not fields:
            return peer
        forwarded = fields.pop(_FORWARDED, None)
        client, scheme, host = self._follow(read_forwarded(forwarded) if forwarded else [])
        x_client, x_scheme, x_host = self._follow(
            read_x_forwarded(*[fields.get(name, b"") for name in _X_FORWARDED]) if fields else []
        )
        if client and x_client and client.host == x_client.host:
            x_client = client  # perhaps only one of them has the port
        client = _agreed(client, x_client)
        return Source(
            peer.client if client is None else client,
            _agreed(scheme, x_scheme) or peer.scheme,
            _agreed(host, x_host),
        )

    def _follow(self, hops: list[Hop]) -> tuple[Address | None, str | None, str | None]:
        """What the outermost believed proxy says. The hops are read from the server to the client;
        the first node that is not believed is the client."""
        client = None
        hop = Hop()
        for hop in reversed(hops):
            if hop.node is None:
                break
            client = Address(*parse_node(hop.node))
            # NOWHERE here is a node that the proxy does not name, not one of our unix sockets
            if client == NOWHERE or not self.believes(client):
                break
        return (
            client,
            None if hop.proto is None else parse_scheme(hop.proto),
            None if hop.host is None else parse_host(hop.host),
        )


@lru_cache(maxsize=256)  # usually the same few proxies
def _parse(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _agreed(one: T | None, other: T | None) -> T | None:
    if one is not None and other is not None and one != other:
        raise ProtocolError(
            400, "Forwarded and X-Forwarded-* disagree; the proxy must set one and remove the other"
        )
    return other if one is None else one


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(name)
    except ValueError:
        pass
    hint = "an IP address, a network such as 10.0.0.0/8, unix, or *"
    try:
        hint = f"the network {ip_network(name, strict=False)}"
    except ValueError:
        pass
    raise ConfigurationError(f"forwarded_allow_ips has {name!r}; write {hint}")


async def read_proxy_header(
    sock: socket.socket, peer: Source, timeout: float, log: Seldom
) -> Source | None:
    """Read the PROXY header at the beginning of a connection, and no byte after it.

    Parameters:
        sock: the socket, just accepted.
        peer: where the connection comes from.
        timeout: how many seconds the header may take.
        log: gets an error for a connection without a correct header.

    Returns:
        Where the connection comes from, as the header says. None if the header was wrong or did not
        come; then the socket is closed.
    """
    source = None
    try:
        with trio.fail_after(timeout):
            source = await _read_proxy_header(sock, peer)
    except trio.TooSlowError:
        log.error("%s sent no PROXY header within %g s and is closed", peer.client, timeout)
    except ProtocolError as error:
        log.error("%s is closed: %s", peer.client, error.message)
    except OSError:
        pass
    finally:
        if source is None:
            sock.close()
    return source


async def _read_proxy_header(sock: socket.socket, peer: Source) -> Source | None:
    sock.setblocking(False)
    data = b""
    while True:
        try:
            # only peek: TLS or HTTP must get the bytes after the header
            seen = sock.recv(MAX_PROXY_HEADER - len(data), socket.MSG_PEEK)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock)
            continue
        if not seen:
            return None
        header = parse_proxy_header(data + seen)
        mine = seen if header is None else seen[: header.size - len(data)]
        sock.recv(len(mine))
        data += mine
        if header is not None:
            return Source(
                peer.client if header.client is None else Address(*header.client),
                "https" if header.tls else peer.scheme,
            )
