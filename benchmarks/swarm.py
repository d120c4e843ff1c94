"""One run of many clients, in this process or in several, and what it found out."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks import load
from benchmarks.crowd import Crowd
from benchmarks.dialects import Dialect
from benchmarks.latency import Histogram
from benchmarks.process import cpu_seconds, raise_file_limit, resident_bytes

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        clients: of all processes together.
        rate: messages a second of all together; None for a closed loop.
        most: messages after which it ends before its time.
        pid: the server's, where its CPU and memory are of interest.
    """

    address: tuple[str, int]
    dialect: Dialect
    clients: int
    seconds: float
    rate: float | None = None
    warm_up: float = 0.5
    most: int = 1_000_000_000
    connect_timeout: float = 60.0
    processes: int = 1
    pid: int | None = None
    first: int = 0


@dataclass
class Result:
    """What a run found out. Times are seconds, CPU is microseconds, memory is bytes."""

    connected: int
    connecting: float
    messages: int
    seconds: float
    latency: Histogram
    errors: Counter[str]
    cpu_per_message: float | None = None
    cpu_share: float | None = None
    rss_per_connection: float | None = None

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``."""
        return {
            "connected": self.connected,
            "handshakes_per_second": self.connected / self.connecting if self.connecting else None,
            "messages": self.messages,
            "seconds": self.seconds,
            "messages_per_second": self.rate,
            "latency_us": self.latency.summary(),
            "errors": dict(self.errors),
            "server_cpu_us_per_message": self.cpu_per_message,
            "server_cpu_share": self.cpu_share,
            "server_rss_bytes_per_connection": self.rss_per_connection,
        }


class _Server:
    """What the server's process costs, before, between and after."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._rss = resident_bytes(pid) if pid else 0
        self._grown: int | None = None
        self._cpu = 0.0
        self._begun = 0.0

    def connected(self) -> None:
        if self._pid:
            self._grown = resident_bytes(self._pid) - self._rss

    def begin(self) -> None:
        self._begun = time.perf_counter()
        if self._pid:
            self._cpu = cpu_seconds(self._pid)

    def note(self, result: Result) -> None:
        """To be called as soon as the run is over."""
        if not self._pid:
            return
        used = cpu_seconds(self._pid) - self._cpu
        result.cpu_share = used / (time.perf_counter() - self._begun)
        if result.messages:
            result.cpu_per_message = used / result.messages * 1e6
        if result.connected and self._grown is not None:
            result.rss_per_connection = self._grown / result.connected


def run(plan: Plan, say: Say) -> Result:
    """Connect, warm up, measure, hang up.

    Parameters:
        say: called with a line of progress now and then.
    """
    raise_file_limit(plan.clients // plan.processes + 100)
    server = _Server(plan.pid)
    if plan.processes == 1:
        return _run_here(plan, server, say)
    return _run_children(plan, server, say)


def _run_here(plan: Plan, server: _Server, say: Say) -> Result:
    crowd = Crowd(plan.address, [plan.dialect], plan.clients, first=plan.first)
    try:
        connecting = crowd.connect(
            plan.connect_timeout, lambda count: say(f"{count:,} of {plan.clients:,} connected")
        )
        connected = len(crowd.ready)
        say(f"{connected:,} connected in {connecting:.2f} s")
        server.connected()
        last = [0.0, 0]

        def tick(seconds: float, messages: int) -> None:
            rate = (messages - last[1]) / (seconds - last[0])
            last[:] = [seconds, messages]
            say(_progress(seconds, plan.seconds, messages, rate, sum(crowd.errors.values())))

        measured = _measure(crowd, plan, server.begin, tick)
        result = Result(
            connected, connecting, measured.messages, measured.seconds, measured.latency,
            crowd.errors,
        )  # fmt: skip
        server.note(result)
        return result
    finally:
        crowd.close()


def _measure(crowd: Crowd, plan: Plan, begin: Callable[[], None], tick: load.Tick) -> load.Measured:
    bounds = load.Bounds(plan.seconds, plan.warm_up, plan.most, begin, tick)
    gc.disable()  # nothing here makes cycles, and a pause would look like the server's
    try:
        if plan.rate is None:
            return load.closed_loop(crowd, bounds)
        return load.open_loop(crowd, bounds, plan.rate)
    finally:
        gc.enable()


def _progress(seconds: float, of: float, messages: int, rate: float, errors: int) -> str:
    return (
        f"{seconds:5.1f} of {of:g} s  {rate:>9,.0f} msg/s  {messages:>12,} messages"
        f"  {errors} errors"
    )


# Several processes: each runs its share and tells the parent about it through a pipe


def _run_children(plan: Plan, server: _Server, say: Say) -> Result:
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    children = []
    first = 0
    for number in range(plan.processes):
        count = plan.clients // plan.processes + (number < plan.clients % plan.processes)
        share = replace(
            plan,
            clients=count,
            processes=1,
            first=first,
            rate=None if plan.rate is None else plan.rate * count / plan.clients,
            most=max(1, plan.most // plan.processes),
            pid=None,
        )
        first += count
        ours, theirs = context.Pipe()
        child = context.Process(target=_child, args=(share, theirs), daemon=True)
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    try:
        return _gather(plan, pipes, server, say)
    finally:
        for child in children:
            child.join(5)
            if child.is_alive():
                child.terminate()


def _child(plan: Plan, pipe: Connection) -> None:
    crowd = Crowd(plan.address, [plan.dialect], plan.clients, first=plan.first)
    connecting = crowd.connect(plan.connect_timeout)
    connected = len(crowd.ready)
    pipe.send((connected, connecting))
    pipe.recv()
    measured = _measure(
        crowd, plan, lambda: pipe.send("begin"), lambda _, messages: pipe.send(messages)
    )
    pipe.send((measured.messages, measured.seconds, measured.latency.to_counts(), crowd.errors))
    crowd.close()


def _gather(plan: Plan, pipes: list[Connection], server: _Server, say: Say) -> Result:
    opened = [pipe.recv() for pipe in pipes]
    result = Result(
        sum(one[0] for one in opened), max(one[1] for one in opened), 0, 0.0, Histogram(), Counter()
    )
    say(f"{result.connected:,} connected in {result.connecting:.2f} s")
    server.connected()
    for pipe in pipes:
        pipe.send("go")
    seen: dict[Connection, int] = {}
    waiting = set(pipes)
    begun = told = time.perf_counter()
    before = 0
    while waiting:
        for ready in wait(list(waiting)):
            assert isinstance(ready, Connection)
            said = ready.recv()
            if said == "begin":
                if not seen:
                    server.begin()
                    begun = told = time.perf_counter()
                seen[ready] = 0
            elif isinstance(said, int):
                seen[ready] = said
            else:
                waiting.discard(ready)
                result.messages += said[0]
                result.seconds = max(result.seconds, said[1])
                result.latency.add_counts(said[2])
                result.errors += said[3]
        now = time.perf_counter()
        if now - told >= 1 and waiting:
            total = sum(seen.values())
            say(_progress(now - begun, plan.seconds, total, (total - before) / (now - told), 0))
            before, told = total, now
    server.note(result)
    return result
