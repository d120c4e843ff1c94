"""Bodies whose bytes look like framing, and bytes behind a body that look like a part of it."""

import pytest

from finch.config import Limits
from finch.wire.http import HTTPConnection

LIKE_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def connection(head, *pieces):
    http = HTTPConnection(Limits())
    http.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % head)
    assert http.read_head() is not None
    read = b""
    for piece in pieces:
        http.receive_data(piece)
        while data := http.read_body():
            read += data
    return http, read


@pytest.mark.parametrize("cut", range(1, len(LIKE_CHUNKS)))
def test_a_body_of_known_length_is_read_as_it_is(cut):
    head = b"Content-Length: %d" % len(LIKE_CHUNKS)
    http, read = connection(head, LIKE_CHUNKS[:cut], LIKE_CHUNKS[cut:])
    assert read == LIKE_CHUNKS
    assert http.read_body() == b""


@pytest.mark.parametrize("cut", range(1, len(LIKE_CHUNKS)))
def test_a_chunk_is_read_as_it_is(cut):
    size = b"%x\r\n" % len(LIKE_CHUNKS)
    pieces = size + LIKE_CHUNKS[:cut], LIKE_CHUNKS[cut:] + b"\r\n0\r\n\r\n"
    http, read = connection(b"Transfer-Encoding: chunked", *pieces)
    assert read == LIKE_CHUNKS
    assert http.read_body() == b""


@pytest.mark.parametrize("trailer", [b"", b"x: y\r\n"])
def test_what_follows_a_body_is_no_trailer_of_it(trailer):
    rest = b"a: b\r\n\r\n"
    http, read = connection(
        b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n" + rest
    )
    assert read == b"hello"
    assert http.read_body() == b""
    assert http.trailing_data == rest


def test_whether_a_request_has_a_body_is_said_before_and_after_it_is_read():
    http, read = connection(b"Content-Length: 2", b"ok")
    assert read == b"ok"
    assert http.has_body is True
    http, read = connection(b"Content-Length: 0")
    assert read == b""
    assert http.has_body is False


def test_a_whole_response_in_one_call():
    http, _ = connection(b"Content-Length: 0")
    assert http.respond(200, [(b"x", b"y")], b"birds", date=b"now") == (
        b"HTTP/1.1 200 OK\r\nx: y\r\ndate: now\r\ncontent-length: 5\r\n\r\nbirds"
    )
    assert not http.can_respond
    assert http.next_cycle()


def test_a_whole_response_in_one_call_may_be_the_last():
    http, _ = connection(b"Content-Length: 0")
    said = http.respond(404, [], b"", close=True)
    assert said == b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert not http.next_cycle()
