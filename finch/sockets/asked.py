"""What a client asks for when it joins: read from its message or its handshake, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from finch.cluster.history import Position, read_position
from finch.errors import HTTPError
from finch.http.request import Request
from finch.sockets.members import EVERYONE, USER
from finch.sockets.rooms import Rooms, find_rooms
from finch.wire.message import Message

LONGEST_NAME: Final = 256
"""Characters of a room's name."""

LARGEST_META: Final = 4096
"""Bytes of a meta that a client sends: every member gets it."""

_AUDIENCES: Final = {"everyone": EVERYONE, "user": USER}

_SHALLOW: Final = 100
"""Bytes of a meta that is certainly not nested too deeply."""

_ROOM: Final = 400
"""Levels of nesting that must be left. A meta is decoded once. Then it is encoded inside other
values and under other calls, and Python's limit counts all of them."""


def positions(request: Request) -> dict[str, Position]:
    """The positions in a handshake's query, by the ``room`` of the messages that they count.

    Raises:
        HTTPError: 400 if one is malformed.
    """
    found = {}
    for text in request.query.getlist("since"):
        audience, _, position = text.partition(":")
        if audience not in _AUDIENCES:
            raise HTTPError(400, "since is wrong: it begins with 'everyone:' or 'user:'")
        found[_AUDIENCES[audience]] = _position(position)
    return found


def has_heard_all(since: Position | None, begins: int | None, newest: Position) -> bool:
    """Whether a client that is in a room has heard everything after its position.

    Parameters:
        begins: the number of the last message before the server let the client in; None if the
            client came by itself: then it was told what it had missed.
    """
    if since is None or begins is None:
        return True
    return since.epoch == newest.epoch and begins <= since.seq <= newest.seq


def no_member(declared: Mapping[str, Rooms], name: object) -> HTTPError:
    """The error for a message to a room that the client is not in."""
    if not isinstance(name, str):
        return HTTPError(400, "the room of a message is text")
    if find_rooms(declared, name) is None:
        return HTTPError(404, f"there is no room {name[:LONGEST_NAME]!r}")
    return HTTPError(403, f"you are not in the room {name[:LONGEST_NAME]!r}; join it first")


def since_of(fields: Mapping[str, Any]) -> Position | None:
    """The position in a ``finch.join``; None if it has none.

    Raises:
        HTTPError: 400 if it is malformed.
    """
    since = fields.get("since")
    return None if since is None else _position(since)


def last_of(fields: Mapping[str, Any]) -> int:
    """How many messages a ``finch.join`` asks for if its position cannot be recovered.

    Raises:
        HTTPError: 400 if that is not a number of messages.
    """
    last = fields.get("last")
    if last is None:
        return 0
    if isinstance(last, bool) or not isinstance(last, int) or not 0 <= last <= 2**31:
        raise HTTPError(400, "last is a number of messages, 0 or more")
    return last


def meta_of(message: Message) -> Any:
    """What a ``finch.join`` says of its client.

    Raises:
        HTTPError: 413 if it is too large, 400 if it is nested too deeply or cannot be read.
    """
    if len(message.raw) > LARGEST_META:
        raise HTTPError(413, f"the data of finch.join has at most {LARGEST_META} bytes")
    if len(message.raw) > _SHALLOW:
        nested = b"[" * _ROOM + bytes(message.raw) + b"]" * _ROOM
        try:
            msgspec.json.decode(nested)
        except RecursionError:
            raise HTTPError(400, "the data of finch.join is nested too deeply") from None
        except msgspec.DecodeError:
            pass  # a number is too large: the data itself says so
    return message.data


def _position(text: object) -> Position:
    try:
        return read_position(text)
    except ValueError as error:
        raise HTTPError(400, f"since is wrong: {error}") from None
