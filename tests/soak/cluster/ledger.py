"""What every client of the room must hear, and what came of it: plain data, without any I/O.

Each sender numbers its messages, and Redis numbers those of the room. As long as a client is not
told of a gap, the numbers of the room must follow each other. If they do, nothing is lost, and
nothing comes twice. The numbers of a sender must grow, also across gaps, except for messages of
which the sender was told that they have failed: these may come later, or never.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

WRONG: Final = ("lost", "doubled", "out of order")
"""What must never be, unless a gap is told."""


@dataclass
class Heard:
    """What one client has heard.

    Attributes:
        seq: the number of the last message; None after a gap.
        newest: by sender, the largest number.
        at: when the last message came, or when the client has joined.
    """

    seq: int | None = 0
    newest: dict[int, int] = field(default_factory=dict)
    at: float = 0.0


class Ledger:
    """The messages of a room.

    Parameters:
        clients: how many listen.

    Attributes:
        counts: how often each thing has happened.
        longest: the longest time between two messages that a client has heard, in seconds.

    Example::

        ledger = Ledger(1)
        ledger.hear(0, seq=1, sender=0, n=1, now=0.0)
        ledger.hear(0, seq=3, sender=0, n=3, now=0.1)
        assert ledger.counts["lost"] == 1
    """

    def __init__(self, clients: int) -> None:
        self.counts: Counter[str] = Counter()
        self.longest = 0.0
        self.delivered = 0
        self._clients = [Heard() for _ in range(clients)]
        self._failed: set[tuple[int, int]] = set()
        self._seq_of: dict[tuple[int, int], int] = {}

    def join(self, client: int, seq: int, now: float) -> None:
        """A client hears from now on what comes after this number."""
        self._clients[client].seq = seq
        self._clients[client].at = now

    def hear(self, client: int, seq: int, sender: int, n: int, now: float) -> None:
        """A client has heard a message."""
        heard = self._clients[client]
        if heard.seq is not None and seq > heard.seq + 1:
            self.counts["lost"] += seq - heard.seq - 1
        elif heard.seq is not None and seq <= heard.seq:
            self.counts["doubled"] += 1
        heard.seq = seq
        if n > heard.newest.get(sender, 0):
            heard.newest[sender] = n
        elif (sender, n) not in self._failed:
            self.counts["out of order"] += 1
        self._check_number(sender, n, seq)
        self.longest = max(self.longest, now - heard.at)
        heard.at = now
        self.delivered += 1
        self.counts["delivered"] += 1

    def tell_gap(self, client: int) -> None:
        """A client was told that it may have missed messages."""
        self._clients[client].seq = None
        self.counts["gaps"] += 1

    def acknowledge(self, sender: int, n: int, seq: int) -> None:
        """A sender was told the number of its message."""
        self.counts["sent"] += 1
        self._check_number(sender, n, seq)

    def fail(self, sender: int, n: int) -> None:
        """A sender was told that its message was not sent, or not everywhere."""
        self.counts["failed"] += 1
        self._failed.add((sender, n))

    def _check_number(self, sender: int, n: int, seq: int) -> None:
        """A message has one number, which is the same for everybody."""
        if self._seq_of.setdefault((sender, n), seq) != seq:
            self.counts["doubled"] += 1

    def newest(self, sender: int) -> int:
        """The largest number of a sender that anybody has heard."""
        return max((heard.newest.get(sender, 0) for heard in self._clients), default=0)

    def all_heard_after(self, marks: dict[int, int]) -> bool:
        """Whether every client has heard something that was sent after these numbers."""
        return all(
            any(n > marks.get(sender, 0) for sender, n in heard.newest.items())
            for heard in self._clients
        )

    def begin(self) -> None:
        """Count from zero: another phase begins."""
        self.counts = Counter()
        self.longest = 0.0
