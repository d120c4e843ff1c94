"""The options of connect: a mistake raises where it is written."""

import pytest

from finch.client import connect

URL = "ws://127.0.0.1:9/ws"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"queue": 5}, "no option 'queue'"),
        ({"queue_siz": 5}, "did you mean queue_size"),
        ({"queue_size": 1.5}, "queue_size is a whole number, not 1.5"),
        ({"queue_size": True}, "queue_size is a whole number, not True"),
        ({"queue_age": "30"}, "queue_age is a number of seconds, not '30'"),
        ({"token": "secret"}, "token is a function, not a str"),
        ({"open_stream": 5}, "open_stream is a function"),
        ({"ssl_context": True}, "ssl_context is an ssl.SSLContext, not a bool"),
        ({"headers": "a: b"}, "connect takes headers as"),
    ],
)
def test_an_option_of_the_wrong_kind_is_a_type_error(options, why):
    with pytest.raises(TypeError, match=why):
        connect(URL, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"queue_size": -1},
        {"buffer": 0},
        {"max_message_size": 0},
        {"queue_age": 0},
        {"ping_interval": -1.0},
        {"connect_timeout": float("nan")},
        {"headers": {"a": "b\r\nc: d"}},
    ],
)
def test_an_option_out_of_range_is_a_value_error(options):
    with pytest.raises(ValueError):
        connect(URL, **options)


def test_connect_is_for_async_with():
    with pytest.raises(TypeError, match="async with connect"), connect(URL):
        pass
    with pytest.raises(TypeError, match="not with await"):
        connect(URL).__await__()
