"""What can go wrong, as types."""

from __future__ import annotations

import pickle

import pytest

from finch import errors
from finch.errors import (
    ConfigurationError,
    ConnectionClosed,
    Disconnected,
    FinchError,
    HTTPError,
    ProtocolError,
    status_phrase,
)


@pytest.mark.parametrize(
    "kind", [ConfigurationError, ConnectionClosed, Disconnected, HTTPError, ProtocolError]
)
def test_every_error_is_a_finch_error_and_no_other(kind):
    assert kind.__bases__ == ((HTTPError,) if kind is ProtocolError else (FinchError,))
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


def test_an_http_error_has_status_message_and_headers():
    error = HTTPError(404, "no such room", {"x-a": "b"})

    assert (error.status, error.message, error.headers) == (404, "no such room", {"x-a": "b"})
    assert str(error) == "404 no such room"


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "Not Found"), (422, status_phrase(422)), (500, "Internal Server Error"), (499, "")],
)
def test_an_http_error_without_a_message_has_the_phrase_of_its_status(status, message):
    assert HTTPError(status).message == message
    assert HTTPError(status).headers == {}


def test_an_empty_message_stays_empty():
    assert HTTPError(404, "").message == ""


@pytest.mark.parametrize("status", [200, 302, 399, 600, 0, -404])
def test_an_http_error_with_no_error_status_says_what_to_return_instead(status):
    with pytest.raises(ValueError, match=r"400 to 599.*return \(value, status\)"):
        HTTPError(status)


@pytest.mark.parametrize("status", [400, 599])
def test_the_first_and_the_last_error_status_are_taken(status):
    assert HTTPError(status).status == status


def test_the_headers_of_an_error_are_its_own():
    headers = {"x-a": "b"}
    one, two = HTTPError(400, headers=headers), ProtocolError(400, "", headers)
    headers["x-a"] = "changed"

    assert one.headers == two.headers == {"x-a": "b"}
    assert HTTPError(400).headers is not HTTPError(400).headers


def test_a_protocol_error_has_status_message_and_headers():
    error = ProtocolError(426, "Socket is requested!", {"upgrade": "websocket"})

    assert (error.status, error.message) == (426, "Socket is requested!")
    assert error.headers == {"upgrade": "websocket"}
    assert str(error) == "426 Socket is requested!"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionClosed(1001, "going"), "the WebSocket is closed with code 1001: going"),
        (ConnectionClosed(1006), "the WebSocket is closed with code 1006"),
    ],
)
def test_a_closed_connection_says_code_and_reason(error, said):
    assert str(error) == said
    assert (error.code, error.reason) == error.args


@pytest.mark.parametrize(
    "error",
    [HTTPError(404, "no"), ProtocolError(400, "no"), ConnectionClosed(1000, "bye")],
)
def test_an_error_survives_being_copied(error):
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("status", "phrase"), [(200, "OK"), (404, "Not Found"), (299, ""), (0, ""), (1000, "")]
)
def test_a_phrase_is_the_standard_one_or_empty(status, phrase):
    assert status_phrase(status) == phrase
