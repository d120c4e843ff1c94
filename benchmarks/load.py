"""Who sends when: closed loop, open loop at a fixed rate, broadcasts, rooms, to and fro. Each run
ends by itself.

Closed: a client sends its next message when the answer to the last one came. It finds the greatest
throughput; its latencies are those of a server that is always busy.

Open: messages are due at fixed times whatever the server does, and a latency counts from the time
when its message was due. A server that stalls is charged for everybody who would have come
meanwhile (no "coordinated omission").
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.crowd import Client, Crowd
from benchmarks.latency import Histogram

Tick = Callable[[float, int], None]
"""Called about once a second with the seconds and messages measured so far."""

_clock: Final = time.perf_counter_ns
_IN_FLIGHT: Final = 64
"""Messages of one client that may wait for answers, in an open loop."""
_DRAIN: Final = 2.0
"""Seconds that an open loop waits for the last answers."""
_GRACE: Final = 5_000_000
"""Nanoseconds before the end: what was due in them and not sent is not held against anybody."""
OUTSTANDING: Final = 4
"""Broadcasts that may be on their way: enough to keep a server busy, too few to fill buffers."""


@dataclass
class Measured:
    """What a run saw: answers (or deliveries), the seconds it took, latencies."""

    messages: int
    seconds: float
    latency: Histogram

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0


@dataclass
class Bounds:
    """When a run ends, and what is called on the way.

    Attributes:
        seconds: how long is measured.
        warm_up: how long it runs before that.
        most: messages after which it ends early.
        begin: called when measuring begins.
    """

    seconds: float
    warm_up: float = 0.3
    most: int = 1_000_000_000
    begin: Callable[[], None] = lambda: None
    tick: Tick = lambda seconds, messages: None


def closed_loop(crowd: Crowd, bounds: Bounds) -> Measured:
    """Every client sends, waits for the answer, and sends again."""
    latency = Histogram()
    buckets = latency.buckets
    message = crowd.dialect.message
    answered = 0

    def answer(client: Client, right: bool) -> None:
        nonlocal answered
        now = _clock()
        if right:
            answered += 1
            elapsed = now - client.sent
            shift = elapsed.bit_length() - 8
            if shift < 0:
                shift = 0
            buckets[(shift << 7) + (elapsed >> shift)] += 1
        client.sent = now
        crowd.send(client, message)

    crowd.on_answer = answer
    for client in list(crowd.ready):
        client.sent = _clock()
        crowd.send(client, message)

    def restart() -> None:
        nonlocal answered
        latency.clear()
        answered = 0

    seconds = _turn(crowd, bounds, lambda: answered, restart)
    return Measured(answered, seconds, latency)


def broadcast(crowd: Crowd, bounds: Bounds, outstanding: int = OUTSTANDING) -> Measured:
    """The first client asks for broadcasts; what counts are the messages that all clients get.

    Parameters:
        outstanding: broadcasts that may be on their way. With 1, the next is asked for when all
            clients have the last: the server has nothing that it could send together.
    """
    message = crowd.dialect.message
    delivered = base = 0
    next_at = len(crowd.ready)

    def ask() -> None:
        sender = next((client for client in crowd.ready if client.group == 0), None)
        if sender is not None:
            crowd.send(sender, message)

    def answer(client: Client, right: bool) -> None:
        nonlocal delivered, next_at
        delivered += right
        if delivered >= next_at and crowd.ready:
            next_at += len(crowd.ready)
            ask()

    crowd.on_answer = answer
    for _ in range(outstanding):
        ask()

    def restart() -> None:
        nonlocal base
        base = delivered

    seconds = _turn(crowd, bounds, lambda: delivered - base, restart)
    return Measured(delivered - base, seconds, Histogram())


def rooms(crowd: Crowd, bounds: Bounds) -> Measured:
    """In each room, the first client says something when all have what it said before. What counts
    are the messages that all clients get. Each group of the crowd is a room."""
    members: list[list[Client]] = [[] for _ in crowd.dialects]
    for client in crowd.ready:
        members[client.group].append(client)
    sizes = [len(group) for group in members]
    missing = list(sizes)
    delivered = base = 0

    def answer(client: Client, right: bool) -> None:
        nonlocal delivered
        delivered += right
        room = client.group
        missing[room] -= 1
        if not missing[room]:
            missing[room] = sizes[room]
            crowd.send(members[room][0], crowd.dialects[room].message)

    crowd.on_answer = answer
    for group, dialect in zip(members, crowd.dialects, strict=True):
        if group:
            crowd.send(group[0], dialect.message)

    def restart() -> None:
        nonlocal base
        base = delivered

    seconds = _turn(crowd, bounds, lambda: delivered - base, restart)
    return Measured(delivered - base, seconds, Histogram())


def to_and_fro(crowd: Crowd, bounds: Bounds) -> Measured:
    """Every client sends its message, then what undoes it, then its message again, each when the
    one before is answered. What counts are the messages, not what undoes them."""
    done: set[Client] = set()
    answered = 0

    def answer(client: Client, right: bool) -> None:
        nonlocal answered
        dialect = crowd.dialects[client.group]
        if client in done:
            done.remove(client)
            crowd.send(client, dialect.message)
        else:
            answered += right
            done.add(client)
            crowd.send(client, dialect.undo)

    crowd.on_answer = answer
    for client in list(crowd.ready):
        crowd.send(client, crowd.dialects[client.group].message)

    def restart() -> None:
        nonlocal answered
        answered = 0

    seconds = _turn(crowd, bounds, lambda: answered, restart)
    return Measured(answered, seconds, Histogram())


def _turn(
    crowd: Crowd, bounds: Bounds, count: Callable[[], int], restart: Callable[[], None]
) -> float:
    """Turn the crowd until the run is over; how many seconds were measured."""
    warm_until = time.perf_counter() + bounds.warm_up
    while crowd.ready and time.perf_counter() < warm_until:
        crowd.turn(0.05)
    restart()
    bounds.begin()
    begun = told = time.perf_counter()
    end = begun + bounds.seconds
    while crowd.ready and count() < bounds.most:
        crowd.turn(0.05)
        now = time.perf_counter()
        if now >= end:
            break
        if now - told >= 1:
            told = now
            bounds.tick(now - begun, count())
    crowd.on_answer = _late
    return time.perf_counter() - begun


def _late(client: Client, right: bool) -> None:
    """An answer after the end."""


def open_loop(crowd: Crowd, bounds: Bounds, rate: float) -> Measured:
    """Messages are due ``rate`` times a second, from one client after the other."""
    latency = Histogram()
    record = latency.record
    message = crowd.dialect.message
    start = _clock()
    measure_from = start + int(bounds.warm_up * 1e9)
    end = measure_from + int(bounds.seconds * 1e9)
    interval = 1e9 / rate
    answered = sent = 0

    def answer(client: Client, right: bool) -> None:
        nonlocal answered
        due = client.sent
        client.sent = client.late.pop(0) if client.late else 0
        if not due:
            crowd.errors["an answer that nobody waited for"] += 1
        elif right and due >= measure_from:
            answered += 1
            record(_clock() - due)

    crowd.on_answer = answer
    measuring = False
    told = measure_from
    while crowd.ready and answered < bounds.most:
        now = _clock()
        if now >= end:
            break
        if now >= measure_from and not measuring:
            measuring = True
            bounds.begin()
        if now - told >= 1_000_000_000:
            told = now
            bounds.tick((now - measure_from) / 1e9, answered)
        due = min(int((now - start) / interval) + 1, sent + _IN_FLIGHT)
        while sent < due and crowd.ready:
            client = crowd.ready[sent % len(crowd.ready)]
            if len(client.late) >= _IN_FLIGHT:
                break
            intended = start + int(sent * interval)
            if client.sent:
                client.late.append(intended)
            else:
                client.sent = intended
            crowd.send(client, message)
            sent += 1
        wait = (start + sent * interval - _clock()) / 1e9
        # epoll counts in milliseconds: sleep through most of a long wait, spin through the rest
        crowd.turn(wait - 0.001 if wait > 0.002 else 0)
    seconds = max(0.0, (_clock() - measure_from) / 1e9)
    _drain(crowd)
    now = _clock()
    for client in crowd.ready:
        for due in (client.sent, *client.late):
            if due >= measure_from:
                record(now - due)
                crowd.errors["unanswered"] += 1
    # a server that is behind has not even been sent what was due until the end
    for number in range(sent, int((end - _GRACE - start) / interval)):
        if not crowd.ready or answered >= bounds.most:
            break
        record(now - start - int(number * interval))
        crowd.errors["due but not sent: the server or this load is too slow"] += 1
    return Measured(answered, seconds, latency)


def _drain(crowd: Crowd) -> None:
    deadline = time.perf_counter() + _DRAIN
    while any(client.sent for client in crowd.ready) and time.perf_counter() < deadline:
        crowd.turn(0.01)
