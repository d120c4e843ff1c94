"""One open conversation without a WebSocket: a stream of events to the client, and its POSTs.

It is a :class:`finch.sockets.link.Link` with another protocol, so its states and limits are the
same. What differs, and why:

- The connection brings no messages. They come in POSTs, over other connections, perhaps to another
  process; :meth:`EventLink.take` gets them.
- Nobody answers a ping. The kernel says whether the client has taken what was sent, and cuts the
  connection if it takes nothing.
- The client does not answer a Close: after the last event, the stream ends.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest
from typing import Final

import trio

from finch.net.silence import limit_silence
from finch.net.transport import Transport
from finch.sockets.link import Link
from finch.sockets.outlet import Host, Owner
from finch.sockets.states import State
from finch.wire.envelope import Envelope
from finch.wire.posted import Belongs, EventProtocol

TAKEN, MISNUMBERED, GONE, FULL = 204, 409, 410, 429
"""What becomes of a POST: its messages were taken; its number is not the next one; there is no such
stream; it must come again later."""

_OPEN: Final = State.OPEN


class EventLink(Link):
    """One open stream of events, and what its client says in POSTs.

    Parameters:
        transport: the connection of the stream.
        host: the server.
    """

    __slots__ = ("_beat", "_lines", "_number", "_payload", "_room", "_secret", "_taking")

    def __init__(self, transport: Transport, host: Host) -> None:
        self._lines = EventProtocol()
        super().__init__(transport, self._lines, host)
        self._secret = secrets.token_urlsafe(16)
        self._number = 0  # of the last POST that was taken
        self._taking = False  # whether a POST waits for its turn
        self._room: trio.Event | None = None  # what this POST waits for
        self._beat = self.deadline  # when the next comment is due
        self._payload: bytes | None = None  # of a ping that is answered when all is sent
        limit_silence(transport, self._limits.ping_interval + self._limits.ping_timeout)

    def begin(self, owner: Owner, client: str, most: int) -> None:
        """Set the owner, and tell the client, before anything else, how it can speak.

        Parameters:
            client: its id.
            most: bytes of one POST.
        """
        self.open(owner)
        self.transport.write(self._lines.send_open(client, self._secret, most))

    def push(self, envelope: Envelope, language: str, client: bytes) -> bool:
        return self.send_frame(self._lines.send_message(envelope.json(language, client)))

    async def take(self, belongs: Belongs, lines: str, patience: float) -> int:
        if not compare_digest(belongs.secret, self._secret) or self.state is not _OPEN:
            return GONE
        if belongs.number == self._number:
            return TAKEN  # browsers send a request again if a connection was cut under it
        if belongs.number != self._number + 1:
            return MISNUMBERED
        if self._taking:
            return FULL
        self._taking = True
        try:
            with trio.move_on_after(patience) as waiting:
                while not self._has_room:
                    self._room = trio.Event()
                    await self._room.wait()
        finally:
            self._taking = False
            self._room = None
        if waiting.cancelled_caught:
            return FULL
        if self.left or self.ending:
            return GONE
        self._number = belongs.number
        self._lines.take(lines)
        if self.pump():
            self.host.spawn(self._pump_on)  # in a task of its own: the POST may be cancelled
        return TAKEN

    async def _pump_on(self) -> None:
        while self.pump():
            await trio.lowlevel.checkpoint()
        self._make_room()

    @property
    def _has_room(self) -> bool:
        """Whether a POST need not wait. If the conversation is over, it is told so."""
        return not self._lines.unread or self.state is not _OPEN

    def _make_room(self) -> None:
        if self._room is not None and self._has_room:
            self._room.set()

    def resume(self) -> None:
        super().resume()
        if self.state is not _OPEN:
            self._make_room()
        elif not self.paused:
            self.deadline = self._beat
            if self._lines.unread:
                # super() has told the reader, but that one may be waiting for bytes that never come
                self.host.spawn(self._pump_on)
            else:
                self._make_room()

    def ping(self, payload: bytes) -> bool:
        if self.state is not _OPEN:
            return False
        transport = self.transport
        if transport.pending:
            transport.flush()
        if not transport.pending:
            self._owner.pong(payload)
        else:
            if self._payload is None:
                self.host.spawn(self._answer_when_sent)
            self._payload = payload  # it answers those before it as well
        return True

    async def _answer_when_sent(self) -> None:
        await self.transport.drain()
        payload, self._payload = self._payload, None
        if payload is not None and self.state is _OPEN:
            self._owner.pong(payload)

    def _check_alive(self, now: float) -> None:
        limits = self._limits
        if self._beat <= now + limits.tick:
            self._beat = now + limits.ping_interval
            self.send_frame(self._lines.send_ping())
        if self.paused:
            super()._check_alive(now)
        elif self.state is _OPEN:
            self.deadline = self._beat

    def close(self, code: int, reason: str) -> None:
        was_open = self.state is _OPEN
        super().close(code, reason)
        if was_open:
            self.transport.finish()  # nobody answers: the client closes its side when it sees this
