"""Finch's additions to wsproto's frame parser, made with its public interface for extensions.

An extension sees every frame's header before the payload is read. So Finch does not need wsproto's
private parts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits
from wsproto.handshake import server_extensions_handshake

from finch.config import KIB
from finch.wire.frames import BAD_GATEWAY

_BAD_GATEWAY: Final = BAD_GATEWAY.to_bytes(2, "big")
_STAND_IN: Final = CloseReason.TRY_AGAIN_LATER.to_bytes(2, "big")

_TAIL: Final = b"\x00\x00\xff\xff"  # the end of a message; its sender omits it (RFC 7692, 7.2.1)
_EMPTY_BLOCK: Final = b"\x00" + _TAIL


class Guard(Extension):
    """Refuses a message that is too long by its frame headers, before the payload is buffered.

    Parameters:
        max_message_size: bytes of one message.
        max_fragments: frames of one message, empty ones too.

    Attributes:
        complaint: what was refused, and why.
        bad_gateway: whether the peer closed with 1014. wsproto does not accept this code, so it
            gets another one.
    """

    name = "finch-guard"

    def __init__(self, max_message_size: int, max_fragments: int) -> None:
        self.max_message_size = max_message_size
        self.max_fragments = max_fragments
        self.complaint = ""
        self.bad_gateway = False
        self.over = False  # if True, everything is refused
        self._declared = 0
        self._fragments = 0
        self._longest = max_message_size  # bytes that the frames of this message may have together
        self._opcode = Opcode.TEXT
        self._frame_length = 0

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False  # pragma: no cover - never offered: the peer does not know it

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        # wsproto calls this again for the same frame while its header is incomplete. So frames are
        # counted only in frame_inbound_complete; here, one frame would be counted several times.
        if self.over:
            return CloseReason.NORMAL_CLOSURE
        self._opcode = opcode
        self._frame_length = payload_length
        if not opcode.iscontrol():
            # wsproto checks this too, but only after the payload, and inflating may fail before
            if (opcode is Opcode.CONTINUATION) != (self._fragments > 0):
                self.complaint = "a message's frames are not in order"
                return CloseReason.PROTOCOL_ERROR
            if opcode is not Opcode.CONTINUATION:
                # The content of a compressed message is counted when it is inflated. But a message
                # without content could go on forever, so its compressed bytes are limited too.
                # Deflate adds at most an eighth, and a few bytes at each flush.
                self._longest = self.max_message_size
                if rsv.rsv1:
                    self._longest += self.max_message_size + KIB
            if self._fragments >= self.max_fragments:
                self.complaint = f"more than {self.max_fragments} fragments"
                return CloseReason.MESSAGE_TOO_BIG
            if self._declared + payload_length > self._longest:
                self.complaint = f"message longer than {self.max_message_size} bytes"
                return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        if self.over:
            return CloseReason.NORMAL_CLOSURE
        if self._opcode is Opcode.CLOSE and data.startswith(_BAD_GATEWAY):
            self.bad_gateway = True
            return _STAND_IN + data[2:]
        return data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if not self._opcode.iscontrol():
            self._fragments += 1
            self._declared += self._frame_length
            if fin:
                self._fragments = self._declared = 0
        return None


class Deflate(PerMessageDeflate):
    """wsproto's permessage-deflate with an inflater of Finch's own.

    wsproto's inflater has two faults. It forgets that a message is compressed if a control frame
    comes between its fragments. And if a deflate stream ends with a message, which is allowed (RFC
    7692, section 7.2.3.4), it keeps all later bytes in memory and cannot read the next message.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inflater: zlib._Decompress | None = None  # remembers the previous messages
        self._compressed = False  # whether the current message is compressed
        self._control = False  # whether the current frame is a control frame

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> CloseReason | RsvBits:
        self._control = opcode.iscontrol()
        # only the first frame of a message may have the bit (RFC 7692, section 6)
        first = not self._control and opcode is not Opcode.CONTINUATION
        if first:
            self._compressed = rsv.rsv1
        return RsvBits(first, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        return self._inflate(data) if self._compressed and not self._control else data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        if self._compressed and fin and not self._control:
            return self._inflate(_TAIL, last=True)
        return None

    def _inflate(self, data: bytes, *, last: bool = False) -> bytes | CloseReason:
        inflater = self._inflater or zlib.decompressobj(-self.client_max_window_bits)
        self._inflater = inflater
        try:
            clear = inflater.decompress(data)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        # after the end of a stream comes an empty block, and nothing else
        behind = inflater.unused_data
        if len(behind) > len(_EMPTY_BLOCK) or (last and inflater.eof and behind != _EMPTY_BLOCK):
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        if last and (inflater.eof or self.client_no_context_takeover):
            self._inflater = None
        return clear


def accept_compression(offers: Iterable[str]) -> tuple[Extension, bytes] | None:
    """Accept permessage-deflate if the client offers it.

    Parameters:
        offers: the client's extension offers, in its order of preference.

    Returns:
        The extension and the header value that accepts it, or None if no offer can be accepted.

    Source: RFC 7692, section 7. An invalid offer is declined, not an error (section 5.1).
    """
    for offer in offers:
        if _valid_deflate_offer(offer):
            extension = Deflate()
            # a value may be quoted (RFC 6455, section 9.1), but wsproto does not know that
            accepted = server_extensions_handshake([offer.replace('"', "")], [extension])
            if accepted is not None:
                return extension, accepted
    return None


def _valid_deflate_offer(offer: str) -> bool:
    name, *parameters = (part.strip() for part in offer.split(";"))
    if name != Deflate.name:
        return False
    seen = set()
    for parameter in parameters:
        key, equals, value = (part.strip() for part in parameter.partition("="))
        if key in seen:
            return False
        seen.add(key)
        value = value.strip('"') if value.startswith('"') and value.endswith('"') else value
        if key in ("server_no_context_takeover", "client_no_context_takeover"):
            if equals:
                return False
        elif key == "client_max_window_bits" and not equals:
            pass
        elif key in ("server_max_window_bits", "client_max_window_bits"):
            # RFC 7692 also allows 8, but zlib cannot do that for raw deflate
            if value not in ("9", "10", "11", "12", "13", "14", "15"):
                return False
        else:
            return False
    return True
