"""Rooms whose members are spread over several servers: who sends when, and who has got what.

One member of each room sends. So the members get its messages in the order in which they were
sent, and the number of messages that a member has got says which one is the next.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from benchmarks.crowd import Client, Crowd
from benchmarks.latency import Histogram

_clock: Final = time.perf_counter_ns
_QUIET: Final = 0.5  # seconds without a delivery after which what is missing counts as lost
_TRIES: Final = 20  # messages to each room until all servers hear all rooms


class NotJoined(Exception):
    """The servers do not give each other's messages to their clients."""


@dataclass
class Delivered:
    """What a run saw.

    Attributes:
        deliveries: messages times members that got them.
        lost: what did not come.
        latency: from when a message was due to when a member got it; empty in a closed loop.
    """

    deliveries: int
    seconds: float
    lost: int
    latency: Histogram


class Rooms:
    """The rooms of a crowd that is connected: each of its dialects is one.

    Parameters:
        crowd: the members; client ``number`` is in room ``number % rooms``.
        ports: the servers' ports: the senders are dealt out to them.
    """

    def __init__(self, crowd: Crowd, ports: list[int]) -> None:
        self._crowd = crowd
        self._members: list[list[Client]] = [[] for _ in crowd.dialects]
        for client in crowd.ready:
            self._members[client.group].append(client)
        self._senders = [
            _of_server(members, ports[room % len(ports)])
            for room, members in enumerate(self._members)
        ]
        self._sizes = [len(members) for members in self._members]
        self._got = [0] * len(self._members)
        self._due: list[list[int]] = [[] for _ in self._members]

    def join(self) -> None:
        """Wait until a message to each room reaches all of its members.

        Raises:
            NotJoined: if it does not.
        """
        for _ in range(_TRIES):
            self._begin()
            self._crowd.on_answer = self._count
            for room in range(len(self._members)):
                self._say(room, 0)
            if not self._until_quiet():
                return
        raise NotJoined("not all members of the rooms get what is sent")

    def closed_loop(self, seconds: float, warm_up: float = 0.3) -> Delivered:
        """In each room, the next message is sent as soon as all members have got the last one."""
        self._begin()
        got, sizes, say = self._got, self._sizes, self._say
        delivered = 0

        def answer(client: Client, right: bool) -> None:
            nonlocal delivered
            if not right:
                return  # an error, for the sender only
            delivered += 1
            room = client.group
            got[room] += 1
            if not got[room] % sizes[room]:
                say(room, 0)

        self._crowd.on_answer = answer
        for room in range(len(self._members)):
            self._say(room, 0)
        self._turn_until(time.perf_counter() + warm_up)
        before, begun = delivered, time.perf_counter()
        self._turn_until(begun + seconds)
        deliveries, took = delivered - before, time.perf_counter() - begun
        self._crowd.on_answer = self._count
        return Delivered(deliveries, took, self._until_quiet(), Histogram())

    def open_loop(self, seconds: float, rate: float, warm_up: float = 0.3) -> Delivered:
        """Messages are due ``rate`` times a second whatever the servers do, in one room after the
        other. Latencies count from when they were due."""
        self._begin()
        latency = Histogram()
        record = latency.record
        all_due = self._due
        rooms = len(self._members)
        start = _clock()
        measure_from = start + int(warm_up * 1e9)
        end = measure_from + int(seconds * 1e9)
        interval = 1e9 / rate
        got = self._got

        def answer(client: Client, right: bool) -> None:
            if not right:
                return
            room = client.group
            got[room] += 1
            due = all_due[room]
            if client.sent < len(due):
                was_due = due[client.sent]
                client.sent += 1
                if was_due >= measure_from:
                    record(_clock() - was_due)

        self._crowd.on_answer = answer
        sent = 0
        while (now := _clock()) < end and self._crowd.ready:
            while start + sent * interval <= now:
                self._say(sent % rooms, start + int(sent * interval))
                sent += 1
            self._crowd.wait((start + sent * interval - _clock()) / 1e9)
            self._crowd.turn(0)
        lost = self._until_quiet()
        return Delivered(latency.count, seconds, lost, latency)

    def _begin(self) -> None:
        """Count from zero."""
        self._got[:] = [0] * len(self._got)
        for due in self._due:
            due.clear()
        for client in self._crowd.ready:
            client.sent = 0

    def _say(self, room: int, due: int) -> None:
        self._due[room].append(due)
        self._crowd.send(self._senders[room], self._crowd.dialects[room].message)

    def _count(self, client: Client, right: bool) -> None:
        self._got[client.group] += right

    def _missing(self) -> int:
        return sum(
            len(due) * size - got
            for due, size, got in zip(self._due, self._sizes, self._got, strict=True)
        )

    def _turn_until(self, end: float) -> None:
        while self._crowd.ready and time.perf_counter() < end:
            self._crowd.turn(0.05)

    def _until_quiet(self) -> int:
        """Take what is on its way. Returns how much of it did not come."""
        missing, at = self._missing(), time.perf_counter()
        while missing and time.perf_counter() < at + _QUIET:
            self._crowd.turn(0.05)
            if (now_missing := self._missing()) != missing:
                missing, at = now_missing, time.perf_counter()
        return missing


def _of_server(members: list[Client], port: int) -> Client:
    for client in members:
        if client.sock.getpeername()[1] == port:
            return client
    raise NotJoined(f"no member of a room is connected to port {port}")
