"""A socket's conversation without a WebSocket: events to the client, and lines from it.

The client reads a stream of server-sent events. What it says comes in POST requests, one message a
line. ``docs/wire.md`` describes both.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from finch.encoding import encode
from finch.turns import FRAMES
from finch.wire.eventstream import BEAT, encode_event

HEADER: Final = "finch-stream"
"""The header of a POST that says to which stream it belongs."""

_BELONGS: Final = re.compile(r"([\w-]{22})\.([\w-]{22}) ([1-9][0-9]{0,14})", re.ASCII)


class Belongs(NamedTuple):
    """To which stream a POST belongs.

    Attributes:
        client: the client's id.
        secret: what only this client knows.
        number: of this POST: 1 for the stream's first one, 2 for its second one, ...
    """

    client: str
    secret: str
    number: int


def read_belongs(header: str) -> Belongs | None:
    """Read the header of a POST; None if it is malformed."""
    found = _BELONGS.fullmatch(header)
    return None if found is None else Belongs(found[1], found[2], int(found[3]))


class EventProtocol:
    """The server's half of a conversation over events and lines, without any I/O.

    Its methods are those of :class:`finch.wire.websocket.WebSocketProtocol`.

    Example::

        protocol = EventProtocol()
        protocol.send_message('{"path":"said"}')  # b'data: {"path":"said"}\\n\\n'
        protocol.take('{"path":"say"}\\n')
        protocol.next_event()  # '{"path":"say"}'
    """

    __slots__ = ("_at", "_lines")

    compressed: Final = True
    """An envelope is sent as text: its frames are those of WebSockets."""

    def __init__(self) -> None:
        self._lines = ""  # those from _at on are not handled yet
        self._at = 0

    def receive_data(self, data: bytes) -> None:
        """Ignore bytes on the connection of the stream: the client speaks on others."""

    def take(self, lines: str) -> None:
        """Take the lines of a POST, after all others were handled."""
        self._lines, self._at = lines, 0

    def next_event(self) -> str | None:
        """The next message from the client; None if there is none.

        Also None after many empty lines; then ``unread`` is True.
        """
        lines, at = self._lines, self._at
        for _ in range(FRAMES):
            end = lines.find("\n", at)
            line = lines[at:] if end < 0 else lines[at:end]
            at = len(lines) if end < 0 else end + 1
            if at >= len(lines):
                self.take("")
                return line if line.strip() else None
            if line and not line.isspace():
                break
            line = ""
        self._at = at
        return line or None

    @property
    def unread(self) -> bool:
        """Whether there are lines that are not handled yet."""
        return self._at < len(self._lines)

    def send_open(self, client: str, secret: str, most: int) -> bytes:
        """The first event: with what it says, the client's POSTs are known to belong to it.

        Parameters:
            most: bytes of one POST.
        """
        said = {"stream": f"{client}.{secret}", "most": most}
        return encode_event(encode(said), event="open")

    def send_message(self, data: str | bytes) -> bytes:
        """A message as an event of one line."""
        text = data if isinstance(data, bytes) else data.encode()
        if b"\n" in text or b"\r" in text:
            # only white space between tokens: in the strings of JSON they are escaped
            text = text.translate(None, b"\r\n")
        return b"data: %b\n\n" % text

    def send_ping(self, payload: bytes = b"") -> bytes:
        """What keeps the stream from being cut. Nobody answers it."""
        return BEAT

    def send_pong(self, payload: bytes) -> bytes:
        """Nothing: clients send no pings."""
        return b""

    def send_close(self, code: int, reason: str = "") -> bytes:
        """The last event: why the stream ends."""
        return encode_event(encode({"code": code, "reason": reason}), event="close")

    def rest(self) -> None:
        """Nothing: it never needs much memory."""

    def end(self) -> None:
        """The conversation is over."""
        self.take("")
