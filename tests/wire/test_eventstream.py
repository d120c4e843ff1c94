"""Server-sent events as bytes, and what a parser of the standard makes of them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from finch.wire.eventstream import BEAT, encode_event


def parsed(stream):
    """The events that a browser dispatches, by the rules of the standard: (type, data, last id)."""
    events, kind, data, last = [], "", [], ""
    for line in re.split("\r\n|\r|\n", stream.decode())[:-1]:
        if not line:
            if data:
                events.append((kind or "message", "\n".join(data), last))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last = value
    return events


def test_an_event_has_its_fields_and_an_empty_line():
    event = encode_event(b"hello", event="said", id="7", retry=50, comment="for people")
    assert event == b": for people\nevent: said\nid: 7\nretry: 50\ndata: hello\n\n"


def test_data_is_split_at_every_end_of_line():
    assert encode_event(b"a\nb\rc\r\nd\n") == b"data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"


def test_a_comment_of_several_lines_stays_a_comment():
    assert encode_event(comment="a\rdata: b\n") == b": a\n: data: b\n: \n\n"
    assert parsed(encode_event(comment="a\rdata: b\n") + BEAT) == []


def test_without_data_there_is_no_data():
    assert encode_event(id="7") == b"id: 7\n\n"
    assert parsed(encode_event(b"")) == [("message", "", "")]


TEXT = st.text(st.characters(exclude_categories=("Cs",)))
FIELD = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\n\0"), min_size=1)


@given(st.lists(st.tuples(TEXT, FIELD, FIELD, TEXT)))
def test_what_is_sent_is_what_arrives(events):
    stream = b"".join(
        encode_event(data.encode(), event=kind, id=id, comment=comment) + BEAT
        for data, kind, id, comment in events
    )
    assert parsed(stream) == [
        (kind, re.sub("\r\n|\r", "\n", data), id) for data, kind, id, _ in events
    ]
