"""A server in a process of its own, under mutated inputs from many connections at once.

python -m tests.fuzz.live --inputs 100000 --door tls

So many inputs for HTTP and as many for WebSocket, through one of the ways into a server. Meanwhile
a canary, a client as good as any, sends a request and a message every few milliseconds and measures
how long the answers take. At the end the server must live, say nothing of a bug in its log, hold no
descriptor more than at the start, and end with exit code 0 when told to.
"""

import argparse
import multiprocessing
import os
import re
import signal
import socket
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import trio
from websockets.frames import Frame, Opcode

from tests.fuzz import inputs
from tests.fuzz.connection import understand
from tests.fuzz.doors import KINDS, Door, Line, RunningServer, running

_SILENT: Final = 32  # connections that are left open and say nothing more, at any time
_PATIENCE: Final = 60.0  # seconds that the server has to end a connection; its limits take 40
_PAUSE: Final = 0.005  # seconds between two rounds of the canary
_BAD_WORDS: Final = re.compile(r"a bug in Finch|Traceback|ERROR|CRITICAL")
_HANDSHAKE: Final = (
    b"GET /raw HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.live", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of each kind (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="at a time (%(default)s)")
    parser.add_argument("--door", choices=KINDS, default="hub", help="the way in (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of chance (%(default)s)")
    options = parser.parse_args(arguments)
    report = run(options.inputs, options.door, options.connections, options.seed)
    print(report)
    return 1 if report.complaints else 0


# The report


@dataclass
class Report:
    """What came of it; ``complaints`` is empty where all is well."""

    inputs: int
    seconds: float = 0.0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    calm: dict[str, list[float]] = field(default_factory=dict)
    """The canary's round trips in milliseconds before the attack, for each kind."""
    attacked: dict[str, list[float]] = field(default_factory=dict)
    """The same while it lasts."""
    descriptors: tuple[int, int] = (0, 0)
    memory: tuple[int, int] = (0, 0)
    """KiB of the server before and after."""
    complaints: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.inputs:,} inputs of each kind in {self.seconds:.0f} s"]
        for kind, outcomes in self.outcomes.items():
            said = ", ".join(f"{what}: {count:,}" for what, count in outcomes.most_common())
            lines.append(f"{kind}: {said}")
        for when, trips in (("before", self.calm), ("meanwhile", self.attacked)):
            for kind, times in trips.items():
                lines.append(f"canary {when}, {kind}: {_described(times)}")
        lines.append("descriptors: {} before, {} after".format(*self.descriptors))
        lines.append("server's memory: {:,} KiB before, {:,} after".format(*self.memory))
        lines += [f"FAILED: {complaint}" for complaint in self.complaints] or ["all is well"]
        return "\n".join(lines)


def _described(times: list[float]) -> str:
    if len(times) < 2:
        return "nothing was measured"
    cuts = statistics.quantiles(times, n=100)
    above = sum(time > 50 for time in times)
    return (
        f"median {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms, worst {max(times):.1f} ms; "
        f"{above} of {len(times):,} above 50 ms"
    )


# The run


def run(count: int, door: str = "hub", connections: int = 16, seed: int = 1) -> Report:
    """Attack a server with so many inputs of each kind, through that door."""
    report = Report(count)
    with running(door) as server:
        try:
            _attack_while_it_sings(report, server, connections, seed)
        except (OSError, CanaryDied) as error:
            report.complaints.append(f"the canary: {error}")
        judge(report, server)
    return report


def _attack_while_it_sings(
    report: Report, server: RunningServer, connections: int, seed: int
) -> None:
    with Canary(server.door) as canary:
        canary.sing_while(lambda: len(canary.times["HTTP"]) < min(200, report.inputs))
        report.calm = canary.take_times()
        before = server.descriptors(), server.memory()
        begun = time.monotonic()
        for kind in ("HTTP", "WebSocket"):
            attack = kind, server.door, report.inputs, connections, seed
            with _attackers(*attack) as (process, results):
                canary.sing_while(process.is_alive)
                if process.exitcode != 0 or results.empty():
                    report.complaints.append(f"the {kind} attackers ended with {process.exitcode}")
                else:
                    report.outcomes[kind] = results.get()
        report.seconds = time.monotonic() - begun
        report.attacked = canary.take_times()
        until = time.monotonic() + _PATIENCE
        while server.descriptors() > before[0] and time.monotonic() < until:
            canary.sing_while(iter((True, False)).__next__)
        report.descriptors = before[0], server.descriptors()
        report.memory = before[1], server.memory()


def judge(report: Report, server: RunningServer) -> None:
    """End the server, and put into the report's complaints whatever is not as it should be."""
    complain = report.complaints.append
    for kind, outcomes in report.outcomes.items():
        if sum(outcomes.values()) != report.inputs:
            complain(f"only {sum(outcomes.values())} {kind} inputs were sent")
        if outcomes["never closed"]:
            complain(f"{outcomes['never closed']} {kind} connections were never closed")
        if outcomes["nonsense"]:
            complain(f"{outcomes['nonsense']} answers to {kind} inputs cannot be read")
    before, after = report.descriptors
    if before != after:
        complain(f"{before} descriptors became {after}")
    if server.popen.poll() is not None:
        complain(f"the server ended with {server.popen.returncode}")
    else:
        server.popen.send_signal(signal.SIGTERM)
        code = server.popen.wait(_PATIENCE)
        if code != 0:
            complain(f"told to end, the server ended with {code}")
    for line in server.log.read_text().splitlines():
        if _BAD_WORDS.search(line):
            complain(f"the server's log: {line}")


# The canary


class CanaryDied(Exception):
    """The server no longer answers a good client."""


class Canary:
    """A good client: a request on a connection that is kept, then a message on a WebSocket, each
    answered before the next. ``times`` has the milliseconds that it took, for each kind."""

    def __init__(self, door: Door) -> None:
        self.times: dict[str, list[float]] = {"HTTP": [], "WebSocket": []}
        self._songs = 0
        self._http = door.connect(_PATIENCE)
        self._ws = door.connect(_PATIENCE)

    def __enter__(self) -> "Canary":
        self._ws.sendall(_HANDSHAKE)
        self._until(self._ws, b"\r\n\r\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._ws.close()

    def take_times(self) -> dict[str, list[float]]:
        """What was measured since the last time."""
        times, self.times = self.times, {"HTTP": [], "WebSocket": []}
        return times

    def sing_while(self, going: Callable[[], bool]) -> None:
        """Send and measure, again and again, while that says so."""
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        while going():
            self._round("HTTP", self._http, request, b"\r\n\r\nhello")
            self._songs += 1
            text = b"song %d" % self._songs
            message = Frame(Opcode.TEXT, text).serialize(mask=True)
            self._round("WebSocket", self._ws, message, text)
            time.sleep(_PAUSE)

    def _round(self, kind: str, sock: socket.socket, sent: bytes, end: bytes) -> None:
        begun = time.perf_counter()
        sock.sendall(sent)
        self._until(sock, end)
        self.times[kind].append((time.perf_counter() - begun) * 1000)

    @staticmethod
    def _until(sock: socket.socket, end: bytes) -> None:
        received = b""
        while not received.endswith(end):
            data = sock.recv(65536)
            if not data:
                raise CanaryDied(f"the server left it; it heard {received!r}")
            received += data


# The attackers


@contextmanager
def _attackers(kind: str, door: Door, count: int, connections: int, seed: int) -> Iterator[Any]:
    """A process that attacks; and the queue that gets its outcomes."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    process = spawn.Process(target=_attack, args=(results, kind, door, count, connections, seed))
    process.start()
    try:
        yield process, results
        process.join()
    finally:
        process.kill()
        process.join()


def _attack(results: Any, kind: str, door: Door, count: int, connections: int, seed: int) -> None:
    os.nice(19)  # they stand for machines elsewhere
    attack = Attack(kind, door, count, Random(f"{kind} {seed}"))
    trio.run(attack.run, connections)
    results.put(attack.outcomes)


class Attack:
    """Sends so many inputs, each on a connection of its own, several at a time.

    Attributes:
        outcomes: how many connections ended in which way: the status of their first response, or
            what the attacker did.
    """

    def __init__(self, kind: str, door: Door, count: int, random: Random) -> None:
        self.outcomes: Counter[str] = Counter()
        self._make = _http_input if kind == "HTTP" else _websocket_input
        self._door = door
        self._context = door.context()
        self._left = count
        self._random = random
        self._silent: deque[Line] = deque()

    async def run(self, connections: int) -> None:
        """Send them all."""
        async with trio.open_nursery() as nursery:
            for _ in range(connections):
                nursery.start_soon(self._work)
        for line in self._silent:
            line.close()

    async def _work(self) -> None:
        while self._left > 0:
            self._left -= 1
            self.outcomes[await self._one(self._make(self._random))] += 1

    async def _one(self, pieces: list[bytes]) -> str:
        how = self._random.random()
        try:
            line = await self._door.open(self._context)
        except OSError:
            return "closed early"
        try:
            for piece in pieces:
                await line.send(piece)
                await trio.lowlevel.checkpoint()
            if how < 0.1:
                line.reset()
                return "reset"
            if how < 0.12:
                self._silent.append(line)
                if len(self._silent) > _SILENT:
                    self._silent.popleft().close()
                return "left silent"
            await line.half_close()
            return await self._hear(line)
        except OSError:
            line.close()
            return "closed early"

    async def _hear(self, line: Line) -> str:
        """Read to the end; what the first response was."""
        answer = []
        with trio.move_on_after(_PATIENCE) as scope:
            while data := await line.receive():
                answer.append(data)
        line.close()
        if scope.cancelled_caught:
            return "never closed"
        whole = b"".join(answer)
        if self._random.random() < 0.02:  # reading is dearer than sending
            try:
                understand(whole)
            except AssertionError:
                return "nonsense"
        return whole[9:12].decode("ascii", "replace") if whole else "nothing"


def _http_input(random: Random) -> list[bytes]:
    data = inputs.broken(inputs.requests(random), random, inputs.requests(random))
    return inputs.cut(data, most=2) if random.random() < 0.3 else [data]


def _websocket_input(random: Random) -> list[bytes]:
    """A handshake and frames, broken either in the handshake or behind it."""
    kind = random.randrange(4)
    frames = inputs.stream(random)
    if kind == 0:
        target = random.choice((b"/raw", b"/ws"))
        shake = inputs.broken(inputs.handshake(random, target), random, inputs.request(random))
        return [shake + frames]
    if kind == 1:
        shake = inputs.handshake(random, b"/ws")
    else:
        shake = inputs.handshake(random, b"/raw", b"permessage-deflate" if kind == 2 else b"")
    return [shake, inputs.broken(frames, random, inputs.stream(random))]


if __name__ == "__main__":
    sys.exit(main())
