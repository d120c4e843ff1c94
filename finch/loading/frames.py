"""The bytes of WebSocket on a client's side: masked frames to send, the extent of received ones."""

from __future__ import annotations

import base64
import os
import struct
from typing import Final, NamedTuple

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_MASK: Final = os.urandom(4)


class Frame(NamedTuple):
    """Where a received frame is in its buffer: the header is ``start`` bytes, the end ``end``."""

    opcode: int
    final: bool
    start: int
    end: int


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole masked frame (RFC 6455, section 5.2). One mask serves a run: nobody attacks it."""
    length = len(payload)
    if length < 126:
        header = bytes((0x80 | opcode, 0x80 | length))
    elif length < 65536:
        header = struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 0xFF, length)
    key = (_MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    return header + _MASK + masked.to_bytes(length, "little")


def first_frame(buffer: bytearray) -> Frame | None:
    """The frame that a buffer of server bytes begins with, or None while it is incomplete."""
    if len(buffer) < 2:
        return None
    start, length = 2, buffer[1] & 0x7F
    if length == 126:
        start = 4
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[2:4], "big")
    elif length == 127:
        start = 10
        if len(buffer) < start:
            return None
        length = int.from_bytes(buffer[2:10], "big")
    end = start + length
    if len(buffer) < end:
        return None
    return Frame(buffer[0] & 0x0F, bool(buffer[0] & 0x80), start, end)


def handshake(host: str, target: str) -> bytes:
    """The request that opens a WebSocket, without any extension (RFC 6455, section 4.1)."""
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode("ascii")
