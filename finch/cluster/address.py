"""Address: where Redis is, and what sort of server is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from coredis.connection import UnixDomainSocketLocation
from coredis.exceptions import AuthorizationError
from coredis.pool import ConnectionPool

from finch.cluster.connection import Connection, Place
from finch.cluster.slots import Node
from finch.errors import ConfigurationError
from finch.explain import shown

CONNECT: Final = 5.0
"""Seconds for a connection, with all that belongs to its beginning."""

Heard = Callable[[bytes, bytes], None]
"""Called with channel and text of each message that was published."""
Rest = Callable[[], Awaitable[None]]
"""Awaited after that."""


class Address:
    """Where Redis is, from a URL.

    Parameters:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as coredis takes it, and ``prefix``
            in its query: what the names of all keys begin with.

    Attributes:
        shown: the URL without its password and its query, for the log.
        prefix: the prefix, or ``finch``.
        db: the number of the database.
        place: where it is.
        known: where it may be reached, too: the nodes of its cluster, if it was in one.

    Raises:
        ConfigurationError: if it is something else.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self.place = _place(_checking_the_host(url))
            host = parts.hostname or parts.path
            self.shown = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise ConfigurationError(
                f"backplane={shown(url.partition('@')[2] or url)} is not the URL of a Redis "
                f"server: {error}; write 'redis://localhost:6379/0'"
            ) from None
        self.prefix = parse_qs(parts.query).get("prefix", ["finch"])[0]
        if "{" in self.prefix or "}" in self.prefix:
            raise ConfigurationError(
                f"the prefix of a backplane has no braces, but {shown(self.prefix)} does; write "
                "'redis://localhost:6379/0?prefix=shop'"
            )
        self.db = self.place.db
        self.known: tuple[Node, ...] = ()

    def places(self) -> Iterable[Place]:
        """Where it may be reached, the URL's place first."""
        return [self.place, *map(self.place_of, self.known)]

    def place_of(self, node: Node) -> Place:
        """Where a node of its cluster is."""
        return replace(self.place, host=node.host, port=node.port)


def _place(url: str) -> Place:
    """What coredis reads out of a URL."""
    pool: ConnectionPool[Any] = ConnectionPool.from_url(url, decode_components=True)
    options: Any = pool.connection_kwargs
    location: Any = pool.location
    is_unix = isinstance(location, UnixDomainSocketLocation)
    return Place(
        host="" if is_unix else location.host,
        port=0 if is_unix else location.port,
        path=location.path if is_unix else None,
        tls=options.get("ssl_context"),
        user=options.get("username"),
        password=options.get("password"),
        db=int(options.get("db") or 0),
        name=options.get("client_name"),
    )


def _checking_the_host(url: str) -> str:
    """A URL with which a certificate must be valid for the host, unless it says otherwise. By
    default, coredis accepts a certificate for any host."""
    parts = urlsplit(url)
    said = parse_qs(parts.query)
    if parts.scheme != "rediss" or "ssl_check_hostname" in said:
        return url
    if "none" in said.get("ssl_cert_reqs", ()):
        return url
    return url + ("&" if parts.query else "?") + "ssl_check_hostname=true"


class Server(NamedTuple):
    """What a Redis server says of itself.

    Attributes:
        run_id: the id of this run; empty if it does not tell it.
        version: the first number of its version; 0 if it does not tell it.
        cluster: whether it is a node of a Redis Cluster.
    """

    run_id: str
    version: int
    cluster: bool


async def server_of(connection: Connection) -> Server:
    """The server at the other end of a connection."""
    info: Any
    try:
        info = await connection.ask(b"INFO", b"server")
    except AuthorizationError:
        return Server("", 0, False)  # then only numbers that go back show that it is another run
    found: dict[bytes, bytes] = {}
    for line in bytes(info).splitlines():
        name, _, value = line.partition(b":")
        found[name] = value
    version = found.get(b"redis_version", b"").partition(b".")[0]
    return Server(
        found.get(b"run_id", b"").decode("ascii", "replace"),
        int(version) if version.isdigit() else 0,
        found.get(b"redis_mode") == b"cluster",
    )
