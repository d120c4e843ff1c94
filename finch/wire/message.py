"""A client's message: the JSON object that comes in one text message, and what is wrong with it.

A client message has ``path`` and usually ``data``. ``id`` asks for an answer. Other keys are kept.
``docs/wire.md`` describes it, field by field.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from finch.errors import HTTPError
from finch.wire.numbers import LONG, TOO_COSTLY, too_costly

_NOTHING: Final = msgspec.Raw(b"null")


class EnvelopeError(HTTPError):
    """A client's message or its data is wrong. It is answered with status 400."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class _ClientFrame(msgspec.Struct):
    path: str = ""
    data: msgspec.Raw = _NOTHING
    id: Any = None
    room: Any = None
    reply: Any = None
    once: Any = None


_decode_frame = msgspec.json.Decoder(_ClientFrame).decode
_decode_any = msgspec.json.Decoder().decode


class Message:
    """A client's whole message.

    Attributes:
        path: the channel that the message was sent to.
        data: the parsed ``data``; None if the message has none. Raises :class:`EnvelopeError` if a
            number is too large for Python's JSON.
        id: the value that the answer must have as ``reply``; None if the client wants no answer.
        room: the room that the message is addressed to; None for no room.
        reply: the ``id`` of the server's call that the message answers; None for no call.
        once: what the client calls the message, so that it may send it again; None if it will not.

    Other top-level keys are items: ``message["blob"]``, ``"blob" in message`` and
    ``message.get("blob")``.

    Example::

        @app.socket("stream")
        async def stream(socket, message: Message):
            return len(message["blob"])
    """

    __slots__ = ("_data", "_fields", "id", "once", "path", "raw", "reply", "room", "text")

    def __init__(
        self,
        path: str,
        raw: msgspec.Raw,
        id: Any,
        text: str,
        room: Any = None,
        reply: Any = None,
        once: Any = None,
    ) -> None:
        self.path = path
        self.id = id
        self.room = room
        self.reply = reply
        self.once = once
        self.raw = raw
        """``data`` as unparsed JSON."""
        self.text = text
        """The whole message as it came."""
        self._data: Any = msgspec.UNSET
        self._fields: dict[str, Any] | None = None

    @property
    def data(self) -> Any:
        if self._data is msgspec.UNSET:
            try:
                self._data = _decode_any(self.raw)
            except (msgspec.DecodeError, RecursionError) as error:
                raise EnvelopeError(f"the message's data cannot be read: {error}") from None
        return self._data

    @property
    def fields(self) -> dict[str, Any]:
        """All top-level keys of the message, with their values."""
        if self._fields is None:
            try:
                fields = _decode_any(self.text)
            except (msgspec.DecodeError, RecursionError):
                fields = None
            if not isinstance(fields, dict):
                fields = {"path": self.path}
                with suppress(EnvelopeError):
                    fields["data"] = self.data
            self._fields = fields
        return self._fields

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def __contains__(self, key: object) -> bool:
        return key in self.fields

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a top-level key, or the default if there is no such key."""
        return self.fields.get(key, default)

    def __repr__(self) -> str:
        return f"Message(path={self.path!r}, data={self.data!r}, id={self.id!r})"


def read_message(payload: str | bytes) -> Message:
    """Parse a client's envelope.

    Parameters:
        payload: a whole WebSocket message.

    Raises:
        EnvelopeError: if the message is not JSON or not an object, or if its ``path`` is not text.

    Source: the seed; ``docs/wire.md``.
    """
    if not isinstance(payload, str):
        raise EnvelopeError("the message is binary; send JSON as a text message")
    if len(payload) >= LONG and too_costly(payload):
        raise EnvelopeError(TOO_COSTLY)
    try:
        frame = _decode_frame(payload)
    except (msgspec.DecodeError, RecursionError):
        raise EnvelopeError(_what_is_wrong(payload)) from None
    return Message(frame.path, frame.data, frame.id, payload, frame.room, frame.reply, frame.once)


class Reply(msgspec.Struct):
    """A client's answer to a call of the server.

    Attributes:
        reply: the ``id`` of the call.
        status: 400 or more says that the client could not answer; ``data`` then says why.
        data: the answer, as unparsed JSON.
    """

    reply: str
    path: str = ""
    status: int = 200
    data: msgspec.Raw = _NOTHING


_decode_reply = msgspec.json.Decoder(Reply).decode


def read_reply(payload: str | bytes) -> Reply | None:
    """Parse a client's answer to a call; None for any other message."""
    if not isinstance(payload, str) or (len(payload) >= LONG and too_costly(payload)):
        return None
    try:
        return _decode_reply(payload)
    except (msgspec.DecodeError, RecursionError):
        return None


class Cancel(msgspec.Struct, tag_field="path", tag="finch.cancel"):
    """The client takes back its message with this ``id``."""

    id: Any


class Ping(msgspec.Struct, tag_field="path", tag="finch.ping"):
    """The client wants to know whether its connection lives."""

    id: Any = None


_decode_urgent: Callable[[str], Cancel | Ping] = msgspec.json.Decoder(Cancel | Ping).decode
_LONGEST_URGENT: Final = 512  # characters


def read_urgent(payload: str | bytes) -> Cancel | Ping | None:
    """Parse a message that does not wait for its turn; None for any other message."""
    if len(payload) > _LONGEST_URGENT or not isinstance(payload, str):
        return None
    if "finch.cancel" not in payload and "finch.ping" not in payload:
        return None
    try:
        return _decode_urgent(payload)
    except (msgspec.DecodeError, RecursionError):
        return None


def unreadable(payload: str | bytes) -> Message:
    """The message that the ``error`` route gets if a client's message is not an envelope. Its data
    is the client's text."""
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    return Message("error", msgspec.Raw(msgspec.json.encode(text)), None, text)


def _what_is_wrong(text: str) -> str:
    try:
        value = _decode_any(text)
    except RecursionError:
        return "the message is not JSON that Finch can read: it is nested too deeply"
    except msgspec.DecodeError as error:
        return f"the message is not JSON: {error}"
    if not isinstance(value, dict):
        return "the message is not a JSON object with a path and data"
    return "the message's path is not text"
