"""WebSocket frames on the server's side of one connection: bytes to whole messages and back.

wsproto is the authority on the protocol. What it leaves to its caller is done here: the limits on
messages and fragments, the answers to the peer's Close, and putting the pieces of a message
together. Data frames to an uncompressed peer are built directly, since one frame serves every
recipient of a broadcast.
"""

from __future__ import annotations

import struct
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
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

TEXT: Final = 0x81
BINARY: Final = 0x82

# deflate grows by at most 1032:1, so a slice of this many compressed bytes becomes 4 MiB at the
# most before the message is counted again.
_INFLATE_SLICE: Final = 4096


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


def data_frame(opcode: int, payload: bytes) -> bytes:
    """A whole unmasked data frame (RFC 6455, section 5.2).

    Parameters:
        opcode: ``TEXT`` or ``BINARY``, the FIN bit included.
        payload: the message.
    """
    return frame_header(opcode, len(payload)) + payload


def frame_header(opcode: int, length: int) -> bytes:
    """What stands before ``length`` bytes of payload in an unmasked frame."""
    if length < 126:
        return bytes((opcode, length))
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length)
    return struct.pack("!BBQ", opcode, 127, length)


def check_close_code(code: int) -> None:
    """Whether an application may close with that code.

    Raises:
        ValueError: where it may not (RFC 6455, section 7.4).
    """
    if not (code in (1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013) or 3000 <= code <= 4999):
        raise ValueError(
            f"{code} is no code to close with; use 1000, 1008, 1011 or your own from 4000 to 4999"
        )


class WebSocketProtocol:
    """The server's half of an open WebSocket, without any I/O.

    Parameters:
        max_message_size: bytes of one message after decompression; past it :class:`Failed` 1009.
        max_fragments: frames of one message, empty ones too; past it :class:`Failed` 1009.
        extensions: what the handshake agreed on.

    Source: RFC 6455, RFC 7692.

    Example::

        protocol = WebSocketProtocol(max_message_size=1024, max_fragments=16)
        protocol.receive_data(data)
        while (event := protocol.next_event()) is not None:
            ...
    """

    __slots__ = (
        "_events",
        "_failed",
        "_guard",
        "_left",
        "_pieces",
        "_waiting",
        "_wsproto",
        "compressed",
    )

    def __init__(
        self,
        *,
        max_message_size: int,
        max_fragments: int,
        extensions: Sequence[Extension] = (),
    ) -> None:
        self.compressed = bool(extensions)
        self._guard = _Guard(max_message_size, max_fragments)
        self._wsproto = Connection(ConnectionType.SERVER, [self._guard, *extensions])
        self._events: Iterator[Event] | None = None
        self._pieces: list[str | bytes] = []
        self._left = max_message_size  # bytes that the message being received may still take
        self._failed = False
        self._waiting = b""  # compressed input that is not yet wsproto's

    def receive_data(self, data: bytes) -> None:
        """Take in what the peer sent; :meth:`next_event` says what it means."""
        if self._failed:
            return
        if self.compressed:
            self._waiting += data
        elif self._receiving:
            self._wsproto.receive_data(data)

    @property
    def _receiving(self) -> bool:
        return self._wsproto.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)

    def next_event(self) -> SocketInput | None:
        """The next thing the peer did, in the order in which it did them; None for nothing yet.

        A caller who stops asking leaves the rest unparsed: that is how reading ahead is bounded.
        """
        while not self._failed:
            if self._events is None:
                if self._waiting and self._receiving:
                    self._wsproto.receive_data(self._waiting[:_INFLATE_SLICE])
                    self._waiting = self._waiting[_INFLATE_SLICE:]
                self._events = self._wsproto.events()
            for event in self._events:
                result = self._translate(event)
                if result is not None:
                    return result
            self._events = None
            if not (self._waiting and self._receiving):
                break
        return None

    def _translate(self, event: Event) -> SocketInput | None:
        if isinstance(event, TextMessage | BytesMessage):
            return self._collect(event)
        if isinstance(event, Ping):
            return PingReceived(bytes(event.payload))
        if isinstance(event, Pong):
            return PongReceived()
        assert isinstance(event, CloseConnection)
        if self._receiving:
            # wsproto has not moved to a closing state: the Close is one that it wants us to send
            return self._fail(event.code, event.reason or "")
        self._waiting = b""
        return CloseReceived(int(event.code), event.reason or "")

    def _collect(self, event: TextMessage | BytesMessage) -> SocketInput | None:
        data = event.data if isinstance(event.data, str) else bytes(event.data)
        self._left -= len(data) if isinstance(data, bytes) else _utf8_length(data)
        if self._left < 0:
            return self._fail(CloseReason.MESSAGE_TOO_BIG, "message too big")
        if not event.message_finished:
            self._pieces.append(data)
            return None
        self._left = self._guard.max_message_size
        if not self._pieces:
            return data
        self._pieces.append(data)
        whole = type(data)().join(self._pieces)  # type: ignore[arg-type]  # all are of one type
        self._pieces = []
        return whole

    def _fail(self, code: int, reason: str) -> Failed:
        self._failed = True
        self._pieces = []
        self._waiting = b""
        return Failed(int(code), self._guard.complaint or reason)

    # Writing

    def send_message(self, data: str | bytes) -> bytes:
        """The frame of a whole message: text for str, binary for bytes."""
        if self.compressed:
            event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
            return bytes(self._wsproto.send(event))
        if isinstance(data, str):
            return data_frame(TEXT, data.encode("utf-8"))
        return data_frame(BINARY, data)

    def send_ping(self) -> bytes:
        """A ping without payload: any byte that comes back is answer enough."""
        return bytes(self._wsproto.send(Ping()))

    def send_pong(self, payload: bytes) -> bytes:
        """The answer to a ping: "identical Application data" (RFC 6455, section 5.5.3)."""
        return bytes(self._wsproto.send(Pong(payload=payload)))

    def send_close(self, code: int, reason: str = "") -> bytes:
        """The Close frame, or ``b""`` where it is sent already.

        Parameters:
            code: 1005 sends none. 1006 and 1015 never travel; 1000 goes in their place.
            reason: cut to the 123 bytes that a control frame holds.
        """
        if self._wsproto.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        known = CloseReason(code) if code in CloseReason._value2member_map_ else code
        # a Close without a code cannot hold a reason
        said = reason if known is not CloseReason.NO_STATUS_RCVD else None
        return bytes(self._wsproto.send(CloseConnection(code=known, reason=said)))


def _utf8_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8"))


class _Guard(Extension):
    """Sees every frame's header before its payload is read, and refuses on what it declares.

    An extension is wsproto's public way to look at frames: nothing private of it is touched.
    """

    name = "finch-guard"

    def __init__(self, max_message_size: int, max_fragments: int) -> None:
        self.max_message_size = max_message_size
        self.max_fragments = max_fragments
        self.complaint = ""
        self._declared = 0
        self._fragments = 0
        self._compressed = False
        self._control = False
        self._frame_length = 0

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False  # pragma: no cover - never offered: it is ours alone

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        # Called again for the same frame while its header is incomplete, so that nothing is kept
        # before frame_inbound_complete.
        self._frame_length = 0 if opcode.iscontrol() else payload_length
        self._control = opcode.iscontrol()
        if not self._control:
            if opcode is not Opcode.CONTINUATION:
                self._declared = self._fragments = 0
                self._compressed = rsv.rsv1
            if self._fragments >= self.max_fragments:
                self.complaint = f"more than {self.max_fragments} fragments"
                return CloseReason.MESSAGE_TOO_BIG
            # a compressed message's length says little; it is counted as it is inflated
            if not self._compressed and self._declared + payload_length > self.max_message_size:
                self.complaint = f"message longer than {self.max_message_size} bytes"
                return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if not self._control:
            self._fragments += 1
            self._declared += self._frame_length
        return None


class Deflate(PerMessageDeflate):
    """wsproto's permessage-deflate, which forgets a message's compression at a control frame
    between its fragments: such frames are none of its business (RFC 7692, section 6.1)."""

    def __init__(self) -> None:
        super().__init__()
        self._control = False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        self._control = opcode.iscontrol()
        if not self._control:
            return super().frame_inbound_header(proto, opcode, rsv, payload_length)
        return CloseReason.PROTOCOL_ERROR if rsv.rsv1 else RsvBits(False, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        return data if self._control else super().frame_inbound_payload_data(proto, data)

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        return None if self._control else super().frame_inbound_complete(proto, fin)
