"""How long a supervisor waits before it starts a worker anew. Plain data: no clock."""

from __future__ import annotations

from typing import Final

_STEADY: Final = 10.0  # seconds after which a worker is one that runs
_FIRST: Final = 0.5  # seconds
_LONGEST: Final = 8.0
"""Seconds. A place without a worker keeps its accept queue: who connects to it waits for the next
worker. So this must be shorter than what clients wait for an answer, which is often 10 s and more.
"""


class Backoff:
    """The pauses of one place in the crew.

    A worker that ran steadily is replaced at once, and so is the first that did not: then 0.5 s,
    1 s, and so on up to 8 s later. So an application that cannot start costs little.
    """

    def __init__(self) -> None:
        self._in_a_row = 0

    def after(self, ran: float) -> float:
        """The pause after a worker that has died.

        Parameters:
            ran: seconds that it served; 0 if it never did.

        Returns:
            Seconds.
        """
        if ran >= _STEADY:
            self._in_a_row = 0
        self._in_a_row += 1
        if self._in_a_row == 1:
            return 0.0
        return min(_LONGEST, _FIRST * 2.0 ** min(self._in_a_row - 2, 10))
