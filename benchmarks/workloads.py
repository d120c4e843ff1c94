"""What is measured: each workload drives one running server for a while and gives its figures."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from benchmarks import dialects, load
from benchmarks.crowd import Crowd
from benchmarks.dialects import Dialect
from benchmarks.peers import Server
from benchmarks.process import cpu_seconds, raise_file_limit, resident_bytes

Figures = dict[str, float]
"""Name to value: ``value`` is what the workload is about, others are said beside it."""


@dataclass(frozen=True)
class Workload:
    """One thing to measure.

    Attributes:
        title: as in tables, with its unit.
        run: what drives a server, or several that are joined, for so many seconds.
        needs: what a peer must be able to do.
        higher_is_better: what the ranking and ratios say.
        fresh: whether the server must not have served anything else.
        logged: whether the server writes its access log.
    """

    name: str
    title: str
    run: Callable[[Any, float], Figures] = field(compare=False)
    needs: frozenset[str] = frozenset()
    higher_is_better: bool = True
    fresh: bool = False
    logged: bool = False


@contextmanager
def _crowd(server: Server, dialects: Sequence[Dialect], count: int) -> Iterator[Crowd]:
    raise_file_limit(count + 100)
    crowd = Crowd(server.address, dialects, count)
    gc.disable()
    try:
        yield crowd
    finally:
        crowd.close()
        gc.enable()
        settle(server)


def settle(server: Server) -> None:
    """Wait until a server rests, so that one workload's end does not cost the next one."""
    before = cpu_seconds(server.pid)
    for _ in range(50):
        time.sleep(0.1)
        now = cpu_seconds(server.pid)
        if now - before <= 0.02:
            return
        before = now


Drive = Callable[[Crowd, load.Bounds], load.Measured]


def _measure(
    server: Server, seconds: float, dialects: Sequence[Dialect], clients: int, drive: Drive
) -> Figures:
    with _crowd(server, dialects, clients) as crowd:
        crowd.connect(60)
        connected = len(crowd.ready)
        cpu = own = 0.0

        def begin() -> None:
            nonlocal cpu, own
            cpu, own = cpu_seconds(server.pid), time.process_time()

        measured = drive(crowd, load.Bounds(seconds, warm_up=min(0.3, seconds / 2), begin=begin))
        used = cpu_seconds(server.pid) - cpu
        figures = {
            "value": measured.rate,
            "load_share": (time.process_time() - own) / measured.seconds,
            "cpu_us": used / measured.messages * 1e6 if measured.messages else 0.0,
            "errors": float(sum(crowd.errors.values()) + clients - connected),
        }
        if measured.latency.count:
            figures["p50_us"] = measured.latency.percentile(50)
            figures["p99_us"] = measured.latency.percentile(99)
        return figures


def json_echo(clients: int, server: Server, seconds: float) -> Figures:
    """Messages/s: parse JSON, look the path up, answer with the envelope."""
    return _measure(server, seconds, [server.echo()], clients, load.closed_loop)


def raw_echo(clients: int, size: int, server: Server, seconds: float) -> Figures:
    """Messages/s: the same text back."""
    return _measure(server, seconds, [server.raw(size)], clients, load.closed_loop)


def paced_echo(clients: int, rate: float, server: Server, seconds: float) -> Figures:
    """The 99th percentile in microseconds at a rate that is fixed, for JSON."""

    def drive(crowd: Crowd, bounds: load.Bounds) -> load.Measured:
        return load.open_loop(crowd, bounds, rate)

    figures = _measure(server, seconds, [server.echo()], clients, drive)
    figures["rate"] = figures["value"]
    figures["value"] = figures.get("p99_us", 0.0)
    return figures


def broadcast(
    clients: int, server: Server, seconds: float, *, outstanding: int = load.OUTSTANDING
) -> Figures:
    """Deliveries/s of broadcasts, so many of which are on their way at a time."""
    drive = partial(load.broadcast, outstanding=outstanding)
    return _measure(server, seconds, [server.broadcast()], clients, drive)


def events(clients: int, server: Server, seconds: float) -> Figures:
    """Deliveries/s of server-sent events: one more client asks for the next event when all have the
    last. Its own answers count as deliveries, too: one more for each event."""
    listening = [server.events()] * clients
    drive = partial(load.broadcast, outstanding=1)
    return _measure(server, seconds, [server.publishes(), *listening], clients + 1, drive)


def rooms(count: int, clients: int, server: Server, seconds: float) -> Figures:
    """Deliveries/s: somebody talks in each of ``count`` rooms of ``clients``."""
    return _measure(server, seconds, server.in_rooms(count), count * clients, load.rooms)


def joins(count: int, clients: int, server: Server, seconds: float) -> Figures:
    """Joins/s: the clients of ``count`` rooms of ``clients`` join, leave and join again."""
    return _measure(server, seconds, server.joins(count), count * clients, load.to_and_fro)


def http(target: str, expected: bytes, server: Server, seconds: float) -> Figures:
    """Requests/s on 64 keep-alive connections."""
    dialect = dialects.http_get(server.host, target, expected)
    return _measure(server, seconds, [dialect], 64, load.closed_loop)


def json_body(server: Server, seconds: float) -> Figures:
    """Requests/s on 64 keep-alive connections: a JSON body that is converted to a type."""
    return _measure(server, seconds, [server.order()], 64, load.closed_loop)


def http_logged(target: str, expected: bytes, server: Server, seconds: float) -> Figures:
    """The same as :func:`http`, and whether each request is in the log."""
    figures = http(target, expected, server, seconds)
    lines = 0 if server.log is None else server.log.read_bytes().count(b"\n")
    figures["errors"] += max(0, int(figures["value"] * seconds) - lines)
    return figures


def handshakes(count: int, server: Server, seconds: float) -> Figures:
    """Handshakes/s, TCP's included, until ``count`` connections are open; several times over."""
    opened = errors = 0
    spent = cpu = 0.0
    while spent < seconds:
        with _crowd(server, [server.echo()], count) as crowd:
            before = cpu_seconds(server.pid)
            spent += crowd.connect(30)
            cpu += cpu_seconds(server.pid) - before
            opened += len(crowd.ready)
            errors += sum(crowd.errors.values())
        if errors:
            break
    if not opened:
        return {"value": 0.0, "errors": float(errors)}
    return {"value": opened / spent, "cpu_us": cpu / opened * 1e6, "errors": float(errors)}


def idle_memory(clients: int, server: Server, seconds: float, *, rooms: int = 0) -> Figures:
    """Bytes of resident memory that one silent connection takes.

    Parameters:
        rooms: so many rooms share the clients, each of which is in one; no rooms if 0.
    """
    dialects = server.in_rooms(rooms) if rooms else [server.echo()]
    with _crowd(server, dialects, 20) as crowd:
        crowd.connect(10)
    before = resident_bytes(server.pid)
    with _crowd(server, dialects, clients) as crowd:
        spent = crowd.connect(120)
        # Finch asks clients that were sent something whether they have read it, and forgets it then
        rest = time.perf_counter() + (4 if rooms else 1)
        while time.perf_counter() < rest:
            crowd.turn(0.1)
        connected = len(crowd.ready)
        grown = resident_bytes(server.pid) - before
        return {
            "value": grown / connected if connected else 0.0,
            "handshakes": connected / spent,
            "errors": float(sum(crowd.errors.values()) + clients - connected),
        }


def cold_start(server: Server, seconds: float) -> Figures:
    """Milliseconds from the start of the process to its first answer."""
    return {"value": server.cold_start * 1000, "errors": 0.0}


_MESSAGES: Final = frozenset({"messages"})
_RAW: Final = frozenset({"raw"})
_HTTP: Final = frozenset({"http"})
_ROOMS: Final = frozenset({"rooms"})
_FILES: Final = frozenset({"files"})
_TYPED: Final = frozenset({"typed"})
_EVENTS: Final = frozenset({"events"})

WORKLOADS: Final = (
    Workload("cold-start", "cold start, ms", cold_start, higher_is_better=False),
    *(
        Workload(f"raw-{n}", f"raw echo, {n:,} conns, msg/s", partial(raw_echo, n, 64), _RAW)
        for n in (1, 64, 1000)
    ),
    *(
        Workload(f"json-{n}", f"JSON echo, {n:,} conns, msg/s", partial(json_echo, n), _MESSAGES)
        for n in (1, 64, 1000)
    ),
    Workload("raw-16k", "raw echo of 16 KiB, 64 conns, msg/s", partial(raw_echo, 64, 16384), _RAW),
    Workload(
        "paced",
        "JSON echo, 1,000 conns, 4,000 msg/s: p99, us",
        partial(paced_echo, 1000, 4000.0),
        _MESSAGES,
        higher_is_better=False,
    ),
    *(
        Workload(
            f"broadcast-{n}", f"broadcast to {n:,}, deliveries/s", partial(broadcast, n), _MESSAGES
        )
        for n in (1000, 5000)
    ),
    Workload(
        "broadcast-single",
        "one broadcast at a time to 1,000, deliveries/s",
        partial(broadcast, 1000, outstanding=1),
        _MESSAGES,
    ),
    Workload("room-64x16", "64 rooms of 16, deliveries/s", partial(rooms, 64, 16), _ROOMS),
    Workload("join", "joins/s, each with a leave, 64 conns", partial(joins, 16, 4), _ROOMS),
    Workload("handshakes", "handshakes/s", partial(handshakes, 1000), _MESSAGES),
    Workload("http-hello", "GET /, 64 conns, requests/s", partial(http, "/", b"hello"), _HTTP),
    Workload("http-user", "GET /users/{id}, requests/s", partial(http, "/users/42", b"42"), _HTTP),
    Workload(
        "http-hello-log",
        "GET / with the access log, requests/s",
        partial(http_logged, "/", b"hello"),
        frozenset({"http", "log"}),
        logged=True,
    ),
    Workload("json-body", "POST of typed JSON, requests/s", json_body, _TYPED),
    Workload(
        "static-10k",
        "a file of 10 KB, requests/s",
        partial(http, "/static/10k.txt", b"ten kilobytes"),
        _FILES,
    ),
    Workload("sse-1000", "an event to 1,000 by SSE, deliveries/s", partial(events, 1000), _EVENTS),
    Workload(
        "idle-10000",
        "RSS of an idle connection, 10,000 conns, bytes",
        partial(idle_memory, 10_000),
        _MESSAGES,
        higher_is_better=False,
        fresh=True,
    ),
    Workload(
        "idle-in-room",
        "the same, each in one room of 16, bytes",
        partial(idle_memory, 10_000, rooms=625),
        _ROOMS,
        higher_is_better=False,
        fresh=True,
    ),
)


def named(names: str) -> list[Workload]:
    """The workloads of a comma-separated list; ValueError for a name that is none."""
    known = {workload.name: workload for workload in WORKLOADS}
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ValueError(f"no workload {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in chosen]
