"""Frames, read by Finch and by the sans-I/O parser of ``websockets``.

The same messages, the same pings to answer, and the same end: the peer's Close with its code, or a
failure with the code that RFC 6455 prescribes for it (section 7.4.1: 1002 for what breaks the
protocol, 1007 for text that is none, 1009 for what is too big).
"""

from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Opcode
from websockets.protocol import Protocol, Side

from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived
from tests.fuzz import websocket
from tests.fuzz.websocket import LIMIT, agreed

_PADDING: Final = b"\xff" * (LIMIT + 14)


class Frame(NamedTuple):
    """A frame's header."""

    begin: int
    first: int
    length: int
    minimal: bool


@dataclass
class Heard:
    """What a stream of frames was taken for."""

    messages: list[str | bytes] = field(default_factory=list)
    pings: list[bytes] = field(default_factory=list)
    close: int | None = None
    """The code of the peer's Close; 1005 where it held none."""
    failure: int | None = None
    reason: str = ""
    culprit: Frame | None = field(default=None, compare=False)
    """The frame that ``websockets`` refuses."""
    final: bool = field(default=False, compare=False)
    """Whether a block of deflate said that it was the last of all."""


def target(data: bytes) -> None:
    # so that the last frame is whole: websockets wants to see all of it, Finch only its header
    data += _PADDING
    begin = first_long_length(data)
    for compressed in (False, True):
        if begin is not None:
            _refuses_long_length(data, begin, compressed=compressed)
        ours = by_finch(data[:begin], compressed=compressed)
        theirs = by_websockets(data[:begin], compressed=compressed)
        if ours != theirs and not any(allows(ours, theirs) for allows in DIFFERENCES):
            raise AssertionError(f"Finch {ours}\nwebsockets {theirs}")


def by_finch(data: bytes, *, compressed: bool) -> Heard:
    """What Finch takes them for."""
    pieces = [data] if data else []
    events, _ = websocket.read(pieces, extensions=agreed() if compressed else [], fragments=10**6)
    heard = Heard()
    for event in events:
        if isinstance(event, PingReceived):
            heard.pings.append(event.payload)
        elif isinstance(event, CloseReceived):
            heard.close, heard.reason = event.code, event.reason
        elif isinstance(event, Failed):
            heard.failure = event.code
        elif not isinstance(event, PongReceived):
            heard.messages.append(event)
    return heard


def by_websockets(data: bytes, *, compressed: bool) -> Heard:
    """What ``websockets`` takes them for."""
    protocol = Protocol(Side.SERVER, max_size=LIMIT)
    deflate = PerMessageDeflate(False, False, 15, 15)
    if compressed:
        protocol.extensions = [deflate]
    protocol.receive_data(data)
    heard = Heard(final=deflate.decoder.eof)
    pieces: list[str | bytes] = []
    text = False
    frames = protocol.events_received()
    for frame in frames:
        payload = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            heard.pings.append(payload)
        elif frame.opcode is Opcode.CLOSE:
            close = Close.parse(payload)
            heard.close, heard.reason = int(close.code), close.reason
        elif frame.opcode is not Opcode.PONG:
            if frame.opcode is not Opcode.CONT:
                text = frame.opcode is Opcode.TEXT
                decoder = getincrementaldecoder("utf-8")()
            try:  # which it leaves to the connection above it
                pieces.append(decoder.decode(payload, frame.fin) if text else payload)
            except UnicodeDecodeError:
                heard.failure = 1007
                return heard
            if frame.fin:
                heard.messages.append(("" if text else b"").join(pieces))
                pieces = []
    if protocol.parser_exc is not None and protocol.close_sent is not None:
        heard.failure = int(protocol.close_sent.code)
        heard.culprit = next(islice(headers(data), len(frames), None), None)
        if str(protocol.parser_exc) == _CLOSE_BETWEEN_FRAGMENTS and protocol.close_rcvd is not None:
            close = protocol.close_rcvd
            heard.close, heard.reason, heard.failure = int(close.code), close.reason, None
    return heard


def headers(data: bytes) -> Iterator[Frame]:
    """The frames' headers, whatever they say; those that are whole."""
    at = 0
    while at + 2 <= len(data):
        length, size, least = data[at + 1] & 0x7F, 2, 0
        if length >= 126:
            size, least = (4, 126) if length == 126 else (10, 65536)
            length = int.from_bytes(data[at + 2 : at + size], "big")
        if at + size > len(data):
            return
        yield Frame(at, data[at], length, length >= least)
        at += size + (4 if data[at + 1] & 0x80 else 0) + length


# Allowed differences


def first_long_length(data: bytes) -> int | None:
    """Where the first frame begins whose length is written in more bytes than it takes.

    "the minimal number of bytes MUST be used to encode the length" (RFC 6455, section 5.2), which
    websockets does not ask for.
    """
    return next((frame.begin for frame in headers(data) if not frame.minimal), None)


def _refuses_long_length(data: bytes, begin: int, *, compressed: bool) -> None:
    before = by_finch(data[:begin], compressed=compressed)
    if before.failure is None and before.close is None:
        assert by_finch(data, compressed=compressed).failure is not None, "a long length is taken"


_CLOSE_BETWEEN_FRAGMENTS: Final = "incomplete fragmented message"
"""What websockets calls a Close before a message's last fragment. For Finch it is the Close it is:
"Control frames MAY be injected in the middle of a fragmented message" (RFC 6455, section 5.4)."""


def fail_differently(ours: Heard, theirs: Heard) -> bool:
    """Both fail at the same place, with codes that differ.

    A frame may be wrong in two ways, such as unmasked and too big, or a Close with a code that is
    none and a reason that is no text; RFC 6455 does not say which counts. What is no deflate is
    1007 here and 1002 there, and RFC 7692 prescribes neither.
    """
    codes = (1002, 1007, 1009)
    return (
        ours.failure in codes
        and theirs.failure in codes
        and (ours.messages, ours.pings) == (theirs.messages, theirs.pings)
    )


def is_too_big_for_websockets(ours: Heard, theirs: Heard) -> bool:
    """websockets counts a control frame between fragments as part of their message, and refuses a
    compressed frame by its compressed length; Finch counts what a message is, inflated."""
    culprit = theirs.culprit
    return (
        theirs.failure == 1009
        and culprit is not None
        and (culprit.first & 0x08 != 0 or culprit.length > LIMIT)
        and _continues(ours, theirs)
    )


def is_noticed_later(ours: Heard, theirs: Heard) -> bool:
    """A message that inflates to too much: zlib has more to give than websockets asked it for,
    which it sees with the next piece of that message, or never."""
    return (
        ours.failure == 1009
        and theirs.failure in (None, 1009)
        and ours.messages == theirs.messages
        and _continues(theirs, ours)
    )


def follows_a_final_block(ours: Heard, theirs: Heard) -> bool:
    """A deflate block marked as the last of all, and more messages: websockets takes them for
    empty ones. Finch reads them, which RFC 7692, section 7.2.3.4, wants, or fails them."""
    pairs = zip(ours.messages, theirs.messages, strict=False)
    return (
        theirs.final
        and all(not their or my == their for my, their in pairs)
        and theirs.pings[: len(ours.pings)] == ours.pings
        and (ours.failure is not None or len(ours.messages) == len(theirs.messages))
    )


def _continues(one: Heard, other: Heard) -> bool:
    """Whether one begins with all that is in the other."""
    return (
        one.messages[: len(other.messages)] == other.messages
        and one.pings[: len(other.pings)] == other.pings
    )


DIFFERENCES: Final[tuple[Callable[[Heard, Heard], bool], ...]] = (
    fail_differently,
    is_too_big_for_websockets,
    is_noticed_later,
    follows_a_final_block,
)
