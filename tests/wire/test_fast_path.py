"""The fast path and wsproto say the same of any byte stream, however it is cut."""

import hypothesis.strategies as st
from hypothesis import given, settings
from websockets.frames import Frame, Opcode

from finch.wire.events import Failed, PingReceived, PongReceived
from finch.wire.extensions import Deflate
from finch.wire.frames import FrameScanner
from finch.wire.masking import unmask_in_python as unmask
from finch.wire.websocket import WebSocketProtocol

LIMIT = 300

payloads = st.one_of(
    st.text(max_size=40).map(lambda text: text.encode()),
    st.binary(max_size=140),
    st.sampled_from([b"x" * size for size in (0, 124, 125, 126, 127, 299, 300, 301)]),
)
masks = st.binary(min_size=4, max_size=4)


@st.composite
def whole_frames(draw):
    """A frame that may be right: any opcode, FIN or not, its length written in any way."""
    first = draw(st.sampled_from([0x81] * 6 + [0x82] * 3 + [0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]))
    first = draw(st.sampled_from([first] * 8 + [0x88, 0xC1, 0x83, 0x09, 0xFF]))
    payload = draw(payloads)
    key = draw(masks)
    length = len(payload)
    if length < 126 and draw(st.integers(0, 9)):
        header = bytes([first, 0x80 | length])
    elif draw(st.integers(0, 9)):
        header = bytes([first, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([first, 0x80 | 127]) + length.to_bytes(8, "big")
    return header + key + unmask(payload, key)


@st.composite
def close_frames(draw):
    """A Close frame, right or wrong."""
    body = draw(st.one_of(st.just(b""), st.binary(max_size=6), st.just(b"\x03\xe8bye")))
    key = draw(masks)
    return bytes([0x88, 0x80 | len(body)]) + key + unmask(body, key)


streams = st.lists(
    st.one_of(
        whole_frames(), whole_frames(), whole_frames(), close_frames(), st.binary(max_size=9)
    ),
    max_size=8,
).map(b"".join)


@st.composite
def cut(draw, stream):
    """The stream in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


def outcome(pieces, *, fast, extensions=(), ask=True, rest=False):
    """Every event, and the Close that would be sent."""
    protocol = WebSocketProtocol(
        max_message_size=LIMIT, max_fragments=4, extensions=extensions, fast=fast
    )
    events = []
    for number, piece in enumerate(pieces):
        protocol.receive_data(piece)
        if ask or number % 2:
            while (event := protocol.next_event()) is not None:
                events.append(event)
        if rest:
            protocol.rest()
    while (event := protocol.next_event()) is not None:
        events.append(event)
    return events, protocol.send_close(1000)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_any_stream_cut_anywhere_gives_the_same_events(data):
    stream = data.draw(streams)
    pieces = data.draw(cut(stream))
    assert outcome(pieces, fast=True) == outcome(pieces, fast=False)
    # how it is cut, and when it is asked for, changes nothing either
    assert outcome(pieces, fast=True, ask=False) == outcome([stream], fast=False)


def agreed():
    extension = Deflate()
    extension.accept("permessage-deflate")
    return extension


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_is_the_same_where_compression_is_agreed(data):
    pieces = data.draw(cut(data.draw(streams)))
    fast = outcome(pieces, fast=True, extensions=[agreed()])
    assert fast == outcome(pieces, fast=False, extensions=[agreed()])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=200), max_size=20), st.data())
def test_messages_of_a_good_client_never_need_wsproto_between_reads(messages, data):
    messages = [message for message in messages if len(message.encode()) <= LIMIT]
    stream = b"".join(Frame(Opcode.TEXT, m.encode()).serialize(mask=True) for m in messages)
    protocol = WebSocketProtocol(max_message_size=LIMIT, max_fragments=4)
    protocol.receive_data(stream)
    received = []
    while (event := protocol.next_event()) is not None:
        received.append(event)
    assert received == messages
    assert protocol._authority is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_rest_between_any_two_reads_changes_nothing(data):
    pieces = data.draw(cut(data.draw(streams)))
    assert outcome(pieces, fast=True, rest=True) == outcome(pieces, fast=True)
    packed = [{"extensions": [agreed()], "rest": rest} for rest in (False, True)]
    assert outcome(pieces, fast=True, **packed[0]) == outcome(pieces, fast=True, **packed[1])


def test_a_rest_lets_wsproto_go_between_messages():
    protocol = WebSocketProtocol(max_message_size=LIMIT, max_fragments=4)
    pieces = (
        (Frame(Opcode.TEXT, b"one, ", fin=False), None, True),
        (Frame(Opcode.CONT, b"two"), "one, two", False),
        (Frame(Opcode.TEXT, b"three, ", fin=False), None, True),
    )
    for frame, event, needed in pieces:
        protocol.receive_data(frame.serialize(mask=True))
        assert protocol.next_event() == event
        assert protocol.next_event() is None
        protocol.rest()
        assert (protocol._authority is not None) == needed


def test_a_rest_does_not_forget_that_a_close_is_said():
    protocol = WebSocketProtocol(max_message_size=LIMIT, max_fragments=4)
    assert protocol.send_close(1000)
    protocol.rest()
    assert protocol.send_close(1000) == b""


def test_a_client_that_only_lives_needs_no_wsproto():
    protocol = WebSocketProtocol(max_message_size=LIMIT, max_fragments=4)
    for opcode, payload, event in (
        (Opcode.PONG, b"", PongReceived()),
        (Opcode.PING, b"are you there?", PingReceived(b"are you there?")),
        (Opcode.PING, b"x" * 125, PingReceived(b"x" * 125)),
    ):
        protocol.receive_data(Frame(opcode, payload).serialize(mask=True))
        assert protocol.next_event() == event
        assert protocol.next_event() is None
    assert protocol._authority is None  # which is as large as all the rest of an idle client


@settings(deadline=None)
@given(st.lists(whole_frames(), min_size=1, max_size=6), st.data())
def test_the_scanner_stops_at_the_end_of_each_frame(frames, data):
    stream = b"".join(frames)
    ends = {sum(map(len, frames[: count + 1])) for count in range(len(frames))}
    scanner = FrameScanner()
    stops = set()
    at = 0
    for piece in data.draw(cut(stream)):
        begin = 0
        while begin < len(piece):
            begin = scanner.advance(piece, begin, len(piece))
            stops.add(at + begin)
        at += len(piece)
    assert ends <= stops


def test_a_message_too_large_is_refused_by_its_header_alone():
    for fast in (True, False):
        events, _ = outcome([b"\x81\xfe\x01\x2d" + b"abcd"], fast=fast)
        assert [type(event) for event in events] == [Failed]
        assert events[0].code == 1009
