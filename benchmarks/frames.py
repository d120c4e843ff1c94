"""The bytes of WebSocket on a client's side, as ``finch load`` writes and reads them."""

from __future__ import annotations

from finch.loading.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    client_frame,
    first_frame,
    handshake,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "client_frame",
    "first_frame",
    "handshake",
]
