"""Turns: how much work is done before everybody else on the event loop has a go.

trio never interrupts a task. So whoever may do much without waiting for anything counts what it
does, in one account, and lets the others have a turn when the account is full. The unit is a
message, some 10 us: 64 of them hold the others up for less than a millisecond. Nothing here waits:
the caller does.

Every quota of this kind is here. What bounds memory, or a peer, is in ``finch.config``.
"""

from __future__ import annotations

from typing import Final

TURN: Final = 64
"""Units of work before others have a turn."""

HEAVY: Final = 12
"""Bits: every 4 KiB make a message count once more, for it may have been inflated."""

SOCKETS: Final = 64
"""Sockets that the hub reads, and connections that are accepted, in one turn."""

FLUSHES: Final = 2048
"""Peers that are sent to at the end of a turn; the others at the end of the next."""

BODY_STEPS: Final = 512
"""Chunks, or lines and data, of a request's body that are followed at a time, some 0.5 ms: chunks
may be of a byte each."""

FRAMES: Final = 64
"""Frames of one peer that are no event, as fragments are not, looked at in one go."""

_DELIVERIES: Final = 160
"""What goes to so many clients, encoded once, counts as one message: some 10,000 a turn. Not less:
the more goes out in one turn, the fewer system calls it takes."""

_BROADCAST: Final = 8
"""Bits: every 256 bytes to each client count once, 16 KiB a turn: TLS sends nothing in that turn,
and little in the next."""


class Account:
    """What has been done since somebody last let the others have a turn.

    One for a whole process, and no matter whose the work was: a task that never waits adds to it
    alone, and so fills it by itself.

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
            Whether it is time for a turn of the others. The account then begins anew.
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
            How many turns the others are due. What was written leaves in them.
        """
        self.used += max(1, reached // _DELIVERIES, size >> _BROADCAST)
        turns, self.used = divmod(self.used, TURN)
        return turns


account: Final = Account()
"""The account of this process."""
