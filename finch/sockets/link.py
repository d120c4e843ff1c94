"""One open connection of a client: from bytes to messages, keep-alive, and every way it can end.

A link stands between a reader and an owner. The reader gives it bytes; the owner, which is a
manager's client or a raw socket, gets the messages. The link itself never waits. Its states, and
what moves it from one to the next, are a table in ``finch.sockets.states``.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import trio

from finch.net.plain import SocketTransport
from finch.net.transport import Transport
from finch.sockets.outlet import Host, Outlet, Owner
from finch.sockets.states import LINK, Event, State
from finch.turns import HEAVY, TURN
from finch.wire.envelope import Envelope
from finch.wire.events import (
    CloseReceived,
    Failed,
    PingReceived,
    PongReceived,
    SocketInput,
)

MESSAGE: Final = (str, bytes)  # a union costs more at every isinstance
_FRAMING: Final = 1024  # bytes that a frame's header and, at worst, deflate add to a message

# every message compares these, and ``State.OPEN`` is a slow expression
_OPEN, _CLOSING, _ANSWERING = State.OPEN, State.CLOSING, State.ANSWERING


class Reader(Protocol):
    """Gives links the bytes that their transports receive. It does not read for a paused link."""

    def resume(self, link: Link, more: bool) -> None:
        """Read for this link again. ``more``: it still has received bytes to process."""


class Framing(Protocol):
    """What stands between bytes and messages: a WebSocket, or what is used in its place."""

    @property
    def compressed(self) -> bool:
        """Whether messages must be given to :meth:`send_message`, and cannot be sent as frames."""

    @property
    def unread(self) -> bool:
        """Whether there are received bytes that are not handled yet."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer."""

    def next_event(self) -> SocketInput | None:
        """The next event from the peer; None if there is none yet."""

    def send_message(self, data: str | bytes) -> bytes: ...
    def send_ping(self, payload: bytes = b"") -> bytes: ...
    def send_pong(self, payload: bytes) -> bytes: ...
    def send_close(self, code: int, reason: str) -> bytes: ...

    def rest(self) -> None:
        """The connection is idle: keep as little as possible."""

    def end(self) -> None:
        """The connection is over."""


class Link(Outlet):
    """One open connection, a WebSocket or what stands in its place.

    Parameters:
        transport: the connection, which is no longer HTTP.
        protocol: reads and writes its messages.
        host: the server.

    Attributes:
        close_code, close_reason: how the connection ended, as far as known.
        deadline: when the server must call :meth:`expire`, by trio's clock.
    """

    __slots__ = (
        "_limits",
        "_owner",
        "_received",
        "_released",
        "_reply",
        "_suspect",
        "close_code",
        "close_reason",
        "deadline",
        "protocol",
        "reader",
    )

    _owner: Owner

    def __init__(self, transport: Transport, protocol: Framing, host: Host) -> None:
        now = trio.current_time()
        self.transport = transport
        self.direct = (
            transport
            if isinstance(transport, SocketTransport) and not protocol.compressed
            else None
        )
        self.protocol = protocol
        self.state = _OPEN
        self.close_code = 1006
        self.close_reason = ""
        self.deadline = now + host.limits.ping_interval
        self.paused = False
        self.host = host
        self._limits = host.limits
        self._received = now
        # Whether the peer may be gone: it has not answered our ping, or, while we do not read, it
        # has hung up. If nothing has changed at the next deadline, it is gone.
        self._suspect = False
        self.reader: Reader | None = None
        """Gives it bytes; :meth:`resume` tells it when it may go on."""
        self._reply: tuple[int, str] | None = None  # the Close that we must still send
        self._released = False  # whether the owner needs it no longer

    def open(self, owner: Owner) -> None:
        """Set the link's owner."""
        self._owner = owner

    def _move(self, event: Event) -> bool:
        """Go where the table says; False if the event changes nothing in this state."""
        state = LINK[self.state].get(event)
        if state is None:
            return False
        self.state = state
        return True

    # The reader's side

    def receive(self, data: bytes, now: float) -> None:
        """Bytes have arrived, at this time of trio's clock. :meth:`pump` processes them."""
        self._received = now
        self._suspect = False
        if self.state is _OPEN or self.state is _CLOSING:
            self.protocol.receive_data(data)

    def pump(self) -> bool:
        """Process the received bytes in order, until none are left or the owner pauses the link.

        Returns:
            Whether it stopped only to let other tasks run, so that it must be called again.
        """
        protocol = self.protocol
        turn = TURN
        while turn > 0:
            turn -= 1
            if self.paused or (self.state is not _OPEN and self.state is not _CLOSING):
                return False
            event = protocol.next_event()
            if isinstance(event, MESSAGE):
                turn -= len(event) >> HEAVY
                if self.state is _OPEN:
                    self._owner.deliver(event)
                if not protocol.unread:
                    return False
            elif event is None:
                return protocol.unread
            elif isinstance(event, PingReceived):
                if self.state is _OPEN:
                    self.send_frame(self.protocol.send_pong(event.payload))
            elif isinstance(event, PongReceived):
                self._owner.pong(event.payload)
            elif isinstance(event, CloseReceived | Failed):
                self._leave(event.code, event.reason)
        return True

    @property
    def unread(self) -> bool:
        """Whether it still has received bytes to process."""
        return self.protocol.unread

    def eof(self) -> None:
        """The peer will send nothing more."""
        if self.state is _OPEN or self.state is _CLOSING:
            if self.state is _OPEN:
                self.close_reason = "the connection was lost"
            self._move(Event.LOSE)
            self._tell_owner()
        elif self._move(Event.LOSE) and self.state is State.OVER:
            self._close_transport()
        self._release_if_over()

    # The owner's side

    def pause(self) -> None:
        """Stop reading. TCP then makes the peer wait."""
        if self.state is _OPEN:
            self.paused = True
            self._suspect = False
            self.deadline = trio.current_time() + self._limits.leave_grace

    def resume(self) -> None:
        """Go on: first process the bytes that were received before the pause, then read again."""
        if not self.paused:
            return
        # First, since pump() stops at once if the link is paused. The owner may pause it again
        # in there, so "paused" is checked anew before the reader goes on.
        self.paused = self._suspect = False
        # nobody has read during the pause: that silence must not count against the peer
        self._received = trio.current_time()
        if self.state is _OPEN:
            self.deadline = self._received + self._limits.ping_interval
        more = self.pump()
        if self.reader is not None and not self.paused:
            self.reader.resume(self, more)

    @property
    def left(self) -> bool:
        return self.state is not _OPEN and self.state is not _CLOSING

    @property
    def ending(self) -> bool:
        return self.state is not _OPEN

    def push(self, envelope: Envelope, language: str, client: bytes) -> bool:
        if self.protocol.compressed:
            return self.send(envelope.text(language, client))
        return self.send_frame(envelope.frame(language, client))

    def send(self, message: str | bytes) -> bool:
        """Send a message; False if the peer no longer listens."""
        return self.send_frame(self.protocol.send_message(message))

    def send_frame(self, frame: bytes) -> bool:
        """Send a frame without waiting; False if the peer no longer listens.

        If more than ``Limits.max_outbox`` bytes would wait for the peer, the connection is closed
        with 1013. A single message may be larger than that, if nothing else waits. If the peer has
        ended first, it still gets the answers to its earlier messages, and then our Close.
        """
        if self.state is not _OPEN and self.state is not _ANSWERING:
            return False
        transport = self.transport
        if transport.pending and transport.pending + len(frame) > self._limits.max_outbox:
            # Some bytes may wait only for the end of the turn, not for a slow peer: send them now.
            transport.flush()
            if transport.pending and transport.pending + len(frame) > self._limits.max_outbox:
                self.close(1013, "too slow: messages wait that you do not read")
                return False
        transport.write(frame)
        return not transport.closed

    def ping(self, payload: bytes) -> bool:
        if self.state is not _OPEN:
            return False
        self.transport.write(self.protocol.send_ping(payload))
        return True

    async def wait_writable(self, size: int) -> None:
        """Wait while more than ``Limits.backpressure`` bytes wait for the peer, or while a message
        of ``size`` bytes does not fit (``Limits.max_outbox``)."""
        limits = self._limits
        most = max(0, min(limits.backpressure, limits.max_outbox - size - _FRAMING))
        if self.transport.pending > most:
            await self.transport.drain(most)

    def close(self, code: int, reason: str) -> None:
        """Send a Close, and give the peer ``Limits.close_timeout`` to answer it."""
        if self._move(Event.CLOSE):
            self.transport.write(self.protocol.send_close(code, reason))
            self.close_code, self.close_reason = code, reason
            self.deadline = trio.current_time() + self._limits.close_timeout
            # A paused link would never read the peer's Close. Last, because the Close may be here
            # already: the link then goes on to LEAVING, with a new deadline.
            self.resume()

    def finish(self) -> None:
        """The owner has handled all messages: answer the peer's Close, and end the stream."""
        if not self._move(Event.FINISH):
            return
        if self._reply is not None:
            self.transport.write(self.protocol.send_close(*self._reply))
        # "the server MUST close the connection first" (RFC 6455, section 7.1.1): so we close our
        # side now. But we still read: if we closed with data unread, TCP would send a reset, and
        # the peer could lose our Close.
        self.transport.finish()
        self.deadline = trio.current_time() + self._limits.close_timeout
        if self.state is State.OVER:
            self._close_transport()

    def release(self) -> None:
        self._released = True
        self._release_if_over()

    # The server's side

    def expire(self, now: float) -> None:
        """The server calls this at the deadline."""
        if self.state is _OPEN:
            self._check_alive(now)
        elif self.state is _CLOSING:
            self.drop()
        elif self.state in (_ANSWERING, State.LEAVING, State.LOST):
            self.finish()  # from now on, nothing that the owner sends reaches the peer
            self._owner.cancel()
        else:
            self.deadline = math.inf
            self.drop()

    def shut_down(self, code: int = 1001, reason: str = "going away") -> None:
        """The server stops."""
        self.close(code, reason)

    def retire(self) -> None:
        """The server is replaced. Whoever upgraded a connection so late must come back."""
        self.close(1012, "service restart")

    def drop(self) -> None:
        """Close the connection at once, without a Close frame."""
        self.transport.close()
        self.eof()

    def _check_alive(self, now: float) -> None:
        limits = self._limits
        if self.paused:
            # While nobody reads, silence says nothing about the peer, but a hang-up does. After a
            # hang-up the owner gets one more ``leave_grace`` to read the messages before it.
            if self._suspect:
                self.drop()
            else:
                self._suspect = self.transport.hung_up()
                self.deadline = now + limits.leave_grace
            return
        quiet_until = self._received + limits.ping_interval
        if quiet_until > now + limits.tick:
            self.deadline = quiet_until
        elif not self._suspect:
            self._suspect = True
            self.protocol.rest()
            self.send_frame(self.protocol.send_ping())
            self.deadline = now + limits.ping_timeout
        else:
            self._leave(1011, "no answer to a ping")

    def _leave(self, code: int, reason: str) -> None:
        """The peer has ended, or is given up: once its messages are handled, this is our Close."""
        if self.state is _OPEN:
            self.close_code, self.close_reason = code, reason
            self._reply = code, reason
        self._move(Event.LEAVE)
        self._tell_owner()

    def _tell_owner(self) -> None:
        self.resume()  # so that the reader sees the end of the stream
        self.deadline = trio.current_time() + self._limits.leave_grace
        # Last: if the owner has nothing left to handle, it may call finish() in here. That sets a
        # new deadline, which must not be overwritten.
        self._owner.peer_left()

    def _close_transport(self) -> None:
        """Both sides have ended: close the connection as soon as everything is sent."""
        if self.transport.drained:
            self.transport.close()
        else:
            self.host.spawn(self._drain_and_close)

    async def _drain_and_close(self) -> None:
        try:
            await self.transport.drain()  # at the deadline, expire() closes the transport
        finally:
            self.transport.close()
            self._release_if_over()

    def _release_if_over(self) -> None:
        if self._released and self.transport.closed and self._move(Event.RELEASE):
            # Break the reference cycles by hand. The garbage collector looks at old objects too
            # rarely for a server whose clients come and go.
            del self._owner
            self.protocol.end()
            self.host.release(self)
