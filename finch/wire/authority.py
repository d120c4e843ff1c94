"""What wsproto decides: control frames, fragments, compression, and what is wrong.

wsproto is the authority on the protocol, and nearly all messages never meet it. It takes 10 ms to
import, so ``finch.wire.websocket`` imports this module when something is first handed over.
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

# deflate grows by at most 1032:1, so a slice of this many compressed bytes becomes 3 MiB at the
# most before the message is counted again. A text of those takes nine times as much for a moment.
_INFLATE_SLICE: Final = 3072
_ANY_FRAME: Final = bytes(14 + 125)  # enough for any header, and for any control frame
_UNCLOSED: Final = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)  # by the peer
_UNSAID: Final = (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING)  # our Close


class Authority:
    """wsproto, told where its frames end and asked for whole messages.

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
        self._left = max_message_size  # bytes that the message being received may still take
        self._pieces: list[bytes] = []

    def receive_data(self, data: bytes, begin: int) -> int:
        """Take in what is there of the frame that begins, or goes on, at that place.

        Returns:
            Where it stopped: at the frame's end, or where it has enough for once.
        """
        end = len(data)
        if self._compressing:
            end = min(end, begin + _INFLATE_SLICE)
        end = self._scanner.advance(data, begin, end)
        self._connection.receive_data(data[begin:end])
        self._events = self._connection.events()
        return end

    def next_event(self) -> SocketInput | None:
        """The next thing the peer did; None where what was received holds no more."""
        for event in self._events:
            result = self._translate(event)
            if result is not None:
                return result
        return None

    @property
    def between_messages(self) -> bool:
        """Whether a new message begins behind what was received."""
        return self._scanner.between_messages

    @property
    def forgettable(self) -> bool:
        """Whether a new one would do as well: no message is under way, and no Close has been said.
        What compression remembers, its extension does."""
        return self._scanner.between_messages and self._connection.state is ConnectionState.OPEN

    def end(self) -> None:
        """Nothing more will come.

        wsproto's parser is a generator that its own object holds: a circle, which would wait for
        the collector unless the generator is brought to its end.
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
            # wsproto has not moved to a closing state: the Close is one that it wants us to send
            return self._fail(event.code, event.reason or "")
        code = BAD_GATEWAY if self._guard.bad_gateway else int(event.code)
        return CloseReceived(code, event.reason or "")

    def _collect(self, event: TextMessage | BytesMessage) -> SocketInput | None:
        data = event.data if isinstance(event.data, str) else bytes(event.data)
        # kept as bytes: a text may take four times as many
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
            reason = "the payload cannot be decoded"  # and no word of Python's codecs
        return Failed(int(code), self._guard.complaint or reason)

    # Writing

    def send_message(self, data: str | bytes) -> bytes | None:
        """A whole message as the extensions want it; None where they no longer take any.

        Once the peer has closed, the answers it is owed go uncompressed, which RFC 7692, section
        6, leaves to the sender.
        """
        if self._connection.state is not ConnectionState.OPEN:
            return None
        event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        return bytes(self._connection.send(event))

    def send_close(self, code: int, reason: str) -> bytes:
        """The Close frame, or ``b""`` where it is sent already."""
        if self._connection.state not in _UNSAID:
            return b""
        known = CloseReason(code) if code in CloseReason._value2member_map_ else code
        # a Close without a code cannot hold a reason
        said = reason if known is not CloseReason.NO_STATUS_RCVD else None
        return bytes(self._connection.send(CloseConnection(code=known, reason=said)))
