"""Which clients are connected, and as which users. Plain data: no I/O, nothing waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

C = TypeVar("C")
UserId = str | int


class Registry(Generic[C]):
    """Clients by id, and the ids of each user's clients.

    A client is *present* from :meth:`add` to :meth:`remove`: so long it is counted. It is
    *reachable* from :meth:`add` to :meth:`leave`: so long it gets messages.
    """

    __slots__ = ("_present", "_reachable", "_users")

    def __init__(self) -> None:
        self._present: dict[str, UserId | None] = {}
        self._reachable: dict[str, C] = {}
        self._users: dict[UserId, dict[str, None]] = {}

    def add(self, key: str, client: C, user_id: UserId | None) -> None:
        """A client has connected."""
        self._present[key] = user_id
        self._reachable[key] = client
        if user_id is not None:
            self._users.setdefault(user_id, {})[key] = None

    def leave(self, key: str) -> None:
        """A client gets no more messages, but is still counted."""
        self._reachable.pop(key, None)

    def remove(self, key: str) -> None:
        """A client is gone."""
        self._reachable.pop(key, None)
        user_id = self._present.pop(key, None)
        if user_id is not None and user_id in self._users:
            self._users[user_id].pop(key, None)
            if not self._users[user_id]:
                del self._users[user_id]

    def get(self, key: str) -> C | None:
        """The reachable client with this id, or None."""
        return self._reachable.get(key)

    def of_user(self, user_id: UserId) -> list[C]:
        """The reachable clients of a user."""
        keys = self._users.get(user_id, ())
        return [self._reachable[key] for key in keys if key in self._reachable]

    def keys(self) -> list[str]:
        """The ids of all present clients."""
        return list(self._present)

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[C]:
        """All clients that are reachable now. Clients may come and go during the iteration."""
        return iter(list(self._reachable.values()))

    @property
    def count_users(self) -> int:
        """The number of users who have a present client."""
        return len(self._users)
