"""Where a client connects from."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """Where a client connects from. A unix socket's client has no host and port 0; one that a
    proxy speaks for has a host, and port 0 if the proxy does not say."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host or "-"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


NOWHERE = Address("", 0)


def address_of(name: object) -> Address:
    """The address of a peer, by what ``accept`` calls it."""
    if isinstance(name, tuple):
        host, port = name[:2]
        # of IPv4, on an inherited socket for both
        return Address(host.removeprefix("::ffff:") if "." in host else host, port)
    return NOWHERE  # a unix socket's client has no name
