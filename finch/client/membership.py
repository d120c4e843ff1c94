"""One room of a client: whether the client is in it, up to where it knows it, and who is here.
Plain data: no I/O, no clock.

Source: "Rooms", "Positions and missed messages" and "finch.presence" of ``docs/wire.md``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from finch.client.said import Said
from finch.cluster.history import Position


class Person(msgspec.Struct, frozen=True):
    """Somebody who is in a room.

    Attributes:
        user: the id of the user, text or integer; None if it has none.
        meta: what the application says about the user, or else the ``meta`` of the join.
        devices: how many connections the user has in the room.
        since: when the user came, in milliseconds since the epoch.
        client: the id of a client without a user; None if there is a user.
    """

    user: str | int | None = None
    meta: Any = None
    devices: int = 1
    since: int = 0
    client: str | None = None


class Standing(msgspec.Struct):
    """The ``data`` of the answer to a join."""

    recovered: bool = False
    missed: int = 0
    presence: list[Person] | None = None
    count: int | None = None


class PresenceChange(msgspec.Struct):
    """The ``data`` of ``finch.presence``."""

    joins: list[Person] = []
    leaves: list[Person] = []
    presence: list[Person] | None = None
    count: int | None = None


_read_standing = msgspec.json.Decoder(Standing).decode
_read_change = msgspec.json.Decoder(PresenceChange).decode


def read_standing(said: Said) -> Standing:
    """The data of an answer to a join."""
    try:
        return _read_standing(said.data)
    except msgspec.DecodeError:
        return Standing()


class Known:
    """Up to where a client knows an audience: its position. It lets each message pass once."""

    __slots__ = ("position",)

    def __init__(self, position: Position | None = None) -> None:
        self.position = position

    def stand(self, said: Said, standing: Standing) -> None:
        """The server has told where the audience is."""
        if standing.recovered and self.position is not None:
            return  # "it stays what it was": what was missed follows
        if said.epoch is None or said.seq is None:
            self.position = None  # the room has no history
        else:
            self.position = Position(said.epoch, max(0, said.seq - standing.missed))

    def passes(self, said: Said) -> bool:
        """Whether a message is new. If it is, it is known from now on."""
        if said.seq is None or self.position is None:
            return True
        if said.seq <= self.position.seq:
            return False
        self.position = Position(self.position.epoch, said.seq)
        return True


class Membership(Known):
    """One room.

    Attributes:
        name: the name of the room.
        last: how many messages a join asks for if the client is not recovered.
        meta: what others see in presence.
        asked: the ``id`` of the join that is under way; None if there is none.
        joined: whether the client is in the room.
        was_joined: whether it has ever been, so that something may be missed.
        admitted: whether the server has let it in before.
        people: who is here, by user or client.
        count: how many are here; 0 if the room does not say.
    """

    __slots__ = (
        "admitted",
        "asked",
        "count",
        "joined",
        "last",
        "meta",
        "name",
        "people",
        "was_joined",
    )

    def __init__(self, name: str, last: int, meta: Any, position: Position | None) -> None:
        super().__init__(position)
        self.name = name
        self.last = last
        self.meta = meta
        self.asked: int | None = None
        self.joined = self.admitted = False
        self.was_joined = position is not None
        self.people: dict[Any, Person] = {}
        self.count = 0

    def enter(self, said: Said, standing: Standing) -> bool:
        """The join was answered. Returns whether messages are missing since the client was here."""
        gap = self.was_joined and not standing.recovered
        self.asked = None
        self.joined = self.was_joined = self.admitted = True
        self.stand(said, standing)
        self.people = {_key(one): one for one in standing.presence or ()}
        self.count = len(self.people) if standing.count is None else standing.count
        return gap

    def lose(self) -> None:
        """The connection was cut. Who is here is kept until the next answer, as it may be shown."""
        self.asked = None
        self.joined = False

    def change(self, said: Said) -> None:
        """Take a ``finch.presence``."""
        try:
            change = _read_change(said.data)
        except msgspec.DecodeError:
            return
        if change.presence is not None:
            self.people = {_key(one): one for one in change.presence}
        for one in change.joins:
            self.people[_key(one)] = one
        for one in change.leaves:
            self.people.pop(_key(one), None)
        self.count = len(self.people) if change.count is None else change.count


def _key(person: Person) -> Any:
    return ("client", person.client) if person.user is None else person.user
