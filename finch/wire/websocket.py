"""WebSocket messages on the server's side of one connection: bytes to whole messages and back.

wsproto is the authority on the protocol, and nearly all messages never meet it: a complete,
unfragmented, masked frame is taken straight from the buffer. Everything else (control frames,
fragments, compression, frames cut by the end of a read, anything wrong) is wsproto's, which is
made the first time that it is needed. Both ways give the same, which property tests show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

from finch.wire.extensions import BAD_GATEWAY, Guard
from finch.wire.frames import BINARY, PING, PONG, TEXT, FrameScanner, frame, unmask

# deflate grows by at most 1032:1, so a slice of this many compressed bytes becomes 3 MiB at the
# most before the message is counted again. A text of those takes nine times as much for a moment.
_INFLATE_SLICE: Final = 3072
_ANY_FRAME: Final = bytes(14 + 125)  # enough for any header, and for any control frame
_FRAMES: Final = 64  # handed over in one go


@dataclass(frozen=True, slots=True)
class PingReceived:
    """The peer asks whether we live; it wants ``payload`` back in a pong."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The peer lives."""


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """The peer's Close frame; ``code`` is 1005 where it held none. Nothing follows it."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol or a limit. ``code`` is the Close to send; nothing follows."""

    code: int
    reason: str


SocketInput = str | bytes | PingReceived | PongReceived | CloseReceived | Failed
"""What a peer can do: a whole text or binary message, or one of the control events."""


def check_close_code(code: int) -> None:
    """Whether an application may close with that code.

    Raises:
        ValueError: where it may not (RFC 6455, section 7.4).
    """
    known = (1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, BAD_GATEWAY)
    if not (code in known or 3000 <= code <= 4999):
        raise ValueError(
            f"{code} is no code to close with; use 1000, 1008, 1011 or your own from 4000 to 4999"
        )


class WebSocketProtocol:
    """The server's half of an open WebSocket, without any I/O.

    Parameters:
        max_message_size: bytes of one message after decompression; past it :class:`Failed` 1009.
        max_fragments: frames of one message, empty ones too; past it :class:`Failed` 1009.
        extensions: what the handshake agreed on.
        fast: whether whole frames may be taken without wsproto; for the tests that compare.

    Source: RFC 6455, RFC 7692.

    Example::

        protocol = WebSocketProtocol(max_message_size=1024, max_fragments=16)
        protocol.receive_data(data)
        while (event := protocol.next_event()) is not None:
            ...
    """

    __slots__ = (
        "_at",
        "_data",
        "_direct",
        "_ended",
        "_events",
        "_extensions",
        "_fast",
        "_guard",
        "_left",
        "_max_fragments",
        "_max_message_size",
        "_pieces",
        "_scanner",
        "_wsproto",
    )

    # made when wsproto is
    _guard: Guard
    _left: int  # bytes that the message being received may still take
    _pieces: list[bytes]
    _scanner: FrameScanner

    def __init__(
        self,
        *,
        max_message_size: int,
        max_fragments: int,
        extensions: Sequence[Extension] = (),
        fast: bool = True,
    ) -> None:
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._extensions = extensions
        self._fast = fast
        self._data = b""  # received, and from _at on not dealt with
        self._at = 0
        self._direct = fast  # a message may be taken here without wsproto
        self._ended = False  # nothing that comes now means anything
        self._wsproto: Connection | None = None
        self._events: Iterator[Event] | None = None

    @property
    def compressed(self) -> bool:
        """Whether messages may be compressed."""
        return bool(self._extensions)

    def receive_data(self, data: bytes) -> None:
        """Take in what the peer sent; :meth:`next_event` says what it means."""
        if not self._ended:
            self._data = self._data[self._at :] + data if self._at < len(self._data) else data
            self._at = 0

    def next_event(self) -> SocketInput | None:
        """The next thing the peer did, in the order in which it did them; None for nothing yet.

        None as well after many frames that are no event, as fragments are; ``unread`` tells.
        A caller who stops asking leaves the rest unparsed: that is how reading ahead is bounded.
        """
        for _ in range(_FRAMES):
            if self._direct:
                message = self._take_message()
                if message is not None:
                    return message
            if self._events is not None:
                for event in self._events:
                    result = self._translate(event)
                    if result is not None:
                        return result
                self._events = None
                self._direct = self._fast and not self._ended and self._scanner.between_messages
            elif self._at >= len(self._data) or self._ended:
                return None
            else:
                self._hand_over()
        return None

    @property
    def unread(self) -> bool:
        """Whether :meth:`next_event` has not yet dealt with all that was received."""
        return not self._ended and (self._events is not None or self._at < len(self._data))

    def end(self) -> None:
        """Nothing more will come. What was received and not asked for is lost.

        wsproto's parser is a generator that its own object holds: a circle, which would wait for
        the collector unless the generator is brought to its end.
        """
        self._ended = True
        self._direct = False
        self._events = None
        if self._wsproto is None:
            return
        self._guard.over = True
        if self._wsproto.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            self._wsproto.receive_data(_ANY_FRAME)
        for _ in self._wsproto.events():
            pass

    def _take_message(self) -> str | bytes | None:
        """The message that stands at the beginning of the buffer, if it is there whole and right
        in one frame; None for anything else."""
        data, at = self._data, self._at
        if len(data) - at < 6:
            return None
        opcode, second = data[at], data[at + 1]
        if (opcode != TEXT and opcode != BINARY) or second < 0x80:
            return None
        length = second & 0x7F
        begin = at + 6
        if length >= 126:
            if length == 126:
                length = int.from_bytes(data[at + 2 : at + 4], "big")
                shortest, begin = 126, at + 8
            else:
                length = int.from_bytes(data[at + 2 : at + 10], "big")
                shortest, begin = 65536, at + 14
            if length < shortest:
                return None
        end = begin + length
        if end > len(data) or length > self._max_message_size:
            return None
        payload = unmask(data[begin:end], data[begin - 4 : begin])
        message: str | bytes = payload
        if opcode == TEXT:
            try:
                message = payload.decode()
            except UnicodeDecodeError:
                return None
        self._use_up(end)
        return message

    def _use_up(self, end: int) -> None:
        if end == len(self._data):  # an idle peer holds no memory
            self._data = b""
            end = 0
        self._at = end

    def _hand_over(self) -> None:
        """Let wsproto have the rest of the current frame, as far as it is here."""
        connection = self._authority()
        end = len(self._data)
        if self._extensions:
            end = min(end, self._at + _INFLATE_SLICE)
        end = self._scanner.advance(self._data, self._at, end)
        connection.receive_data(self._data[self._at : end])
        self._use_up(end)
        self._events = connection.events()
        self._direct = False

    def _authority(self) -> Connection:
        if self._wsproto is None:
            self._guard = Guard(self._max_message_size, self._max_fragments)
            self._wsproto = Connection(ConnectionType.SERVER, [self._guard, *self._extensions])
            self._scanner = FrameScanner()
            self._left = self._max_message_size
            self._pieces = []
        return self._wsproto

    def _translate(self, event: Event) -> SocketInput | None:
        if isinstance(event, TextMessage | BytesMessage):
            return self._collect(event)
        if isinstance(event, Ping):
            return PingReceived(bytes(event.payload))
        if isinstance(event, Pong):
            return PongReceived()
        assert isinstance(event, CloseConnection)
        if self._authority().state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            # wsproto has not moved to a closing state: the Close is one that it wants us to send
            return self._fail(event.code, event.reason or "")
        self._ended = True
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
        self._ended = True
        self._events = None
        self._pieces = []
        if code == CloseReason.INVALID_FRAME_PAYLOAD_DATA:
            reason = "the payload cannot be decoded"  # and no word of Python's codecs
        return Failed(int(code), self._guard.complaint or reason)

    # Writing

    def send_message(self, data: str | bytes) -> bytes:
        """The frame of a whole message: text for str, binary for bytes."""
        # once the peer has closed, wsproto takes no more; the answers it is owed go uncompressed,
        # which RFC 7692, section 6, leaves to the sender
        if self._extensions and self._authority().state is ConnectionState.OPEN:
            event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
            return bytes(self._authority().send(event))
        if isinstance(data, str):
            return frame(TEXT, data.encode("utf-8"))
        return frame(BINARY, data)

    def send_ping(self) -> bytes:
        """A ping without payload: any byte that comes back is answer enough."""
        return frame(PING, b"")

    def send_pong(self, payload: bytes) -> bytes:
        """The answer to a ping: "identical Application data" (RFC 6455, section 5.5.3)."""
        return frame(PONG, payload)

    def send_close(self, code: int, reason: str = "") -> bytes:
        """The Close frame, or ``b""`` where it is sent already.

        Parameters:
            code: 1005 sends none. 1006 and 1015 never travel; 1000 goes in their place.
            reason: cut to the 123 bytes that a control frame holds.
        """
        connection = self._authority()
        if connection.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        known = CloseReason(code) if code in CloseReason._value2member_map_ else code
        # a Close without a code cannot hold a reason
        said = reason if known is not CloseReason.NO_STATUS_RCVD else None
        return bytes(connection.send(CloseConnection(code=known, reason=said)))
