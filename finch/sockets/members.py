"""Who is connected, as which user, and in which groups. Plain data: no I/O, nothing waits.

A change says whether it was the first or the last of its group. Then whoever keeps something for a
group, such as a task or a subscription, knows when to begin and when to end.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

C = TypeVar("C")
G = TypeVar("G", bound=Hashable)
UserId = str | int

EVERYONE: Final = "finch.everyone"
USER: Final = "finch.user"
"""If messages to everyone or to users are kept: the ``room`` that these carry, and the group of the
clients that have got what they missed of them."""

_NOBODY: Final[Mapping[str, Any]] = MappingProxyType({})


class Groups(Generic[G, C]):
    """Which members are in which group. A group without members is kept nowhere."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[G, dict[str, C]] = {}

    def add(self, group: G, key: str, member: C) -> bool:
        """Add a member under its key. Returns whether it is the first of its group."""
        members = self._groups.get(group)
        if members is None:
            self._groups[group] = {key: member}
            return True
        members[key] = member
        return False

    def remove(self, group: G, key: str) -> bool:
        """Remove a member. Returns whether it was the last of its group."""
        members = self._groups.get(group)
        if members is None or key not in members:
            return False
        del members[key]
        if members:
            return False
        del self._groups[group]
        return True

    def of(self, group: G) -> Mapping[str, C]:
        """The members of a group by their keys, in the order in which they were added."""
        return self._groups.get(group, _NOBODY)

    def __contains__(self, group: object) -> bool:
        return group in self._groups

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[G]:
        return iter(list(self._groups))


class Members(Generic[C]):
    """Clients by id, by user, and by room.

    A client is *present* from :meth:`add` to :meth:`remove`: so long it is counted. It is
    *reachable* from :meth:`add` to :meth:`leave`: so long it gets messages.
    """

    __slots__ = ("_present", "_reachable", "_users", "rooms")

    def __init__(self) -> None:
        self._present: dict[str, UserId | None] = {}
        self._reachable: dict[str, C] = {}
        self._users: Groups[UserId, C] = Groups()
        self.rooms: Groups[str, C] = Groups()
        """Who is in which room. Whoever adds a client removes it when it leaves."""

    def add(self, key: str, client: C, user_id: UserId | None) -> bool:
        """A client has connected. Returns whether it is the first of its user."""
        self._present[key] = user_id
        self._reachable[key] = client
        return user_id is not None and self._users.add(user_id, key, client)

    def leave(self, key: str) -> None:
        """A client gets no more messages, but is still counted."""
        self._reachable.pop(key, None)

    def remove(self, key: str) -> bool:
        """A client is gone. Returns whether it was the last of its user."""
        self._reachable.pop(key, None)
        user_id = self._present.pop(key, None)
        return user_id is not None and self._users.remove(user_id, key)

    def reachable(self) -> list[C]:
        """All reachable clients."""
        return list(self._reachable.values())

    def get(self, key: str) -> C | None:
        """The reachable client with this id, or None."""
        return self._reachable.get(key)

    def of_user(self, user_id: UserId) -> list[C]:
        """The reachable clients of a user."""
        return [one for key, one in self._users.of(user_id).items() if key in self._reachable]

    def devices(self, user_id: UserId) -> int:
        """How many clients a user has."""
        return len(self._users.of(user_id))

    def keys(self) -> list[str]:
        """The ids of all present clients."""
        return list(self._present)

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[C]:
        """All clients that are reachable now. Clients may come and go during the iteration."""
        return iter(self.reachable())

    @property
    def count_users(self) -> int:
        """The number of users who have a present client."""
        return len(self._users)
