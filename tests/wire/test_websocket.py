"""WebSocket frames, bytes in and messages out; and the other way round, read by another library.

The peer's frames are made by the ``websockets`` library, which shares no code with wsproto.
"""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage
from wsproto.extensions import PerMessageDeflate

from finch.wire.events import CloseReceived, Failed, PingReceived, PongReceived, SocketInput
from finch.wire.extensions import accept_compression
from finch.wire.frames import BINARY, TEXT, frame_header
from finch.wire.frames import frame as data_frame
from finch.wire.websocket import WebSocketProtocol, check_close_code

MIB = 1024 * 1024


@pytest.mark.parametrize("fin", [True, False])
def test_a_peer_that_is_idle_holds_no_memory(fin: bool) -> None:
    protocol = WebSocketProtocol(max_message_size=MIB, max_fragments=16)
    tracemalloc.start()
    try:
        protocol.receive_data(frame(Opcode.BINARY, bytes(60_000), fin=fin))
        protocol.receive_data(b"" if fin else frame(Opcode.CONT))
        assert protocol.next_event() == bytes(60_000)
        assert protocol.next_event() is None
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 30_000


MASK = b"\x37\xfa\x21\x3d"


def masked(plain: bytes, payload: bytes, key: bytes = MASK) -> bytes:
    """The frame of a client (RFC 6455, section 5.3)."""
    head = bytearray(plain[: len(plain) - len(payload)])
    head[1] |= 0x80
    return bytes(head) + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def frame(
    opcode: Opcode, payload: bytes = b"", *, fin: bool = True, rsv: str = "", mask: bool = True
) -> bytes:
    data = bytearray(Frame(opcode, payload, fin).serialize(mask=False))
    for number in rsv:
        data[0] |= 0x80 >> int(number)
    return masked(bytes(data), payload) if mask else bytes(data)


def text(said: str, **options: Any) -> bytes:
    return frame(Opcode.TEXT, said.encode(), **options)


def more(payload: bytes = b"", **options: Any) -> bytes:
    return frame(Opcode.CONT, payload, **options)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(Opcode.CLOSE, code.to_bytes(2, "big") + reason)


def protocol(size: int = 100, fragments: int = 10, *, offer: str | None = None):
    extensions = []
    if offer is not None:
        agreed = accept_compression([offer])
        assert agreed is not None
        extensions.append(agreed[0])
    return WebSocketProtocol(max_message_size=size, max_fragments=fragments, extensions=extensions)


def events(server: WebSocketProtocol, *pieces: bytes) -> list[SocketInput]:
    """What comes of the pieces, asked for after each one."""
    seen = []
    for piece in pieces:
        server.receive_data(piece)
        while (event := server.next_event()) is not None:
            seen.append(event)
    return seen


def heard(*pieces: bytes, size: int = 100, fragments: int = 10, offer: str | None = None):
    return events(protocol(size, fragments, offer=offer), *pieces)


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def failure(*pieces: bytes, **limits) -> int:
    """The code of the failure that ends what is heard."""
    *_, last = heard(*pieces, **limits)
    assert isinstance(last, Failed)
    return last.code


# Messages


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_whole_message_is_a_str_or_bytes_of_any_length(length):
    said = "x" * length

    assert heard(text(said), size=MIB) == [said]
    assert heard(frame(Opcode.BINARY, said.encode()), size=MIB) == [said.encode()]


def test_a_text_is_unicode():
    assert heard(text("grüße, 鳥 🐦")) == ["grüße, 鳥 🐦"]


@pytest.mark.parametrize("key", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"])
@pytest.mark.parametrize("said", ["", "a", "hello", "x" * 1000])
def test_a_message_is_the_same_under_any_mask(said, key):
    data = masked(data_frame(TEXT, said.encode()), said.encode(), key)

    assert heard(data, size=1000) == heard(*byte_by_byte(data), size=1000) == [said]


def test_a_masked_message_is_that_of_the_standard():
    # RFC 6455, section 5.7: a single-frame masked text message
    assert heard(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") == ["Hello"]


def test_several_messages_in_one_read_are_delivered_in_order():
    assert heard(text("one") + frame(Opcode.BINARY, b"two") + text("three")) == [
        "one",
        b"two",
        "three",
    ]


def test_messages_wait_until_they_are_asked_for():
    server = protocol()
    server.receive_data(text("one") + text("two"))

    assert server.next_event() == "one"
    server.receive_data(text("three"))
    assert server.next_event() == "two"
    assert server.next_event() == "three"
    assert server.next_event() is None


def test_fragments_are_put_together():
    assert heard(text("one, ", fin=False) + more(b"two, ", fin=False) + more(b"three")) == [
        "one, two, three"
    ]
    assert heard(frame(Opcode.BINARY, b"1", fin=False), more(b"2"), text("then")) == [b"12", "then"]


def test_empty_fragments_are_put_together_to_nothing():
    assert heard(text("", fin=False) + more(fin=False) + more()) == [""]


def test_a_character_may_be_cut_between_fragments():
    bird = "🐦".encode()

    assert heard(frame(Opcode.TEXT, bird[:2], fin=False) + more(bird[2:])) == ["🐦"]


def test_control_frames_come_between_fragments():
    data = (
        text("a", fin=False)
        + frame(Opcode.PING, b"here?")
        + more(b"b", fin=False)
        + frame(Opcode.PONG, b"yes")
        + more(b"c")
    )

    assert heard(data) == [PingReceived(b"here?"), PongReceived(b"yes"), "abc"]


@pytest.mark.parametrize("length", [0, 1, 125])
def test_a_ping_brings_its_payload(length):
    assert heard(frame(Opcode.PING, b"p" * length)) == [PingReceived(b"p" * length)]


# What is refused


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(text("hi", mask=False), 1002, id="no mask"),
        pytest.param(frame(Opcode.PING, mask=False), 1002, id="ping without mask"),
        pytest.param(frame(Opcode.TEXT, b"hi", rsv="1"), 1002, id="first reserved bit"),
        pytest.param(frame(Opcode.TEXT, b"hi", rsv="2"), 1002, id="second reserved bit"),
        pytest.param(frame(Opcode.TEXT, b"hi", rsv="3"), 1002, id="third reserved bit"),
        pytest.param(frame(Opcode.PING, rsv="1"), 1002, id="reserved bit on a ping"),
        pytest.param(b"\x83\x80\0\0\0\0", 1002, id="unknown data opcode"),
        pytest.param(b"\x8b\x80\0\0\0\0", 1002, id="unknown control opcode"),
        pytest.param(b"\x09\x80\0\0\0\0", 1002, id="ping in fragments"),
        pytest.param(b"\x89\xfe\0\x7e\0\0\0\0" + b"p" * 126, 1002, id="long ping"),
        pytest.param(b"\x81\xfe\0\x01\0\0\0\0x", 1002, id="length in too many bytes"),
        pytest.param(b"\x81\xff" + b"\xff" * 8 + MASK, 1002, id="negative length"),
        pytest.param(more(b"x"), 1002, id="nothing to continue"),
        pytest.param(text("a", fin=False) + text("b"), 1002, id="message within a message"),
        pytest.param(frame(Opcode.CLOSE, b"\x03"), 1002, id="close with one byte"),
        pytest.param(frame(Opcode.TEXT, b"\xff"), 1007, id="no utf-8"),
        pytest.param(frame(Opcode.TEXT, b"\xed\xa0\x80"), 1007, id="surrogate"),
        pytest.param(frame(Opcode.TEXT, b"\xc3"), 1007, id="half a character"),
        pytest.param(text("a", fin=False) + more(b"\xff", fin=False), 1007, id="no utf-8 later"),
        pytest.param(close(1000, b"\xff"), 1007, id="close reason no utf-8"),
    ],
)
def test_a_broken_frame_fails_the_connection(data, code):
    assert failure(data) == code
    assert failure(*byte_by_byte(data)) == code


def test_invalid_utf8_is_noticed_before_its_message_is_complete():
    start = frame(Opcode.TEXT, b"ok\xff" + b"x" * 50)

    assert failure(start[:12]) == 1007


def test_what_was_valid_before_a_broken_frame_is_delivered_first():
    data = text("one") + frame(Opcode.PING, b"p") + text("two") + text("bad", mask=False)

    assert heard(data)[:-1] == ["one", PingReceived(b"p"), "two"]
    assert failure(data) == 1002


@pytest.mark.parametrize("offer", [None, "permessage-deflate"])
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(text("bad", mask=False), id="protocol"),
        pytest.param(frame(Opcode.TEXT, b"\xff"), id="utf-8"),
        pytest.param(text("x" * 101), id="size"),
    ],
)
def test_nothing_follows_a_failure(bad, offer):
    server = protocol(offer=offer)
    assert isinstance(events(server, bad + text("behind it"))[-1], Failed)

    assert events(server, text("later"), frame(Opcode.PING)) == []


# Closing


# RFC 6455, section 7.4, and the registry that it founded
CODES = [*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("offer", [None, "permessage-deflate"])
@pytest.mark.parametrize("code", CODES)
def test_the_peer_may_close_with_these_codes_and_is_answered_with_the_same(code, offer):
    data = close(code, "tschüß".encode())
    assert heard(data, offer=offer) == [CloseReceived(code, "tschüß")]
    assert heard(*byte_by_byte(data), offer=offer) == [CloseReceived(code, "tschüß")]

    server = protocol(offer=offer)
    [event] = events(server, close(code))
    assert type(event.code) is int
    assert server.send_close(event.code) == b"\x88\x02" + code.to_bytes(2, "big")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535])
def test_the_peer_may_not_close_with_these_codes(code):
    assert failure(close(code)) == 1002


def test_no_other_code_is_taken_at_all():
    for code in {*range(5100)} - {*CODES} - {*range(3000, 5000)}:
        assert failure(close(code)) == 1002, code


def test_a_reason_that_is_no_text_is_refused_whatever_the_code():
    for code in CODES:
        assert failure(close(code, b"\xff")) == 1007, code


def test_what_the_code_1014_looks_like_elsewhere_is_left_alone():
    bad_gateway = (1014).to_bytes(2, "big")
    data = frame(Opcode.PING, bad_gateway) + frame(Opcode.BINARY, bad_gateway)

    assert heard(data) == [PingReceived(bad_gateway), bad_gateway]


@pytest.mark.parametrize("code", [1000, 1001, 1003, *range(1007, 1010), *range(1011, 1015), 4000])
def test_an_application_may_close_with_these_codes(code):
    check_close_code(code)


@pytest.mark.parametrize("code", [0, 999, 1002, 1004, 1005, 1006, 1010, 1015, 2999, 5000])
def test_an_application_may_not_close_with_these_codes(code):
    with pytest.raises(ValueError):
        check_close_code(code)


def test_a_close_without_a_code_is_1005():
    assert heard(frame(Opcode.CLOSE)) == [CloseReceived(1005, "")]


def test_nothing_follows_a_close():
    server = protocol()

    assert events(server, text("a") + close(1000) + text("b")) == ["a", CloseReceived(1000, "")]
    assert events(server, text("c")) == []


def test_a_close_is_answered_once():
    server = protocol()
    events(server, close(1000, b"bye"))

    assert server.send_close(1000) == b"\x88\x02\x03\xe8"
    assert server.send_close(1000) == b""


def test_after_our_close_the_peer_is_heard_until_its_own():
    server = protocol()
    assert server.send_close(1001, "going") == b"\x88\x07\x03\xe9going"

    assert events(server, text("still") + close(1001)) == ["still", CloseReceived(1001, "")]
    assert server.send_close(1000) == b""


def test_a_failure_is_closed_with_its_code():
    server = protocol()
    [failed] = events(server, text("hi", mask=False))
    assert isinstance(failed, Failed)

    assert server.send_close(failed.code, failed.reason)[:4] == (
        bytes((0x88, 2 + len(failed.reason))) + b"\x03\xea"
    )
    assert server.send_close(1000) == b""


@pytest.mark.parametrize(
    ("code", "sent"), [(1005, b""), (1006, b"\x03\xe8"), (1015, b"\x03\xe8"), (4321, b"\x10\xe1")]
)
def test_codes_that_never_travel_are_not_sent(code, sent):
    assert protocol().send_close(code) == bytes((0x88, len(sent))) + sent
    assert protocol().send_close(1005, "nowhere to put it") == b"\x88\x00"


def test_a_close_reason_is_cut_to_what_a_control_frame_holds():
    sent = protocol().send_close(1000, "é" * 100)

    assert sent == b"\x88\x7c\x03\xe8" + "é".encode() * 61


# Limits


def test_a_message_at_the_limit_passes_and_one_past_it_fails():
    assert heard(text("x" * 100)) == ["x" * 100]
    assert failure(text("x" * 101)) == 1009


def test_the_limit_counts_bytes_and_not_characters():
    assert heard(text("é" * 50)) == ["é" * 50]
    assert failure(text("é" * 51)) == 1009


def test_the_limit_counts_all_fragments_of_a_message():
    assert heard(text("x" * 60, fin=False) + more(b"x" * 40)) == ["x" * 100]
    assert failure(text("x" * 60, fin=False) + more(b"x" * 41)) == 1009


def test_the_limit_begins_anew_with_each_message():
    many = (text("x" * 60, fin=False) + frame(Opcode.PING) + more(b"x" * 40)) * 5

    assert heard(many).count("x" * 100) == 5


@pytest.mark.parametrize("length", [101, 125, 126, 65535, 65536, 2**62])
def test_a_declared_length_is_refused_before_the_payload_comes(length):
    header = bytearray(frame_header(TEXT, length))
    header[1] |= 0x80

    assert failure(bytes(header)) == 1009


def test_a_declared_length_is_refused_for_a_later_fragment_too():
    assert failure(text("x" * 60, fin=False), more(b"x" * 41)[:2]) == 1009


def test_fragments_at_the_limit_pass_and_one_past_it_fails():
    nine = text("x", fin=False) + more(b"x", fin=False) * 8

    assert heard(nine + more(b"x")) == ["x" * 10]
    assert failure(nine + more(b"x", fin=False) + more(b"x")) == 1009


def test_empty_fragments_count():
    nine = text("", fin=False) + more(fin=False) * 8

    assert heard(nine + more()) == [""]
    assert failure(nine + more(fin=False) * 2) == 1009


def test_fragments_are_counted_anew_with_each_message_and_without_control_frames():
    nine = text("", fin=False) + (more(fin=False) + frame(Opcode.PONG)) * 8

    assert heard((nine + more()) * 3).count("") == 3


def test_the_limits_are_the_same_for_a_message_that_comes_byte_by_byte():
    full = text("x" * 10, fin=False) + more(b"x" * 10, fin=False) * 8 + more(b"x" * 10)

    assert heard(*byte_by_byte(full)) == ["x" * 100]
    assert failure(*byte_by_byte(full[:-1]), full[-1:] + text("x" * 101)) == 1009


def test_the_limit_does_not_count_control_frames():
    data = text("x" * 60, fin=False) + frame(Opcode.PING, b"p" * 125) * 3 + more(b"x" * 40)

    assert heard(data)[-1] == "x" * 100


# Cut anywhere

PIECES = st.one_of(
    st.text(max_size=30).map(text),
    st.binary(max_size=30).map(lambda data: frame(Opcode.BINARY, data)),
    st.binary(max_size=125).map(lambda data: frame(Opcode.PING, data)),
    st.just(frame(Opcode.PONG, b"pong")),
    st.lists(st.binary(max_size=20), min_size=1, max_size=4).map(
        lambda parts: (
            frame(Opcode.BINARY, parts[0], fin=False)
            + b"".join(more(part, fin=False) + frame(Opcode.PING) for part in parts[1:])
            + more(b"end")
        )
    ),
    st.sampled_from(
        [
            text("x" * 101),
            close(1000, b"bye"),
            close(1005),
            text("no mask", mask=False),
            frame(Opcode.TEXT, b"\xff"),
            more(b"nothing to continue"),
            text("never finished", fin=False),
            frame(Opcode.PING, rsv="1"),
        ]
    ),
)


def codes_only(seen: list[SocketInput]) -> list[object]:
    return [("failed", event.code) if isinstance(event, Failed) else event for event in seen]


@settings(deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=6).map(b"".join), st.data())
def test_a_stream_cut_anywhere_gives_the_same_events(stream, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    pieces = [
        stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]

    assert codes_only(heard(*pieces)) == codes_only(heard(stream))
    assert codes_only(heard(*byte_by_byte(stream))) == codes_only(heard(stream))


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_whatever_raise_anything(noise, compressed):
    heard(noise, *byte_by_byte(noise), offer="permessage-deflate" if compressed else None)


# Compression


def compressing_client(offer: str = "permessage-deflate") -> Connection:
    extension = PerMessageDeflate()
    extension.finalize(offer)
    return Connection(ConnectionType.CLIENT, [extension])


def deflated(data: bytes) -> bytes:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))[:-4]


def squeezed(data: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return frame(opcode, deflated(data), rsv="1", fin=fin)


OFFERS = [
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_compressed_messages_are_read_in_any_pieces(offer):
    said = ["hello " * 10, "", "hello " * 10, "鳥" * 20, b"\0" * 100]

    def sent() -> bytes:
        client = compressing_client(offer)
        return b"".join(client.send(message(item)) for item in said)

    assert heard(sent(), offer=offer) == said
    assert heard(*byte_by_byte(sent()), offer=offer) == said


@pytest.mark.parametrize("offer", OFFERS)
def test_compressed_messages_are_sent(offer):
    server, client = protocol(offer=offer), compressing_client(offer)
    for said in ["hello " * 1000, "", "hello " * 1000, "鳥" * 20, b"\0" * 70000]:
        sent = server.send_message(said)
        assert sent[0] & 0x40, "the bit that says compressed"
        assert len(sent) < 200
        client.receive_data(sent)
        assert whole(client) == said


def test_an_uncompressed_message_may_come_on_a_compressed_connection():
    assert heard(text("plain") + squeezed(b"small") + text("plain"), offer=OFFERS[0]) == [
        "plain",
        "small",
        "plain",
    ]


def test_a_compressed_message_may_come_in_fragments():
    data = deflated(b"hello, world")
    pieces = frame(Opcode.TEXT, data[:3], rsv="1", fin=False) + more(data[3:])

    assert heard(pieces, offer=OFFERS[0]) == ["hello, world"]


def test_control_frames_come_between_compressed_fragments():
    data = deflated(b"hello, world")
    pieces = (
        frame(Opcode.TEXT, data[:3], rsv="1", fin=False)
        + frame(Opcode.PING, b"here?")
        + more(data[3:])
    )

    assert heard(pieces, offer=OFFERS[0]) == [PingReceived(b"here?"), "hello, world"]


def test_what_does_not_inflate_fails_the_connection():
    data = frame(Opcode.TEXT, b"\xff\xff\xff\xff", rsv="1")

    assert failure(data, offer=OFFERS[0]) == 1007


def test_the_compression_bit_belongs_on_the_first_fragment_only():
    data = text("a", fin=False) + frame(Opcode.CONT, b"b", rsv="1")

    assert failure(data, offer=OFFERS[0]) == 1002


def test_the_limit_counts_what_comes_out_of_compression():
    assert heard(squeezed(b"x" * 100), offer=OFFERS[0]) == ["x" * 100]
    assert failure(squeezed(b"x" * 101), offer=OFFERS[0]) == 1009
    assert heard(squeezed("é".encode() * 50), offer=OFFERS[0]) == ["é" * 50]
    assert failure(squeezed("é".encode() * 51), offer=OFFERS[0]) == 1009


def test_the_limit_does_not_count_the_compressed_length():
    noise = bytes(range(150, 250))
    data = squeezed(noise, Opcode.BINARY)
    assert len(data) > 100 + 6, "longer than what it holds"

    assert heard(data, offer=OFFERS[0]) == [noise]


def test_messages_before_a_bomb_are_delivered_and_nothing_after_it():
    server = protocol(offer=OFFERS[0])
    seen = events(server, squeezed(b"hi") + squeezed(b"x" * 50_000) + text("behind it"))

    assert seen[0] == "hi"
    assert isinstance(seen[1], Failed)
    assert seen[1].code == 1009
    assert seen[2:] == []


@pytest.mark.parametrize("limit", [MIB, 16 * MIB])
@pytest.mark.parametrize(
    ("opcode", "unit"),
    [(Opcode.BINARY, b"\0" * MIB), (Opcode.TEXT, "🐦".encode() + b"a" * MIB)],
    ids=["binary", "text of four bytes a character"],
)
def test_a_bomb_costs_its_limit_and_32_megabytes_at_most(opcode, unit, limit):
    bomb = squeezed(unit * 64, opcode)
    assert len(bomb) < 70_000
    server = protocol(limit, offer=OFFERS[0])
    tracemalloc.start()
    try:
        [failed] = events(server, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert isinstance(failed, Failed)
    assert failed.code == 1009
    assert peak < limit + 32_000_000


def test_a_compressed_message_that_holds_nothing_does_not_go_on_for_ever():
    nothing = b"\0\0\0\xff\xff" * 200  # empty blocks

    assert heard(frame(Opcode.TEXT, nothing, rsv="1"), offer=OFFERS[0]) == [""]
    endless = [frame(Opcode.TEXT, nothing, rsv="1", fin=False), more(nothing, fin=False)]
    assert failure(*endless, offer=OFFERS[0]) == 1009


@pytest.mark.parametrize("length", [2 * 100 + 1024 + 1, 65536, 2**62])
def test_a_declared_length_is_refused_for_a_compressed_message_too(length):
    header = bytearray(frame_header(TEXT, length))
    header[0] |= 0x40
    header[1] |= 0x80

    assert failure(bytes(header), offer=OFFERS[0]) == 1009


# the examples of RFC 7692, section 7.2.3: "Hello"
HELLO = [
    pytest.param("f2 48 cd c9 c9 07 00", id="one block"),
    pytest.param("00 05 00 fa ff 48 65 6c 6c 6f 00", id="a block without compression"),
    pytest.param("f3 48 cd c9 c9 07 00 00", id="a final block"),
    pytest.param("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", id="two blocks"),
]


@pytest.mark.parametrize("data", HELLO)
@pytest.mark.parametrize("offer", OFFERS)
def test_a_message_may_be_any_kind_of_blocks_and_others_may_follow(data, offer):
    hello = frame(Opcode.TEXT, bytes.fromhex(data), rsv="1")
    stream = (hello + squeezed(b"again")) * 2

    assert heard(stream, offer=offer) == ["Hello", "again"] * 2
    assert heard(*byte_by_byte(stream), offer=offer) == ["Hello", "again"] * 2


@pytest.mark.parametrize(
    "behind", [b"", b"\1", b"\0\0", b"\0\0\0\xff\xff", b"x" * 50], ids=lambda behind: behind.hex()
)
def test_nothing_but_an_empty_block_comes_behind_a_final_one(behind):
    final = bytes.fromhex("f3 48 cd c9 c9 07 00")

    assert failure(frame(Opcode.TEXT, final + behind, rsv="1"), offer=OFFERS[0]) == 1007


def test_what_comes_behind_a_final_block_is_not_kept_until_its_message_ends():
    data = frame(Opcode.TEXT, bytes.fromhex("f3 48 cd c9 c9 07 00") + b"x" * 50, rsv="1", fin=False)

    assert failure(data, offer=OFFERS[0]) == 1007


def test_nothing_follows_a_bomb_that_is_fed_on():
    server = protocol(offer=OFFERS[0])
    assert isinstance(events(server, squeezed(b"x" * 50_000))[-1], Failed)
    server.send_close(1009)

    assert events(server, text("later"), squeezed(b"x" * 50_000), frame(Opcode.PING)) == []


def test_control_frames_are_not_compressed():
    server = protocol(offer=OFFERS[0])

    assert server.send_ping() == b"\x89\x00"
    assert server.send_pong(b"x" * 125) == b"\x8a\x7d" + b"x" * 125


# Writing


def message(data: Any) -> TextMessage | BytesMessage:
    return TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)


def whole(client: Connection) -> Any:
    """The one message that a wsproto client has received."""
    parts: list[Any] = [
        event.data for event in client.events() if isinstance(event, TextMessage | BytesMessage)
    ]
    return type(parts[0])().join(parts)


LENGTHS = [0, 1, 125, 126, 127, 65535, 65536, 100_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_is_read_back_by_websockets(length):
    payload = b"x" * length
    for opcode in (TEXT, BINARY):
        peer = Protocol(Side.CLIENT, max_size=None)
        peer.receive_data(data_frame(opcode, payload))
        [received] = peer.events_received()
        assert isinstance(received, Frame)
        assert (received.opcode, received.fin, bytes(received.data)) == (
            Opcode(opcode & 0x0F),
            True,
            payload,
        )


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_is_what_other_libraries_would_write(length):
    payload = b"x" * length

    assert data_frame(TEXT, payload) == frame(Opcode.TEXT, payload, mask=False)
    assert data_frame(BINARY, payload) == frame(Opcode.BINARY, payload, mask=False)
    assert frame_header(TEXT, length) + payload == data_frame(TEXT, payload)
    wsproto_server = Connection(ConnectionType.SERVER)
    assert data_frame(BINARY, payload) == wsproto_server.send(message(payload))


@pytest.mark.parametrize("said", ["", "grüße, 鳥 🐦", "x" * 70000, b"", b"\0\xff", b"x" * 70000])
def test_a_message_is_read_back_by_wsproto(said):
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(protocol().send_message(said))

    assert whole(client) == said


def test_pings_and_pongs_are_their_bytes():
    assert protocol().send_ping() == b"\x89\x00"
    assert protocol().send_pong(b"here") == b"\x8a\x04here"


def test_answers_after_the_peers_close_go_uncompressed():
    agreed = accept_compression(["permessage-deflate"])
    assert agreed is not None
    protocol = WebSocketProtocol(max_message_size=MIB, max_fragments=4, extensions=[agreed[0]])
    protocol.receive_data(close(1000))
    assert protocol.next_event() == CloseReceived(1000, "")
    assert protocol.send_message("owed") == b"\x81\x04owed"


def test_a_continuation_after_a_whole_message_is_out_of_place_whatever_its_size():
    protocol = WebSocketProtocol(max_message_size=10, max_fragments=4, fast=False)
    protocol.receive_data(text("x" * 10) + more(b"y"))
    assert protocol.next_event() == "x" * 10
    failed = protocol.next_event()
    assert isinstance(failed, Failed)
    assert failed.code == 1002
