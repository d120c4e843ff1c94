"""The URL that a client connects to: read once, and checked. Plain data: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from finch.explain import shown
from finch.wire.handshake import DEFAULT_PORTS


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is.

    Attributes:
        tls: whether the connection is encrypted.
        host, port: what TCP connects to.
        authority: the ``Host`` header.
        path: the path, encoded.
        query: the query, encoded; may be empty.
    """

    tls: bool
    host: str
    port: int
    authority: str
    path: str
    query: str

    def target(self, since: Sequence[str], token: str | None) -> str:
        """The target of a handshake.

        Parameters:
            since: positions for the query.
            token: the token for the query; None for none.
        """
        given = [("since", one) for one in since]
        if token is not None:
            given.append(("token", token))
        pairs = [self.query] if self.query else []
        pairs += [f"{name}={quote(value, safe=':-._~')}" for name, value in given]
        return f"{self.path}?{'&'.join(pairs)}" if pairs else self.path

    def __str__(self) -> str:
        """For the log: without the query, which may have secrets."""
        return f"{'wss' if self.tls else 'ws'}://{self.authority}{self.path}"


def read_url(url: object) -> Address:
    """Read the URL of a server.

    Raises:
        ValueError: if it is not a ``ws`` or ``wss`` URL; the message says what is wrong.

    Example::

        read_url("wss://example.org/ws")
    """
    advice = "write a URL such as 'ws://127.0.0.1:8080/ws'"
    if not isinstance(url, str):
        raise ValueError(f"connect takes the URL of a server, not {shown(url)}; {advice}")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError) as error:
        raise ValueError(f"connect({shown(url)}): {error}; {advice}") from None
    if parts.scheme not in ("ws", "wss"):
        raise ValueError(f"connect({shown(url)}): the scheme is not ws or wss; {advice}")
    if not host:
        raise ValueError(f"connect({shown(url)}): there is no host; {advice}")
    if parts.username is not None or parts.fragment:
        what = "a fragment" if parts.fragment else "a user"
        raise ValueError(f"connect({shown(url)}): {what} is not sent to a server; leave it out")
    name = f"[{host}]" if ":" in host else host
    default = DEFAULT_PORTS[parts.scheme]
    return Address(
        tls=parts.scheme == "wss",
        host=host,
        port=port or default,
        authority=name if port in (None, default) else f"{name}:{port}",
        path=quote(parts.path, safe="/%:@!$&'()*+,;=~-._") or "/",
        query=quote(parts.query, safe="/?%:@!$&'()*+,;=~-._"),
    )
