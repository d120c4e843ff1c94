"""Responses, and how what a handler returns becomes one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch.request import Request
from finch.response import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    TextResponse,
    to_response,
)
from finch.wire.http import RequestHead

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BYTES = "application/octet-stream"


class Bird(msgspec.Struct):
    name: str


@dataclass
class Nest:
    eggs: int


async def agen():
    yield "a"
    yield b"b"


# What handlers return


@pytest.mark.parametrize(
    ("value", "status", "body", "content_type"),
    [
        ("grüße", 200, "grüße".encode(), TEXT),
        ("", 200, b"", TEXT),
        (b"\x00\xff", 200, b"\x00\xff", BYTES),
        (bytearray(b"ab"), 200, b"ab", BYTES),
        (memoryview(b"ab"), 200, b"ab", BYTES),
        (None, 204, b"", None),
        ({"a": [1, None]}, 200, b'{"a":[1,null]}', JSON),
        ({}, 200, b"{}", JSON),
        ([1, "é"], 200, '[1,"é"]'.encode(), JSON),
        ([], 200, b"[]", JSON),
        (Bird("finch"), 200, b'{"name":"finch"}', JSON),
        (Nest(3), 200, b'{"eggs":3}', JSON),
        ([Bird("a"), Nest(1)], 200, b'[{"name":"a"},{"eggs":1}]', JSON),
        (({"a": 1}, 201), 201, b'{"a":1}', JSON),
        (("gone", 410), 410, b"gone", TEXT),
        ((None, 202), 202, b"", None),
        ((b"x", 200, {}), 200, b"x", BYTES),
        (("<p>", 200, {"Content-Type": "text/html"}), 200, b"<p>", "text/html"),
        ((("nested", 201), 202), 202, b"nested", TEXT),
    ],
)
def test_what_a_handler_returns_becomes_a_response(value, status, body, content_type):
    response = to_response(value)

    assert (response.status, response.body) == (status, body)
    assert response.headers.get("content-type") == content_type


def test_a_response_is_itself():
    response = Response(b"x")

    assert to_response(response) is response
    assert to_response((response, 201)) is response
    assert response.status == 201


async def test_an_async_generator_is_streamed():
    response = to_response((agen(), 201, {"x-a": "b"}))

    assert isinstance(response, StreamingResponse)
    assert (response.status, response.headers["x-a"]) == (201, "b")
    assert response.headers["content-type"] == TEXT
    assert [chunk async for chunk in response.chunks] == ["a", b"b"]


def test_headers_given_replace_the_defaults_of_their_name():
    response = to_response(("x", 200, [("CONTENT-TYPE", "a/b"), ("x-a", "1"), ("X-A", "2")]))

    assert response.headers.multi_items() == [
        ("content-type", "a/b"),
        ("x-a", "1"),
        ("x-a", "2"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        1.5,
        object(),
        {1, 2},
        Bird,
        Nest,
        (),
        ("alone",),
        ("x", "201"),
        ("x", None),
        ("x", 200, {}, 1),
        (1, 200),
        (item for item in "abc"),
        range(3),
        agen,
    ],
)
def test_what_is_no_response_is_a_type_error_that_teaches(value):
    with pytest.raises(TypeError) as caught:
        to_response(value, origin="the handler of /birds")

    said = str(caught.value)
    returned = value[0] if value == (1, 200) else value
    assert f"the handler of /birds returned {type(returned).__name__}" in said
    for word in ("str", "dict", "None", "async generator", "(value, status)"):
        assert word in said


@pytest.mark.parametrize("value", [{"a": object()}, [lambda: None]])
def test_a_value_without_a_json_form_is_a_type_error(value):
    with pytest.raises(TypeError):
        to_response(value)


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -1, True])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="200 to 599"):
        to_response(("x", status))


@pytest.mark.parametrize("status", [199, 600, "200", None])
def test_a_response_has_no_such_status_either(status):
    with pytest.raises(ValueError, match="200 to 599"):
        Response(b"", status)


@pytest.mark.parametrize("status", [200, 299, 418, 599])
def test_any_other_status_is_taken(status):
    assert Response(b"", status).status == status
    assert to_response(("x", status)).status == status


# Kinds


def test_each_kind_has_its_media_type():
    assert Response("x").headers["content-type"] == TEXT
    assert Response(b"x").headers["content-type"] == BYTES
    assert TextResponse("x").headers["content-type"] == TEXT
    assert HTMLResponse("<p>é").headers["content-type"] == "text/html; charset=utf-8"
    assert HTMLResponse("<p>é").body == "<p>é".encode()
    assert JSONResponse(1).headers["content-type"] == JSON


def test_a_media_type_may_be_given_and_a_header_counts_more():
    assert Response(b"", content_type="a/b").headers.getlist("content-type") == ["a/b"]
    response = Response(b"", headers={"Content-Type": "c/d"}, content_type="a/b")
    assert response.headers.getlist("content-type") == ["c/d"]


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ("text", b'"text"'),
        (None, b"null"),
        (date(2024, 2, 29), b'"2024-02-29"'),
        (uuid.UUID(int=0), b'"00000000-0000-0000-0000-000000000000"'),
        ((1, 2), b"[1,2]"),
    ],
)
def test_json_is_whatever_msgspec_encodes(value, body):
    assert JSONResponse(value, 201).body == body
    assert JSONResponse(value, 201).status == 201


def test_a_response_shows_itself():
    assert repr(TextResponse("x", 404)) == "<TextResponse 404>"


# Headers


def test_headers_are_set_added_and_removed_in_any_case():
    response = Response(b"", headers=[("X-A", "1"), ("x-a", "2")])
    assert response.headers.getlist("X-a") == ["1", "2"]

    response.set_header("X-A", "3")
    response.add_header("x-A", "4")
    assert response.headers.getlist("x-a") == ["3", "4"]

    response.remove_header("X-a")
    assert "x-a" not in response.headers


def test_headers_travel_as_latin_1():
    response = Response(b"", headers={"X-Name": "André"}, content_type="a/b")

    assert response.raw_headers() == [(b"x-name", b"Andr\xe9"), (b"content-type", b"a/b")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nSet-Cookie: b=c"),
        ("x", "a\nb"),
        ("x", "a\rb"),
        ("x", "a\n"),
        ("x", "\x00"),
        ("x", "\x7f"),
        ("x", "鳥"),
        ("x", 5),
        ("x", None),
        ("x", b"bytes"),
        ("", "a"),
        ("x y", "a"),
        ("x:", "a"),
        ("x\r\ny", "a"),
        ("x\n", "a"),
        ("é", "a"),
    ],
)
def test_a_header_that_would_break_the_message_is_refused(name, value):
    response = Response(b"")
    for put in (response.add_header, response.set_header):
        with pytest.raises(ValueError, match="is no header"):
            put(name, value)
    with pytest.raises(ValueError, match="is no header"):
        Response(b"", headers={name: value})
    with pytest.raises(ValueError, match="is no header"):
        to_response(("x", 200, [(name, value)]))
    assert response.headers.multi_items() == [("content-type", BYTES)]


@pytest.mark.parametrize("content_type", ["a/b\r\nx: y", "a\n"])
def test_a_media_type_that_would_break_the_message_is_refused(content_type):
    with pytest.raises(ValueError, match="is no header"):
        Response(b"", content_type=content_type)


# Redirects


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/birds", "/birds"),
        ("https://a.example:8000/b?c=d&e=f#g", "https://a.example:8000/b?c=d&e=f#g"),
        ("/a%20b", "/a%20b"),
        ("/a b", "/a%20b"),
        ("/grüße", "/gr%C3%BC%C3%9Fe"),
        ("http://[::1]/", "http://[::1]/"),
        ("/a\r\nSet-Cookie: b=c", "/a%0D%0ASet-Cookie:%20b=c"),
    ],
)
def test_a_redirect_leads_there(location, sent):
    response = RedirectResponse(location)

    assert (response.status, response.body) == (302, b"")
    assert response.headers["location"] == sent


@pytest.mark.parametrize("status", [301, 303, 307, 308])
def test_a_redirect_may_have_another_status(status):
    response = RedirectResponse("/a", status, {"x-a": "b"})

    assert (response.status, response.headers["x-a"]) == (status, "b")


# Cookies


def set_cookie(*args, **kwargs) -> str:
    response = Response()
    response.set_cookie(*args, **kwargs)
    return response.headers["set-cookie"]


def sent_back(header: str) -> Request:
    """The request of a browser that has got this ``Set-Cookie``."""
    pair, _, _ = header.partition(";")
    return Request(RequestHead("GET", b"/", [(b"cookie", pair.encode("latin-1"))], "1.1"))


def test_a_cookie_lives_on_the_whole_site_and_is_lax_by_default():
    assert set_cookie("id", "7") == "id=7; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({"max_age": 60}, {"Max-Age=60"}),
        ({"max_age": 0}, {"Max-Age=0"}),
        ({"path": "/a"}, {"Path=/a"}),
        ({"domain": "a.example"}, {"Domain=a.example"}),
        ({"secure": True}, {"Secure"}),
        ({"httponly": True}, {"HttpOnly"}),
        ({"samesite": "strict"}, {"SameSite=Strict"}),
        ({"samesite": "none", "secure": True}, {"SameSite=None", "Secure"}),
        (
            {"expires": datetime(2024, 2, 29, 12, tzinfo=UTC)},
            {"expires=Thu, 29 Feb 2024 12:00:00 GMT"},
        ),
        (
            {"expires": datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=2)))},
            {"expires=Thu, 29 Feb 2024 10:00:00 GMT"},
        ),
    ],
)
def test_a_cookie_has_the_attributes_that_it_is_given(options, attributes):
    assert attributes <= set(set_cookie("id", "7", **options).split("; "))


def test_a_cookie_without_samesite_says_nothing_of_it():
    assert "SameSite" not in set_cookie("id", "7", samesite=None)


def test_a_deleted_cookie_is_over_and_has_its_path():
    response = Response()
    response.delete_cookie("id", path="/a", domain="a.example")

    attributes = set(response.headers["set-cookie"].split("; "))
    assert {"Max-Age=0", "Path=/a", "Domain=a.example"} <= attributes
    assert sent_back(response.headers["set-cookie"]).cookies == {"id": ""}


def test_several_cookies_are_several_headers():
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")

    assert len(response.headers.getlist("set-cookie")) == 2


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "two words",
        " blanks around ",
        'quo"te',
        '"quoted"',
        "a;b,c=d",
        "back\\slash",
        "\\073",
        "a\r\nSet-Cookie: b=c",
        "\x00\x7f",
        "grüße",
        "\xff",
        "鳥",
        "🐦",
        '{"json": [1, "é"]}',
    ],
)
def test_any_text_comes_back_as_it_was_set(value):
    assert sent_back(set_cookie("id", value)).cookies == {"id": value}


@given(st.text(st.characters(max_codepoint=255), max_size=30))
def test_any_latin_1_text_comes_back_as_it_was_set(value):
    assert sent_back(set_cookie("id", value)).cookies == {"id": value}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("", {}),
        ("a b", {}),
        ("a=b", {}),
        ("a;b", {}),
        ("a\r\n", {}),
        ("é", {}),
        ("path", {}),
        ("Expires", {}),
        ("id", {"path": "/; Domain=evil"}),
        ("id", {"domain": "a\r\nx: y"}),
        ("id", {"path": "/\x00"}),
        ("id", {"samesite": "none"}),
        ("id", {"expires": datetime(2024, 1, 1)}),
    ],
)
def test_a_cookie_that_no_browser_would_keep_is_refused(name, options):
    with pytest.raises(ValueError):
        set_cookie(name, "7", **options)
