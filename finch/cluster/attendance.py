"""Attendance: how many clients hear a channel in all processes, and who is present in a room.

A process says what has changed in it, gathered for a moment: in a hash, for those that begin to
hear the channel later, and on the channel. Each process has a lease, which it renews. If a process
dies, its lease ends, and the others forget what it has said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NamedTuple

import msgspec
import trio

from finch.cluster.backplane import Channel, Local
from finch.cluster.connection import Refused
from finch.cluster.layout import NODE, Names, Note, packed_attendance
from finch.cluster.line import Line
from finch.cluster.views import Counts, People, Seen, Who, read_seen, read_who

LEASE: Final = 15.0
"""Seconds after which a process that has died is forgotten."""

_GATHER: Final = 0.05  # seconds in which changes are gathered
_LIFETIME: Final = 3_600_000  # ms that a hash lives after it was last renewed
_AT_ONCE: Final = 64  # channels that are told of before the answers are awaited


class Asked(NamedTuple):
    """What was asked about a channel.

    Attributes:
        counts, people: the answers, for its two hashes.
        meanwhile: what others have said since then. It may be newer than the answers. If it is
            older, what is newer follows.
    """

    counts: Awaitable[Any]
    people: Awaitable[Any]
    meanwhile: list[Note]


class _View:
    """What others say of a channel that is heard here, and of the people of this process, too."""

    __slots__ = ("counts", "people")

    def __init__(self) -> None:
        self.counts = Counts()
        self.people = People()


class Attendance:
    """What this process knows of the clients of all processes, and tells of its own.

    Parameters:
        node: the id of this process.
        line: the connection to Redis.
        local: the clients of this process.
        names: the names of channels and keys.
        lease: seconds after which a process that has died is forgotten.
    """

    def __init__(
        self, node: str, line: Line, local: Local, names: Names, lease: float = LEASE
    ) -> None:
        self._node = node
        self._line = line
        self._local = local
        self._names = names
        self._lease = lease
        self._alive: set[str] = set()  # other processes, as far as they are known
        self._views: dict[Channel, _View] = {}
        self._asked: dict[Channel, Asked] = {}  # the latest question about a channel
        # what this process has told last
        self._told: dict[Channel, int] = {}
        self._people: dict[Channel, dict[Who, Seen]] = {}
        # what it must tell
        self._recount: dict[Channel, None] = {}
        self._changes: dict[Channel, dict[Who, Seen | None]] = {}
        self._refused = False  # whether Redis has refused something of it
        self._changed = trio.Event()
        self.on_death: Callable[[str], None] = lambda node: None
        """Called with the id of a process that has died."""

    # What changes in this process

    def counted(self, channel: Channel) -> None:
        """The number of clients here that hear a channel has changed."""
        self._recount[channel] = None
        self._changed.set()

    def present(self, channel: Channel, changes: Iterable[tuple[Who, Seen | None]]) -> None:
        """Who is present here has changed."""
        view = self._views.get(channel)
        for who, seen in changes:
            people = self._people.setdefault(channel, {})
            if seen is None:
                people.pop(who, None)
            else:
                people[who] = seen
            if not people:
                del self._people[channel]
            self._changes.setdefault(channel, {})[who] = seen
            self._changed.set()
            if view is not None:
                view.people.set(self._node, who, seen)

    # What is known of all

    def count(self, channel: Channel) -> int:
        """How many clients hear a channel in other processes, if it is heard here."""
        view = self._views.get(channel)
        return 0 if view is None else view.counts.total

    @property
    def peers(self) -> int:
        """How many other processes are known to live: those that have, or had, clients."""
        return len(self._alive)

    def people(self, channel: Channel) -> People | None:
        """Who is present in all processes; None if the channel is not heard here."""
        view = self._views.get(channel)
        return None if view is None else view.people

    async def count_elsewhere(self, channel: Channel) -> int:
        """How many clients hear a channel in other processes, from Redis.

        Raises:
            Broken, Refused: if Redis does not say it.
        """
        answer = await self._line.ask(b"HGETALL", self._names.counts(channel))
        counts = {node.decode(): int(count) for node, count in _pairs(answer)}
        dead = await self._find_dead(counts)
        return sum(counts[node] for node in counts if node not in (*dead, self._node))

    # A channel that begins to be heard

    def ask(self, channel: Channel) -> Asked:
        """Ask what others have said of a channel, after it was subscribed to.

        Raises:
            Broken: if there is no connection.
        """
        names, ask = self._names, self._line.ask
        counts = ask(b"HGETALL", names.counts(channel))
        people = ask(b"HGETALL", names.people(channel))
        self._asked[channel] = asked = Asked(counts, people, [])
        return asked

    async def learn(self, channel: Channel, asked: Asked) -> None:
        """Take the answers.

        Raises:
            Broken: if the connection ends.
        """
        counts: dict[str, int] = {}
        people: dict[str, dict[Who, Seen]] = {}
        try:
            for node, count in _pairs(await asked.counts):
                counts[node.decode()] = int(count)
            for field, text in _pairs(await asked.people):
                people.setdefault(field[:NODE].decode(), {})[read_who(field[NODE:])] = read_seen(
                    text
                )
        except (Refused, ValueError) as error:  # what is not understood is not counted
            self._line.why = str(error)
        # from here to the end of what was said meanwhile, nothing waits
        if self._asked.get(channel) is asked:
            del self._asked[channel]
        before = self._views.get(channel)
        view = self._views[channel] = _View() if before is None else before
        view.counts = Counts()
        for one, number in counts.items():
            if one != self._node:
                view.counts.set(one, number)
        people[self._node] = self._people.get(channel, {})
        for one in view.people.nodes | people.keys():
            view.people.replace(one, people.get(one, {}))
        for note in asked.meanwhile:
            self._follow(view, note)
        for dead in await self._find_dead(counts.keys() | people.keys()):
            self._remove(channel, view, dead)
        if before is None:
            view.people.collect()  # nobody here was told anything else
        else:
            self._local.attended(channel)

    def forget(self, channel: Channel) -> None:
        """A channel is no longer heard."""
        self._views.pop(channel, None)
        self._asked.pop(channel, None)

    # What others say

    def met(self, node: str) -> None:
        """Another process has said something: from now on, its lease is looked at."""
        self._alive.add(node)

    def heard(self, channel: Channel, note: Note) -> None:
        """Another process has told what has changed in it."""
        asked, view = self._asked.get(channel), self._views.get(channel)
        if asked is not None:
            asked.meanwhile.append(note)
        if view is not None:
            self._follow(view, note)
            if note.people:
                self._local.attended(channel)

    def _follow(self, view: _View, note: Note) -> None:
        if note.count is not None:
            view.counts.set(note.node, note.count)
        for who, seen in note.people:
            view.people.set(note.node, who, seen)

    # As long as there is a connection

    async def run(self) -> None:
        """Tell what changes, and renew the lease.

        Raises:
            Broken: if the connection ends.
        """
        self.tell_again()  # what was told last may not have arrived
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._renew)
            while True:
                await self._changed.wait()
                await trio.sleep(_GATHER)
                await self.flush()

    def tell_again(self) -> None:
        """Tell everything once more: it may be forgotten."""
        self._refused = False
        self._recount.update(dict.fromkeys(self._told))
        self._told.clear()
        for channel, people in self._people.items():
            self._changes[channel] = {**people, **self._changes.get(channel, {})}
        self._changed.set()

    async def flush(self) -> None:
        """Tell what has changed.

        Raises:
            Broken: if the connection ends.
        """
        self._changed = trio.Event()
        channels = [*self._recount, *(self._changes.keys() - self._recount.keys())]
        for begin in range(0, len(channels), _AT_ONCE):
            answers = [
                answer
                for channel in channels[begin : begin + _AT_ONCE]
                for answer in self._tell(channel)
            ]
            for answer in answers:
                try:
                    await answer
                except Refused:
                    self._refused = True

    def _tell(self, channel: Channel) -> list[Awaitable[Any]]:
        ask, names = self._line.ask, self._names
        changes = self._changes.get(channel, {})
        count = self._local.count(channel) if channel in self._recount else None
        if count == self._told.get(channel, 0):
            count = None
        answers = []
        if count is not None:
            answers += self._keep(names.counts(channel), [(self._node.encode(), b"%d" % count)])
        fields = [(self._field(who), _encoded(seen)) for who, seen in changes.items()]
        answers += self._keep(names.people(channel), fields)
        if answers:
            text = packed_attendance(self._node, count, list(changes.items()))
            answers.append(ask(b"PUBLISH", names.channel(channel), text))
        if count:
            self._told[channel] = count
        elif count is not None:
            self._told.pop(channel, None)
        self._recount.pop(channel, None)
        self._changes.pop(channel, None)
        return answers

    def _keep(self, key: bytes, fields: list[tuple[bytes, bytes]]) -> list[Awaitable[Any]]:
        """Write fields of a hash; delete those that are empty or zero."""
        written = [part for field in fields if field[1] not in (b"", b"0") for part in field]
        deleted = [name for name, value in fields if value in (b"", b"0")]
        answers = []
        if written:
            answers.append(self._line.ask(b"HSET", key, *written))
            answers.append(self._line.ask(b"PEXPIRE", key, _LIFETIME))
        if deleted:
            answers.append(self._line.ask(b"HDEL", key, *deleted))
        return answers

    def _field(self, who: Who) -> bytes:
        return self._node.encode() + msgspec.json.encode(who)

    # Leases

    async def _renew(self) -> None:
        """Renew the lease, and look whose lease has ended. After the three parts of a lease, it
        has ended and was looked at."""
        key, lifetime = self._names.lease(self._node), int(self._lease * 1000 * 2 / 3)
        while True:
            known = self._line.ask(b"GET", key)
            self._line.ask(b"SET", key, b"1", b"PX", lifetime)
            if await known is None or self._refused:
                self.tell_again()  # others may have forgotten this process, or Redis everything
            await self._look_at_leases()
            await self._keep_alive()
            await trio.sleep(self._lease / 5)

    async def _keep_alive(self) -> None:
        for channel in [*self._told]:
            self._line.ask(b"PEXPIRE", self._names.counts(channel), _LIFETIME)
        for channel in [*self._people]:
            self._line.ask(b"PEXPIRE", self._names.people(channel), _LIFETIME)
        await self._line.ask(b"PING")

    async def _look_at_leases(self) -> None:
        nodes = sorted(self._alive)
        answers = [self._line.ask(b"EXISTS", self._names.lease(node)) for node in nodes]
        for node, answer in zip(nodes, answers, strict=True):
            if not await answer:
                self._alive.discard(node)
                self._bury(node)

    async def _find_dead(self, nodes: Iterable[str]) -> list[str]:
        """Which of these processes are dead."""
        unknown = sorted(set(nodes) - self._alive - {self._node})
        answers = [self._line.ask(b"EXISTS", self._names.lease(node)) for node in unknown]
        dead = []
        for node, answer in zip(unknown, answers, strict=True):
            if await answer:
                self._alive.add(node)
            elif node not in self._alive:  # it has said nothing meanwhile
                dead.append(node)
        return dead

    def _bury(self, node: str) -> None:
        """A process has died: forget what it has said, here and in Redis."""
        self.on_death(node)
        for channel, view in self._views.items():
            if self._remove(channel, view, node):
                self._local.attended(channel)

    def _remove(self, channel: Channel, view: _View, node: str) -> bool:
        """Forget what a process has said of a channel. Returns whether somebody was present."""
        if view.counts.of(node):
            view.counts.set(node, 0)
            self._line.ask(b"HDEL", self._names.counts(channel), node.encode())
        gone = view.people.of(node)
        if gone:
            view.people.replace(node, {})
            fields = [node.encode() + msgspec.json.encode(who) for who in gone]
            self._line.ask(b"HDEL", self._names.people(channel), *fields)
        return bool(gone)

    async def farewell(self) -> None:
        """This process ends: nobody need wait until its lease does.

        Raises:
            Broken: if there is no connection.
        """
        await self.flush()
        await self._line.ask(b"DEL", self._names.lease(self._node))


def _pairs(answer: Any) -> Iterable[tuple[bytes, bytes]]:
    """The fields of a hash with their values."""
    found = (
        dict(answer) if isinstance(answer, dict) else dict(zip(*[iter(answer)] * 2, strict=True))
    )
    return [(bytes(field), bytes(value)) for field, value in found.items()]


def _encoded(seen: Seen | None) -> bytes:
    return b"" if seen is None else msgspec.json.encode(seen)
