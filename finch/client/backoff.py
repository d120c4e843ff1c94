"""When a client comes back after its connection has ended, and whether it does. Plain data.

The pauses vary from nothing to a growing limit ("full jitter"). So clients that were cut at the
same moment come back spread over seconds, and one that fails again and again asks less and less
often.

Source: the table of close codes in ``docs/wire.md``; M. Brooker, "Exponential Backoff And Jitter",
AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_PAUSE: Final = 2.0
"""Seconds that the first pause takes at most. 200 clients come back at 100 a second."""
LONGEST_PAUSE: Final = 30.0
"""Seconds that a pause takes at most. A person who waits for longer reloads."""
LASTING: Final = 5.0
"""Seconds after which a connection was a good one: the next pause is a first one again. A server
that accepts and closes at once must not be asked every second."""
LONGEST_ASKED: Final = 300.0
"""Seconds of a Retry-After that are believed. A mistake there must not keep a client away for a
day."""

_COME_BACK: Final = frozenset((1001, 1006, 1011, 1012, 1013))
_TRY_AGAIN: Final = frozenset((408, 425, 429))


def comes_back(code: int) -> bool:
    """Whether a client comes back after its connection was closed with this code.

    Parameters:
        code: the close code; 1006 if the connection ended without a Close.
    """
    return code in _COME_BACK or 4000 <= code <= 4499


def asks_again(status: int, has_token: bool) -> bool:
    """Whether a client tries again after the server has refused its handshake.

    Parameters:
        status: the status of the refusal.
        has_token: whether the client asks for a new token at each attempt. Then it may be let in
            after a 401.
    """
    if status == 401:
        return has_token
    return not 400 <= status <= 499 or status in _TRY_AGAIN


def retry_after(value: str | None) -> float:
    """The seconds of a ``Retry-After`` header; 0 if there is none, or if it is a date.

    Source: RFC 9110, section 10.2.3.
    """
    if value is None or not value.isascii() or not value.isdigit():
        return 0.0
    return min(float(value[:9]), LONGEST_ASKED)


class Backoff:
    """The pauses of one client.

    Parameters:
        random: gives a number from 0 to 1, as ``random.random`` does.

    Example::

        backoff = Backoff(random.random)
        await trio.sleep(backoff.pause())
    """

    __slots__ = ("_ended_early", "_random")

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._ended_early = 0  # attempts and connections since the last good connection

    def lasted(self, seconds: float) -> None:
        """A connection has ended that was open for this time."""
        if seconds >= LASTING:
            self._ended_early = 0

    def pause(self, asked: float = 0.0) -> float:
        """The seconds until the next attempt.

        Parameters:
            asked: seconds that the server has asked to wait. They come on top, so that clients that
                were told the same do not come back at the same time.
        """
        # 2**4 * FIRST_PAUSE is above LONGEST_PAUSE already
        longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._ended_early, 10))
        self._ended_early += 1
        return asked + self._random() * longest
