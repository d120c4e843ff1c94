"""Limits and timeouts: each with its name, unit, default and reason.

Limits protect all clients from one that is slow, broken or malicious. They are not global: each
application has its own (``FinchApp(limits=Limits(max_body=100 * MIB))``).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from typing import Any, Final

from finch.errors import ConfigurationError
from finch.explain import closest, shown

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every limit that Finch sets to a peer. Sizes are in bytes, times in seconds.

    ``math.inf`` switches a timeout off.

    Raises:
        ConfigurationError: if a value is not a number or is out of range.
        TypeError: if there is no limit of that name.

    Example::

        app = FinchApp(limits=Limits(max_body=100 * 1024 * 1024, ping_interval=10))
    """

    max_request_line: int = 8 * KIB
    """Request line; a longer one gets 414. Browsers stay below 2 KiB, uWebSockets allows 4, nginx
    8."""

    max_head: int = 16 * KIB
    """Request line and headers together; more gets 431. Node and h11 have the same limit."""

    max_headers: int = 100
    """Number of header lines; more gets 431. Browsers send about 20. Each one costs a tuple."""

    head_timeout: float = 10.0
    """A request's head must arrive within this time, counted from its first byte (or from the
    beginning of the connection); a slower one gets 408. Stops clients that send a byte a second."""

    max_body: int = 4 * MIB
    """A body that is read as a whole; a larger one gets 413. A handler that streams a body sets its
    own limit."""

    max_form_parts: int = 1000
    """Fields and files of one form; more get 413. PHP and Django have the same limit."""

    max_uploads: int = 16 * MIB
    """All files of one form together; more get 413. They go to disk, so they may be larger than
    ``max_body``, which limits the text of the form. A photo of a phone has 3 to 12 MiB."""

    body_rate: int = 1 * KIB
    """A body that arrives at fewer bytes a second gets 408, ..."""

    body_grace: float = 20.0
    """... but only after this time."""

    keep_alive_timeout: float = 15.0
    """A connection that is idle between two requests is closed after this time."""

    write_timeout: float = 20.0
    """A peer that takes none of the bytes waiting for it is dropped after this time."""

    max_message_size: int = 1 * MIB
    """One WebSocket message, counted after decompression; a larger one closes with 1009."""

    max_fragments: int = 131_072
    """Frames of one WebSocket message; more closes with 1009. ``ws`` has the same limit. Even an
    empty frame costs CPU."""

    inbox: int = 16
    """Messages of one client that may wait for its handler. Then Finch stops reading, and TCP makes
    the client wait."""

    backpressure: int = 64 * KIB
    """``socket.send`` waits while more bytes than this are waiting for its client."""

    max_rooms: int = 100
    """Rooms that one client may be in; a join of more is refused with 429."""

    max_outbox: int = 1 * MIB
    """Bytes waiting for one slow client; more closes with 1013."""

    ping_interval: float = 20.0
    """A silent WebSocket peer gets a ping after this time."""

    ping_timeout: float = 20.0
    """A peer that stays silent for this time after a ping is closed with 1011."""

    close_timeout: float = 5.0
    """How long to wait for the closing handshake, and for a peer to close its side of TCP."""

    leave_grace: float = 1.0
    """After a client has left, its messages are still handled for this time. Then its handlers are
    cancelled. Long enough for ``send(); close()``, short enough that nobody has to wait."""

    shutdown_timeout: float = 10.0
    """At shutdown, requests and sockets get this time to end by themselves."""

    shutdown_spread: float | None = None
    """At shutdown, Finch closes one socket per millisecond, so that their clients do not all
    reconnect at once: one core makes about 1,000 TLS handshakes a second. So the time grows with
    the number of clients, up to this. None is half of ``shutdown_timeout``, of which it is a
    part: with more clients than that has milliseconds, raise ``shutdown_timeout``."""

    max_connections: int | None = None
    """Connections at a time, HTTP and WebSockets together; more get 503 with Retry-After. None
    allows as many as there are descriptors."""

    def __new__(cls, *args: Any, **values: Any) -> Limits:
        known = [field.name for field in fields(cls)]
        if args:
            raise TypeError("Limits takes each value by its name: Limits(max_body=...)")
        for name in values:
            if name not in known:
                meant = closest(name, known)
                advice = f"did you mean {meant}?" if meant else f"there are {', '.join(known)}"
                raise TypeError(f"Limits has no {name}; {advice}")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):
            check_limit(field.name, getattr(self, field.name))

    @property
    def tick(self) -> float:
        """Seconds between two looks of the server for overdue connections.

        Normally 0.5 s, because each look costs a little time per connection. With short timeouts,
        a quarter of the shortest one, so that they are kept too. At least 0.01 s, so that a very
        short timeout does not keep the processor busy.
        """
        shortest = min(
            self.head_timeout,
            self.body_grace,
            self.keep_alive_timeout,
            self.write_timeout,
            self.ping_interval,
            self.ping_timeout,
            self.close_timeout,
            self.leave_grace * 2 or math.inf,
        )
        return min(0.5, max(0.01, shortest / 4))


_UNITS: Final = {  # the unit of counts; all other limits are bytes or seconds
    "max_headers": "header lines",
    "max_form_parts": "fields and files",
    "body_rate": "bytes a second",
    "max_fragments": "frames",
    "inbox": "messages",
    "max_rooms": "rooms",
    "max_connections": "connections",
}
# Limits for which 0 makes sense. It does not for a timeout, which would always be over.
_MAY_BE_ZERO: Final = {
    "max_body",
    "max_uploads",
    "backpressure",
    "leave_grace",
    "shutdown_timeout",
    "shutdown_spread",
}
_MUST_END: Final = {"leave_grace"}  # not inf: handlers of clients that have left would pile up
_FIELDS: Final = {field.name: field for field in fields(Limits)}


def check_limit(name: str, value: Any) -> None:
    """Refuse a value that a limit cannot have, and say what to write.

    Parameters:
        name: a field of :class:`Limits`.
        value: what the application set.

    Raises:
        ConfigurationError: if it is not a number of the right kind, or is out of range.
    """
    default, whole = _FIELDS[name].default, "int" in str(_FIELDS[name].type)
    if value is None and default is None:
        return
    if isinstance(value, int if whole else (int, float)) and not isinstance(value, bool):
        enough = value > 0 or (value == 0 and name in _MAY_BE_ZERO)
        endless = value == math.inf and name not in _MUST_END
        if enough and (whole or endless or value <= sys.float_info.max):
            return
    unit = _UNITS.get(name, "bytes" if whole else "seconds")
    raise ConfigurationError(
        f"Limits({name}={shown(value)}): {name} is a {'whole ' if whole else ''}number of {unit}, "
        f"{'0 or more' if name in _MAY_BE_ZERO else 'more than 0'}; {_advice(name, value, whole)}"
    )


def _advice(name: str, value: Any, whole: bool) -> str:
    default = _FIELDS[name].default
    if whole and isinstance(value, float) and value.is_integer() and value > 0:
        return f"write {value:.0f}"
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return f"write {int(value)}, without quotes"
    if hasattr(type(value), "total_seconds"):
        return "write .total_seconds() after it"
    if name == "body_rate" and value == 0:
        return "body_grace=math.inf lets a body take any time"
    if name == "max_connections":
        return "leave it out to allow any number"
    if default is None:
        return "leave it out for half of shutdown_timeout, and math.inf switches it off"
    example = f"the default is {default}"
    if not whole and name not in _MUST_END:
        example += ", and math.inf switches it off"
    return example
