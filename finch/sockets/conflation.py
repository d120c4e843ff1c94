"""The volatile messages that wait for one client, the newest of each kind. Plain data: no I/O.

A client that reads too slowly needs no old prices, only the newest ones. So while it is behind, a
message replaces the one of the same path and key that still waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

M = TypeVar("M")


class Waiting(Generic[M]):
    """What waits for one client, in the order in which it was sent.

    A message that replaces another one goes to the end, and does not take the place of the other
    one. So the client never gets a message before one that was sent earlier, as a fast client never
    does. No message waits longer for this, because :meth:`take` always gives all.

    Parameters:
        most: how many bytes may wait. If there are more, the oldest messages are dropped. A message
            that is larger than this waits alone, because a client without any message would never
            know that it missed one.

    Attributes:
        size: the bytes that wait now.
        replaced: how many messages were replaced or dropped so far.

    Example::

        waiting = Waiting(64 * KIB)
        waiting.put("price", "AAPL", first, len(first))  # 0
        waiting.put("price", "AAPL", newer, len(newer))  # 1: replaced
        waiting.take()  # [newer]
    """

    __slots__ = ("_messages", "_most", "replaced", "size")

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = 0
        self.replaced = 0
        # each message with its size. An ordinary dict would pass over the places of all messages
        # that were replaced before it finds its first one.
        self._messages: OrderedDict[tuple[str, Hashable], tuple[M, int]] = OrderedDict()

    def put(self, path: str, key: Hashable, message: M, size: int) -> int:
        """Let a message wait, and replace the one with the same path and key.

        Parameters:
            path: the path of the message.
            key: what the message is about, among those of its path; None is a key as well.
            message: the message.
            size: its bytes.

        Returns:
            How many messages were replaced or dropped.
        """
        messages = self._messages
        gone = 0
        replaced = messages.pop((path, key), None)
        if replaced is not None:
            self.size -= replaced[1]
            gone += 1
        messages[path, key] = (message, size)
        self.size += size
        while self.size > self._most and len(messages) > 1:
            _, (_, dropped) = messages.popitem(last=False)
            self.size -= dropped
            gone += 1
        self.replaced += gone
        return gone

    def take(self) -> list[M]:
        """All that waits, the oldest first. Afterwards nothing waits."""
        taken = [message for message, _ in self._messages.values()]
        self._messages.clear()
        self.size = 0
        return taken

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Let the messages whose key is unwanted wait no longer: nobody shall get them."""
        messages = self._messages
        for which in [which for which in messages if unwanted(which[1])]:
            self.size -= messages.pop(which)[1]

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._messages)

    def __bool__(self) -> bool:
        """Whether any message waits."""
        return bool(self._messages)
