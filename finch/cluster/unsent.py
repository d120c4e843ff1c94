"""What waits to be sent to the other processes. Plain data: no I/O.

It waits in order. While it waits, a volatile message replaces the one of the same kind. Both are
bounded: a durable message is refused if there are too many, and the oldest volatile ones are
dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Unsent(Generic[T]):
    """A queue of messages.

    Parameters:
        most: how many messages may wait, of each of the two sorts.

    Attributes:
        replaced: how many volatile messages were replaced or dropped.

    Example::

        unsent = Unsent(1000)
        unsent.put("hello")  # True
        unsent.put_newest("price", "17.1")
        unsent.put_newest("price", "17.2")  # replaces the other price
        unsent.take()  # "hello"
    """

    __slots__ = ("_durable", "_most", "_next", "_waiting", "replaced")

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[tuple[bool, Hashable], T] = OrderedDict()
        self._durable = 0
        self._next = 0
        self.replaced = 0

    def put(self, item: T) -> bool:
        """Let a durable message wait. False if too many wait already."""
        if self._durable >= self._most:
            return False
        self._durable += 1
        self._next += 1
        self._waiting[True, self._next] = item
        return True

    def put_newest(self, kind: Hashable, item: T) -> None:
        """Let a volatile message wait. It takes the last place, and replaces one of its kind."""
        if self._waiting.pop((False, kind), None) is not None:
            self.replaced += 1
        elif len(self._waiting) - self._durable >= self._most:
            oldest = next(which for which in self._waiting if not which[0])
            del self._waiting[oldest]
            self.replaced += 1
        self._waiting[False, kind] = item

    def first(self) -> T:
        """The message that has waited longest. It waits on.

        Raises:
            StopIteration: if none waits.
        """
        return next(iter(self._waiting.values()))

    def take(self) -> T:
        """The message that has waited longest.

        Raises:
            KeyError: if none waits.
        """
        (durable, _), item = self._waiting.popitem(last=False)
        self._durable -= durable
        return item

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._waiting)
