"""What clients say to a server and how they read the answers: raw text, envelopes, Socket.IO, HTTP.

A dialect is prepared once for a run; the bytes in it are sent as they are, over and over.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from benchmarks import frames

# Socket.IO over its WebSocket transport: each text begins with Engine.IO's type (4 is a message),
# then Socket.IO's (0 connects, 2 is an event, 3 its acknowledgement), then the event's number.
_SOCKET_IO: Final = "/socket.io/?EIO=4&transport=websocket"
_CONNECT: Final = frames.client_frame(b"40")
_PONG: Final = frames.client_frame(b"3")


class Kind(enum.Enum):
    """What a piece of the server's bytes means to a client."""

    STEP = enum.auto()
    """One step of the opening is done."""
    ANSWER = enum.auto()
    """The answer to a message."""
    CONTROL = enum.auto()
    """Neither: a ping, a heartbeat, a fragment."""
    WRONG = enum.auto()
    """An answer, but not the right one."""
    END = enum.auto()
    """The server ends the connection."""


class Piece(NamedTuple):
    """The first whole thing in a buffer, how long it is, and what to send back at once."""

    size: int
    kind: Kind
    reply: bytes = b""
    problem: str = ""


class Dialect(Protocol):
    """What a client says and understands."""

    hello: bytes
    """Sent as soon as TCP is connected; may be empty."""
    steps: int
    """How many steps the opening has."""
    message: bytes
    """What is sent again and again."""
    undo: bytes
    """What undoes the message, for loads that send both in turn."""

    def next_piece(self, buffer: bytearray, step: int) -> Piece | None:
        """The first whole piece of what was received, or None while it is incomplete.

        Parameters:
            buffer: what was received and not yet taken.
            step: how many steps of the opening this client has done.
        """


@dataclass
class WebSocketDialect:
    """Messages in WebSocket frames.

    Parameters:
        hello: the handshake.
        message: the frame to send.
        expected: what a right answer's payload holds.
        greeting: what follows the handshake: each message of the server is answered by the next of
            these (``b""`` for nothing), and then the client is ready.
        heartbeat: the answer to a message of a single byte; none where empty.
        opening: what is sent as soon as the handshake is done.
        welcome: what the last message of the greeting must hold.
        undo: the frame that undoes ``message``.
        own: what every answer holds; what the server sends besides is none.
        part: what holds an answer that another part follows.
    """

    hello: bytes
    message: bytes
    expected: bytes
    greeting: tuple[bytes, ...] = ()
    heartbeat: bytes = b""
    opening: bytes = b""
    welcome: bytes = b""
    undo: bytes = b""
    own: bytes = b""
    part: bytes = b""
    steps: int = field(init=False)

    def __post_init__(self) -> None:
        self.steps = 1 + len(self.greeting)

    def next_piece(self, buffer: bytearray, step: int) -> Piece | None:
        """See :class:`Dialect`."""
        if step == 0:
            return _upgrade_response(buffer, self.opening)
        frame = frames.first_frame(buffer)
        if frame is None:
            return None
        opcode, final, start, end = frame
        if opcode == frames.CLOSE:
            code = int.from_bytes(buffer[start : start + 2], "big") or 1005
            return Piece(end, Kind.END, problem=f"closed with {code}")
        if opcode == frames.PING:
            pong = frames.client_frame(bytes(buffer[start:end]), frames.PONG)
            return Piece(end, Kind.CONTROL, pong)
        if opcode == frames.PONG or not final:
            return Piece(end, Kind.CONTROL)
        if step < self.steps:
            last = step == self.steps - 1
            wrong = last and buffer.find(self.welcome, start, end) < 0
            problem = "another greeting than expected" if wrong else ""
            return Piece(end, Kind.STEP, self.greeting[step - 1], problem)
        if self.heartbeat and end - start == 1:
            return Piece(end, Kind.CONTROL, self.heartbeat)
        if buffer.find(self.own, start, end) < 0:
            return Piece(end, Kind.CONTROL)
        if self.part and buffer.find(self.part, start, end) >= 0:
            return Piece(end, Kind.CONTROL)
        if opcode != frames.CONTINUATION and buffer.find(self.expected, start, end) < 0:
            return Piece(end, Kind.WRONG, problem="an answer without the data that was sent")
        return Piece(end, Kind.ANSWER)


@dataclass
class HTTPDialect:
    """Keep-alive requests, one after another, whose responses have a content-length."""

    message: bytes
    expected: bytes
    hello: bytes = b""
    undo: bytes = b""
    steps: int = 0

    def next_piece(self, buffer: bytearray, step: int) -> Piece | None:
        """See :class:`Dialect`."""
        head = buffer.find(b"\r\n\r\n")
        if head < 0:
            return None
        start = head + 4
        lines = bytes(buffer[:head]).lower().split(b"\r\n")
        length = next((line[15:] for line in lines if line.startswith(b"content-length:")), None)
        if length is None:
            return Piece(len(buffer), Kind.END, problem="a response without content-length")
        end = start + int(length)
        if len(buffer) < end:
            return None
        status = lines[0].split(b" ")[1]
        if status != b"200":
            return Piece(end, Kind.WRONG, problem=f"status {status.decode('latin-1')}")
        if buffer.find(self.expected, start, end) < 0:
            return Piece(end, Kind.WRONG, problem="a response with another body")
        return Piece(end, Kind.ANSWER)


@dataclass
class EventsDialect:
    """Server-sent events in a chunked response, each event in one chunk.

    Parameters:
        hello: the request.
        expected: what the data of an event holds; other chunks are comments that keep it alive.
    """

    hello: bytes
    expected: bytes
    message: bytes = b""
    undo: bytes = b""
    steps: int = 1

    def next_piece(self, buffer: bytearray, step: int) -> Piece | None:
        """See :class:`Dialect`."""
        if step == 0:
            return _stream_head(buffer)
        line = buffer.find(b"\r\n")
        if line < 0:
            return None
        end = line + 2 + int(buffer[:line], 16) + 2
        if len(buffer) < end:
            return None
        if end == line + 4:
            return Piece(end, Kind.END, problem="the stream has ended")
        right = buffer.find(self.expected, line, end) >= 0
        return Piece(end, Kind.ANSWER if right else Kind.CONTROL)


def _stream_head(buffer: bytearray) -> Piece | None:
    end = buffer.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    head = bytes(buffer[:end]).lower()
    for wanted in (b"http/1.1 200", b"text/event-stream", b"transfer-encoding: chunked"):
        if wanted not in head:
            return Piece(len(buffer), Kind.END, problem=f"no {wanted.decode()} in the response")
    return Piece(end, Kind.STEP)


def _upgrade_response(buffer: bytearray, opening: bytes) -> Piece | None:
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return None
    line = bytes(buffer[: buffer.find(b"\r\n")]).decode("latin-1")
    if line.split(" ")[1:2] != ["101"]:
        return Piece(len(buffer), Kind.END, problem=f"no upgrade: {line[:60]}")
    return Piece(head + 4, Kind.STEP, opening)


def raw_echo(host: str, target: str, size: int = 64) -> WebSocketDialect:
    """Plain text messages of ``size`` bytes, which come back as they are."""
    data = _text(size)
    return WebSocketDialect(frames.handshake(host, target), frames.client_frame(data), data)


def envelope(host: str, target: str, path: str, size: int = 64) -> WebSocketDialect:
    """Finch's JSON messages to ``path`` with ``size`` bytes of data, which the answer holds."""
    data = _text(size)
    message = _json_frame({"path": path, "data": data.decode()})
    return WebSocketDialect(frames.handshake(host, target), message, data)


def call(host: str, target: str, path: str, size: int = 64) -> WebSocketDialect:
    """Finch's JSON messages to any ``path``, whose answers are known by their ``reply``."""
    return WebSocketDialect(
        frames.handshake(host, target),
        _json_frame({"path": path, "id": 1, "data": _text(size).decode()}),
        b'"status":200',
        own=b'"reply":1',
        part=b'"more":true',
    )


def envelope_in_room(host: str, target: str, room: str, size: int = 64) -> WebSocketDialect:
    """Finch's JSON messages to a room's path ``say``; each client first joins the room."""
    data = _text(size)
    return WebSocketDialect(
        frames.handshake(host, target),
        _json_frame({"path": "say", "room": room, "data": data.decode()}),
        data,
        greeting=(b"",),
        opening=_json_frame({"path": "finch.join", "id": 1, "room": room}),
        welcome=_joined(room),
    )


def envelope_joins(host: str, target: str, room: str) -> WebSocketDialect:
    """Finch's JSON messages that join a room and leave it."""
    return WebSocketDialect(
        frames.handshake(host, target),
        _json_frame({"path": "finch.join", "id": 1, "room": room}),
        _joined(room),
        undo=_json_frame({"path": "finch.leave", "id": 1, "room": room}),
    )


def socketio(host: str, event: str, size: int = 64) -> WebSocketDialect:
    """Socket.IO events over its WebSocket transport (Engine.IO protocol 4), no acknowledgement."""
    data = _text(size)
    return WebSocketDialect(
        frames.handshake(host, _SOCKET_IO),
        _json_frame([event, data.decode()], b"42"),
        data,
        greeting=(_CONNECT, b""),
        heartbeat=_PONG,
    )


def socketio_in_room(host: str, room: str, size: int = 64) -> WebSocketDialect:
    """Socket.IO events ``say`` to a room; each client first joins it, with acknowledgement."""
    data = _text(size)
    return WebSocketDialect(
        frames.handshake(host, _SOCKET_IO),
        _json_frame(["say", room, data.decode()], b"42"),
        data,
        greeting=(_CONNECT, _json_frame(["join", room], b"421"), b""),
        heartbeat=_PONG,
        welcome=f'431["{room}"]'.encode(),
    )


def socketio_joins(host: str, room: str) -> WebSocketDialect:
    """Socket.IO events that join a room and leave it; both are acknowledged."""
    return WebSocketDialect(
        frames.handshake(host, _SOCKET_IO),
        _json_frame(["join", room], b"421"),
        f'431["{room}"]'.encode(),
        greeting=(_CONNECT, b""),
        heartbeat=_PONG,
        undo=_json_frame(["leave", room], b"421"),
    )


def http_get(host: str, target: str, expected: bytes) -> HTTPDialect:
    """A GET whose body holds ``expected``."""
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n"
    return HTTPDialect(request.encode("ascii"), expected)


def http_post(host: str, target: str, body: bytes, expected: bytes) -> HTTPDialect:
    """A POST of JSON; the response's body holds ``expected``."""
    request = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return HTTPDialect(request.encode("ascii") + body, expected)


def events(host: str, target: str, expected: bytes) -> EventsDialect:
    """A GET whose response streams events; the data of each holds ``expected``."""
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"
    return EventsDialect(request.encode("ascii"), expected)


def _joined(room: str) -> bytes:
    return f'"reply":1,"room":"{room}"'.encode()  # an error names no room


def _json_frame(value: object, prefix: bytes = b"") -> bytes:
    return frames.client_frame(prefix + json.dumps(value, separators=(",", ":")).encode())


def _text(size: int) -> bytes:
    return (b"abcdefghijklmnopqrstuvwxyz012345" * (size // 32 + 1))[:size]
