"""The options of sockets. They are declared, documented and checked here, and only here.

An application has options for all its sockets. A manager or a raw socket may have others for its
own path. All three take them as keywords: ``**options: Unpack[...]``, below
:func:`finch.keywords.takes_options`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final, TypedDict

from finch.config import Limits, check_limit
from finch.errors import ConfigurationError
from finch.explain import shown
from finch.headers import NAME as TOKEN
from finch.logs import Seldom
from finch.wire.handshake import same_origin
from finch.wire.origins import listed_origin, read_origin

_log: Final = logging.getLogger("finch.app")


class OfApplication(TypedDict, total=False):
    """The options of all sockets of an application, as they are written; see
    :class:`SocketOptions`.

    The default of ``max_message_size``, and its None, is ``limits.max_message_size``.
    """

    allowed_origins: Iterable[str] | str
    compression: bool
    max_message_size: int | None
    sse: bool


class OfSocket(TypedDict, total=False):
    """The options of one path, as they are written; see :class:`SocketOptions`.

    None, or an option that is left out, is what the application says.
    """

    allowed_origins: Iterable[str] | str | None
    subprotocols: Iterable[str]
    compression: bool | None
    max_message_size: int | None


class OfManager(OfSocket, total=False):
    """The options of a manager, as they are written; see :class:`SocketOptions`."""

    sse: bool | None


class SocketOptions:
    """What the socket of one path accepts.

    Parameters:
        max_message_size: bytes of one message, after decompression.
        allowed_origins: the origins whose pages may open sockets, such as ``https://example.org``
            or ``capacitor://localhost``; ``"null"``; ``"*"`` for any. Pages of the host itself
            always may. One text, or several.
        subprotocols: the WebSocket subprotocols that the server accepts, the preferred one first.
        compression: whether permessage-deflate is accepted. It costs memory for each client.
        sse: whether clients of a manager may connect without a WebSocket: by server-sent events and
            POST. A raw socket is always a WebSocket.

    Raises:
        ConfigurationError: if a value is invalid. The message says what to write.

    Attributes:
        seldom: logs which pages are refused.
    """

    __slots__ = (
        "_also",
        "_parsed",
        "allowed_origins",
        "compression",
        "max_message_size",
        "seldom",
        "sse",
        "subprotocols",
    )

    def __init__(
        self,
        *,
        max_message_size: int,
        allowed_origins: Iterable[str] | str = (),
        subprotocols: Iterable[str] = (),
        compression: bool = False,
        sse: bool = True,
    ) -> None:
        check_limit("max_message_size", max_message_size)
        for name, value in (("compression", compression), ("sse", sse)):
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name} is True or False, not {shown(value)}")
        self.max_message_size = max_message_size
        self.allowed_origins = _origins(allowed_origins)
        self.subprotocols = _subprotocols(subprotocols)
        self.compression = compression
        self.sse = sse
        self.seldom = Seldom(_log)
        self._also: list[Callable[[str], bool]] = []
        self._parsed = frozenset(map(listed_origin, self.allowed_origins - {"*", "null"}))

    @classmethod
    def of_application(cls, options: OfApplication, limits: Limits) -> SocketOptions:
        """The options of an application, with its limits."""
        default = cls(max_message_size=limits.max_message_size)
        return default._changed(options, {"max_message_size"})

    def varied(self, options: OfSocket | OfManager) -> SocketOptions:
        """The options of one path. Those that the path leaves out are taken from this object."""
        return self._changed(options, OfApplication.__optional_keys__)

    def _changed(self, options: Mapping[str, Any], may_be_none: Container[str]) -> SocketOptions:
        said = {name: getattr(self, name) for name in OfManager.__optional_keys__}
        for name, value in options.items():
            if value is not None or name not in may_be_none:
                said[name] = value
        new = SocketOptions(**said)
        if options.get("allowed_origins") is None:
            new._also = self._also  # one list: what is allowed later is allowed there, too
        return new

    def allow_also(self, allowed: Callable[[str], bool]) -> None:
        """Allow further origins, here and at each path that has not said ``allowed_origins``.

        Parameters:
            allowed: tells of a value of ``Origin`` whether its pages may connect.
        """
        self._also.append(allowed)

    def allows(self, origin: str, scheme: str, host: str) -> bool:
        """Whether a page of this origin may connect to this host with this scheme."""
        return (
            same_origin(origin, scheme, host)
            or "*" in self.allowed_origins
            or (origin == "null" and "null" in self.allowed_origins)
            or read_origin(origin) in self._parsed
            or any(allowed(origin) for allowed in self._also)
        )


def _origins(allowed: Iterable[str] | str) -> frozenset[str]:
    try:
        return frozenset((allowed,) if isinstance(allowed, str) else allowed)
    except TypeError:
        raise ConfigurationError(
            f"allowed_origins is {allowed!r}; write a list, such as ['https://example.org'], or "
            "'*' for any origin"
        ) from None


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
            f"subprotocols is {shown(given)}; write a list, such as ['chat'], or leave it out"
        ) from None
    for name in listed:
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise ConfigurationError(
                f"subprotocols has {shown(name)}, which is not the name of a subprotocol; "
                "write letters, digits, dots and hyphens, such as 'chat.v2'"
            )
    return listed
