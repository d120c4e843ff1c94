"""What a client is told of its connection. Plain data.

The events of :meth:`finch.client.Finch.events` are public. The others go from the conversation to
the tasks that wait.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from finch.client.said import Message
from finch.errors import FinchError

if TYPE_CHECKING:
    from finch.client.calls import Call
    from finch.client.membership import Membership


class State(enum.StrEnum):
    """How far a client is. The values are texts: ``finch.state == "open"``."""

    CONNECTING = "connecting"
    """An attempt is under way."""
    OPEN = "open"
    """Messages go both ways."""
    WAITING = "waiting"
    """A pause before the next attempt."""
    CLOSED = "closed"
    """Ended for good."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state is another one.

    Attributes:
        state: the new state.
        code: the close code with which a connection has ended; None if there was none.
        reason: the text that came with it, or why an attempt has failed.
        pause: seconds until the next attempt, if the state is ``waiting``.
    """

    state: State
    code: int | None = None
    reason: str = ""
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages of a room may be missing: load anew what you show.

    Attributes:
        room: the room, or ``finch.everyone`` or ``finch.user``.
    """

    room: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message was not sent: it has waited for a connection for too long.

    Attributes:
        path: its channel.
        room: the room that it was addressed to; None for no room.
    """

    path: str
    room: str | None = None


Event = StateChanged | Gap | Dropped


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message for those who iterate over messages."""

    message: Message


@dataclass(frozen=True, slots=True)
class Asked:
    """The server calls this client.

    Attributes:
        id: the ``id`` of the call.
        message: its path and data.
        connection: the number of the connection that it came on. An answer on another one would be
            one to another call.
    """

    id: Any
    message: Message
    connection: int


@dataclass(frozen=True, slots=True)
class Item:
    """One part of a streamed answer."""

    call: Call
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a call: the answer, the end of its parts, or an error."""

    call: Call
    data: msgspec.Raw
    error: FinchError | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The client is in a room."""

    membership: Membership
    recovered: bool
    missed: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The client is not in a room, and the room is not asked for any more."""

    membership: Membership
    error: FinchError


Happening = Gap | Dropped | Arrived | Asked | Item | Ended | Joined | Refused
"""What a text of the server, or a moment, brings about."""
