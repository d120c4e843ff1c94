"""Who must get which message, and what came of it: plain data, without any I/O.

Each sender numbers the messages of a stream from 1. What a live client of this process sends is due
to everybody who is in the room at that moment, for as long as they stay. Streams of other processes
are known only by their numbers: whoever hears one must hear it without a gap.
"""

from __future__ import annotations

from typing import Final

EVERYBODY: Final = None
"""The room that everyone is in."""

_REMEMBERED: Final = 64
"""Streams of which a receiver remembers the last number; a room has about ten at a time."""


class Ledger:
    """The messages between the clients of one process.

    Parameters:
        patience: seconds after which a message that has not come is lost, though its receiver has
            left meanwhile.

    Attributes:
        lost, duplicated, reordered: how many messages were, between clients that stayed.
        lost_at_goodbye: messages lost that their sender sent just before it left in good order.
        delivered: how many came that were due.
        slowest: the longest delivery in seconds.

    Example::

        ledger = Ledger()
        ledger.join("ann", 1, 0.0)
        number = ledger.send("ann's", 1, 0.0)
        ledger.receive("ann", "ann's", number, 0.1)
        assert ledger.outstanding == 0
    """

    def __init__(self, patience: float = 30.0) -> None:
        self.lost = self.lost_at_goodbye = self.duplicated = self.reordered = 0
        self.delivered = 0
        self.slowest = 0.0
        self._patience = patience
        self._rooms: dict[int | None, set[str]] = {}
        self._rooms_of: dict[str, list[int | None]] = {}
        self._sent: dict[str, int] = {}  # by stream: the last number
        self._gone: set[str] = set()  # streams whose senders have left
        self._due: dict[str, dict[tuple[str, int], float]] = {}  # by receiver: when it was sent
        self._heard: dict[str, dict[str, int]] = {}  # by receiver and stream: the last number

    def join(self, receiver: str, *rooms: int | None) -> None:
        """From now on messages to these rooms are due to this receiver."""
        self._rooms_of[receiver] = list(rooms)
        for room in rooms:
            self._rooms.setdefault(room, set()).add(receiver)
        self._due[receiver] = {}
        self._heard[receiver] = {}

    def leave(self, receiver: str, now: float) -> None:
        """Nothing more is due to this receiver but what should long have come."""
        for room in self._rooms_of.pop(receiver, ()):
            self._rooms[room].discard(receiver)
        for (stream, _), sent in self._due.pop(receiver, {}).items():
            if now - sent > self._patience:
                self._lose(stream)
        self._heard.pop(receiver, None)

    def send(self, stream: str, room: int | None, now: float) -> int:
        """A message goes out; its number."""
        number = self._sent[stream] = self._sent.get(stream, 0) + 1
        for receiver in self._rooms.get(room, ()):
            self._due[receiver][stream, number] = now
        return number

    def receive(self, receiver: str, stream: str, number: int, now: float) -> None:
        """A message has come."""
        heard = self._heard.get(receiver)
        if heard is None:
            return  # it is leaving
        sent = self._due[receiver].pop((stream, number), None)
        before = heard.pop(stream, 0)
        if number <= before:
            if sent is None:
                self.duplicated += 1
            else:
                self.reordered += 1
        elif before and number > before + 1 and stream not in self._sent:
            self.lost += number - before - 1
        heard[stream] = max(number, before)  # now the newest
        if len(heard) > _REMEMBERED:
            del heard[next(iter(heard))]
        if sent is not None:
            self.delivered += 1
            self.slowest = max(self.slowest, now - sent)

    def say_goodbye(self, stream: str) -> None:
        """The sender leaves in good order: what it sent must still come."""
        self._gone.add(stream)

    def forgive(self, stream: str, room: int | None) -> None:
        """The sender leaves without a word: what it sent may come or not."""
        for receiver in self._rooms.get(room, ()):
            due = self._due[receiver]
            for key in [key for key in due if key[0] == stream]:
                del due[key]

    @property
    def outstanding(self) -> int:
        """How many messages are on their way."""
        return sum(map(len, self._due.values()))

    def close(self) -> None:
        """The end: what has not come is lost."""
        for due in self._due.values():
            for stream, _ in due:
                self._lose(stream)
            due.clear()

    def _lose(self, stream: str) -> None:
        if stream in self._gone:
            self.lost_at_goodbye += 1
        else:
            self.lost += 1
