"""How far behind a client is, measured by pings that follow its messages. Plain data: no I/O.

A client reads messages and pings in the order in which they were sent. So its answer to a ping
proves that it has read all messages before that ping. Without pings nobody would know: the kernel's
buffers take seconds of messages for a client that reads nothing.

Source: RFC 6455, sections 5.5.2 and 5.5.3.
"""

from __future__ import annotations

import math
from typing import Final

_EVERY: Final = 2.0  # seconds between two pings; a ping costs as much as two messages
_MOST: Final = 64  # unanswered pings: those of two minutes


class Lag:
    """The messages that were sent to a client and that it may not have read.

    Attributes:
        since: when the first message after the last ping was sent; None if there is no such
            message.
    """

    __slots__ = ("_asked", "_number", "_pinged", "since")

    def __init__(self) -> None:
        self._number = 0  # of the last ping
        self._asked = -math.inf  # when the last ping was sent
        # the unanswered pings, each with the time of the first message since the ping before it
        self._pinged: list[tuple[int, float]] = []
        self.since: float | None = None

    def sent(self, now: float) -> None:
        """A message was sent."""
        if self.since is None:
            self.since = now

    def ping(self, now: float) -> bytes | None:
        """The payload of the ping to send now; None if a ping would tell nothing new, or if it is
        too early for the next one."""
        if self.since is None or now - self._asked < _EVERY or len(self._pinged) >= _MOST:
            return None
        self._asked = now
        self._number += 1
        self._pinged.append((self._number, self.since))
        self.since = None
        return b"%d" % self._number

    def ask(self, now: float) -> bytes | None:
        """The payload of a ping to send at once, though nothing may follow the ping before it; None
        if too many are unanswered."""
        if len(self._pinged) >= _MOST:
            return None
        self._asked = -math.inf
        if self.since is None:
            self.since = now
        return self.ping(now)

    def pong(self, payload: bytes) -> None:
        """A pong has arrived. A pong that answers no ping is ignored.

        A client "MAY elect to send a Pong frame for only the most recently processed Ping frame"
        (RFC 6455, section 5.5.3). So a pong also answers all pings before the one it names.
        """
        for place, (number, _) in enumerate(self._pinged):
            if payload == b"%d" % number:
                del self._pinged[: place + 1]
                return

    @property
    def asking(self) -> bool:
        """Whether a ping is unanswered."""
        return bool(self._pinged)

    @property
    def read(self) -> bool:
        """Whether the client has certainly read everything."""
        return not self._pinged and self.since is None

    def seconds(self, now: float) -> float:
        """The age of the oldest message that a ping has followed and that the client may not have
        read; 0 if there is no such message."""
        return max(0.0, now - self._pinged[0][1]) if self._pinged else 0.0
