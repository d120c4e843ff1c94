"""The WebSocket path: frames in, messages and control events out, up to a legal close."""

from collections.abc import Sequence
from typing import Final

from websockets.frames import Close, Opcode
from websockets.protocol import Protocol, Side
from wsproto.extensions import Extension

from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived, SocketInput
from finch.wire.extensions import accept_compression
from finch.wire.websocket import WebSocketProtocol
from tests.fuzz.inputs import cuttings

LIMIT: Final = 600
FRAGMENTS: Final = 5
FAILURES: Final = frozenset((1002, 1007, 1009))
"""What a peer that breaks the protocol is closed with (RFC 6455, section 7.4.1)."""


def legal_close(code: int) -> bool:
    """Whether a peer's Close may hold that code; 1005 stands for none (RFC 6455, section 7.4)."""
    return code in (1000, 1001, 1002, 1003, 1005) or 1007 <= code <= 1014 or 3000 <= code <= 4999


def agreed() -> list[Extension]:
    """permessage-deflate, as a handshake agrees on it."""
    found = accept_compression(["permessage-deflate"])
    assert found is not None
    return [found[0]]


def read(
    pieces: list[bytes],
    *,
    extensions: Sequence[Extension] = (),
    fast: bool = True,
    fragments: int = FRAGMENTS,
) -> tuple[list[SocketInput], bytes]:
    """Everything that a peer did, and the Close that it gets."""
    protocol = WebSocketProtocol(
        max_message_size=LIMIT, max_fragments=fragments, extensions=extensions, fast=fast
    )
    events: list[SocketInput] = []
    steps = 2 * sum(map(len, pieces)) + 8  # each takes a byte, or waits for one
    for piece in pieces:
        protocol.receive_data(piece)
        while True:
            steps -= 1
            assert steps, "it goes on and on"
            event = protocol.next_event()
            if event is not None:
                events.append(event)
            elif not protocol.unread:
                break
    last = events[-1] if events else None
    if isinstance(last, CloseReceived | Failed):
        return events, protocol.send_close(last.code, last.reason)
    return events, protocol.send_message("still here") + protocol.send_close(1000)


def target(data: bytes) -> None:
    for compressed in (False, True):
        first = None
        for fast in (True, False):
            for pieces in cuttings(data):
                seen = read(pieces, extensions=agreed() if compressed else [], fast=fast)
                if first is None:
                    first = seen
                    _check(*seen, compressed=compressed)
                assert seen == first or (compressed and _fail_alike(seen[0], first[0])), (
                    "the way in which it is cut or read changes what it means"
                )


def _fail_alike(one: list[SocketInput], other: list[SocketInput]) -> bool:
    """What is inflated before an error in it is seen may be too big: which of the two is met first
    hangs on how much is inflated at a time."""
    ends = {event.code for event in (one[-1], other[-1]) if isinstance(event, Failed)}
    return one[:-1] == other[:-1] and ends == {1007, 1009}


def _check(events: list[SocketInput], answer: bytes, *, compressed: bool) -> None:
    for place, event in enumerate(events):
        if isinstance(event, Failed | CloseReceived):
            assert place == len(events) - 1, "something follows the end"
        if isinstance(event, Failed):
            assert event.code in FAILURES
        elif isinstance(event, CloseReceived):
            assert legal_close(event.code)
        elif isinstance(event, PingReceived):
            assert len(event.payload) <= 125
        elif not isinstance(event, PongReceived):
            size = len(event.encode()) if isinstance(event, str) else len(event)
            assert size <= LIMIT
    client = Protocol(Side.CLIENT)
    if compressed and not isinstance(events[-1] if events else None, Failed | CloseReceived):
        return  # a compressed answer; the connection's target reads those
    client.receive_data(answer)
    assert client.parser_exc is None, f"the answer is no frame: {client.parser_exc}"
    frames = client.events_received()
    assert frames, "there is no Close"
    assert frames[-1].opcode is Opcode.CLOSE
    Close.parse(frames[-1].data)
