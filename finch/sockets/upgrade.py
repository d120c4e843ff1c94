"""Accepts an upgrade request with a response, or refuses it with an error.

An upgrade is a response: middleware sees it, and error handlers see a refusal. The connection
becomes a WebSocket only after the response is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from finch.config import check_limit
from finch.errors import ConfigurationError, HTTPError
from finch.explain import shown as value_shown
from finch.headers import NAME as TOKEN
from finch.http.request import Request
from finch.http.takeover import TakeOver
from finch.logs import Seldom
from finch.net.transport import Transport
from finch.sockets.link import Host, Link, Owner
from finch.wire.handshake import (
    accept_headers,
    choose_subprotocol,
    read_handshake,
    same_origin,
)
from finch.wire.origins import Origin, listed_origin, read_origin
from finch.wire.websocket import WebSocketProtocol

if TYPE_CHECKING:
    from wsproto.extensions import Extension

_log: Final = logging.getLogger("finch.app")
_SHOWN: Final = 200  # characters of what a client sent, in the log and in the answer


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What the socket of one path accepts.

    Parameters:
        allowed_origins: origins besides the host's own, such as ``https://example.org`` or
            ``capacitor://localhost``; ``"null"``; ``"*"`` for any.
        subprotocols: the supported subprotocols, the preferred first.
        compression: whether permessage-deflate is accepted.
        max_message_size: bytes of one message after decompression.

    Raises:
        ConfigurationError: if an origin is invalid.
    """

    allowed_origins: frozenset[str] = frozenset()
    subprotocols: tuple[str, ...] = ()
    compression: bool = False
    max_message_size: int = 1024 * 1024
    _parsed: frozenset[Origin] = field(default=frozenset(), init=False)
    seldom: Seldom = field(
        default_factory=lambda: Seldom(_log), init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        parsed = map(listed_origin, self.allowed_origins - {"*", "null"})
        object.__setattr__(self, "_parsed", frozenset(parsed))

    def varied(
        self,
        allowed_origins: Iterable[str] | str | None,
        subprotocols: Iterable[str],
        compression: bool | None,
        max_message_size: int | None,
    ) -> SocketOptions:
        """The options of one path: these, where it says nothing of its own.

        Raises:
            ConfigurationError: for a value that an option cannot have; says what to write.
        """
        if max_message_size is not None:
            check_limit("max_message_size", max_message_size)
        if compression is not None:
            check_compression(compression)
        return SocketOptions(
            allowed_origins=(
                self.allowed_origins if allowed_origins is None else origins(allowed_origins)
            ),
            subprotocols=_subprotocols(subprotocols),
            compression=self.compression if compression is None else compression,
            max_message_size=max_message_size or self.max_message_size,
        )

    def allows(self, origin: str, scheme: str, host: str) -> bool:
        """Whether a page of this origin may connect to this host with this scheme."""
        return (
            same_origin(origin, scheme, host)
            or "*" in self.allowed_origins
            or (origin == "null" and "null" in self.allowed_origins)
            or read_origin(origin) in self._parsed
        )


def check_compression(compression: object) -> None:
    """Refuse anything but True and False.

    Raises:
        ConfigurationError: for anything else.
    """
    if not isinstance(compression, bool):
        raise ConfigurationError(f"compression is True or False, not {value_shown(compression)}")


def _subprotocols(given: Iterable[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        names = [name.strip() for name in given.split(",")]
        raise ConfigurationError(
            f"subprotocols is the text {given!r}; write a list: subprotocols={names!r}"
        )
    try:
        listed = tuple(given)
    except TypeError:
        raise ConfigurationError(
            f"subprotocols is {value_shown(given)}; write a list, such as ['chat'], or leave it out"
        ) from None
    for name in listed:
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise ConfigurationError(
                f"subprotocols has {value_shown(name)}, which is not the name of a subprotocol; "
                "write letters, digits, dots and hyphens, such as 'chat.v2'"
            )
    return listed


def origins(allowed: Iterable[str] | str) -> frozenset[str]:
    """Read ``allowed_origins``: one origin, or several.

    Raises:
        ConfigurationError: if it is neither text nor several texts.
    """
    try:
        return frozenset((allowed,) if isinstance(allowed, str) else allowed)
    except TypeError:
        raise ConfigurationError(
            f"allowed_origins is {allowed!r}; write a list, such as ['https://example.org'], or "
            "'*' for any origin"
        ) from None


class Upgrade(TakeOver):
    """The response that accepts a WebSocket: sends the 101, and then starts the socket.

    ``manager.request_handle(request)`` and raw sockets make it; a handler returns it.
    """

    def __init__(
        self,
        headers: list[tuple[bytes, bytes]],
        extensions: list[Extension],
        options: SocketOptions,
        attach: Callable[[Link], Owner],
        request: Request,
    ) -> None:
        super().__init__(request, 101)
        self._handshake_headers = headers
        self._extensions = extensions
        self._options = options
        self._attach = attach

    def __await__(self) -> Generator[Any, Any, Upgrade]:
        """Returns itself. ``request_handle`` never waits, so it works with and without
        ``await``."""
        yield from ()
        return self

    @property
    def status(self) -> int:
        """101. To refuse the client, raise an error instead."""
        return 101

    @status.setter
    def status(self, status: int) -> None:
        if status != 101 and hasattr(self, "_attach"):
            raise ValueError(
                f"the status of an upgrade is 101, not {value_shown(status)}; to refuse the "
                "client, write 'raise HTTPError(403)', or return another response"
            )

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        # an extension that was not agreed on would end the connection
        added = [item for item in super().raw_headers() if item[0] != b"sec-websocket-extensions"]
        return self._handshake_headers + added

    def open(self, transport: Transport, host: Host) -> Link:
        """The 101 is sent: make the connection a link, and start its owner."""
        protocol = WebSocketProtocol(
            max_message_size=self._options.max_message_size,
            max_fragments=host.limits.max_fragments,
            extensions=self._extensions,
        )
        link = Link(transport, protocol, host)
        link.open(self._attach(link))
        return link


def accept(
    request: Request,
    options: SocketOptions,
    attach: Callable[[Link, str | None], Owner],
) -> Upgrade:
    """Accept an upgrade request.

    Parameters:
        request: the request to upgrade.
        options: what is accepted.
        attach: takes the link and the agreed subprotocol, and returns the link's owner.

    Raises:
        HTTPError: 426 if the request asks for no upgrade, 403 if its origin is not allowed, 400 if
            the handshake is wrong.

    Source: RFC 6455, section 4.2.
    """
    handshake = read_handshake(request.method, request.http_version, request.raw_headers)
    origin = handshake.origin
    if origin is not None and not options.allows(origin, request.scheme, request.host):
        raise _refuse(request, origin, options.seldom)
    subprotocol = choose_subprotocol(handshake.subprotocols, options.subprotocols)
    headers = accept_headers(handshake, subprotocol)
    extensions: list[Extension] = []
    if options.compression:
        from finch.wire.extensions import accept_compression  # imports wsproto

        agreed = accept_compression(handshake.extensions)
        if agreed is not None:
            extensions.append(agreed[0])
            headers.append((b"sec-websocket-extensions", agreed[1]))
    return Upgrade(headers, extensions, options, lambda link: attach(link, subprotocol), request)


def _refuse(request: Request, origin: str, log: Seldom) -> HTTPError:
    """Log why the socket of a page is refused, and which setting would allow it."""
    shown = origin[:_SHOWN]
    if read_origin(origin) is None and origin != "null":
        log.warning(
            "a socket to %s was refused: its Origin %s is not a valid origin",
            request.raw_path[:_SHOWN],
            ascii(shown),
        )
    else:
        log.warning(
            "a socket to %s was refused: its page is from %s, which is neither this host (%s://%s) "
            'nor allowed. allowed_origins=["%s"] allows it',
            request.raw_path[:_SHOWN],
            shown,
            request.scheme,
            request.host[:_SHOWN],
            shown,
        )
    return HTTPError(
        403, f"pages of {shown} may not connect here; the server's allowed_origins decides"
    )
