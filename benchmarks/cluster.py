"""Several processes joined by Redis. ``python -m benchmarks.cluster`` measures Finch beside others.

Each round starts 1, 2 and 4 processes of each peer, all joined by one ``redis-server``, which this
program starts. The members of each room are spread over the processes. First it measures how many
deliveries a second there are at most. Then it sends half as many, and measures how long a message
takes from its sender to each member.

With one process, nobody needs what goes to Redis. A peer that does not wait for Redis may be behind
with it then.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import dialects, report
from benchmarks.crowd import Crowd
from benchmarks.fanout import Delivered, NotJoined, Rooms
from benchmarks.peers import HOST, PEERS, NotStarted, Peer, Server, running, uvicorn
from benchmarks.process import (
    before_others,
    cpu_seconds,
    machine_seconds,
    never_interrupt,
    raise_file_limit,
)
from benchmarks.rounds import Results, say
from benchmarks.workloads import Figures, Workload, settle

_PORTS: Final = range(8600, 8990)
_QUIET: Final = 0.05  # of a core: what other programs may use
_WHERE: Final = (
    "the processes, Redis and the load share all cores, so that the figures of several processes"
    " say what they cost, not how they scale"
)
_KNOWN: Final = {peer.name: peer for peer in PEERS}
_FINCH: Final = _KNOWN["finch"]
_NUMBERED: Final = Peer(
    "finch-history", "Finch, rooms with history", _FINCH.command, _FINCH.modules, _FINCH.packages
)
WITH_REDIS: Final = (
    _FINCH,
    _NUMBERED,
    Peer(
        "socketio",
        "python-socketio, AsyncRedisManager",
        _KNOWN["socketio"].command,
        (*_KNOWN["socketio"].modules, "redis"),
        (*_KNOWN["socketio"].packages, "redis"),
        frozenset(),
    ),
    Peer(
        "channels",
        "Channels, RedisPubSubChannelLayer",
        uvicorn(
            "--loop", "uvloop", "--http", "httptools", "--lifespan", "off", app="channels_app:app"
        ),
        ("channels", "channels_redis", "uvicorn", "uvloop", "httptools", "websockets"),
        ("channels", "channels-redis", "django", "redis", "uvicorn", "uvloop", "websockets"),
    ),
)


class Used(NamedTuple):
    """When it was looked, and seconds of CPU: of the servers, Redis, the load, and all others."""

    at: float
    servers: float
    redis: float
    load: float
    others: float

    def since(self, before: Used) -> Used:
        """What was used meanwhile."""
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(frozen=True)
class Cluster:
    """Processes of one peer that run, joined by Redis."""

    peer: Peer
    servers: list[Server]
    redis: int
    first: bool = False

    def undisturbed(self) -> AbstractContextManager[None]:
        """The processes, Redis and the load go before others, if that is wanted."""
        pids = [os.getpid(), self.redis, *(server.pid for server in self.servers)]
        return before_others(pids if self.first else ())

    def used(self) -> Used:
        """What it has used so far."""
        servers = sum(cpu_seconds(server.pid) for server in self.servers)
        redis = cpu_seconds(self.redis)
        own = time.process_time()
        others = machine_seconds() - servers - redis - own
        return Used(time.perf_counter(), servers, redis, own, others)

    def dialects(self, count: int) -> list[dialects.WebSocketDialect]:
        """For each room, what joins it and then asks for messages to it."""
        if self.peer is not _NUMBERED:
            return self.servers[0].in_rooms(count)
        names = [f"kept/{number:04}" for number in range(count)]
        return [dialects.envelope_in_room(self.servers[0].host, "/ws", name) for name in names]

    @contextmanager
    def crowd(self, rooms: int, members: int) -> Iterator[Crowd]:
        """Clients in rooms; those of each room are spread over the processes.

        Raises:
            NotJoined: if one of them is not connected.
        """
        addresses = [server.address for server in self.servers]

        def address_of(number: int) -> tuple[str, int]:
            return addresses[(number // rooms + number % rooms) % len(addresses)]

        count = rooms * members
        raise_file_limit(count + 100)
        crowd = Crowd(addresses[0], self.dialects(rooms), count, address_of=address_of)
        gc.disable()  # a pause would look like the servers'
        try:
            crowd.connect(30)
            if len(crowd.ready) < count or crowd.errors:
                raise NotJoined(f"not all clients are in their rooms: {dict(crowd.errors)}")
            yield crowd
        finally:
            crowd.close()
            gc.enable()


def fan_out(rooms: int, members: int, cluster: Cluster, seconds: float) -> Figures:
    """Deliveries a second, and the latency at half of them.

    Raises:
        NotJoined: if the processes are not joined.
    """
    with cluster.crowd(rooms, members) as crowd:
        load = Rooms(crowd, [server.port for server in cluster.servers])
        load.join()
        before = cluster.used()
        most = load.closed_loop(seconds)
        used = cluster.used().since(before)
        rate = most.deliveries / most.seconds
        half = Delivered(0, 0.0, 0, most.latency)
        if rate:
            half = load.open_loop(seconds, rate / 2 / members)
        figures = {
            "value": rate,
            "load_share": used.load / used.at,
            "errors": float(most.lost + half.lost + sum(crowd.errors.values())),
        }
        if half.deliveries:
            # what was sent before the measured time costs as much, in proportion
            figures["cpu_us"] = used.servers / used.at / rate * 1e6
            figures["redis_us"] = used.redis / used.at / rate * 1e6
            figures["p50_us"] = half.latency.percentile(50)
            figures["p99_us"] = half.latency.percentile(99)
        whole = cluster.used().since(before)
        figures["others_share"] = whole.others / whole.at
        return figures


def workload(rooms: int, members: int, processes: int) -> Workload:
    """Rooms of so many members, spread over so many processes."""
    title = f"{processes} processes, {rooms} rooms of {members}, deliveries/s"
    return Workload(
        f"{rooms}x{members}/{processes}",
        title if processes > 1 else title.replace("processes", "process"),
        partial(fan_out, rooms, members),
    )


@contextmanager
def redis(port: int) -> Iterator[tuple[str, int]]:
    """A Redis server that keeps nothing on disk: its URL and its process.

    Raises:
        NotStarted: if it does not come up.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = ("--port", str(port), "--bind", HOST, "--save", "", "--dir", folder)
        child = subprocess.Popen(["redis-server", *options], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child.stdout as said:
            if not any("Ready to accept connections" in line for line in said):
                raise NotStarted(f"redis-server does not start on port {port}")
            try:
                yield f"redis://{HOST}:{port}/0", child.pid
            finally:
                child.terminate()
                child.wait()


def measure(
    peers: Sequence[Peer],
    processes: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    rounds: int,
    seconds: float,
    patience: float = 0.0,
    first: bool = False,
) -> Results:
    """Run everything; progress and each round's figures go to stderr as they come.

    The order of the peers is turned by one each round: none is always the first.

    Parameters:
        processes: how many processes of each peer, one after the other.
        shapes: how many rooms, and how many members each.
        patience: seconds for each peer and number of processes in which a measurement may be
            repeated as other programs have disturbed it.
        first: whether it goes before other programs.
    """
    everything = [workload(*shape, count) for shape in shapes for count in processes]
    results = Results(list(peers), everything)
    ports = itertools.cycle(_PORTS)
    with redis(next(ports)) as (url, redis_pid):
        os.environ["BENCHMARK_REDIS"] = url
        for number in range(rounds):
            turn = number % len(peers)
            for count, peer in itertools.product(processes, [*peers[turn:], *peers[:turn]]):
                chosen = [workload(*shape, count) for shape in shapes]
                with ExitStack() as stack:
                    cluster = Cluster(peer, [], redis_pid, first)
                    try:
                        for _ in range(count):
                            one = running(peer, next(ports), *sorted(os.sched_getaffinity(0)))
                            cluster.servers.append(stack.enter_context(one))
                    except NotStarted as error:
                        print(error, file=sys.stderr)
                        continue
                    for each in chosen:
                        figures = _undisturbed(cluster, each, seconds, patience)
                        results.figures.setdefault((peer.name, each.name), []).append(figures)
                        say(number, peer, each, figures)
    return results


def _undisturbed(
    cluster: Cluster, one: Workload, seconds: float, patience: float
) -> Figures | None:
    """The figures that other programs have disturbed least; None if it failed."""
    best: Figures | None = None
    deadline = time.monotonic() + patience
    while best is None or (best["others_share"] > _QUIET and time.monotonic() < deadline):
        for server in cluster.servers:
            settle(server)
        try:
            with cluster.undisturbed():
                figures = one.run(cluster, seconds)
        except (NotJoined, OSError) as error:
            print(f"{cluster.peer.name}, {one.name}: {error}", file=sys.stderr)
            return best
        if best is None or figures["others_share"] < best["others_share"]:
            best = figures
    return best


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0 if there are results."""
    parser = _parser()
    options = parser.parse_args(arguments)
    known = {peer.name: peer for peer in WITH_REDIS}
    wanted = [name.strip() for name in options.only.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(known)}")
    if shutil.which("redis-server") is None:
        print("no redis-server: apt-get install redis-server", file=sys.stderr)
        return 1
    if options.first and os.geteuid() != 0:
        parser.error("--first needs root: without it, other programs disturb the latencies")
    present = []
    for name in wanted:
        missing = known[name].missing()
        if missing:
            print(f"{name} is skipped: {missing}", file=sys.stderr)
        else:
            present.append(known[name])
    if not present:
        return 1
    if options.polite:
        never_interrupt()
    results = measure(
        present,
        options.processes,
        options.rooms,
        options.rounds,
        options.seconds,
        options.patience,
        options.first,
    )
    table = report.markdown(results, options.rounds, options.seconds, _WHERE)
    if options.out is not None:
        out: Path = options.out
        out.mkdir(parents=True, exist_ok=True)
        (out / "cluster.json").write_text(json.dumps(report.to_json(results), indent=1) + "\n")
        (out / "cluster.md").write_text(table)
    print(table)
    return 0 if any(any(rounds) for rounds in results.figures.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description="Measure processes joined by Redis."
    )
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="interleaved rounds (%(default)s)")
    add("--seconds", type=float, default=3.0, help="of each measurement (%(default)s)")
    add("--processes", type=int, nargs="+", default=[1, 2, 4], help="(1 2 4)")
    add(
        "--rooms",
        type=_shape,
        nargs="+",
        default=[(8, 50), (64, 8)],
        metavar="ROOMSxMEMBERS",
        help="(8x50 64x8)",
    )
    names = ",".join(peer.name for peer in WITH_REDIS)
    add("--only", metavar="PEERS", default=names, help="comma-separated (%(default)s)")
    add(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="in which a measurement may be repeated if other programs disturb it (%(default)s)",
    )
    add("--first", action="store_true", help="go before other programs: needs root")
    add(
        "--polite",
        action="store_true",
        help="the load takes no core from a server that is at work: for an otherwise idle machine",
    )
    add("--out", type=Path, help="folder for cluster.md and cluster.json")
    return parser


def _shape(text: str) -> tuple[int, int]:
    rooms, _, members = text.partition("x")
    return int(rooms), int(members)


if __name__ == "__main__":
    sys.exit(main())
