"""The calls that wait for a client's answer. Plain data: no I/O, nothing waits here.

Source: the ``id`` and ``reply`` of ``docs/wire.md``, in the other direction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from finch.wire.message import Reply

_ID: Final = re.compile(r"s[0-9]{1,15}")

Answer = Callable[[Reply | None], None]
"""Called with the client's answer; with None if the client has left."""


def is_call(reply: object) -> bool:
    """Whether this can be the ``id`` of a call. Other values of ``reply`` are an application's."""
    return isinstance(reply, str) and _ID.fullmatch(reply) is not None


class Asks:
    """The calls to one client that it has not answered.

    Example::

        asks = Asks()
        id = asks.begin(answered.append)
        asks.answer(Reply(id, data=msgspec.Raw(b"true")))
    """

    __slots__ = ("_number", "_waiting")

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[str, Answer] = {}

    def begin(self, answer: Answer) -> str:
        """A call begins. Returns the ``id`` that it is sent with."""
        self._number += 1
        id = f"s{self._number}"
        self._waiting[id] = answer
        return id

    def end(self, id: str) -> None:
        """Nobody waits for this answer any longer."""
        self._waiting.pop(id, None)

    def answer(self, reply: Reply) -> bool:
        """The client has answered. Returns whether somebody has waited for it."""
        answer = self._waiting.pop(reply.reply, None)
        if answer is None:
            return False
        answer(reply)
        return True

    def give_up(self) -> None:
        """The client has left: no answer will come."""
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer(None)

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._waiting))
