"""The envelope: the format of the server's messages on a WebSocket.

A server message is one text frame of JSON with its keys in this order. It also has ``reply`` if it
answers a message that had an ``id``::

    {"path": str, "status": int, "timestamp": epoch ms, "language": str, "client": id, "data": any}

Behind these keys it has, if they say something: ``reply``, ``id`` (the server asks for an answer),
``more`` (another item of this answer follows), ``room``, ``seq`` and ``epoch``.

``docs/wire.md`` describes it, field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from finch.encoding import encode
from finch.wire.frames import TEXT, frame_header


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
        more: further keys with their values, such as ``room`` and ``seq``, in this order.

    Raises:
        TypeError: if ``data`` cannot be encoded as JSON.

    Example::

        envelope = Envelope("hello", "output", 200, 1700000000000)
        frame = envelope.frame("en", client_id)
    """

    __slots__ = ("_before", "_frames", "_head", "_language", "_length", "_tail")

    _head: bytes
    _length: int

    def __init__(
        self,
        data: Any,
        path: str,
        status: int,
        timestamp: int,
        reply: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._before = b'{"path":%b,"status":%d,"timestamp":%d,"language":' % (
            encode(path),
            status,
            timestamp,
        )
        if more is not None:
            added = b"" if reply is None else b',"reply":%b' % encode(reply)
            for key in more:
                added += b',"%b":%b' % (key.encode(), encode(more[key]))
            self._tail = b'","data":%b%b}' % (encode(data), added)
        elif reply is None:
            self._tail = b'","data":%b}' % encode(data)
        else:
            self._tail = b'","data":%b,"reply":%b}' % (encode(data), encode(reply))
        # What frames begin with, for recipients of one language. Most messages have one recipient,
        # or many of one language: they need no dict of what frames begin with for the others.
        self._language: str | None = None
        self._frames: dict[tuple[str, int], bytes] | None = None

    @classmethod
    def from_json(
        cls,
        data: bytes,
        path: str,
        status: int,
        timestamp: int,
        reply: Any = None,
        more: Mapping[str, Any] | None = None,
    ) -> Envelope:
        """The envelope of data that is JSON already, such as a stored message.

        Parameters:
            data: one valid JSON value, as UTF-8. It is not checked and not encoded again.
        """
        return cls(msgspec.Raw(data), path, status, timestamp, reply, more)

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
        length = len(client)
        if language == self._language and length == self._length:
            return b"".join((self._head, client, self._tail))
        return b"".join((self._other_head(language, length), client, self._tail))

    def around(self, language: str, length: int) -> tuple[bytes, bytes]:
        """What stands before and behind the id in a recipient's frame.

        Parameters:
            language: the recipient's language tag.
            length: bytes of the recipient's id.
        """
        if language == self._language and length == self._length:
            return self._head, self._tail
        return self._other_head(language, length), self._tail

    def _other_head(self, language: str, length: int) -> bytes:
        if self._language is None:
            self._language, self._length = language, length
            self._head = self._new_head(language, length)
            return self._head
        if self._frames is None:
            self._frames = {}
        head = self._frames.get((language, length))
        if head is None:
            head = self._frames[language, length] = self._new_head(language, length)
        return head

    def _new_head(self, language: str, length: int) -> bytes:
        text = b'%b%b,"client":"' % (self._before, encode(language))
        return frame_header(TEXT, len(text) + length + len(self._tail)) + text

    def json(self, language: str, client: bytes) -> bytes:
        """The message for one recipient without a frame."""
        return b'%b%b,"client":"%b%b' % (self._before, encode(language), client, self._tail)

    def text(self, language: str, client: bytes) -> str:
        """The same as text, for a connection with compression."""
        return self.json(language, client).decode()
