"""Mailboxes: what waits for the tasks of an application that iterate over messages and answers.

A mailbox is filled without waiting. When one is full, the client stops reading from the network,
and the server sees a slow client: that is its backpressure. So what is in a mailbox is never thrown
away, and a mailbox may hold a few messages more than its size: those that were read together.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

import trio

from finch.client.events import Event
from finch.client.said import Message
from finch.errors import FinchError

T = TypeVar("T")

_OWN: Final = "finch."
GAP: Final = "finch.gap"
"""The path of the message that says where messages may be missing."""


class Mailbox(Generic[T]):
    """What waits for one reader.

    Parameters:
        size: how many values make it full.
        drained: called when it is no longer full.
    """

    def __init__(self, size: int, drained: Callable[[], None]) -> None:
        self._size = size
        self._drained = drained
        self._values: deque[T] = deque()
        self._ended = False
        self._error: FinchError | None = None
        self._readers = trio.lowlevel.ParkingLot()

    @property
    def fullness(self) -> float:
        """1.0 and more is full."""
        return len(self._values) / self._size

    def put(self, value: T) -> None:
        """Add a value. Never waits."""
        if not self._ended:
            self._values.append(value)
            self._readers.unpark()

    def end(self, error: FinchError | None = None) -> None:
        """Nothing more will come: the reader gets what is there, and then this error, if any."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._readers.unpark_all()

    def clear(self) -> None:
        """Nobody will read it."""
        self._values.clear()
        self._ended = True
        self._readers.unpark_all()
        self._drained()

    async def take(self) -> T:
        """The next value.

        Raises:
            StopAsyncIteration: if nothing more will come.
            FinchError: the error that it has ended with.
        """
        # The checkpoint comes first. A task that is cancelled has then taken nothing.
        await trio.lowlevel.checkpoint()
        while not self._values:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._ended:
                raise StopAsyncIteration
            await self._readers.park()
        value = self._values.popleft()
        if len(self._values) == self._size - 1:
            self._drained()
        return value


class Events(Mailbox[Event]):
    """An iterator over the events of a connection. If it is not read, the oldest are dropped:
    nothing waits for whoever reads events."""

    def put(self, value: Event) -> None:
        """Add an event."""
        if len(self._values) >= self._size:
            self._values.popleft()
        super().put(value)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await self.take()


class Messages(Mailbox[Message]):
    """An iterator over messages, in the order in which they came.

    It holds messages from the moment when it is made until it is dropped. So keep it if you leave a
    loop and go on later. But read what you keep: if it is full, the client stops reading. ``with``
    closes it at the end of a block.

    Example::

        with lobby.messages("said", "finch.gap") as messages:
            async for message in messages:
                print(message.data)
    """

    def __init__(self, paths: tuple[str, ...], size: int, drained: Callable[[], None]) -> None:
        super().__init__(size, drained)
        self.paths = frozenset(paths)

    def wants(self, path: str) -> bool:
        """Whether it iterates over messages with this path."""
        if self.paths:
            return path in self.paths
        return path == GAP or not path.startswith(_OWN)

    def close(self) -> None:
        """End it, and drop what is in it."""
        self.clear()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        return await self.take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Mailboxes:
    """The iterators over the messages of one room, or of the connection.

    Messages that come before the first iterator over their path wait for it: those of a room may
    come together with the answer to the join, before any code can run.

    Parameters:
        size: how many messages make an iterator full; and how many wait for the first iterators.
        drained: called when an iterator is no longer full.
    """

    def __init__(self, size: int, drained: Callable[[], None]) -> None:
        self._size = size
        self._drained = drained
        # weak, so that an iterator that was left with "break" is gone, and fills no more
        self._open: weakref.WeakSet[Messages] = weakref.WeakSet()
        self._early: deque[Message] = deque(maxlen=size)
        self._known: set[str] = set()  # paths that had an iterator
        self._all_known = False
        self._ended = False
        self._error: Callable[[], FinchError | None] = lambda: None

    def open(self, paths: tuple[Any, ...]) -> Messages:
        """A new iterator over messages with these paths; over all if there are none."""
        for path in paths:
            if not isinstance(path, str):
                raise TypeError(f"messages takes paths, not {path!r}; write messages('said')")
        messages = Messages(paths, self._size, self._drained)
        early = list(self._early)
        self._early.clear()
        for message in early:
            (messages.put if messages.wants(message.path) else self._early.append)(message)
        self._known.update(paths)
        self._all_known = self._all_known or not paths
        if self._ended:
            messages.end(self._error())
        else:
            self._open.add(messages)
        return messages

    def expect(self, missed: int) -> None:
        """So many messages come at once. All of them can wait for the first iterator, so that
        whoever joins gets them, however late the first iterator is made."""
        self._early = deque(self._early, maxlen=self._size + missed)

    def deliver(self, message: Message) -> bool:
        """Give a message to all iterators that want it. Returns whether there was one."""
        wanted = [messages for messages in self._open if messages.wants(message.path)]
        for messages in wanted:
            messages.put(message)
        return bool(wanted)

    def keep(self, message: Message) -> None:
        """Keep a message for the first iterator over its path, if there was none yet."""
        own = message.path.startswith(_OWN)
        if message.path == GAP or not (own or self._all_known or message.path in self._known):
            self._early.append(message)

    def end(self, error: Callable[[], FinchError | None]) -> None:
        """No message will come any more.

        Parameters:
            error: makes what the iterators raise at their end; None if they just end.
        """
        self._ended = True
        self._error = error
        for messages in list(self._open):
            messages.end(error())

    @property
    def fullness(self) -> float:
        """That of the fullest iterator."""
        return max((messages.fullness for messages in self._open), default=0.0)
