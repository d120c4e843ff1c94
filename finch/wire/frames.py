"""WebSocket frames as bytes: builds them, finds where they end.

A server's frames have no mask, so the same frame can be sent to all recipients.
"""

from __future__ import annotations

import struct
from typing import Final

TEXT: Final = 0x81  # opcodes with the FIN bit (RFC 6455, section 5.2)
BINARY: Final = 0x82
PING: Final = 0x89
PONG: Final = 0x8A

BAD_GATEWAY: Final = 1014  # wsproto does not know this code: IANA registered it later

_SHORT_HEADERS: Final = {
    opcode: tuple(bytes((opcode, length)) for length in range(126))
    for opcode in (TEXT, BINARY, PING, PONG)
}


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole unmasked frame.

    Parameters:
        opcode: the opcode with the FIN bit, such as ``TEXT``.
        payload: the content of the frame.

    Source: RFC 6455, section 5.2.
    """
    length = len(payload)
    if length < 126:
        return _SHORT_HEADERS[opcode][length] + payload
    return frame_header(opcode, length) + payload


def frame_header(opcode: int, length: int) -> bytes:
    """The header of an unmasked frame with ``length`` bytes of payload."""
    if length < 126:
        return _SHORT_HEADERS[opcode][length]
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length)
    return struct.pack("!BBQ", opcode, 127, length)


class FrameScanner:
    """Finds the frames in a byte stream, without looking at their content.

    It knows whether the stream is between two messages, without asking the parser that gets the
    bytes. That parser also checks what the headers mean and whether they are correct.
    """

    __slots__ = ("_fragmented", "_header", "_left")

    def __init__(self) -> None:
        self._header = b""  # the received part of a header that is incomplete
        self._left = 0  # bytes of the current frame's payload still to come
        self._fragmented = False  # whether the message goes on in a later frame

    @property
    def between_messages(self) -> bool:
        """Whether a new message begins here."""
        return not (self._left or self._header or self._fragmented)

    def advance(self, data: bytes, begin: int, end: int) -> int:
        """Go forward in ``data[begin:end]``, at most to the end of its first frame.

        Returns:
            Where it stopped.
        """
        if not self._left:
            header = self._header + data[begin : min(end, begin + 14 - len(self._header))]
            size = _header_size(header)
            if len(header) < size:
                self._header = header
                return end
            begin += size - len(self._header)
            self._header = b""
            self._left = _payload_length(header)
            if not header[0] & 0x08:  # control frames may come between the fragments
                self._fragmented = not header[0] & 0x80
        taken = min(self._left, end - begin)
        self._left -= taken
        return begin + taken


def _header_size(header: bytes) -> int:
    if len(header) < 2:
        return 2
    extended = {126: 2, 127: 8}.get(header[1] & 0x7F, 0)
    return 2 + extended + (4 if header[1] & 0x80 else 0)


def _payload_length(header: bytes) -> int:
    length = header[1] & 0x7F
    if length == 126:
        return int.from_bytes(header[2:4], "big")
    if length == 127:
        return int.from_bytes(header[2:10], "big")
    return length
