"""How far behind a client is, by the pings that follow what it is sent. Plain data: no I/O.

A client answers pings in the order in which everything was sent. So the answer to a ping says that
all that was sent before it has been read, which a kernel's buffers hide otherwise: they take
seconds of messages of a client that reads nothing.

Source: RFC 6455, sections 5.5.2 and 5.5.3.
"""

from __future__ import annotations

import math
from typing import Final

_EVERY: Final = 2.0  # seconds between two pings; each costs as much as two messages
_MOST: Final = 64  # pings on their way, so two minutes of them


class Lag:
    """What a client was sent and is not known to have read.

    Attributes:
        since: when the first message was sent that no ping has followed; None for no such message.
    """

    __slots__ = ("_asked", "_number", "_pinged", "since")

    def __init__(self) -> None:
        self._number = 0  # of the last ping
        self._asked = -math.inf  # when it was sent
        # the pings on their way, each with the time of the first message that it follows
        self._pinged: list[tuple[int, float]] = []
        self.since: float | None = None

    def sent(self, now: float) -> None:
        """A message was sent."""
        if self.since is None:
            self.since = now

    def ping(self, now: float) -> bytes | None:
        """The payload of the ping to send now; None if there is nothing to learn by one, or it is
        not time for one."""
        if self.since is None or now - self._asked < _EVERY or len(self._pinged) >= _MOST:
            return None
        self._asked = now
        self._number += 1
        self._pinged.append((self._number, self.since))
        self.since = None
        return b"%d" % self._number

    def pong(self, payload: bytes) -> None:
        """A pong came. One that answers no ping tells nothing.

        A client "MAY elect to send a Pong frame for only the most recently processed Ping frame"
        (RFC 6455, section 5.5.3), so it answers those before as well.
        """
        for place, (number, _) in enumerate(self._pinged):
            if payload == b"%d" % number:
                del self._pinged[: place + 1]
                return

    @property
    def read(self) -> bool:
        """Whether all that was sent is known to have been read."""
        return not self._pinged and self.since is None

    def seconds(self, now: float) -> float:
        """The age of the oldest message that a ping has followed, and that may not have been read;
        0 for no such message."""
        return max(0.0, now - self._pinged[0][1]) if self._pinged else 0.0
