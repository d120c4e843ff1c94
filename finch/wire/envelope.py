"""The envelope: the format of the messages between Finch's clients and servers on a WebSocket.

A server message is one text frame of JSON with its keys in this order. It also has ``reply`` if it
answers a message that had an ``id``::

    {"path": str, "status": int, "timestamp": epoch ms, "language": str, "client": id, "data": any}

A client message is JSON with ``path`` and usually ``data``. ``id`` asks for an answer. Other keys
are kept. ``docs/wire.md`` describes both, field by field.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from finch.errors import HTTPError
from finch.wire.frames import TEXT, frame_header
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


_decode_frame = msgspec.json.Decoder(_ClientFrame).decode
_decode_any = msgspec.json.Decoder().decode
_encoder = msgspec.json.Encoder()
_encode = _encoder.encode


class Message:
    """A client's whole message.

    Attributes:
        path: the channel that the message was sent to.
        data: the parsed ``data``; None if the message has none. Raises :class:`EnvelopeError` if a
            number is too large for Python's JSON.
        id: the value that the answer must have as ``reply``; None if the client wants no answer.

    Other top-level keys are items: ``message["blob"]``, ``"blob" in message`` and
    ``message.get("blob")``.

    Example::

        @app.socket("stream")
        async def stream(socket, message: Message):
            return len(message["blob"])
    """

    __slots__ = ("_data", "_fields", "id", "path", "raw", "text")

    def __init__(self, path: str, raw: msgspec.Raw, id: Any, text: str) -> None:
        self.path = path
        self.id = id
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
    return Message(frame.path, frame.data, frame.id, payload)


def unreadable(payload: str | bytes) -> Message:
    """The message that the ``error`` route gets if a client's message is not an envelope. Its data
    is the client's text."""
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    return Message("error", msgspec.Raw(_encode(text)), None, text)


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


class Envelope:
    """A message to any number of clients, encoded only once.

    Recipients with the same language get the same bytes, except for the id, and all ids have the
    same length. So a recipient's frame is a join of three parts.

    Parameters:
        data: anything that msgspec encodes as JSON.
        path: the channel on the client's side.
        status: a status as in HTTP; 200 means success.
        timestamp: milliseconds since the epoch.
        reply: the ``id`` of the message that this one answers, or None.

    Raises:
        TypeError: if ``data`` cannot be encoded as JSON.

    Example::

        envelope = Envelope("hello", "output", 200, 1700000000000)
        frame = envelope.frame("en", client_id)
    """

    __slots__ = ("_after", "_before", "_frames", "_tail")

    def __init__(
        self, data: Any, path: str, status: int, timestamp: int, reply: Any = None
    ) -> None:
        self._before = b'{"path":%b,"status":%d,"timestamp":%d,"language":' % (
            _encode(path),
            status,
            timestamp,
        )
        if reply is None:
            self._tail = b'","data":%b}' % _encode(data)
        else:
            self._tail = b'","data":%b,"reply":%b}' % (_encode(data), _encode(reply))
        self._frames: dict[tuple[str, int], bytes] = {}

    @classmethod
    def from_json(
        cls, data: bytes, path: str, status: int, timestamp: int, reply: Any = None
    ) -> Envelope:
        """The envelope of data that is JSON already, such as a stored message.

        Parameters:
            data: one valid JSON value, as UTF-8. It is not checked and not encoded again.
        """
        return cls(msgspec.Raw(data), path, status, timestamp, reply)

    @property
    def size(self) -> int:
        """Bytes of the message without the parts that differ between recipients."""
        return len(self._before) + len(self._tail)

    def frame(self, language: str, client: bytes) -> bytes:
        """The whole WebSocket frame for one recipient.

        Parameters:
            language: the recipient's language tag.
            client: the recipient's id, plain ASCII.
        """
        key = (language, len(client))
        head = self._frames.get(key)
        if head is None:
            text = b'%b%b,"client":"' % (self._before, _encode(language))
            length = len(text) + len(client) + len(self._tail)
            head = self._frames[key] = frame_header(TEXT, length) + text
        return b"".join((head, client, self._tail))

    def text(self, language: str, client: bytes) -> str:
        """The message for one recipient without a frame, for a connection with compression."""
        text = b'%b%b,"client":"%b%b' % (
            self._before,
            _encode(language),
            client,
            self._tail,
        )
        return text.decode()
