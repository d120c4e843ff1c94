"""The server's half of a conversation over events and lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch.wire.posted import Belongs, EventProtocol, read_belongs

ID, SECRET = "i" * 22, "s" * 22


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (f"{ID}.{SECRET} 1", Belongs(ID, SECRET, 1)),
        (f"{ID}.{SECRET} 999999999999999", Belongs(ID, SECRET, 999_999_999_999_999)),
        (f"{ID}.{SECRET} 0", None),
        (f"{ID}.{SECRET} 01", None),
        (f"{ID}.{SECRET} 1000000000000000", None),
        (f"{ID}.{SECRET} \N{ARABIC-INDIC DIGIT ONE}", None),
        (f"{ID}.{SECRET}", None),
        (f"{ID}.{SECRET}  1", None),
        (f"{ID}.{SECRET} 1\n", None),
        (f"{ID}.{SECRET}x 1", None),
        (f"{ID}{SECRET} 1", None),
        (f"{ID}.{'é' * 22} 1", None),
        ("", None),
    ],
)
def test_a_post_says_where_it_belongs(header, read):
    assert read_belongs(header) == read


def events(protocol):
    """All messages, and how often it stopped in between."""
    messages, stops = [], 0
    while True:
        event = protocol.next_event()
        if event is not None:
            messages.append(event)
        elif protocol.unread:
            stops += 1
        else:
            return messages, stops


def test_each_line_is_a_message():
    protocol = EventProtocol()
    assert protocol.next_event() is None
    for text, messages in (("a\nb\n", ["a", "b"]), ("a", ["a"]), ("\n \na\n\r\n", ["a"]), ("", [])):
        protocol.take(text)
        assert events(protocol)[0] == messages
        assert not protocol.unread


def test_many_empty_lines_do_not_hold_up_others():
    protocol = EventProtocol()
    protocol.take("\n" * 1000 + "a")
    messages, stops = events(protocol)
    assert messages == ["a"]
    assert stops > 10


@given(st.lists(st.text("a \r\t", max_size=3)))
def test_no_line_is_lost_or_doubled(lines):
    protocol = EventProtocol()
    protocol.take("\n".join(lines))
    assert events(protocol)[0] == [line for line in lines if line.strip()]


def test_what_it_sends():
    protocol = EventProtocol()
    opened = protocol.send_open(ID, SECRET, 1000)
    assert opened == f'event: open\ndata: {{"stream":"{ID}.{SECRET}","most":1000}}\n\n'.encode()
    assert protocol.send_message('{"a":"é"}') == 'data: {"a":"é"}\n\n'.encode()
    assert protocol.send_message(b'{"a":\r\n[1,\n2]}\r') == b'data: {"a":[1,2]}\n\n'
    assert protocol.send_close(1001, 'a "b"\n') == (
        b'event: close\ndata: {"code":1001,"reason":"a \\"b\\"\\n"}\n\n'
    )
    assert protocol.send_ping() == b":\n\n"


def test_bytes_on_the_connection_of_the_stream_say_nothing():
    protocol = EventProtocol()
    protocol.receive_data(b"GET / HTTP/1.1\r\n\r\n")
    assert protocol.next_event() is None
    assert not protocol.unread
