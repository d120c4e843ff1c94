"""What can go wrong, as types."""

from __future__ import annotations

import pickle
from http import HTTPStatus

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
from finch.headers import Headers
from finch.http.response import TextResponse


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


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (True, "not True"),
        (404.0, "not 404.0"),
        ("404", "not '404'"),
        (None, "not None"),
        ("no such room", r"HTTPError\(404, 'no such room'\)"),
        ({"why": 1}, "not a dict; write the status first"),
        (TextResponse("x", 404), "return the response instead"),
    ],
)
def test_a_status_that_is_not_a_number_is_refused(status, says):
    with pytest.raises(TypeError, match=f"HTTPError takes a status from 400 to 599, .*{says}"):
        HTTPError(status)
    error = HTTPError(404)
    with pytest.raises(TypeError, match=says):
        error.status = status


def test_a_status_may_be_one_of_pythons_own():
    error = HTTPError(HTTPStatus.NOT_FOUND)
    assert (error.status, error.message) == (404, "Not Found")
    assert type(error.status) is int


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"why": "x"}, r"not a dict; to answer with JSON, return \(value, status\)"),
        (["x"], "not a list; to answer with JSON"),
        (b"no", r"not a bytes; write message.decode\(\)"),
        (5, r"not an int; write str\(...\)"),
        (ValueError("x"), r"not a ValueError; write str\(...\)"),
    ],
)
def test_a_message_that_is_not_text_is_refused(message, says):
    with pytest.raises(TypeError, match=f"HTTPError's message is text for the client, {says}"):
        HTTPError(401, message)
    error = HTTPError(401)
    with pytest.raises(TypeError, match=says):
        error.message = message
    assert error.message == "Unauthorized"


def test_a_message_that_utf_8_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="message has a lone surrogate"):
        HTTPError(401, "\ud800")


def test_a_message_of_a_kind_of_text_becomes_text():
    class Markup(str):
        def __str__(self):
            return "other"

    message = HTTPError(401, Markup("why")).message
    assert (type(message), message) == (str, "why")


@pytest.mark.parametrize(
    ("headers", "kind", "says"),
    [
        ("x: y", TypeError, r"HTTPError takes headers as a dict .*not a str"),
        (5, TypeError, "takes headers as a dict .*not an int"),
        (["x: y"], TypeError, "'x: y' is not such a pair"),
        ({"retry-after": 5}, ValueError, r"'retry-after': 5 is not a header value: .*str\(...\)"),
        ({"x": None}, ValueError, "leave the header out"),
        ({"x": b"y"}, ValueError, "decode"),
        ({"x": "a\r\nb"}, ValueError, "line break"),
        ({"x": "鳥"}, ValueError, "percent-encode"),
        ({"x y": "a"}, ValueError, "'x y' is not a header name"),
        ({5: "a"}, ValueError, "5 is not a header name"),
        ({b"x": "a"}, ValueError, "without the b"),
        (
            {"x": ["a", "b"]},
            ValueError,
            r"one pair for each value of a header: \[\('x', 'a'\), \('x', 'b'\)\]",
        ),
        ([("x", "a"), ("X", "b")], ValueError, "one value for each header name"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers, kind, says):
    with pytest.raises(kind, match=says):
        HTTPError(401, "no", headers)
    error = HTTPError(401)
    with pytest.raises(kind, match=says):
        error.headers = headers
    assert error.headers == {}


def test_headers_may_be_pairs_or_those_of_a_message():
    assert HTTPError(401, headers=[("x", "y")]).headers == {"x": "y"}  # type: ignore[arg-type]
    assert HTTPError(401, headers=Headers([("X", "y")])).headers == {"x": "y"}


class Forgetful(HTTPError):
    def __init__(self):
        pass


class Gone(HTTPError):
    status = 410
    message = "gone for good"

    def __init__(self):
        pass


class Lazy(HTTPError):
    @property
    def message(self):  # type: ignore[override]
        return Text()


class Text:
    def __str__(self):
        return "told late"


class Broken(HTTPError):
    status = "404"  # type: ignore[assignment]
    message = property(lambda self: 1 / 0)  # type: ignore[assignment]
    headers = {"x": 5}  # type: ignore[assignment, dict-item] # noqa: RUF012

    def __init__(self):
        pass


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (HTTPError(404, "no", {"x": "y"}), (404, "no", {"x": "y"})),
        (HTTPError(404, ""), (404, "", {})),
        (Forgetful(), (500, "Internal Server Error", {})),
        (Gone(), (410, "gone for good", {})),
    ],
)
def test_what_is_answered_is_what_the_error_says(error, answer):
    assert error.answer() == answer
    assert str(error) == f"{answer[0]} {answer[1]}"


def test_what_is_answered_can_be_sent_whatever_a_subclass_does():
    lazy = Lazy.__new__(Lazy)
    lazy.status = 404
    assert lazy.answer() == (404, "told late", {})
    assert Broken().answer() == (500, "Internal Server Error", {})


def test_headers_that_were_put_in_later_do_not_break_the_answer():
    error = HTTPError(503)
    error.headers["retry-after"] = 5  # type: ignore[assignment]
    assert error.answer() == (503, "Service Unavailable", {})


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
