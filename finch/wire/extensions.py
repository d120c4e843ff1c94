"""What Finch adds to wsproto's frame parser, through its public interface for extensions.

An extension sees every frame's header before the payload is read, so that nothing private of
wsproto is touched.
"""

from __future__ import annotations

from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits


class Guard(Extension):
    """Refuses a message by what its frames declare, before their payload is buffered.

    Parameters:
        max_message_size: bytes of one message.
        max_fragments: frames of one message, empty ones too.
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
            if fin:
                self._fragments = self._declared = 0
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
