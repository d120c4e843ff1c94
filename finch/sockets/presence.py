"""Who is in one room: by user, or by client if it has no user. Plain data: no I/O, no clock.

A user with two tabs joins once and leaves once. Whoever leaves is still here for a grace, so that
to reload a page changes nothing. Changes are collected: the caller decides how often, so that many
changes at a time are told in one message.

There are two kinds of time. Graces are measured in seconds of a clock that never goes back.
``since`` is a date that clients read.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from finch.cluster.views import Change as Change
from finch.cluster.views import Entry as Entry
from finch.cluster.views import Seen, Who
from finch.sockets.members import UserId


class _Person:
    """One who is here, with the ids of the clients that are."""

    __slots__ = ("at", "clients", "meta", "since")

    def __init__(self, since: int) -> None:
        self.since = self.at = since
        self.meta: Any = None
        self.clients: set[str] = set()


class Presence:
    """Who is here in one room.

    Somebody is here from the first :meth:`enter` until :meth:`collect` finds that the grace after
    the last :meth:`exit` is over. Entering again before that changes nothing, and nobody hears of
    it.

    Parameters:
        grace: how many seconds somebody whose last client has left is still here.
        shared: whether other processes are told, so that :meth:`changes` is called.

    Example::

        presence = Presence(grace=3.0)
        presence.enter("ann", "c1", None, at=1_700_000_000_000)  # True: to be collected
        presence.collect(now=10.0)  # Change(joins=[Entry(user="ann", ...)], leaves=[], count=1)
        presence.exit("ann", "c1", now=20.0)  # True: the grace begins
        presence.due()  # 23.0
        presence.collect(now=23.0)  # Change(joins=[], leaves=[Entry(user="ann", ...)], count=0)
    """

    __slots__ = ("_grace", "_leaving", "_new", "_people", "_shown", "_touched")

    def __init__(self, grace: float = 3.0, *, shared: bool = False) -> None:
        self._touched: dict[Who, None] | None = {} if shared else None
        self._grace = grace
        self._people: dict[Who, _Person] = {}
        self._new: dict[Who, _Person] = {}  # whose joins were not collected yet
        # who is in the grace, and when it ends. All graces are equally long, so the first one to
        # begin is the first one to end. An ordinary dict would be slow to find its first entry
        # after many removals.
        self._leaving: OrderedDict[Who, float] = OrderedDict()
        # whether the list or the number was given to anybody since the last change was collected
        self._shown = False

    def enter(self, user: UserId | None, client: str, meta: Any, at: int) -> bool:
        """A client has come. A client that comes again only changes ``meta``.

        Parameters:
            user: the id of its user; None if it has none.
            client: the id of the client.
            meta: what the application says about the user; it replaces what was said before.
            at: the date, in milliseconds since 1970.

        Returns:
            Whether somebody has joined, so that there is something to collect.
        """
        who = _who(user, client)
        person = self._people.get(who)
        joined = person is None
        if person is None:
            person = self._people[who] = self._new[who] = _Person(at)
        person.meta = meta
        person.at = at
        person.clients.add(client)
        self._touch(who)
        self._leaving.pop(who, None)
        return joined

    def exit(self, user: UserId | None, client: str, now: float) -> bool:
        """A client has left. A client that is not here is ignored.

        Parameters:
            user: the same user as in :meth:`enter`.
            client: the id of the client.
            now: the time in seconds.

        Returns:
            Whether it was the last one of its user, so that a grace begins: see :meth:`due`.
        """
        who = _who(user, client)
        person = self._people.get(who)
        if person is None or client not in person.clients:
            return False
        person.clients.remove(client)
        self._touch(who)
        if person.clients:
            return False
        self._leaving[who] = now + self._grace
        return True

    def due(self) -> float | None:
        """When the next grace ends, in seconds; None if nobody is in a grace. That is the time to
        collect, if nobody enters before."""
        return next(iter(self._leaving.values()), None)

    def collect(self, now: float) -> Change | None:
        """What has changed since the last call; None if nothing has.

        Somebody who has come and gone since then is left out, unless anybody might know: by
        :meth:`entries` or ``len()``, which a client that joins is told.

        Parameters:
            now: the time in seconds.
        """
        leaves = []
        while self._leaving:
            who, end = next(iter(self._leaving.items()))
            if end > now:
                break
            del self._leaving[who]
            person = self._people.pop(who)
            self._touch(who)
            never_told = self._new.pop(who, None) is not None
            if self._shown or not never_told:
                leaves.append(_entry(who, person))
        joins = [_entry(who, person) for who, person in self._new.items()]
        self._new.clear()
        self._shown = False
        return Change(joins, leaves, len(self._people)) if joins or leaves else None

    def entries(self) -> list[Entry]:
        """All who are here, in the order in which they came."""
        self._shown = True
        return [_entry(who, person) for who, person in self._people.items()]

    def changes(self) -> list[tuple[Who, Seen | None]]:
        """What other processes must be told since the last call: who is here, or None for one who
        is not."""
        if not self._touched:
            return []
        touched, self._touched = self._touched, {}
        found: list[tuple[Who, Seen | None]] = []
        for who in touched:
            person = self._people.get(who)
            found.append((who, None if person is None else Seen(_entry(who, person), person.at)))
        return found

    def _touch(self, who: Who) -> None:
        if self._touched is not None:
            self._touched[who] = None

    def __len__(self) -> int:
        """How many are here, each user once."""
        self._shown = True
        return len(self._people)

    def __bool__(self) -> bool:
        """Whether anybody is here. If nobody is, nothing is kept and nothing is to be collected."""
        return bool(self._people)


def _who(user: UserId | None, client: str) -> Who:
    return (None, client) if user is None else (user, None)


def _entry(who: Who, person: _Person) -> Entry:
    user, client = who
    return Entry(user, person.meta, len(person.clients), person.since, client)
