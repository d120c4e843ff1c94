"""Limits and timeouts: each with its name, unit, default and reason.

A limit is what keeps one client's misfortune or malice from everybody else. None of them is a
global: an application carries its own (``FinchApp(limits=Limits(max_body=100 * MIB))``).
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
    """Every bound that Finch puts on a peer. Sizes are bytes, times are seconds.

    ``math.inf`` switches a timeout off.

    Raises:
        ConfigurationError: a value is not a number, or it is out of range.
        TypeError: there is no limit of that name.

    Example::

        app = FinchApp(limits=Limits(max_body=100 * 1024 * 1024, ping_interval=10))
    """

    max_request_line: int = 8 * KIB
    """Request line; past it 414. Browsers stay below 2 KiB, uWebSockets allows 4, nginx 8."""

    max_head: int = 16 * KIB
    """Request line and headers together; past it 431. Node's and h11's bound."""

    max_headers: int = 100
    """Number of header lines; past it 431. Browsers send about 20; each one costs a tuple."""

    head_timeout: float = 10.0
    """A request's head must arrive within this, counted from its first byte (or the connection's
    beginning); past it 408. Against clients that send a byte a second."""

    max_body: int = 4 * MIB
    """A body that is read whole; past it 413. A handler that streams chooses its own bound."""

    body_rate: int = 1 * KIB
    """A body slower than this many bytes a second is given up with 408, ..."""

    body_grace: float = 20.0
    """... but not before it has been waited for this long."""

    keep_alive_timeout: float = 15.0
    """An idle connection between two requests is closed after this."""

    write_timeout: float = 20.0
    """A peer that takes none of the bytes waiting for it is dropped after this."""

    max_message_size: int = 1 * MIB
    """One WebSocket message, counted after decompression; past it close 1009."""

    max_fragments: int = 131_072
    """Frames of one WebSocket message; past it close 1009. ``ws``'s bound: each one costs CPU even
    where it is empty."""

    inbox: int = 16
    """Messages read ahead of one client's handler; then reading stops and TCP pushes back."""

    backpressure: int = 64 * KIB
    """``socket.send`` waits while more than this waits for its client."""

    max_outbox: int = 1 * MIB
    """Bytes waiting for one slow client; past it close 1013."""

    ping_interval: float = 20.0
    """A silent WebSocket peer is pinged after this."""

    ping_timeout: float = 20.0
    """A pinged peer that stays silent for this is closed with 1011."""

    close_timeout: float = 5.0
    """The closing handshake, and the wait for a peer to close its side of TCP."""

    leave_grace: float = 1.0
    """What a client sent before it left is still handled for this long; then its handlers are
    cancelled. Long enough for ``send(); close()``, short enough that nobody waits for it."""

    shutdown_timeout: float = 10.0
    """At shutdown, requests and sockets get this to end by themselves."""

    shutdown_spread: float = 2.0
    """At shutdown, the closings of all sockets are spread over this, at one a millisecond, so that
    their clients do not come back as one herd. Part of ``shutdown_timeout``."""

    max_connections: int | None = None
    """Connections at a time, HTTP and WebSockets together; past it 503 with Retry-After. None for
    as many as there are descriptors."""

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
        """How often the server looks for what is overdue, in seconds.

        Coarse, because one look costs a little for each connection; a quarter of the shortest
        timeout, so that short ones are kept as well. At most a hundred times a second, or a very
        short timeout would keep the processor busy.
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


_UNITS: Final = {  # of what is counted; all else is a number of bytes or of seconds
    "max_headers": "header lines",
    "body_rate": "bytes a second",
    "max_fragments": "frames",
    "inbox": "messages",
    "max_connections": "connections",
}
# Where nothing is a bound as well. A timeout of nothing is not: it would be over all the time.
_MAY_BE_ZERO: Final = {
    "max_body",
    "backpressure",
    "leave_grace",
    "shutdown_timeout",
    "shutdown_spread",
}
_MUST_END: Final = {"leave_grace"}  # or handlers of clients that have left would pile up
_FIELDS: Final = {field.name: field for field in fields(Limits)}


def check_limit(name: str, value: Any) -> None:
    """Refuse a value that a limit cannot have, and say what to write.

    Parameters:
        name: a field of :class:`Limits`.
        value: what an application gives for it.

    Raises:
        ConfigurationError: it is not a number of the right kind, or it is out of range.
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
        return "write .total_seconds() behind it"
    if name == "body_rate" and value == 0:
        return "body_grace=math.inf lets a body take any time"
    if default is None:
        return "leave it out for any number"
    example = f"the default is {default}"
    if not whole and name not in _MUST_END:
        example += ", and math.inf switches it off"
    return example
