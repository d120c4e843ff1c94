"""Address: where Redis is, and what sort of server is there."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import trio
from coredis.connection import BaseConnection, Location, TCPLocation
from coredis.exceptions import AuthorizationError, ConnectionError
from coredis.pool import ConnectionPool

from finch.cluster.slots import Node
from finch.errors import ConfigurationError
from finch.explain import shown

CONNECT: Final = 5.0
"""Seconds for a connection, with all that belongs to its beginning."""


class Refused(Exception):
    """Redis has refused a command. The message is its own."""


class Address:
    """Where Redis is, from a URL.

    Parameters:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as coredis takes it, and ``prefix``
            in its query: what the names of all keys begin with.

    Attributes:
        shown: the URL without its password and its query, for the log.
        prefix: the prefix, or ``finch``.
        db: the number of the database.
        known: where it may be reached, too: the nodes of its cluster, if it was in one.

    Raises:
        ConfigurationError: if it is something else.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self._pool: ConnectionPool[Any] = ConnectionPool.from_url(
                _checking_the_host(url), decode_components=True, connect_timeout=CONNECT
            )
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
        self.db = int(self._pool.connection_kwargs.get("db") or 0)
        self.known: tuple[Node, ...] = ()
        # Finch says itself when Redis is away, once a minute; coredis would for each attempt
        theirs = logging.getLogger("coredis")
        if theirs.level == logging.NOTSET:
            theirs.setLevel(logging.CRITICAL)

    async def connection(self, node: Node | None = None) -> BaseConnection:
        """A new connection, which is not open yet.

        Parameters:
            node: one of a cluster; if it is left out, that of the URL, or another one that is
                known.

        Raises:
            ConnectionError: if nobody accepts connections there. Then none is made: coredis would
                leave something open in a connection that never was one.
        """
        pool = self._pool
        assert pool.location is not None
        locations = [TCPLocation(*one) for one in ((node,) if node else self.known)]
        for location in locations if node else (pool.location, *locations):
            if await self._answers(location):
                made: BaseConnection = pool.connection_class(location, **pool.connection_kwargs)
                return made
        raise ConnectionError("nobody accepts connections there")

    async def _answers(self, location: Location) -> bool:
        """Whether somebody accepts connections there.

        Raises:
            ConnectionError: if there is no TLS there, or the certificate is not trusted.
        """
        context = self._pool.connection_kwargs.get("ssl_context")
        if context is None or not isinstance(location, TCPLocation):
            return await location.check()
        try:
            stream = await trio.open_ssl_over_tcp_stream(
                location.host, location.port, ssl_context=context
            )
            async with stream:
                await stream.do_handshake()
        except trio.BrokenResourceError as error:
            raise ConnectionError(f"there is no TLS at {location}") from error
        except OSError:
            return False
        return True


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


async def server_of(connection: BaseConnection) -> Server:
    """The server at the other end of a connection."""
    info: Any
    try:
        info = await connection.create_request(b"INFO", b"server")
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


def reason(error: BaseException) -> str:
    """Why something has failed: what was raised, and what caused that at first, such as a
    certificate that is not trusted."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    text = str(error) or type(error).__name__
    return text if first is error or not str(first) else f"{text}: {first}"


def _checking_the_host(url: str) -> str:
    """A URL with which a certificate must be valid for the host, unless it says otherwise. By
    default, coredis accepts a certificate for any host."""
    parts = urlsplit(url)
    said = parse_qs(parts.query)
    if (
        parts.scheme != "rediss"
        or "ssl_check_hostname" in said
        or "none" in said.get("ssl_cert_reqs", ())
    ):
        return url
    return url + ("&" if parts.query else "?") + "ssl_check_hostname=true"
