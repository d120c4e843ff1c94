"""A whole connection: all the bytes that a client sends, to responses, frames and a close.

It is served by the server itself, under a clock that jumps: one that says nothing more is waited
for as long as the limits say, and no time passes. Read once through a stream of its own and once
through a socket and the hub, which must not differ.
"""

import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio
import trio.testing
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Opcode
from websockets.headers import parse_extension
from websockets.protocol import Protocol, Side

from finch.net.address import Address
from finch.net.proxies import Trust
from finch.net.streams import StreamTransport
from finch.net.transport import Transport
from finch.server import Server
from tests.fuzz.app import app
from tests.fuzz.inputs import cut

_PATIENCE: Final = 300  # virtual seconds; longer than any limit
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e]*)\r\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9a-zA-Z]+): ?([\t\x20-\x7e\x80-\xff]*)\r\n")
_CHUNK: Final = re.compile(rb"([0-9a-f]+)\r\n")
_ENVELOPE: Final = ["path", "status", "timestamp", "language", "client", "data"]
_BETWEEN: Final = "unexpected end of stream"  # what websockets says of an end between two frames

STATUSES: Final = frozenset(
    (100, 101, 200, 204, 400, 403, 404, 405, 408, 413, 414, 415, 417, 422, 426, 431, 501, 505)
)
"""What the application under fire, or the gate before it, answers. A 500 is a bug."""


def target(data: bytes) -> None:
    pieces = cut(data, most=3)
    whole = [data] if data else []
    stays = len(data) % 2 == 1  # or closes its side when all is sent
    by_hub = len(pieces) % 2 == 1
    one = understand(talk(pieces, stays=stays, hub=by_hub))
    two = understand(talk(whole, stays=stays, hub=not by_hub))
    if b"100-continue" not in data.lower():
        # a body that is there already is taken; one that waits to be asked for is left alone
        assert one == two, "the kind of reader, or the way in which it is cut, changes the answer"


# Talking


class _Complaints(logging.Handler):
    """What Finch logs that it must not have to."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.msg.startswith("a socket to %s was refused"):  # a foreign origin is told
            self.said.append(logging.Formatter().format(record))


def talk(pieces: list[bytes], *, stays: bool, hub: bool) -> bytes:
    """Everything that the server says to these bytes, up to its close.

    Raises:
        AssertionError: where it does not close, logs a warning or worse, or keeps anything.
    """
    log = logging.getLogger("finch")
    complaints = _Complaints()
    log.addHandler(complaints)
    propagates, log.propagate = log.propagate, False
    try:
        answer = trio.run(
            partial(_talk, pieces, stays=stays, hub=hub),
            clock=trio.testing.MockClock(autojump_threshold=0),
        )
    finally:
        log.removeHandler(complaints)
        log.propagate = propagates
    assert not complaints.said, "\n".join(complaints.said)
    return answer


async def _talk(pieces: list[bytes], *, stays: bool, hub: bool) -> bytes:
    async with _served(hub) as stream:
        with trio.move_on_after(_PATIENCE) as scope:
            try:
                for piece in pieces:
                    await stream.send_all(piece)
                    await trio.testing.wait_all_tasks_blocked()
                if not stays:
                    await stream.send_eof()
            except trio.BrokenResourceError:
                pass  # the server has closed; what it said is read all the same
            answer = await _read_all(stream)
        assert not scope.cancelled_caught, "the server keeps the connection for ever"
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert app.socket_manager.count_clients == 0, "a client who left is still counted"
    return answer


async def _read_all(stream: trio.abc.HalfCloseableStream) -> bytes:
    received = []
    try:
        while data := await stream.receive_some():
            received.append(bytes(data))
    except trio.BrokenResourceError:
        pass  # a reset: the server closed while bytes of ours were on their way
    return b"".join(received)


@asynccontextmanager
async def _served(hub: bool) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    """A connection to a server of its own."""
    server = Server(app, hub=hub, trust=Trust("192.0.2.1"))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, [])
        client, transport = _by_socket(server) if hub else _by_stream(server)
        server.spawn(partial(server.serve, transport, Address("192.0.2.1", 50000)))
        try:
            yield client
        finally:
            await trio.aclose_forcefully(client)
            server.stop()


def _by_stream(server: Server) -> tuple[trio.abc.HalfCloseableStream, Transport]:
    ours, theirs = trio.testing.memory_stream_pair()
    return ours, StreamTransport(theirs, server.spawn, server.limits.close_timeout)


def _by_socket(server: Server) -> tuple[trio.abc.HalfCloseableStream, Transport]:
    ours, theirs = socket.socketpair()
    transport = server.transport_of(theirs)
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), transport


# Judging


@dataclass
class Answer:
    """One response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclass
class Understood:
    """What the server said, without what differs each time: dates, ids, and how the answers to
    pings, and of handlers that run side by side, fall between the others."""

    responses: list[Answer]
    messages: list[str | bytes]
    controls: list[bytes]


REFUSED: Final = Answer(400, [], b"")
"""Stands for every response to what was no request."""


def understand(answer: bytes) -> Understood:
    """What the server said: whole responses, then whole frames.

    Raises:
        AssertionError: where it is anything else.
    """
    understood = Understood([], [], [])
    while answer:
        response, answer = read_response(answer)
        if response.status == 101:
            read_frames(response, answer, understood)
            answer = b""
        if response.status != 100:
            response.headers = [field for field in response.headers if field[0] != "date"]
            understood.responses.append(response)
            if response.header("x-method") is None:
                # a refusal, and with more to see there may be more that is wrong
                assert not answer, "something follows the last response"
                understood.responses[-1] = REFUSED
    return understood


def read_response(answer: bytes) -> tuple[Answer, bytes]:
    """The first response, and what follows it."""
    line = _STATUS_LINE.match(answer)
    assert line, f"no status line: {answer[:80]!r}"
    status = int(line[1])
    assert status in STATUSES, answer
    at = line.end()
    headers = []
    while field := _FIELD.match(answer, at):
        headers.append((field[1].decode().lower(), field[2].decode("latin-1")))
        at = field.end()
    assert answer[at : at + 2] == b"\r\n", f"no end of the head: {answer[at : at + 80]!r}"
    at += 2
    response = Answer(status, headers, b"")
    names = [name for name, _ in headers]
    for name in ("content-length", "transfer-encoding", "date", "content-type"):
        assert names.count(name) <= 1, f"{name} comes twice"
    handled = response.header("x-method")
    length, coding = response.header("content-length"), response.header("transfer-encoding")
    assert length is None or coding is None, "two ways of framing"
    if status < 200 or status in (204, 304):
        assert (length, coding) == (None, None), "a response without a body has framing"
        return response, answer[at:]
    rest = answer[at:]
    if handled == "HEAD" or (handled is None and not rest):
        return response, rest  # one that no handler saw may answer a HEAD; it is the last
    if coding is not None:
        assert coding == "chunked"
        response.body, rest = _unchunk(rest)
    elif length is not None:
        assert len(rest) >= int(length), "the body is cut"
        response.body, rest = rest[: int(length)], rest[int(length) :]
    else:
        response.body, rest = rest, b""
    return response, rest


def _unchunk(rest: bytes) -> tuple[bytes, bytes]:
    pieces = []
    while True:
        size = _CHUNK.match(rest)
        assert size, f"no chunk: {rest[:80]!r}"
        end = size.end() + int(size[1], 16)
        assert rest[end : end + 2] == b"\r\n", "a chunk has no end"
        pieces.append(rest[size.end() : end])
        rest = rest[end + 2 :]
        if int(size[1], 16) == 0:
            return b"".join(pieces), rest


def read_frames(upgraded: Answer, data: bytes, understood: Understood) -> None:
    """Read it as a client does that keeps to the book: to the last byte, up to a Close."""
    client = Protocol(Side.CLIENT, max_size=None)
    agreed = upgraded.header("sec-websocket-extensions")
    if agreed is not None:
        [(_, parameters)] = parse_extension(agreed)
        client.extensions = [_deflate(dict(parameters))]
    client.receive_data(data)
    assert client.parser_exc is None, f"no frame: {client.parser_exc}"
    client.receive_eof()
    assert str(client.parser_exc or _BETWEEN) == _BETWEEN, "half a frame"
    envelopes = upgraded.header("x-raw") is None
    for frame in client.events_received():
        assert frame.fin, "the server does not fragment"
        payload = bytes(frame.data)
        if frame.opcode is Opcode.TEXT:
            text = payload.decode()
            understood.messages.append(_without_chance(text) if envelopes else text)
        elif frame.opcode is Opcode.BINARY:
            assert not envelopes, "an envelope is text"
            understood.messages.append(payload)
        else:
            understood.controls.append(frame.serialize(mask=False))
            if frame.opcode is Opcode.CLOSE:
                Close.parse(payload)  # raises for what no Close may hold
                assert data.endswith(understood.controls[-1]), "something follows the Close"
    if envelopes:
        understood.messages.sort()


def _without_chance(text: str) -> str:
    """An envelope (docs/wire.md) without its time and its recipient."""
    envelope = json.loads(text)
    keys = list(envelope)
    assert keys in (_ENVELOPE, [*_ENVELOPE, "reply"], [*_ENVELOPE, "reply", "more"]), keys
    assert envelope["status"] in (200, 400, 403, 404, 422, 499), envelope
    envelope["timestamp"] = envelope["client"] = None
    return json.dumps(envelope)


def _deflate(parameters: dict[str, str | None]) -> PerMessageDeflate:
    return PerMessageDeflate(
        remote_no_context_takeover="server_no_context_takeover" in parameters,
        local_no_context_takeover="client_no_context_takeover" in parameters,
        remote_max_window_bits=int(parameters.get("server_max_window_bits") or 15),
        local_max_window_bits=int(parameters.get("client_max_window_bits") or 15),
    )
