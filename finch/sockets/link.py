"""One open WebSocket connection: from bytes to messages, keep-alive, and every way it can end.

A link stands between a reader, which feeds it bytes, and an owner, who gets the messages: a
manager's client or a raw socket. It never waits; whoever may wait does so outside.

States, in this order and never back::

    OPEN      messages go both ways
    CLOSING   we sent a Close and wait for the peer's; what it still sends is discarded
    LEAVING   the peer has left or is given up; the owner handles, and answers, what came before
    CLOSED    everything is said; only the end of the TCP stream is waited for
"""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from finch.config import Limits
from finch.net.transport import Transport
from finch.sockets.workers import WorkerPool
from finch.turns import HEAVY, TURN
from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived
from finch.wire.websocket import WebSocketProtocol

MESSAGE: Final = (str, bytes)  # a union costs more at every isinstance
_FRAMING: Final = 1024  # bytes that a frame's header, and deflate at its worst, add to a message


class State(enum.Enum):
    """Where a link stands."""

    OPEN = "open"
    CLOSING = "closing"
    LEAVING = "leaving"
    CLOSED = "closed"


# looked up at every message, and an enum's members are slow to look up
OPEN, CLOSING, LEAVING, CLOSED = State


class Host(Protocol):
    """What an open socket needs of the server that holds it."""

    limits: Limits
    workers: WorkerPool
    lagging: dict[Prober, None]
    """Who has been sent something since it was last known to have read everything."""

    def spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a task that outlives the caller."""

    def forget(self, link: Link) -> None:
        """The link is over, and so is its owner."""


class Prober(Protocol):
    """Somebody who wants to know how far behind its client is."""

    def probe(self) -> bool:
        """Ask the client, if it is time; whether there is still something to learn."""


class Reader(Protocol):
    """Who feeds links with what their transports receive. A link that pauses itself is not fed."""

    def resume(self, link: Link, more: bool) -> None:
        """A link may be fed again. ``more``: it has not dealt with all that it was fed."""


class Owner(ABC):
    """Who gets a link's messages. None of these may wait or raise."""

    __slots__ = ()

    @abstractmethod
    def deliver(self, message: str | bytes) -> None:
        """A whole message. ``link.pause()`` where no further one can be taken."""

    @abstractmethod
    def pong(self, payload: bytes) -> None:
        """The peer answered :meth:`Link.ping`, or says that it lives."""

    @abstractmethod
    def leave(self) -> None:
        """Nothing more will come. The owner deals with what did, calls ``link.finish()``, and
        ``link.release()`` when it is done itself."""

    @abstractmethod
    def cancel(self) -> None:
        """The time for dealing with what came is over."""


class Link:
    """One open WebSocket connection.

    Parameters:
        transport: the connection, upgraded.
        protocol: its frames.
        host: the server.

    Attributes:
        close_code, close_reason: how it ended, as far as known.
        deadline: when :meth:`expire` wants to be called, by trio's clock.
        paused: whether nothing may be read for now.
    """

    __slots__ = (
        "_ended",
        "_hung_up",
        "_limits",
        "_over",
        "_owner",
        "_pinged",
        "_received",
        "_released",
        "_reply",
        "close_code",
        "close_reason",
        "deadline",
        "host",
        "paused",
        "protocol",
        "reader",
        "state",
        "transport",
    )

    _owner: Owner

    def __init__(self, transport: Transport, protocol: WebSocketProtocol, host: Host) -> None:
        now = trio.current_time()
        self.transport = transport
        self.protocol = protocol
        self.state = OPEN
        self.close_code = 1006
        self.close_reason = ""
        self.deadline = now + host.limits.ping_interval
        self.paused = False
        self.host = host
        self._limits = host.limits
        self._received = now
        self._pinged = False
        self._hung_up = False
        self.reader: Reader | None = None
        """Who feeds it; wants to know when it may go on."""
        self._reply: tuple[int, str] | None = None  # the Close that the peer is owed
        self._ended = False  # nothing more comes from the peer
        self._released = False  # the owner is done
        self._over = False

    def open(self, owner: Owner) -> None:
        """Give the link to its owner."""
        self._owner = owner

    # The reader's side

    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the peer, at that time of trio's clock; :meth:`pump` deals with them."""
        self._received = now
        self._pinged = False
        if self.state is OPEN or self.state is CLOSING:
            self.protocol.receive_data(data)

    def pump(self) -> bool:
        """Deal with what was received, in order, until it is used up or the owner wants no more.

        Returns:
            Whether it stopped only to let others have a turn.
        """
        protocol = self.protocol
        turn = TURN
        while turn > 0:
            turn -= 1
            if self.paused or self.state is LEAVING or self.state is CLOSED:
                return False
            event = protocol.next_event()
            if isinstance(event, MESSAGE):
                turn -= len(event) >> HEAVY
                if self.state is OPEN:
                    self._owner.deliver(event)
                if not protocol.unread:
                    return False
            elif event is None:
                return protocol.unread
            elif isinstance(event, PingReceived):
                if self.state is OPEN:
                    self.send_frame(self.protocol.send_pong(event.payload))
            elif isinstance(event, PongReceived):
                self._owner.pong(event.payload)
            elif isinstance(event, CloseReceived | Failed):
                self._leave(event.code, event.reason, (event.code, event.reason))
        return True

    @property
    def unread(self) -> bool:
        """Whether it has not dealt with all that it was fed."""
        return self.protocol.unread

    def eof(self) -> None:
        """Nothing more will come from the peer."""
        self._ended = True
        if self.state is OPEN or self.state is CLOSING:
            self._leave(1006, "the connection was lost", None)
        elif self.state is CLOSED:
            self._hang_up()
        self._forget_if_over()

    # The owner's side

    def pause(self) -> None:
        """Stop reading: TCP pushes back on the peer."""
        if self.state is OPEN:
            self.paused = True
            self.deadline = trio.current_time() + self._limits.leave_grace

    def resume(self) -> None:
        """Go on reading, first what was read already."""
        if not self.paused:
            return
        self.paused = self._hung_up = False
        # the peer is not to blame for silence while nobody listened
        self._received = trio.current_time()
        if self.state is OPEN:
            self.deadline = self._received + self._limits.ping_interval
        more = self.pump()
        if self.reader is not None and not self.paused:
            self.reader.resume(self, more)

    @property
    def _listens(self) -> bool:
        """Whether the peer may still be sent to. One that said goodbye, or broke the protocol, is
        owed the answers to what it said before, and then the Close."""
        return self.state is OPEN or (
            self.state is LEAVING and self._reply is not None and not self._ended
        )

    def send(self, message: str | bytes) -> bool:
        """Send a message; False where the peer no longer listens."""
        return self.send_frame(self.protocol.send_message(message))

    def send_frame(self, frame: bytes) -> bool:
        """Send a frame without waiting; False where the peer no longer listens.

        A peer for whom too much waits is closed with 1013. One message may be larger than all that
        may wait: then it goes alone.
        """
        if self.state is not OPEN and not self._listens:
            return False
        transport = self.transport
        if transport.pending and transport.pending + len(frame) > self._limits.max_outbox:
            transport.flush()  # what only waits for the end of the turn is not the peer's fault
            if transport.pending and transport.pending + len(frame) > self._limits.max_outbox:
                self.close(1013, "too slow: messages wait that you do not read")
                return False
        transport.write(frame)
        return not transport.closed

    def ping(self, payload: bytes) -> bool:
        """Ask the peer to say when it has read everything up to here; False where it no longer
        listens."""
        if self.state is not OPEN:
            return False
        self.transport.write(self.protocol.send_ping(payload))
        return True

    async def wait_writable(self, size: int) -> None:
        """Wait while more waits for the peer than is good (``Limits.backpressure``), or than leaves
        room for a message of ``size`` bytes (``Limits.max_outbox``)."""
        limits = self._limits
        most = max(0, min(limits.backpressure, limits.max_outbox - size - _FRAMING))
        if self.transport.pending > most:
            await self.transport.drain(most)

    def close(self, code: int, reason: str) -> None:
        """Send a Close and wait for the peer's, for ``Limits.close_timeout`` at the most."""
        if self.state is OPEN:
            self.transport.write(self.protocol.send_close(code, reason))
            self.state = CLOSING
            self.close_code, self.close_reason = code, reason
            self.deadline = trio.current_time() + self._limits.close_timeout
            self.resume()

    def finish(self) -> None:
        """What the peer sent is dealt with: answer its Close and end the stream."""
        if self.state is CLOSED:
            return
        if self._reply is not None:
            self.transport.write(self.protocol.send_close(*self._reply))
        self.state = CLOSED
        # "the server MUST close the connection first" (RFC 6455, section 7.1.1): our side is; the
        # peer's data is still read, or TCP would throw away the Close we sent
        self.transport.finish()
        self.deadline = trio.current_time() + self._limits.close_timeout
        if self._ended:
            self._hang_up()

    def release(self) -> None:
        """The owner is done with everything."""
        self._released = True
        self._forget_if_over()

    # The server's side

    def expire(self, now: float) -> None:
        """The deadline has come."""
        if self.state is OPEN:
            self._check_alive(now)
        elif self.state is CLOSING:
            self.drop()
        elif self.state is LEAVING:
            self.finish()
            self._owner.cancel()
        else:
            self.deadline = math.inf
            self.drop()

    def shut_down(self) -> None:
        """The server is going down."""
        self.close(1001, "going away")

    def drop(self) -> None:
        """Give up on the peer without another word."""
        self.transport.close()
        self.eof()

    def _check_alive(self, now: float) -> None:
        limits = self._limits
        if self.paused:
            # Silence proves nothing while nobody reads, but a hang-up does. What came before it is
            # given a moment to be read.
            if self._hung_up:
                self.drop()
            else:
                self._hung_up = self.transport.hung_up()
                self.deadline = now + limits.leave_grace
            return
        quiet_until = self._received + limits.ping_interval
        if quiet_until > now + limits.tick:
            self.deadline = quiet_until
        elif not self._pinged:
            self._pinged = True
            self.protocol.rest()
            self.send_frame(self.protocol.send_ping())
            self.deadline = now + limits.ping_timeout
        else:
            self._leave(1011, "no answer to a ping", (1011, "no answer to a ping"))

    def _leave(self, code: int, reason: str, reply: tuple[int, str] | None) -> None:
        if self.state is OPEN:
            self.close_code, self.close_reason = code, reason
        self.state = LEAVING
        self._reply = reply
        self.resume()
        self.deadline = trio.current_time() + self._limits.leave_grace
        self._owner.leave()

    def _hang_up(self) -> None:
        """Nothing more comes, and all is said: let go of the connection when it is sent, too."""
        if self.transport.drained:
            self.transport.close()
        else:
            self.host.spawn(self._hang_up_slowly)

    async def _hang_up_slowly(self) -> None:
        try:
            await self.transport.drain()  # the deadline ends it
        finally:
            self.transport.close()
            self._forget_if_over()

    def _forget_if_over(self) -> None:
        if self._ended and self._released and self.transport.closed and not self._over:
            self._over = True
            # Nothing is left for the garbage collector: what has grown old it looks for too seldom
            # for a server whose clients come and go.
            del self._owner
            self.protocol.end()
            self.host.forget(self)
