"""The events that a peer can cause on an open WebSocket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PingReceived:
    """The peer asks whether we are alive; it wants ``payload`` back in a pong."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The peer is alive, and has read all that was sent before the ping with this ``payload``."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """The peer's Close frame; ``code`` is 1005 if the frame has none. Nothing follows it."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol or a limit. Send a Close with ``code``. Nothing follows."""

    code: int
    reason: str


SocketInput = str | bytes | PingReceived | PongReceived | CloseReceived | Failed
"""What comes from a peer: a whole text or binary message, or one of the events above."""
