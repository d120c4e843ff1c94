"""Turns: how much work one task may do before the other tasks on the event loop get a turn.

trio never interrupts a task. So a task that may do much work without waiting counts its work in one
account. When the account is full, the task lets the others have a turn. The unit of work is one
message, which takes about 10 us: 64 of them delay the others by less than a millisecond. Nothing in
this module waits: the caller does.

All quotas of this kind are here. Limits on memory and on peers are in ``finch.config``.
"""

from __future__ import annotations

from typing import Final

TURN: Final = 64
"""Units of work before the others get a turn."""

HEAVY: Final = 12
"""A shift in bits: a message counts once more for every 4 KiB, because it may have been
inflated."""

SOCKETS: Final = 64
"""Sockets that the hub reads, and connections that are accepted, in one turn."""

FLUSHES: Final = 2048
"""Peers that are sent to at the end of one turn. The others follow at the end of the next."""

BODY_STEPS: Final = 512
"""Parts of a request's body (chunks, or lines and pieces of data) that are read at a time. They
take about 0.5 ms. A limit is needed because a chunk may be as short as one byte."""

FRAMES: Final = 64
"""Frames of one peer that are read at a time, if they are not events (fragments, for example)."""

_DELIVERIES: Final = 160
"""A message that is sent to this many clients counts as one unit, because it is encoded only once.
So one turn reaches about 10,000 clients. A smaller number would cost more system calls."""

_BROADCAST: Final = 8
"""A shift in bits: every 256 bytes to each client count as one unit, so a turn has 16 KiB. Over
TLS, nothing is sent in that turn, and little in the next."""


class Account:
    """The work that has been done since a task last let the others have a turn.

    There is one account for the whole process, for the work of all tasks. While a task does not
    wait, no other task can add to the account, so it fills the account by itself.

    Attributes:
        used: units of work. The hottest loops add to it directly.

    Example::

        if account.spend(len(message)):
            await trio.lowlevel.checkpoint()
    """

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0

    def spend(self, size: int = 0) -> bool:
        """Note one message, or another piece of work of that size.

        Parameters:
            size: bytes.

        Returns:
            Whether the others should get a turn now. If so, the account is reset.
        """
        self.used += 1 + (size >> HEAVY)
        if self.used < TURN:
            return False
        self.used = 0
        return True

    def broadcast(self, reached: int, size: int) -> int:
        """Note a message that was sent without waiting for room.

        Parameters:
            reached: how many clients it went to.
            size: bytes to each.

        Returns:
            How many turns the others should get. In these turns, the written bytes are sent.
        """
        self.used += max(1, reached // _DELIVERIES, size >> _BROADCAST)
        turns, self.used = divmod(self.used, TURN)
        return turns


account: Final = Account()
"""The account of this process."""
