"""Which numbered messages of a channel come next, and which are missing. Plain data: no I/O.

Messages may arrive twice, too early, or not at all. Out of that, a sequence makes what a client may
see: every number once, in order, and a word where something is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from finch.cluster.history import Position

M = TypeVar("M")

_EARLY: Final = 10_000
"""Messages that wait behind a hole. What comes beyond them is read with the hole."""

_FORMER: Final = 8
"""Epochs that are over. A message of one of these is late, and not of a new one."""


class Next(NamedTuple, Generic[M]):
    """A message that comes next.

    Attributes:
        seq: its number.
        message: the message.
    """

    seq: int
    message: M


class Lost(NamedTuple):
    """Messages are lost. What follows comes after this position.

    Attributes:
        position: its epoch may be a new one.
    """

    position: Position


class Sequence(Generic[M]):
    """The numbers of one channel.

    Parameters:
        position: everything up to it is known.

    Attributes:
        epoch: the epoch of the numbering.
        seq: the number up to which everything was given away.
        asks: whether something is missing, or of an unknown epoch: it must be read.

    Example::

        sequence = Sequence(Position("k3Jd_9xA", 7))
        sequence.offer("k3Jd_9xA", 9, "b")  # []: 8 is missing
        sequence.asks  # True
        sequence.offer("k3Jd_9xA", 8, "a")  # [Next(8, "a"), Next(9, "b")]
    """

    __slots__ = ("_early", "_former", "_strange", "_unfound", "epoch", "seq")

    def __init__(self, position: Position) -> None:
        self.epoch, self.seq = position
        self._early: dict[int, M] = {}
        self._former: deque[str] = deque(maxlen=_FORMER)
        self._strange: str | None = None  # the unknown epoch of a message that has come
        self._unfound = False  # it was read, and the epoch was another one

    @property
    def position(self) -> Position:
        """Up to where everything was given away."""
        return Position(self.epoch, self.seq)

    @property
    def asks(self) -> bool:
        return self._strange is not None or bool(self._early)

    def offer(self, epoch: str, seq: int, message: M) -> list[Next[M] | Lost]:
        """A message has arrived. Returns what comes next now."""
        if epoch != self.epoch:
            if epoch not in self._former and epoch != self._strange:
                self._strange, self._unfound = epoch, False
            return []
        if seq <= self.seq or (seq != self.seq + 1 and len(self._early) >= _EARLY):
            return []
        self._early.setdefault(seq, message)
        return self._ready()

    def read(self, head: Position, messages: Iterable[tuple[int, M]]) -> list[Next[M] | Lost]:
        """What was read: the messages after :attr:`position` that are kept; all that are kept if
        the epoch is another one by now.

        Parameters:
            head: the newest position. What is neither kept nor known up to it is lost.
            messages: pairs of number and message, in order.

        Returns:
            What comes next now.
        """
        events: list[Next[M] | Lost] = []
        early, pairs = self._early, list(messages)
        if head.epoch != self.epoch:
            self._former.append(self.epoch)
            early.clear()
            self.epoch, self.seq = head.epoch, pairs[0][0] - 1 if pairs else head.seq
            events.append(Lost(self.position))
        self._look_for_strange()
        for seq, message in pairs:
            if seq > self.seq:
                early.setdefault(seq, message)
        events += self._ready()
        while self.seq < head.seq:
            self.seq = min(min(early, default=head.seq + 1) - 1, head.seq)
            events.append(Lost(self.position))
            events += self._ready()
        return events

    def _look_for_strange(self) -> None:
        """A message of an unknown epoch may have come after the read. So read once more; and then
        no more, as nobody knows that epoch."""
        if self._strange is None:
            return
        if self._strange != self.epoch and not self._unfound:
            self._unfound = True
            return
        if self._strange != self.epoch:
            self._former.append(self._strange)
        self._strange, self._unfound = None, False

    def _ready(self) -> list[Next[M] | Lost]:
        events: list[Next[M] | Lost] = []
        while self.seq + 1 in self._early:
            self.seq += 1
            events.append(Next(self.seq, self._early.pop(self.seq)))
        return events
