"""Limits and timeouts: each with its name, unit, default and reason.

A limit is what keeps one client's misfortune or malice from everybody else. None of them is a
global: an application carries its own (``FinchApp(limits=Limits(max_body=100 * MIB))``).
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Every bound that Finch puts on a peer. Sizes are bytes, times are seconds.

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

    @property
    def tick(self) -> float:
        """How often the server looks for what is overdue, in seconds.

        Coarse, because one look costs a little for each connection; a tenth of the shortest
        timeout, so that short ones are kept as well.
        """
        shortest = min(
            self.head_timeout,
            self.body_grace,
            self.keep_alive_timeout,
            self.write_timeout,
            self.ping_interval,
            self.ping_timeout,
            self.close_timeout,
            self.leave_grace * 2,
        )
        return min(0.5, shortest / 4)
