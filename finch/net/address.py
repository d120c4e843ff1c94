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
