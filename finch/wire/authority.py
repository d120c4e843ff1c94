"""What wsproto decides about a WebSocket: control frames, fragments, compression and errors.

wsproto is the authority on the protocol, but nearly all messages do not need it. It takes 10 ms to
import. So ``finch.wire.websocket`` imports this module only when it first needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason

from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived, SocketInput
from finch.wire.extensions import Guard
from finch.wire.frames import BAD_GATEWAY, FrameScanner

# deflate grows by at most 1032:1, so a slice of this many compressed bytes becomes at most 3 MiB
# before the message is counted again. If it is text, it takes nine times as much for a moment.
_INFLATE_SLICE: Final = 3072
_ANY_FRAME: Final = bytes(14 + 125)  # as long as the longest header and the longest control frame
# the peer has not sent a Close
_UNCLOSED: Final = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)
# we have not sent a Close
_UNSAID: Final = (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)


class Authority:
    """Gives wsproto one frame at a time, and collects whole messages.

    Parameters:
        max_message_size, max_fragments, extensions: as for
            :class:`finch.wire.websocket.WebSocketProtocol`.
    """

    __slots__ = (
        "_compressing",
        "_connection",
        "_events",
        "_guard",
        "_left",
        "_max_message_size",
        "_pieces",
        "_scanner",
    )

    def __init__(
        self, max_message_size: int, max_fragments: int, extensions: Sequence[Extension]
    ) -> None:
        self._guard = Guard(max_message_size, max_fragments)
        self._connection = Connection(ConnectionType.SERVER, [self._guard, *extensions])
        self._compressing = bool(extensions)
        self._scanner = FrameScanner()
        self._events: Iterator[Event] = iter(())
        self._max_message_size = max_message_size
        self._left = max_message_size  # bytes that the current message may still have
        self._pieces: list[bytes] = []

    def receive_data(self, data: bytes, begin: int) -> int:
        """Take the received part of the frame that begins, or goes on, at this place.

        Returns:
            Where it stopped: at the end of the frame, or earlier if it has enough for one call.
        """
        end = len(data)
        if self._compressing:
            end = min(end, begin + _INFLATE_SLICE)
        end = self._scanner.advance(data, begin, end)
        self._connection.receive_data(data[begin:end])
        self._events = self._connection.events()
        return end

    def next_event(self) -> SocketInput | None:
        """The next event from the peer; None if the received bytes hold no more events."""
        for event in self._events:
            result = self._translate(event)
            if result is not None:
                return result
        return None

    @property
    def between_messages(self) -> bool:
        """Whether a new message begins after the received bytes."""
        return self._scanner.between_messages

    @property
    def forgettable(self) -> bool:
        """Whether this object can be thrown away and replaced by a new one later: no message has
        begun, and no Close was sent or received. The state of compression is in its extension."""
        return self._scanner.between_messages and self._connection.state is ConnectionState.OPEN

    def end(self) -> None:
        """Called when nothing more will come.

        wsproto's parser is a generator, and the object that it uses also holds it. Only the garbage
        collector could free this circle. So the generator is made to end here: it gets a frame of
        zeros, and the guard refuses that frame.
        """
        self._guard.over = True
        if self._connection.state in _UNCLOSED:
            self._connection.receive_data(_ANY_FRAME)
        for _ in self._connection.events():
            pass

    def _translate(self, event: Event) -> SocketInput | None:
        if isinstance(event, TextMessage | BytesMessage):
            return self._collect(event)
        if isinstance(event, Ping):
            return PingReceived(bytes(event.payload))
        if isinstance(event, Pong):
            return PongReceived(bytes(event.payload))
        assert isinstance(event, CloseConnection)
        if self._connection.state in _UNCLOSED:
            # wsproto has not moved to a closing state, so this is a Close that it wants us to send
            return self._fail(event.code, event.reason or "")
        code = BAD_GATEWAY if self._guard.bad_gateway else int(event.code)
        return CloseReceived(code, event.reason or "")

    def _collect(self, event: TextMessage | BytesMessage) -> SocketInput | None:
        data = event.data if isinstance(event.data, str) else bytes(event.data)
        # kept as bytes: a str may take four times as much memory
        piece = data.encode() if isinstance(data, str) else data
        self._left -= len(piece)
        if self._left < 0:
            return self._fail(CloseReason.MESSAGE_TOO_BIG, "message too big")
        if not event.message_finished:
            self._pieces.append(piece)
            return None
        self._left = self._max_message_size
        if not self._pieces:
            return data
        self._pieces.append(piece)
        whole = b"".join(self._pieces)
        self._pieces = []
        return whole.decode() if isinstance(data, str) else whole

    def _fail(self, code: int, reason: str) -> Failed:
        self._pieces = []
        if code == CloseReason.INVALID_FRAME_PAYLOAD_DATA:
            reason = "the payload cannot be decoded"  # the peer need not see Python's message
        return Failed(int(code), self._guard.complaint or reason)

    # Writing

    def send_message(self, data: str | bytes) -> bytes | None:
        """The frame of a whole message, encoded by the extensions; None if the connection is
        closing.

        Then wsproto takes no more messages, and the caller sends the answers that the peer still
        gets without compression. RFC 7692, section 6, allows this.
        """
        if self._connection.state is not ConnectionState.OPEN:
            return None
        event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        return bytes(self._connection.send(event))

    def send_close(self, code: int, reason: str) -> bytes:
        """The Close frame, or ``b""`` if it was already sent."""
        if self._connection.state not in _UNSAID:
            return b""
        known = CloseReason(code) if code in CloseReason._value2member_map_ else code
        # a Close without a code cannot hold a reason
        said = reason if known is not CloseReason.NO_STATUS_RCVD else None
        return bytes(self._connection.send(CloseConnection(code=known, reason=said)))
