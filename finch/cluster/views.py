"""What several processes know together of one audience: how many hear it, and who is present. Plain
data: no I/O, no clock.

Each process says what it knows itself, and forgets what a process has said that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One who is here, as clients get it.

    Attributes:
        user: the id of the user; None if the client has no user.
        meta: what the application says about the user, from the latest client that entered.
        devices: how many clients of the user are here; 0 during the grace, and in ``leaves``.
        since: when the user came, in milliseconds since 1970.
        client: the id of the client if it has no user, so that clients can tell two of them apart.
            Otherwise None, and not in the JSON.
    """

    user: str | int | None
    meta: Any
    devices: int
    since: int
    client: str | None = None


class Change(msgspec.Struct, frozen=True):
    """What has changed since the last change was collected.

    Who keeps a list makes it right with each change: set what ``joins`` has, remove what ``leaves``
    has. Somebody who got the list in between knows of some joins already. Others may get the leave
    of somebody whom they never met. Neither does any harm.

    Attributes:
        joins: who is new, in the order in which they came.
        leaves: who is gone, in the order in which they left.
        count: how many are here now.
    """

    joins: list[Entry]
    leaves: list[Entry]
    count: int


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One who is here, as one process tells others.

    Attributes:
        entry: what it knows.
        at: when a client of the user entered last, in milliseconds since 1970.
    """

    entry: Entry
    at: int


Who = tuple[str | int | None, str | None]
"""Who: a user, or a client without a user."""

# Made here and now: later, Entry says that it is from finch, where its annotations have no meaning.
read_seen: Final = msgspec.json.Decoder(Seen).decode
read_who: Final = msgspec.json.Decoder(Who).decode


class Counts:
    """How many clients hear one audience, by process.

    Example::

        counts = Counts()
        counts.set("node-a", 3)
        counts.total  # 3
    """

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self.total = 0

    def set(self, node: str, count: int) -> None:
        """A process says how many of its clients hear the audience."""
        self.total += count - self._counts.pop(node, 0)
        if count:
            self._counts[node] = count

    def of(self, node: str) -> int:
        """How many of the clients of one process hear the audience."""
        return self._counts.get(node, 0)

    @property
    def nodes(self) -> list[str]:
        """The processes that have such clients."""
        return list(self._counts)


class People:
    """Who is present in one room, by process: each user once.

    Example::

        people = People()
        people.set("node-a", ("ann", None), Seen(Entry("ann", None, 1, 17), 17))
        people.set("node-b", ("ann", None), Seen(Entry("ann", None, 1, 18), 18))
        people.collect()  # Change(joins=[Entry("ann", None, 2, 17)], leaves=[], count=1)
    """

    __slots__ = ("_here", "_left", "_shown", "_were")

    def __init__(self) -> None:
        self._here: dict[Who, dict[str, Seen]] = {}
        # who has come or gone since the last collect: how they were then, None for not here
        self._were: dict[Who, Entry | None] = {}
        self._left: dict[Who, Entry] = {}  # who has come and gone, and somebody may know of it
        self._shown = False  # whether anybody got the list since then

    def set(self, node: str, who: Who, seen: Seen | None) -> None:
        """A process says who is present; None for one who is not."""
        nodes = self._here.get(who)
        if seen is not None:
            if nodes is None:
                self._were.setdefault(who, None)
                nodes = self._here[who] = {}
            nodes[node] = seen
        elif nodes is not None and node in nodes:
            if len(nodes) == 1:
                entry = _merged(nodes.values())
                self._were.setdefault(who, entry)
                if self._shown:
                    self._left[who] = entry
                del self._here[who]
            else:
                del nodes[node]

    def replace(self, node: str, people: dict[Who, Seen]) -> None:
        """A process says all that it knows."""
        for who in self.of(node):
            if who not in people:
                self.set(node, who, None)
        for who, seen in people.items():
            self.set(node, who, seen)

    def of(self, node: str) -> list[Who]:
        """Who is present in one process."""
        return [who for who, nodes in self._here.items() if node in nodes]

    @property
    def nodes(self) -> frozenset[str]:
        """The processes in which somebody is present."""
        return frozenset(node for nodes in self._here.values() for node in nodes)

    def collect(self) -> Change | None:
        """What has changed since the last call; None if nothing has. Who has come and gone since
        then is left out, unless anybody got the list meanwhile."""
        joins, leaves = [], []
        for who, was in self._were.items():
            nodes = self._here.get(who)
            if nodes is None:
                left = was or self._left.get(who)
                if left is not None:
                    leaves.append(msgspec.structs.replace(left, devices=0))
            elif was is None:
                joins.append(_merged(nodes.values()))
        self._were.clear()
        self._left.clear()
        self._shown = False
        return Change(joins, leaves, len(self._here)) if joins or leaves else None

    def entries(self) -> list[Entry]:
        """All who are present, in the order in which they came."""
        self._shown = True
        found = [_merged(nodes.values()) for nodes in self._here.values()]
        return sorted(found, key=lambda entry: entry.since)

    def __len__(self) -> int:
        self._shown = True
        return len(self._here)


def _merged(seen: Iterable[Seen]) -> Entry:
    """One who is in several processes."""
    found = list(seen)
    if len(found) == 1:
        return found[0].entry
    latest = max(found, key=lambda one: one.at).entry
    return msgspec.structs.replace(
        latest,
        devices=sum(one.entry.devices for one in found),
        since=min(one.entry.since for one in found),
    )
