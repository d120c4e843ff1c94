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
class Letter:
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

    __slots__ = ("_age", "_letters", "size")

    def __init__(self, size: int, age: float) -> None:
        self.size = size
        self._age = age
        self._letters: deque[Letter] = deque()

    def __len__(self) -> int:
        return len(self._letters)

    def put(self, letter: Letter) -> bool:
        """Add a message at the end. False if the queue is full."""
        if len(self._letters) >= self.size:
            return False
        self._letters.append(letter)
        return True

    def put_back(self, letters: Iterable[Letter]) -> Iterator[Letter]:
        """Add messages that no connection has taken. Gives those that found no place."""
        return (letter for letter in letters if not self.put(letter))

    def withdraw(self, call: Call) -> bool:
        """Remove a call that was cancelled. Returns whether it was there."""
        for letter in self._letters:
            if letter.call is call:
                self._letters.remove(letter)
                return True
        return False

    def too_old(self, now: float) -> Iterator[Letter]:
        """Remove and give the messages that have waited for too long."""
        while self._letters and now >= self._letters[0].since + self._age:
            yield self._letters.popleft()

    @property
    def deadline(self) -> float:
        """When the first message is too old, in seconds; ``inf`` if there is none."""
        return self._letters[0].since + self._age if self._letters else float("inf")

    def take_all(self) -> list[Letter]:
        """Remove and give all messages, the oldest first."""
        letters = list(self._letters)
        self._letters.clear()
        return letters
