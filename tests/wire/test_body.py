"""The strict reading of bodies: it takes nothing that h11 refuses, and hands it what is right."""

from __future__ import annotations

import sys

import h11
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from finch.config import Limits
from finch.errors import ProtocolError
from finch.turns import BODY_STEPS
from finch.wire.body import BodyScanner
from finch.wire.http import HTTPConnection

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = b'5;a="b"\r\nhello\r\n7\r\n, world\r\n0\r\nX: 1\r\n\r\n'

ends = st.sampled_from([b"\r\n"] * 60 + [b"\n", b"\r", b"", b"\r\r\n"])
extensions = st.sampled_from(
    [b""] * 20
    + [b";a", b";a=b", b' ;a = "b"', b";a; b"] * 5
    + [b";", b";a=", b" ", b";a\x00", b"\r"]
)
trailers = st.sampled_from(
    [b"X: 1", b"X:", b"Y: \xff"] * 10 + [b"X : 1", b" 1", b"Host: a", b"X", b"X: \x00", b"\n"]
)


@st.composite
def chunks(draw):
    """A chunk that is nearly right."""
    data = draw(st.binary(min_size=1, max_size=20))
    size = draw(st.sampled_from([b"%x"] * 50 + [b"%X", b"00%x", b"0x%x", b"+%x", b" %x"]))
    wrong = draw(st.sampled_from([b""] * 50 + [b"x"]))
    return size % len(data) + draw(extensions) + draw(ends) + data + wrong + draw(ends)


@st.composite
def bodies(draw):
    """A chunked body that is nearly right, and something behind it."""
    end = b"".join(line + draw(ends) for line in draw(st.lists(trailers, max_size=2)))
    last = b"0" + draw(extensions) + draw(ends) + end + draw(ends)
    return b"".join(draw(st.lists(chunks(), max_size=4))) + last + draw(st.binary(max_size=4))


def read(pieces):
    """The body, and what came behind it; None while it is not whole; or the status of a refusal."""
    http = HTTPConnection(Limits())
    http.receive_data(HEAD)
    http.read_head()
    body = b""
    try:
        for piece in pieces:
            http.receive_data(piece)
            while more := http.read_body():
                body += more
    except ProtocolError as error:
        return error.status
    return (body, http.trailing_data) if more == b"" else None


def h11s(data):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(HEAD + data)
    connection.next_event()
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    return (body, connection.trailing_data[0]) if isinstance(event, h11.EndOfMessage) else None


@settings(max_examples=1000, deadline=None)
@given(bodies(), st.data())
def test_what_is_accepted_h11_accepts_and_reads_alike_wherever_it_is_cut(data, draw):
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    pieces = [piece for piece in pieces if piece]
    outcome = read([data])
    assert read(pieces) == outcome
    if not isinstance(outcome, int):
        assert outcome == h11s(data)


def follow(scanner, data):
    """How far a scanner follows this, one chunk after another."""
    at = 0
    while end := scanner.advance(bytearray(data[at:])):
        at += end
    return at


def test_a_body_ends_where_it_ends():
    assert follow(BodyScanner(None, Limits()), CHUNKED + b"GET ") == len(CHUNKED)
    assert follow(BodyScanner(5, Limits()), b"helloGET ") == 5


def test_chunks_that_have_come_whole_are_taken_together():
    scanner = BodyScanner(None, Limits())
    buffer = bytearray(CHUNKED + b"GET ")

    assert scanner.take_chunks(buffer) == b"hello, world"
    assert buffer == b"0\r\nX: 1\r\n\r\nGET "
    assert scanner.take_chunks(buffer) == b""


@pytest.mark.parametrize(
    "rest", [b"", b"5", b"5;a", b"5\r\nhel", b"5\r\nhello\r", b"0\r\n", b"2\r\nhello", b"x\r\n"]
)
def test_what_has_not_come_whole_is_left(rest):
    scanner = BodyScanner(None, Limits())
    buffer = bytearray(b"2\r\nhi\r\n" + rest)

    assert scanner.take_chunks(buffer) == b"hi"
    assert scanner.take_chunks(buffer) == b""
    assert buffer == rest


def calls_for(data):
    """How many calls of Python functions the reading of a body takes, and its longest call."""
    http = HTTPConnection(Limits())
    http.receive_data(HEAD + data)
    http.read_head()
    counted = [0]

    def count(frame, event, argument):
        if event == "call":
            counted[-1] += 1

    sys.setprofile(count)
    try:
        while http.read_body():
            counted.append(0)
    finally:
        sys.setprofile(None)
    return sum(counted), max(counted), len(counted)


def test_a_byte_in_a_chunk_of_its_own_costs_no_call_of_its_own():
    few, *_ = calls_for(b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    many, most, reads = calls_for(b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")

    assert few < 20_000 / 4
    assert many <= 5 * few
    assert reads >= 100_000 / BODY_STEPS  # each read is bounded
    assert most < 100


def test_an_extension_now_and_then_does_not_lead_around_the_short_way():
    tiny = (b"1;a\r\nx\r\n" + b"1\r\nx\r\n" * 99) * 200
    calls, *_ = calls_for(tiny + b"0\r\n\r\n")
    assert calls < 20_000 / 4


def test_chunk_extensions_are_counted_on_the_short_way_too():
    limits = Limits(max_head=100)
    http = HTTPConnection(limits)
    http.receive_data(HEAD + b"1;abc\r\nx\r\n" * 26)
    http.read_head()
    assert http.read_body() == b"x" * 25
    with pytest.raises(ProtocolError) as caught:
        http.read_body()
    assert caught.value.status == 413


def test_who_has_begun_to_send_chunks_waits_for_no_100_continue():
    http = HTTPConnection(Limits())
    http.receive_data(HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    http.read_head()
    assert http.expects_continue
    http.receive_data(b"2\r\nhi\r\n")
    assert http.read_body() == b"hi"
    assert not http.expects_continue


def test_half_a_line_waits_for_its_other_half():
    scanner = BodyScanner(None, Limits())

    assert scanner.advance(bytearray(b"5;a")) == 0
    assert scanner.advance(bytearray(b"5;a\r\nhel")) == 8
    assert scanner.advance(bytearray(b"lo\r")) == 2
    assert scanner.advance(bytearray(b"\r")) == 0
    assert scanner.advance(bytearray(b"\r\n0\r\n\r\n")) == 2
    assert scanner.advance(bytearray(b"0\r\n\r\n")) == 5


def test_what_is_right_is_read_before_what_is_wrong_is_refused():
    scanner = BodyScanner(None, Limits())
    buffer = bytearray(b"2\r\nhi\r\nx\r\n")

    assert scanner.advance(buffer) == 7
    with pytest.raises(ProtocolError):
        scanner.advance(buffer[7:])


def test_a_broken_body_stays_broken():
    http = HTTPConnection(Limits())
    http.receive_data(HEAD + b"x\r\n")
    http.read_head()
    for _ in range(2):
        with pytest.raises(ProtocolError):
            http.read_body()
    assert b"connection: close" in http.send_head(400, [(b"content-length", b"0")])
    http.send_end()
    assert not http.next_cycle()


def test_a_peer_that_has_left_its_body_has_left_it():
    http = HTTPConnection(Limits())
    http.receive_data(HEAD + b"5\r\nhe")
    http.receive_data(b"")
    http.read_head()
    assert http.read_body() == b"he"
    for _ in range(2):
        with pytest.raises(ProtocolError):
            http.read_body()


def test_trailers_may_be_as_long_as_the_longest_head():
    limits = Limits(max_head=40_000)
    http = HTTPConnection(limits)
    http.receive_data(HEAD + b"0\r\nX: " + b"x" * 30_000)
    http.read_head()
    assert http.read_body() is None
    http.receive_data(b"\r\n\r\n")
    assert http.read_body() == b""
