"""How far behind a client is, by the pings that follow what it is sent. Plain data: no I/O.

A client answers pings in the order in which everything was sent (RFC 6455, section 5.5.3: a Pong
is sent "as soon as is practical", and what came before the Ping has been read by then). So the
answer to a ping says that all that was sent before it has been read, which a kernel's buffers hide
otherwise: they take seconds of messages of a client that reads nothing.
"""

from __future__ import annotations


class Lag:
    """What a client was sent and is not known to have read.

    At most one ping is on its way. What is sent meanwhile waits for the next.

    Attributes:
        since: when the first message was sent that no ping has followed; None for no such message.
    """

    __slots__ = ("_number", "_pinged", "_probing", "since")

    def __init__(self) -> None:
        self._number = 0
        self._probing: float | None = None  # when the first message before that ping was sent
        self._pinged = False  # whether a ping is on its way
        self.since: float | None = None

    def sent(self, now: float) -> None:
        """A message was sent."""
        if self.since is None:
            self.since = now

    def ping(self) -> bytes | None:
        """The payload of the ping to send now; None where there is nothing to learn by one."""
        if self._pinged or self.since is None:
            return None
        self._probing, self.since = self.since, None
        self._pinged = True
        self._number += 1
        return b"%x" % self._number

    def pong(self, payload: bytes) -> None:
        """A pong came. One that answers something else tells nothing."""
        if self._pinged and payload == b"%x" % self._number:
            self._pinged = False
            self._probing = None

    @property
    def read(self) -> bool:
        """Whether all that was sent is known to have been read."""
        return self._probing is None and self.since is None

    def seconds(self, now: float) -> float:
        """The age of the oldest message that may not have been read; 0 where all has been."""
        oldest = self.since if self._probing is None else self._probing
        return 0.0 if oldest is None else max(0.0, now - oldest)
