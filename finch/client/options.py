"""The options of a client, and their checks. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final, TypedDict

from finch.config import MIB
from finch.explain import closest, kind, shown
from finch.headers import header_items

if TYPE_CHECKING:
    import trio

Token = Callable[[], str | Awaitable[str | None] | None]
"""Gives the token of an attempt; may be ``async``."""
Headers = Mapping[str, str] | Iterable[tuple[str, str]]
OpenStream = Callable[[], Awaitable["trio.abc.Stream"]]
"""Opens the bytes to a server."""

_NUMBERS: Final = {
    "max_message_size": 1,
    "queue_size": 0,
    "queue_age": 0,
    "buffer": 1,
    "connect_timeout": 0,
    "ping_interval": 0,
    "ping_timeout": 0,
    "close_timeout": 0,
}


class Limits(TypedDict, total=False):
    """The limits among the :class:`Options`, for type checkers."""

    max_message_size: int
    queue_size: int
    queue_age: float
    buffer: int
    connect_timeout: float
    ping_interval: float
    ping_timeout: float
    close_timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a client connects, and its limits. Sizes are in bytes, times in seconds.

    Raises:
        ValueError: if a number is out of range, or a header cannot be sent.
        TypeError: if a value has the wrong type.
    """

    token: Token | None = None
    """Called at each attempt; what it returns is sent as ``?token=``, None sends none."""

    ssl_context: SSLContext | None = None
    """The TLS settings for ``wss``. None trusts what the system trusts."""

    headers: Headers = ()
    """Further headers of the handshake, such as ``{"Authorization": "Bearer ..."}``."""

    open_stream: OpenStream | None = None
    """Opens the connection instead of TCP: to a unix socket, through a proxy, or in memory.
    For ``wss``, TLS comes on top."""

    compression: bool = False
    """Whether permessage-deflate (RFC 7692) is offered. It costs memory and time on both sides."""

    max_message_size: int = 16 * MIB
    """One message of the server, after decompression. A longer one closes with 1009, for good: it
    would come again."""

    queue_size: int = 64
    """Messages that may wait for a connection. More are refused."""

    queue_age: float = 30.0
    """A message waits for a connection for this time. Then it is dropped."""

    buffer: int = 256
    """Messages that may wait for one iterator, and parts of an answer that may wait for its reader.
    Then the client stops reading, and the server sees a slow client."""

    connect_timeout: float = 20.0
    """An attempt to connect, from the token to the server's 101, may take this time."""

    ping_interval: float = 20.0
    """A silent server gets a ping after this time."""

    ping_timeout: float = 20.0
    """The connection of a server that stays silent for this time after a ping is given up."""

    close_timeout: float = 5.0
    """How long to wait for the closing handshake."""

    def __post_init__(self) -> None:
        for name, least in _NUMBERS.items():
            self._check_number(name, least)
        for name in ("token", "open_stream"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name} is a function, not {kind(value)}; write lambda: ...")
        given: Any = self.ssl_context
        if given is not None and not isinstance(given, SSLContext):
            raise TypeError(
                f"ssl_context is an ssl.SSLContext, not {kind(given)}; write "
                "ssl.create_default_context()"
            )
        # checked here, and read once: it may be an iterator
        object.__setattr__(self, "headers", tuple(header_items(self.headers, "connect")))

    @property
    def header_lines(self) -> list[tuple[bytes, bytes]]:
        """The headers as they are sent."""
        lines = header_items(self.headers, "connect")
        return [(name.encode(), value.encode("latin-1")) for name, value in lines]

    def _check_number(self, name: str, least: int) -> None:
        value = getattr(self, name)
        whole = name in ("max_message_size", "queue_size", "buffer")
        types = (int,) if whole else (int, float)
        if type(value) not in types:
            wanted = "a whole number" if whole else "a number of seconds"
            raise TypeError(f"{name} is {wanted}, not {shown(value)}")
        if not value >= least or (least == 0 and not whole and value == 0):
            raise ValueError(f"{name}={shown(value)} is too small")


def check_names(given: Iterable[str]) -> None:
    """Refuse an option that does not exist.

    Raises:
        TypeError: with the name that was probably meant.
    """
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            meant = closest(name, known)
            advice = f"; did you mean {meant}?" if meant else f"; there are {', '.join(known)}"
            raise TypeError(f"connect has no option {name!r}{advice}")
