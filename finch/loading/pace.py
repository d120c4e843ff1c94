"""Pace: when the next message of a client is due."""

from __future__ import annotations

from typing import Final

import trio

_LATE: Final = 0.002
"""Seconds. A client that sends later than this was held up, so its latency counts from when the
message was due. Less than this is the clock of the kernel, which wakes nobody sooner."""


class Pace:
    """When the messages of one client are due.

    Without a rate, a message is due as soon as the last one is answered. With one, messages are due
    at fixed times, whatever the server does. A server that stalls then makes all of them wait, and
    all of that counts (no "coordinated omission").

    Parameters:
        rate: messages a second of all clients; None for none.
        clients: how many there are.
        number: of this one.
        start: when the run begins, by trio's clock.
    """

    def __init__(self, rate: float | None, clients: int, number: int, start: float) -> None:
        self._every = None if rate is None else clients / rate
        self._due = start if rate is None else start + number / rate

    async def wait(self) -> float:
        """Wait until the next message is due.

        Returns:
            The time from which its latency counts.
        """
        if self._every is None:
            return trio.current_time()
        due, self._due = self._due, self._due + self._every
        await trio.sleep_until(due)
        now = trio.current_time()
        return due if now - due > _LATE else now
