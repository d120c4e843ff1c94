"""What is said between a client and its server, as values: texts are read and written here.

Source: ``docs/wire.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from finch.encoding import encode
from finch.explain import why_no_json

NOTHING: Final = msgspec.Raw(b"null")


class Said(msgspec.Struct):
    """One message of the server, its ``data`` still unparsed."""

    path: str = ""
    status: int = 200
    timestamp: int = 0
    data: msgspec.Raw = NOTHING
    reply: Any = None
    id: Any = None
    more: bool = False
    room: str | None = None
    seq: int | None = None
    epoch: str | None = None


_decode_said = msgspec.json.Decoder(Said).decode
_decode_any = msgspec.json.Decoder().decode


def read_said(text: str) -> Said | None:
    """Parse a message of the server; None if it is not an envelope."""
    try:
        return _decode_said(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def read_any(raw: msgspec.Raw) -> Any:
    """The value of unparsed JSON.

    Raises:
        ValueError: if Python cannot hold it, for example because it is nested too deeply.
    """
    try:
        return _decode_any(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the server has sent data that cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the server, as the iterators of ``finch.client`` give it.

    Attributes:
        path: the channel that it was sent on.
        data: whatever the application has sent.
        room: the room that it was sent to; None for no room. ``finch.everyone`` and ``finch.user``
            are the audiences of these names.
        seq: its number in the room, if the room has history.
        status: a status as in HTTP; 400 or more for an error.
        timestamp: when it was made, in milliseconds since the epoch.
    """

    path: str
    data: Any = None
    room: str | None = None
    seq: int | None = None
    status: int = 200
    timestamp: int = 0


def message_of(said: Said) -> Message:
    """The message that an application gets."""
    data = read_any(said.data)
    return Message(said.path, data, said.room, said.seq, said.status, said.timestamp)


def write(path: str, data: Any = msgspec.UNSET, **fields: Any) -> str:
    """The text of a message to the server.

    Parameters:
        path: the channel.
        data: its data; left out if unset.
        fields: further keys; those that are None are left out.

    Raises:
        TypeError: if JSON cannot hold the data. The message says which part.

    Example::

        write("say", "hello", id=2)  # '{"path":"say","data":"hello","id":2}'
    """
    message = {"path": path, "data": data, **fields}
    kept = {k: v for k, v in message.items() if v is not None or k == "data"}
    if data is msgspec.UNSET:
        del kept["data"]
    try:
        return encode(kept).decode()
    except Exception as error:
        raise TypeError(f"the data of a message to {path!r}: {why_no_json(data)}") from error
