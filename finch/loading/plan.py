"""What a run is to do, and what it has found out. Plain data: no I/O, and others tell the time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from finch.loading.histogram import Histogram
from finch.loading.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do.

    Attributes:
        target: the server.
        clients: connections.
        seconds: how long is measured, after ``warm_up`` seconds.
        rate: messages a second of all clients together; None: each client sends its next message
            as soon as the last one is answered.
        path: of the messages; None for clients that only listen.
        data: of the messages, as JSON.
        room: the room that clients join; ``{n}`` in it is the room's number.
        rooms: how many rooms there are; the clients are dealt out to them in turn.
        headers: further header lines of each request or handshake.
        timeout: seconds to wait for an answer, and for a connection.
        verify: whether the certificate is checked.
    """

    target: Target
    clients: int
    seconds: float
    warm_up: float = 0.5
    rate: float | None = None
    path: str | None = None
    data: bytes = b"null"
    room: str | None = None
    rooms: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    timeout: float = 10.0
    verify: bool = True

    def room_of(self, number: int) -> str | None:
        """The room of a client.

        Parameters:
            number: of the client.
        """
        if self.room is None:
            return None
        return self.room.replace("{n}", str(number % self.rooms + 1))


class Second(NamedTuple):
    """What happened in about a second. Latencies are in microseconds.

    Attributes:
        at: when it ended, in seconds since the measuring began.
        rate: answers or deliveries a second.
        half, most, longest: the median, the 99th percentile and the longest latency.
        errors: how many.
    """

    at: float
    rate: float
    half: float
    most: float
    longest: float
    errors: int


@dataclass(slots=True)
class Tally:
    """What a run has found out so far.

    Attributes:
        connected: connections that were opened.
        connecting: seconds that it took.
        answers: messages or requests that were answered.
        deliveries: messages that came by themselves: of rooms, for example.
        latency: of answers; in rooms, of deliveries.
        errors: what went wrong, and how often.
        seconds: how long was measured.
        series: second by second.
        busy: the share of a core that the load itself needed.
    """

    connected: int = 0
    connecting: float = 0.0
    answers: int = 0
    deliveries: int = 0
    latency: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    series: list[Second] = field(default_factory=list)
    busy: float = 0.0
    _recent: Histogram = field(default_factory=Histogram)
    _before: tuple[float, int, int] = (0.0, 0, 0)

    def restart(self) -> None:
        """Forget what came before the measuring. Errors stay."""
        self.answers = self.deliveries = 0
        self.latency.clear()
        self._recent.clear()
        self._before = (0.0, 0, sum(self.errors.values()))

    def note(self, seconds: float) -> None:
        """Note the latency of an answer or a delivery."""
        nanoseconds = int(seconds * 1e9)
        self.latency.record(nanoseconds)
        self._recent.record(nanoseconds)

    def end_second(self, at: float) -> Second:
        """A second is over.

        Parameters:
            at: seconds since the measuring began.
        """
        before, counted, errors = self._before
        count, failed = self.answers + self.deliveries, sum(self.errors.values())
        recent = self._recent
        span = at - before
        second = Second(
            at,
            (count - counted) / span if span > 0 else 0.0,
            recent.percentile(50),
            recent.percentile(99),
            recent.percentile(100),
            failed - errors,
        )
        recent.clear()
        self._before = (at, count, failed)
        self.series.append(second)
        return second

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``. Latencies are in microseconds."""
        span = self.seconds or 1.0
        return {
            "connected": self.connected,
            "connecting_seconds": self.connecting,
            "seconds": self.seconds,
            "answers": self.answers,
            "answers_per_second": self.answers / span,
            "deliveries": self.deliveries,
            "deliveries_per_second": self.deliveries / span,
            "latency_us": self.latency.summary(),
            "errors": dict(self.errors),
            "load_cpu_share": self.busy,
            "series": [second._asdict() for second in self.series],
        }
