"""What is loaded: a URL, read once and checked. Plain data: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what to ask it for.

    Attributes:
        web_socket: whether it is a WebSocket; else HTTP.
        tls: whether the connection is encrypted.
        host, port: what TCP connects to.
        authority: the ``Host`` header.
        path: the path and the query, encoded.
    """

    web_socket: bool
    tls: bool
    host: str
    port: int
    authority: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_target(url: str, token: str | None = None) -> Target:
    """Read a URL.

    Parameters:
        token: is added to its query as ``token``.

    Raises:
        ValueError: if it is not a URL of ws, wss, http or https. It says what to write.

    Example::

        read_target("ws://127.0.0.1:8080/ws")
    """
    advice = "write a URL such as ws://127.0.0.1:8080/ws or http://127.0.0.1:8080/"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}; {advice}") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of a server; {advice}")
    if parts.username is not None:
        raise ValueError("the URL has a user name; write --header 'Authorization: ...' instead")
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError(f"{url!r} has a space or a control character; {advice}")
    port = port or _PORTS[parts.scheme]
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = [quote(parts.query, safe="/%:@!$&'()*+,;=-._~?")] if parts.query else []
    if token is not None:
        query.append(f"token={quote(token, safe='')}")
    host = parts.hostname
    shown = f"[{host}]" if ":" in host else host
    return Target(
        parts.scheme in ("ws", "wss"),
        parts.scheme in ("wss", "https"),
        host,
        port,
        shown if port == _PORTS[parts.scheme] else f"{shown}:{port}",
        "?".join([path, "&".join(query)]) if query else path,
    )
