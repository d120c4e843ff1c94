"""What a peer can do on an open WebSocket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PingReceived:
    """The peer asks whether we live; it wants ``payload`` back in a pong."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The peer lives, and has read all that was sent before the ping with this ``payload``."""

    payload: bytes = b""


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
