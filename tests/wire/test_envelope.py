"""Envelopes, to the byte."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec
import pytest

from finch.wire.envelope import Envelope, EnvelopeError, Message, read_message, unreadable
from finch.wire.frames import TEXT, frame

NOW = 1_700_000_000_000


class Bird(msgspec.Struct):
    name: str
    age: int = 1


@dataclass
class Nest:
    eggs: int


# From the server


def test_an_envelope_is_these_bytes_in_this_order():
    envelope = Envelope({"say": "hi"}, "output", 200, NOW)

    assert envelope.text("en", b"abc") == (
        '{"path":"output","status":200,"timestamp":1700000000000,'
        '"language":"en","client":"abc","data":{"say":"hi"}}'
    )


def test_an_answer_has_its_reply_at_the_end():
    envelope = Envelope(None, "output", 200, NOW, reply=7)

    assert envelope.text("en", b"abc") == (
        '{"path":"output","status":200,"timestamp":1700000000000,'
        '"language":"en","client":"abc","data":null,"reply":7}'
    )


@pytest.mark.parametrize("reply", [0, "", False, "a-1", [1, {"a": 2}], 1.5])
def test_a_reply_is_whatever_the_id_was(reply):
    text = Envelope(None, "", 200, NOW, reply=reply).text("en", b"abc")

    assert json.loads(text)["reply"] == reply


def test_there_is_no_reply_where_none_was_asked_for():
    assert "reply" not in json.loads(Envelope(1, "", 200, NOW).text("en", b"abc"))


@pytest.mark.parametrize(
    ("data", "as_json"),
    [
        (None, "null"),
        ("grüße", '"grüße"'),
        ('"\\\n', r'"\"\\\n"'),
        (1.5, "1.5"),
        ([1, True], "[1,true]"),
        (Bird("finch"), '{"name":"finch","age":1}'),
        (Nest(3), '{"eggs":3}'),
        (msgspec.Raw(b'{"as":"it is"}'), '{"as":"it is"}'),
    ],
)
def test_data_is_anything_that_has_a_json_form(data, as_json):
    text = Envelope(data, "p", 200, NOW).text("en", b"abc")

    assert text.endswith(f'"client":"abc","data":{as_json}}}')


@pytest.mark.parametrize("data", [object(), {1, object()}, [object()], lambda: None])
def test_data_without_a_json_form_is_a_type_error(data):
    with pytest.raises(TypeError):
        Envelope(data, "p", 200, NOW)


def test_path_and_language_are_quoted_as_json():
    sent = json.loads(Envelope(1, 'a"b\\\n鳥', 404, 5).text('e"n', b"abc"))

    assert sent == {
        "path": 'a"b\\\n鳥',
        "status": 404,
        "timestamp": 5,
        "language": 'e"n',
        "client": "abc",
        "data": 1,
    }
    assert list(sent) == ["path", "status", "timestamp", "language", "client", "data"]


@pytest.mark.parametrize("size", [0, 20, 40, 65_400, 65_450, 65_536])
@pytest.mark.parametrize("reply", [None, 1])
def test_every_recipients_frame_is_the_frame_of_its_text(size, reply):
    envelope = Envelope("é" * (size // 2), "output", 200, NOW, reply)
    for language in ("en", "de-CH", "zh-Hant", "en"):
        for client in (b"a" * 16, b"b" * 16, b"c" * 40, b"a" * 16):
            text = envelope.text(language, client)
            assert envelope.frame(language, client) == frame(TEXT, text.encode())
            assert json.loads(text)["client"] == client.decode()
            assert json.loads(text)["language"] == language


def test_frames_are_right_on_both_sides_of_every_length_of_header():
    for size in [*range(60), *range(65_400, 65_470)]:
        envelope = Envelope("x" * size, "p", 200, NOW)
        text = envelope.text("en", b"id")
        assert envelope.frame("en", b"id") == frame(TEXT, text.encode())


# From a client


def test_a_message_has_a_path_and_data():
    message = read_message('{"path": "say", "data": {"a": [1, null, "é"]}}')

    assert message.path == "say"
    assert message.data == {"a": [1, None, "é"]}
    assert message.id is None
    assert message.raw == msgspec.Raw(b'{"a": [1, null, "\xc3\xa9"]}')


@pytest.mark.parametrize(
    ("text", "path", "data", "id"),
    [
        ('{"path":"a"}', "a", None, None),
        ('{"path":"a","data":null}', "a", None, None),
        ('{"data":1}', "", 1, None),
        ("{}", "", None, None),
        ('{"path":"","data":""}', "", "", None),
        ('{"data":[],"id":7,"path":"a"}', "a", [], 7),
        ('{"path":"a","id":"x"}', "a", None, "x"),
        ('{"path":"a","id":0}', "a", None, 0),
        ('{"path":"a","id":null}', "a", None, None),
        ('{"path":"a","id":{"b":[1]}}', "a", None, {"b": [1]}),
        (' \n{"path" : "a" , "data" : 1 }\t', "a", 1, None),
        ('{"path":"\\u00e9\\ud83d\\udc26","data":"\\n"}', "é🐦", "\n", None),
        ('{"path":"a","data":-0.5e-3}', "a", -0.0005, None),
        ('{"path":"a","data":18446744073709551615}', "a", 2**64 - 1, None),
        (
            '{"path":"a","data":123456789012345678901234567890}',
            "a",
            123456789012345678901234567890,
            None,
        ),
    ],
)
def test_every_readable_message_is_read(text, path, data, id):
    message = read_message(text)

    assert (message.path, message.data, message.id) == (path, data, id)


def test_of_duplicate_keys_the_last_one_counts_however_one_asks():
    message = read_message('{"path":"a","data":1,"path":"b","data":2,"x":1,"x":2}')

    assert (message.path, message.data, message["x"]) == ("b", 2, 2)
    assert (message["path"], message["data"]) == ("b", 2)


def test_other_keys_of_a_message_are_its_items():
    message = read_message('{"path": "stream", "blob": [1, 2, 3], "data": 5}')

    assert message["blob"] == [1, 2, 3]
    assert message["data"] == 5
    assert message["path"] == "stream"
    assert "blob" in message
    assert message.get("blob") == [1, 2, 3]
    assert message.fields == {"path": "stream", "blob": [1, 2, 3], "data": 5}


def test_a_key_that_a_message_has_not_is_a_key_error():
    message = read_message('{"path": "stream"}')

    assert "blob" not in message
    assert message.get("blob") is None
    assert message.get("blob", 7) == 7
    with pytest.raises(KeyError):
        message["blob"]


def test_a_message_shows_itself():
    assert repr(read_message('{"path":"a","data":1,"id":2}')) == ("Message(path='a', data=1, id=2)")


NOT_JSON = "the message is not JSON"
NO_OBJECT = "the message is not a JSON object"
NO_TEXT = "the message's path is not text"
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", NOT_JSON),
        (" ", NOT_JSON),
        ("hello", NOT_JSON),
        ("{", NOT_JSON),
        ('{"path":"a"', NOT_JSON),
        ('{"path":"a"} {}', NOT_JSON),
        ("{'path':'a'}", NOT_JSON),
        ('{"path":"a",}', NOT_JSON),
        ('{"path":"a","data":NaN}', NOT_JSON),
        ('{"path":"a","data":01}', NOT_JSON),
        ('{"path":"a","data":tru}', NOT_JSON),
        ('{"path":"a","data":"\n"}', NOT_JSON),
        ('{"path":"a","x":}', NOT_JSON),
        ('\ufeff{"path":"a"}', NOT_JSON),
        ('{"path":"\\ud800"}', NOT_JSON),
        ('{"path":"a","data":"\\ud800"}', NOT_JSON),
        ('{"path":"a","data":"\\ud800 tail"}', NOT_JSON),
        ('{"path":"a","data":{"\\udc00":1}}', NOT_JSON),
        ('{"path":"a","x":"\\udc00"}', NOT_JSON),
        pytest.param(DEEP, NOT_JSON, id="deep and never closed"),
        pytest.param(DEEP + "]" * 100_000, NOT_JSON, id="deep"),
        pytest.param(f'{{"data":{DEEP}{"]" * 100_000}}}', NOT_JSON, id="deep data"),
        pytest.param(f'{{"x":{DEEP}{"]" * 100_000}}}', NOT_JSON, id="deep other"),
        pytest.param(f'{{"id":{DEEP}{"]" * 100_000}}}', NOT_JSON, id="deep id"),
        pytest.param('{"a":' * 100_000, NOT_JSON, id="deep objects"),
        ("[]", NO_OBJECT),
        ('["path"]', NO_OBJECT),
        ("null", NO_OBJECT),
        ("1", NO_OBJECT),
        ('"text"', NO_OBJECT),
        ('{"path":1}', NO_TEXT),
        ('{"path":null}', NO_TEXT),
        ('{"path":["a"],"data":1}', NO_TEXT),
        ('{"path":{"a":1}}', NO_TEXT),
        ('{"path":true}', NO_TEXT),
    ],
)
def test_what_is_no_envelope_says_why(text, why):
    with pytest.raises(EnvelopeError) as caught:
        read_message(text)

    assert caught.value.message.startswith(why)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", ["1e999", "-1e999", "9" * 5000, '{"a": [1e999]}', "[9, 1e400]"])
@pytest.mark.parametrize("key", ["data", "id"])
def test_a_number_that_nothing_can_hold_is_no_message(key, data):
    with pytest.raises(EnvelopeError):
        _ = read_message(f'{{"path":"a","{key}":{data}}}').data


def test_a_binary_message_is_no_envelope():
    with pytest.raises(EnvelopeError, match="binary"):
        read_message(b'{"path":"a"}')


# What the error route gets


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("not json", "not json"),
        ('quotes " and \\', 'quotes " and \\'),
        ("", ""),
        ("鳥", "鳥"),
        (b"bytes", "bytes"),
        ("é".encode(), "é"),
        (b"\xff\x00", "\ufffd\x00"),
    ],
)
def test_an_unreadable_message_is_its_text(payload, text):
    message = unreadable(payload)

    assert isinstance(message, Message)
    assert (message.path, message.data, message.id) == ("error", text, None)
    assert message.text == text
    assert msgspec.json.decode(message.raw) == text


def test_an_unreadable_message_has_items_too():
    assert unreadable("not json")["data"] == "not json"
    assert unreadable("[1]").fields == {"path": "error", "data": "[1]"}
    assert "blob" not in unreadable(DEEP)
    assert unreadable('{"path":1,"blob":2}')["blob"] == 2


@pytest.mark.parametrize("reply", [None, 7])
@pytest.mark.parametrize("data", [None, "text", {"a": [1, 2.5, "\u00fc"]}])
def test_an_envelope_of_stored_json_is_the_same(data, reply):
    stored = Envelope.from_json(msgspec.json.encode(data), "said", 200, 17, reply)
    made = Envelope(data, "said", 200, 17, reply)
    assert stored.frame("en", b"x" * 22) == made.frame("en", b"x" * 22)
    assert stored.size == made.size
