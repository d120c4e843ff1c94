"""What is sent while there is no connection. Plain data: no I/O, no clock.

It is limited by count and age: a chat message that arrives minutes late, out of its context, is
worse than one that the sender knows was not sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finch.client.calls import Call


@dataclass(slots=True)
class Outgoing:
    """One message to the server.

    Attributes:
        text: the whole message.
        path, room: what it is addressed to.
        since: when it was written, in seconds.
        call: the call that it is; None if it wants no answer.
        durable: whether it may wait for a later connection. What belongs to one connection, such as
            a join, may not.
    """

    text: str
    path: str
    room: str | None
    since: float
    call: Call | None = None
    durable: bool = True


class Queue:
    """The messages that wait for a connection.

    Parameters:
        size: how many may wait.
        age: how long each may wait, in seconds.
    """

    __slots__ = ("_age", "_waiting", "size")

    def __init__(self, size: int, age: float) -> None:
        self.size = size
        self._age = age
        self._waiting: deque[Outgoing] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, outgoing: Outgoing) -> bool:
        """Add a message at the end. False if the queue is full."""
        if len(self._waiting) >= self.size:
            return False
        self._waiting.append(outgoing)
        return True

    def put_back(self, waiting: Iterable[Outgoing]) -> Iterator[Outgoing]:
        """Add messages that no connection has taken. Gives those that found no place."""
        return (outgoing for outgoing in waiting if not self.put(outgoing))

    def withdraw(self, call: Call) -> bool:
        """Remove a call that was cancelled. Returns whether it was there."""
        for outgoing in self._waiting:
            if outgoing.call is call:
                self._waiting.remove(outgoing)
                return True
        return False

    def too_old(self, now: float) -> Iterator[Outgoing]:
        """Remove and give the messages that have waited for too long."""
        while self._waiting and now >= self._waiting[0].since + self._age:
            yield self._waiting.popleft()

    @property
    def deadline(self) -> float:
        """When the first message is too old, in seconds; ``inf`` if there is none."""
        return self._waiting[0].since + self._age if self._waiting else float("inf")

    def take_all(self) -> list[Outgoing]:
        """Remove and give all messages, the oldest first."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting
