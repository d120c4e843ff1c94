"""The address of a client."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """The address of a client. For a client on a unix socket, the host is empty and the port 0. For
    a client behind a proxy, the port is 0 if the proxy does not say it."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host or "-"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


NOWHERE = Address("", 0)


def address_of(name: object) -> Address:
    """The address of a peer, from the address that ``accept`` returned."""
    if isinstance(name, tuple):
        host, port = name[:2]
        # an inherited socket may be for IPv4 and IPv6: then an IPv4 address begins with ::ffff:
        return Address(host.removeprefix("::ffff:") if "." in host else host, port)
    return NOWHERE  # a unix socket's client has no name
