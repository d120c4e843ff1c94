"""Of one response, nothing is left for the next one of its connection."""

from finch.config import Limits
from finch.wire.http import HTTPConnection


def asked(http, method):
    http.receive_data(b"%b / HTTP/1.1\r\nHost: a\r\n\r\n" % method)
    assert http.read_head() is not None
    assert http.read_body() == b""


def test_the_length_that_a_head_request_was_told_does_not_count_for_the_next():
    http = HTTPConnection(Limits())
    asked(http, b"HEAD")
    assert b"content-length: 5" in http.send_head(200, [], length=5)
    assert http.send_end() == b""
    assert http.next_cycle()
    asked(http, b"GET")
    assert b"transfer-encoding: chunked" in http.send_head(200, [])
    assert http.send_body(b"birds") == b"5\r\nbirds\r\n"
    assert http.send_end() == b"0\r\n\r\n"
    assert http.next_cycle()


def test_a_204_leaves_no_trace_on_the_next():
    http = HTTPConnection(Limits())
    asked(http, b"GET")
    http.send_head(204, [])
    assert http.send_end() == b""
    assert http.next_cycle()
    asked(http, b"GET")
    http.send_head(200, [], length=2)
    assert http.has_content
    assert http.send_body(b"ok") == b"ok"
    assert http.send_end() == b""


def test_a_chunked_response_leaves_no_trace_on_the_next():
    http = HTTPConnection(Limits())
    asked(http, b"GET")
    http.send_head(200, [])
    http.send_end()
    assert http.next_cycle()
    asked(http, b"GET")
    http.send_head(200, [], length=2)
    assert http.send_body(b"ok") == b"ok"
    assert http.send_end() == b""


def test_a_length_of_as_many_digits_as_we_read_ourselves_is_sent():
    http = HTTPConnection(Limits())
    asked(http, b"HEAD")
    said = b"9" * 18
    assert b"content-length: %b\r\n" % said in http.send_head(200, [(b"content-length", said)])
