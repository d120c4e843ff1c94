"""How a response is framed, and whether its connection goes on, is decided in one place."""

from __future__ import annotations

import h11
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from finch.config import Limits
from finch.wire.handshake import Handshake, accept_headers
from finch.wire.http import HTTPConnection

DATE = b"Mon, 01 Jan 2024 00:00:00 GMT"
NOW = b"Tue, 02 Jan 2024 00:00:00 GMT"


def asked(method=b"GET", version=b"1.1", more=b""):
    http = HTTPConnection(Limits())
    http.receive_data(b"%b / HTTP/%b\r\nHost: a\r\n%b\r\n" % (method, version, more))
    http.read_head()
    http.read_body()
    return http


def fields(head):
    """The header lines of a head, without its status line."""
    return head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]


def sent(status, headers, http=None, **options):
    return fields((http or asked()).send_head(status, headers, **options))


# Date


def test_there_is_one_date_and_the_application_s_goes_first():
    assert sent(200, [], date=NOW, length=0) == [b"date: " + NOW, b"content-length: 0"]
    assert sent(200, [(b"date", DATE)], date=NOW, length=0)[0] == b"date: " + DATE
    for headers in ([(b"date", DATE), (b"date", NOW)], [(b"date", DATE)]):
        assert sent(200, headers, length=0).count(b"date: " + DATE) == 1
        assert b"date: " + NOW not in sent(200, headers, date=NOW, length=0)
    assert not [line for line in sent(200, [], length=0) if line.startswith(b"date")]


# Connection


@pytest.mark.parametrize("wish", [b"close", b"Close", b"keep-alive, close", b"close, x-a"])
def test_the_application_may_wish_to_close(wish):
    http = asked()
    assert sent(200, [(b"connection", wish)], http, length=0)[1:] == [b"connection: close"]
    http.send_end()
    assert not http.next_cycle()


@pytest.mark.parametrize("wish", [b"keep-alive", b"upgrade", b"x-a", b"", b"closed", b"te"])
def test_other_words_about_the_connection_are_left_out(wish):
    http = asked()
    assert sent(200, [(b"connection", wish)], http, length=0) == [b"content-length: 0"]
    http.send_end()
    assert http.next_cycle()


def test_the_connection_closes_once():
    closing = [(b"connection", b"close"), (b"connection", b"keep-alive")]
    for http in (asked(), asked(version=b"1.0"), asked(more=b"Connection: close\r\n")):
        assert sent(200, closing, http, close=True, length=0)[1:] == [b"connection: close"]
    assert sent(200, [], asked(version=b"1.0"), length=0)[1:] == [b"connection: close"]


def test_an_old_peer_s_stream_is_not_kept_alive_whatever_is_wished():
    http = asked(version=b"1.0")
    assert sent(200, [(b"connection", b"keep-alive")], http) == [b"connection: close"]
    assert http.ends_by_closing


@pytest.mark.parametrize(
    "name", [b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"]
)
def test_what_is_for_one_hop_alone_is_left_out(name):
    assert sent(200, [(name, b"x"), (b"x-a", b"1")], length=0) == [b"x-a: 1", b"content-length: 0"]


def test_what_is_required_says_to_what_to_upgrade():
    headers = [(b"upgrade", b"websocket"), (b"connection", b"upgrade")]
    assert sent(426, headers, length=0)[1:] == [b"upgrade: websocket", b"connection: upgrade"]
    assert sent(426, headers, length=0, close=True)[2:] == [b"connection: close, upgrade"]
    assert sent(426, headers[:1], length=0)[2:] == [b"connection: upgrade"]
    assert sent(426, headers[1:], length=0) == [b"content-length: 0"]


# Length


def test_there_is_one_length_and_what_is_known_goes_before_what_is_said():
    said = [(b"content-length", b"5")]
    assert sent(200, said) == [b"content-length: 5"]
    assert sent(200, said, length=7) == [b"content-length: 7"]
    assert sent(200, [(b"content-length", b"5"), (b"content-length", b"6")]) == [
        b"content-length: 6"
    ]
    assert sent(200, [*said, (b"transfer-encoding", b"chunked")]) == [b"content-length: 5"]


@pytest.mark.parametrize("length", [b"+5", b"5_0", b"-1", b"0x5", b"", b"5, 5", b"9" * 19])
def test_a_length_that_is_none_is_not_sent(length):
    assert sent(200, [(b"content-length", length)]) == [b"transfer-encoding: chunked"]


def test_what_is_known_is_held_to():
    http = asked()
    http.send_head(200, [], length=2)
    with pytest.raises(ValueError, match="longer"):
        http.send_body(b"abc")


FRAMED = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("length", [None, 0, 5])
def test_a_status_without_content_has_neither_framing_nor_content(status, version, length):
    http = asked(version=version)
    lines = sent(status, FRAMED, http, length=length)
    assert lines == ([] if version == b"1.1" else [b"connection: close"])
    assert http.send_body(b"hello") == b""
    assert http.send_end() == b""
    assert not http.ends_by_closing
    assert http.next_cycle() is (version == b"1.1")


@pytest.mark.parametrize("headers", [[], FRAMED])
@pytest.mark.parametrize("length", [None, 5])
def test_reset_content_is_framed_and_empty(headers, length):
    http = asked()
    assert sent(205, headers, http, length=length) == [b"content-length: 0"]
    assert http.send_body(b"hello") + http.send_end() == b""
    assert http.next_cycle()


# 101

ACCEPTED = accept_headers(Handshake(b"dGhlIHNhbXBsZSBub25jZQ==", None, ("chat",), ()), "chat")


def test_an_upgrade_is_never_framed_and_says_everything_once():
    more = [
        (b"content-length", b"0"),
        (b"transfer-encoding", b"chunked"),
        (b"keep-alive", b"timeout=5"),
        (b"connection", b"close"),
        (b"upgrade", b"h2c"),
        (b"sec-websocket-accept", b"x"),
        (b"sec-websocket-protocol", b"other"),
        (b"x-a", b"1"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=1"),
    ]
    expected = [b"%b: %b" % item for item in (*ACCEPTED, *more[-3:])]
    assert fields(asked().send_upgrade(ACCEPTED + more)) == expected
    assert fields(asked().send_upgrade(ACCEPTED + more, NOW)) == [*expected, b"date: " + NOW]
    assert fields(asked().send_upgrade([*ACCEPTED, (b"date", DATE)], NOW))[-1] == b"date: " + DATE


# Whatever the application says

names = st.sampled_from(
    [
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
        b"x-a",
    ]
)
values = st.sampled_from(
    [b"close", b"keep-alive", b"chunked", b"gzip, chunked", b"websocket", b"", b"0", b"5", b"+5"]
) | st.binary(max_size=5).map(lambda value: value.translate(None, bytes((*range(32), 127))).strip())


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.tuples(names, values), max_size=6),
    st.sampled_from([200, 204, 205, 304, 404, 426, 500]),
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.sampled_from([b"1.1", b"1.0"]),
    st.sampled_from([None, 0, 5]),
    st.booleans(),
)
def test_whatever_the_application_says_a_client_finds_the_end(
    headers, status, method, version, length, close
):
    http = asked(method, version)
    head = http.send_head(status, headers, date=NOW, close=close, length=length)
    said = [line.partition(b": ")[0] for line in fields(head)]
    for name in (b"date", b"connection", b"content-length", b"transfer-encoding", b"upgrade"):
        assert said.count(name) <= 1
    assert b"date" in said
    assert not {b"content-length", b"transfer-encoding"}.issubset(said)

    size = 5 if length is None else length
    left = http._left
    body = b"x" * (size if left is None else left)
    message = head + http.send_body(body) + http.send_end()
    more = http.next_cycle()

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(message)
    if not more:
        client.receive_data(b"")
    client.next_event()
    received = b""
    while isinstance(event := client.next_event(), h11.Data):
        received += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert received == (b"" if method == b"HEAD" or status in (204, 205, 304) else body)
    assert (client.their_state is h11.DONE) is more
