"""Responses, and how what a handler returns becomes one."""

from __future__ import annotations

import pathlib
import re
import uuid
from array import array
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch import FinchApp
from finch.headers import Headers
from finch.http.request import Request
from finch.http.response import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    TextResponse,
)
from finch.http.returned import chunk_to_bytes, to_response
from finch.http.streaming import StreamingResponse
from finch.testing import TestClient
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


class Page(Response):
    """A response of an application, with something of its own."""

    __slots__ = ("place",)

    def __init__(self, body, user):
        super().__init__(body)
        self.user = user
        self.place = "a slot"


@pytest.mark.parametrize(
    "kept",
    [
        Response(b"x", headers={"x-a": "b"}),
        TextResponse("x"),
        HTMLResponse("x"),
        JSONResponse({}),
        RedirectResponse("/"),
        Page(b"x", "ada"),
    ],
    ids=lambda response: type(response).__name__,
)
def test_a_response_that_is_kept_does_not_gather_what_is_one_visitors(kept):
    before = (kept.status, kept.body, kept.headers)
    for value in (kept, (kept, 201), (kept, 201, {"x-user": "ada"})):
        response = to_response(value)
        assert type(response) is type(kept)
        assert response.body == kept.body
        response.set_cookie("id", "7")
        response.set_header("x-user", "ada")
        response.status = 418
        response.body = b"for ada"
        assert (kept.status, kept.body, kept.headers) == before


def test_the_copy_of_a_response_has_all_that_it_has():
    page = to_response(Page(b"x", "ada"))

    assert isinstance(page, Page)
    assert (page.user, page.place) == ("ada", "a slot")
    assert to_response((page, 201, {"x-a": "b"})).status == 201


def test_a_stream_is_sent_once():
    kept = StreamingResponse(agen())
    first = to_response(kept)
    assert to_response(first).chunks is kept.chunks  # through the middleware of one request

    for again in (kept, first):
        with pytest.raises(RuntimeError) as caught:
            to_response(again)
        said = str(caught.value)
        assert "this StreamingResponse of agen (test_response.py, line " in said
        assert "make a new one for each request" in said


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
    name = "type" if isinstance(returned, type) else type(returned).__name__
    assert f"the handler of /birds returned {name}" in said
    for word in ("str", "dict", "None", "async generator", "(value, status)"):
        assert word in said


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (("x", "404"), "its status is '404'; write 404, without quotes"),
        (("x", 404.0), "its status is 404.0; write 404."),
        (("x", None), "its status is None; write a number"),
        (("x", {"x-a": "b"}), "the status comes second: write (value, 200, headers)"),
        (("x", {"x-a": "b"}, 200), "the status comes second: write (value, 200, headers)"),
        ((), "it has 0 items; for a JSON array return a list"),
        (("x", 200, {}, 1), "it has 4 items; for a JSON array return a list"),
        (5, "write str(...) around it"),
        ({1, 2}, "write list(...) around it"),
        ((item for item in "abc"), "write 'async def' with 'yield', or return ''.join(...)"),
        (Bird, "make an instance of it"),
        (agen, "call it, with parentheses"),
        (ValueError("x"), "raise it, do not return it"),
        (pathlib.Path("a"), "return its content: .read_bytes()"),
    ],
)
def test_what_is_no_response_says_what_to_return_instead(value, says):
    def load(): ...

    with pytest.raises(TypeError) as caught:
        to_response(value, origin=load)
    said = str(caught.value)
    assert said.startswith("load (")
    assert f", which is not a response: {says}" in said


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (("x", True), ValueError, "a response's status is 200 to 599, not True"),
        (("x", 600), ValueError, "a response's status is 200 to 599, not 600"),
        (("x", 200, "x: y"), TypeError, "takes headers as a dict or as pairs"),
        (("x", 200, {"x": 5}), ValueError, "'x': 5 is not a header value"),
        (("x", 200, ["x: y"]), TypeError, "'x: y' is not such a pair"),
        (("x", 200, 5), TypeError, "not an int"),
    ],
)
def test_a_tuple_that_cannot_be_sent_says_who_returned_it_and_why(value, kind, says):
    with pytest.raises(kind) as caught:
        to_response(value, origin=agen)
    assert str(caught.value).startswith("agen (test_response.py, line ")
    assert " returned a tuple: " in str(caught.value)
    assert says in str(caught.value)


def test_a_tuple_without_headers_may_say_so():
    assert to_response(("x", 200, None)).headers.multi_items() == [("content-type", TEXT)]


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        ({"a": object()}, TypeError, "returned a dict: $.a is an object, which JSON cannot hold"),
        ([{"b": 1j}], TypeError, "returned a list: $[0].b is a complex"),
        (Bird(pathlib.PurePosixPath("x")), TypeError, "a Bird: $.name is a PurePosixPath"),
        (Nest(print), TypeError, "returned a Nest: $.eggs is a builtin_function_or_method"),
        ({(1, 2): 3}, TypeError, "returned a dict: the value has a tuple as a key"),
        ({"a": "\ud800"}, ValueError, "returned a dict: $.a has a lone surrogate"),
        ("\ud800", ValueError, "returned a str: the body of a TextResponse has a lone surrogate"),
        (({"a": 1j}, 201), TypeError, "returned a dict: $.a is a complex"),
    ],
)
def test_a_value_that_cannot_be_sent_says_who_returned_it_and_which_part(value, kind, says):
    with pytest.raises(kind) as caught:
        to_response(value, origin=agen)
    said = str(caught.value)
    assert said.startswith("agen (test_response.py, line ")
    assert says in said


def test_json_that_contains_itself_or_is_too_deep_is_a_value_error():
    cycle: list = []
    cycle.append({"again": cycle})
    with pytest.raises(ValueError, match=r"^\$\[0\].again contains itself"):
        JSONResponse(cycle)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        JSONResponse(deep)


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -1, True])
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="200 to 599"):
        to_response(("x", status))


@pytest.mark.parametrize("status", [199, 600, "200", None, True, 200.0, {}, Response(), b"200"])
def test_a_response_has_no_such_status_either(status):
    with pytest.raises(ValueError, match="200 to 599"):
        Response(b"", status)


@pytest.mark.parametrize("status", [200, 299, 418, 599])
def test_any_other_status_is_taken(status):
    assert Response(b"", status).status == status
    assert to_response(("x", status)).status == status


def test_a_status_may_be_one_of_pythons_own():
    response = Response(b"", HTTPStatus.CREATED)
    assert (response.status, type(response.status)) == (201, int)
    response.status = HTTPStatus.ACCEPTED
    assert to_response(("x", HTTPStatus.NOT_FOUND)).status == 404


@pytest.mark.parametrize(
    ("status", "says"),
    [("200", "write 200, without quotes"), (200.0, "write 200$"), ({}, "headers come after")],
)
def test_a_wrong_status_says_what_to_write(status, says):
    response = Response()
    with pytest.raises(ValueError, match=says):
        response.status = status
    assert response.status == 200


# Bodies


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"a": 1}, r"not a dict; JSONResponse\(...\)"),
        ([1], r"not a list; JSONResponse\(...\)"),
        (Bird("a"), r"not a Bird; JSONResponse\(...\)"),
        (None, "not None; leave it out for an empty body"),
        (5, r"not an int; write str\(...\)"),
        (True, r"not a bool; write str\(...\)"),
        (object(), r"not an object; write str\(...\)"),
        (agen(), r"not an async_generator; StreamingResponse\(...\)"),
    ],
)
@pytest.mark.parametrize("kind", [Response, TextResponse, HTMLResponse])
def test_a_body_that_is_neither_bytes_nor_text_is_refused(kind, body, says):
    with pytest.raises(TypeError, match=f"the body of a {kind.__name__} is bytes or str, {says}"):
        kind(body)
    response = kind("x")
    with pytest.raises(TypeError, match=says):
        response.body = body
    assert response.body == b"x"


def test_a_body_may_be_set():
    response = Response(b"x")
    response.body = "é"
    assert response.body == "é".encode()


@pytest.mark.parametrize("of", [bytearray, lambda data: memoryview(bytearray(data))])
def test_a_body_that_may_change_is_copied(of):
    body = of(b"abc")
    responses = [Response(body), to_response(body)]
    body[0] = 0
    assert [response.body for response in responses] == [b"abc", b"abc"]


def test_a_view_is_sent_as_its_bytes():
    numbers = array("I", [1, 2])
    assert Response(memoryview(numbers)).body == numbers.tobytes()  # type: ignore[arg-type]
    assert chunk_to_bytes(memoryview(numbers), "x") == numbers.tobytes()
    assert to_response(memoryview(b"abcdef")[::2]).body == b"ace"


def test_a_body_that_utf_8_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="the body of a HTMLResponse has a lone surrogate"):
        HTMLResponse("\ud800")


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
        with pytest.raises(ValueError, match="is not a header"):
            put(name, value)
    with pytest.raises(ValueError, match="is not a header"):
        Response(b"", headers={name: value})
    with pytest.raises(ValueError, match="is not a header"):
        to_response(("x", 200, [(name, value)]))
    assert response.headers.multi_items() == [("content-type", BYTES)]


@pytest.mark.parametrize("content_type", ["a/b\r\nx: y", "a\n"])
def test_a_media_type_that_would_break_the_message_is_refused(content_type):
    with pytest.raises(ValueError, match="is not a header"):
        Response(b"", content_type=content_type)


def test_a_header_that_is_refused_leaves_the_one_before():
    response = Response(b"", headers={"x-a": "1"})
    wrong: Any = 5
    with pytest.raises(ValueError):
        response.set_header("x-a", wrong)
    assert response.headers["x-a"] == "1"


@pytest.mark.parametrize("headers", ["x: y", b"x: y", 5, ["x: y"], [("x", "y", "z")], [5]])
def test_headers_of_another_type_are_refused(headers):
    with pytest.raises(TypeError, match=r"Response takes headers as a dict or as pairs, such as"):
        Response(b"", headers=headers)


def test_headers_of_another_message_keep_every_value():
    others = Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert Response(b"", headers=others).headers.getlist("set-cookie") == ["a=1", "b=2"]


def test_the_headers_of_a_response_are_a_copy_and_say_so():
    headers: Any = Response(b"").headers
    with pytest.raises(TypeError, match=r"write response.set_header\('x', 'y'\)"):
        headers["x"] = "y"
    with pytest.raises(TypeError, match=r"write response.remove_header\('x'\)"):
        del headers["x"]
    with pytest.raises(AttributeError, match=r"have no update; write response.set_header"):
        headers.update({"x": "y"})
    assert not hasattr(headers, "other")


# Streams


@pytest.mark.parametrize(
    ("chunks", "says"),
    [
        ([b"a"], "not a list; write an async generator"),
        ((item for item in "ab"), "not a generator; write an async generator"),
        ("text", r"not a str; Response\(...\) sends it at once"),
        (agen, "not a function; call it"),
        (None, "not None; write an async generator"),
        (5, "not an int; write an async generator"),
    ],
)
def test_chunks_that_are_not_asynchronous_are_refused(chunks, says):
    with pytest.raises(TypeError, match=f"a StreamingResponse takes an async iterator, {says}"):
        StreamingResponse(chunks)
    response = StreamingResponse(agen())
    with pytest.raises(TypeError, match=says):
        response.chunks = chunks


def test_a_coroutine_is_no_stream():
    async def ticks(): ...

    coroutine: Any = ticks()
    with pytest.raises(TypeError, match="not a coroutine; write an async generator, 'async def'"):
        StreamingResponse(coroutine)
    coroutine.close()


@pytest.mark.parametrize(
    ("chunk", "data"),
    [
        ("é", "é".encode()),
        (b"a", b"a"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"a"), b"a"),
        ("", b""),
    ],
)
def test_a_chunk_is_text_or_bytes(chunk, data):
    assert chunk_to_bytes(chunk, "x") == data


@pytest.mark.parametrize(
    ("chunk", "says"),
    [
        ({"a": 1}, r"a dict; .* for one JSON per line, yield msgspec.json.encode\(...\) \+ b'\\n'"),
        ([1], "a list; .* for one JSON per line"),
        (5, r"an int; .* write str\(...\)"),
        (None, "None; .* leave out the yield"),
        (object(), r"an object; .* write str\(...\)"),
    ],
)
def test_any_other_chunk_is_refused_and_the_generator_is_named(chunk, says):
    with pytest.raises(TypeError, match=rf"^agen \(test_response.py, line \d+\) yielded {says}"):
        chunk_to_bytes(chunk, agen())


def test_a_chunk_that_utf_8_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="yielded text with a lone surrogate"):
        chunk_to_bytes("\ud800", "ticks")


async def test_a_wrong_first_chunk_is_told_before_anything_is_sent_and_ends_the_generator(caplog):
    app = FinchApp()
    ended = []

    @app.get("/")
    async def ticks(request):
        try:
            yield {"n": 1}
        finally:
            ended.append(True)

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
        assert ended == [True]
    assert re.search(r"ticks \(test_response.py, line \d+\) yielded a dict", caplog.text)


async def test_a_wrong_later_chunk_cuts_the_response_and_is_told(caplog):
    app = FinchApp()

    @app.get("/")
    async def ticks(request):
        yield "fine"
        yield 7

    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        heard = b""
        while piece := await stream.receive_some():
            heard += piece
    assert heard.endswith(b"fine\r\n")
    assert "yielded an int" in caplog.text


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


@pytest.mark.parametrize(
    ("location", "says"),
    [
        (None, "which is text, not None"),
        (b"/a", "not a bytes; write .decode"),
        (5, r"not an int; write str\(...\)"),
        (pathlib.PurePosixPath("/a"), r"not a PurePosixPath; write str\(...\)"),
    ],
)
def test_a_redirect_leads_to_text(location, says):
    with pytest.raises(TypeError, match=f"a RedirectResponse leads to a URL or path, .*{says}"):
        RedirectResponse(location)


@pytest.mark.parametrize(
    ("location", "status", "says"),
    [
        ("", 302, "needs a URL or path"),
        ("\ud800", 302, "has a lone surrogate"),
        ("/a", 200, "has the status 300, 301, 302, 303, 307 or 308, not 200"),
        ("/a", 304, "not 304"),
        ("/a", 404, "not 404"),
        ("/a", 600, "200 to 599"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(location, status, says):
    with pytest.raises(ValueError, match=says):
        RedirectResponse(location, status)


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
        ("id", {"expires": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}),
        ("id", {"path": "a"}),
        ("id", {"path": ""}),
        ("id", {"path": "/ä"}),
        ("id", {"path": "/" + "x" * 1024}),
        ("id", {"domain": "https://a.example"}),
        ("id", {"domain": "a.example:80"}),
        ("id", {"domain": "grüße.example"}),
        ("id", {"domain": "a..example"}),
        ("id", {"samesite": "loose"}),
        ("id", {"samesite": ""}),
        ("id", {"samesite": "None"}),
        ("__Host-id", {}),
        ("__Secure-id", {}),
        ("__Host-id", {"secure": True, "path": "/a"}),
        ("__Host-id", {"secure": True, "domain": "a.example"}),
    ],
)
def test_a_cookie_that_no_browser_would_keep_is_refused(name, options):
    with pytest.raises(ValueError):
        set_cookie(name, "7", **options)


@pytest.mark.parametrize(
    ("name", "value", "options", "says"),
    [
        (b"id", "7", {}, "a cookie's name is text, not a bytes"),
        (None, "7", {}, "a cookie's name is text, not None"),
        ("id", 7, {}, r"the value of the cookie 'id' is text, not an int; write str\(...\)"),
        ("id", None, {}, r"not None; delete_cookie\('id'\)"),
        ("id", b"7", {}, r"not a bytes; write value.decode\(\)"),
        ("id", {}, {}, r"not a dict; write json.dumps\(...\)"),
        ("id", "7", {"max_age": True}, "a whole number of seconds, not True"),
        ("id", "7", {"max_age": 1.5}, r"not 1.5; write int\(...\)"),
        ("id", "7", {"max_age": "60"}, "not '60'"),
        ("id", "7", {"max_age": timedelta(1)}, r"write int\(max_age.total_seconds\(\)\)"),
        ("id", "7", {"expires": "Thu"}, r"is a datetime, not 'Thu'; write datetime.now\(UTC\)"),
        ("id", "7", {"expires": 5}, "or give max_age"),
        ("id", "7", {"expires": date(2024, 2, 29)}, "not a date"),
        ("id", "7", {"path": None}, "a cookie's path is text, not None"),
        ("id", "7", {"domain": 5}, "a cookie's domain is text, not an int"),
        ("id", "7", {"samesite": False}, "samesite is text or None, not False"),
        ("id", "7", {"secure": "false"}, "secure of the cookie 'id' is True or False, not 'false'"),
        ("id", "7", {"httponly": 1}, "httponly of the cookie 'id' is True or False, not 1"),
    ],
)
def test_a_cookie_of_wrong_types_says_what_to_write(name, value, options, says):
    with pytest.raises(TypeError, match=says):
        set_cookie(name, value, **options)


def test_a_cookie_that_browsers_would_drop_for_its_length_is_refused():
    assert len(set_cookie("id", "x" * 4094)) > 4096
    for value in ("x" * 4095, "ä" * 1000):
        with pytest.raises(ValueError, match="browsers drop a cookie of more than 4096"):
            set_cookie("id", value)
    with pytest.raises(ValueError, match="lone surrogate"):
        set_cookie("id", "\ud800")


@pytest.mark.parametrize("samesite", ["Lax", "LAX", "lax"])
def test_samesite_may_be_written_in_any_case(samesite):
    assert set_cookie("id", "7", samesite=samesite) == "id=7; Path=/; SameSite=Lax"


def test_the_dot_before_a_domain_is_left_out():
    assert "Domain=a.example;" in set_cookie("id", "7", domain=".a.example")
    assert "Domain" not in set_cookie("id", "7", domain="")


def test_a_cookie_with_a_prefix_is_kept_and_can_be_deleted():
    assert "Secure" in set_cookie("__Host-id", "7", secure=True)
    response = Response()
    response.delete_cookie("__Host-id")
    assert "Secure" in response.headers["set-cookie"]
