"""Mistakes in what an application hands over: errors, limits, responses and cookies."""

import math
import pathlib
from contextlib import aclosing
from datetime import timedelta

import trio

from finch import (
    HTTPError,
    JSONResponse,
    Limits,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from finch.http.returned import chunk_to_bytes, to_response
from tests.mistakes.book import mistake


async def birds(request):
    """The handler that returned it."""


def returned(value):
    to_response(value, origin=birds)


# Errors


@mistake("Errors", 'raise HTTPError(401, {"why": "..."})', "not a dict", "return (value, status)")
def a_message_that_is_a_dict():
    raise HTTPError(401, {"why": "no token"})


@mistake("Errors", "raise HTTPError(400, error)", "str(...)")
def a_message_that_is_an_exception():
    raise HTTPError(400, ValueError("x"))


@mistake("Errors", 'raise HTTPError("no such room")', "HTTPError(404, 'no such room')")
def a_message_without_its_status():
    raise HTTPError("no such room")


@mistake("Errors", "raise HTTPError(302)", "400 to 599", "Response")
def a_status_that_is_no_error():
    raise HTTPError(302)


@mistake("Errors", 'raise HTTPError(503, "later", {"retry-after": 5})', "'retry-after'", "str(")
def a_header_that_is_a_number():
    raise HTTPError(503, "later", {"retry-after": 5})


@mistake("Errors", "return HTTPError(404)", "raise it", "birds (")
def an_error_that_is_returned():
    returned(HTTPError(404))


# Limits


@mistake("Limits", "Limits(ping_interval=0)", "more than 0", "math.inf")
def an_interval_of_nothing():
    Limits(ping_interval=0)


@mistake("Limits", 'Limits(max_body="4MB")', "whole number of bytes")
def a_size_that_is_text():
    Limits(max_body="4MB")


@mistake("Limits", "Limits(max_body=1e6)", "write 1000000")
def a_size_that_is_a_float():
    Limits(max_body=1e6)


@mistake("Limits", "Limits(head_timeout=timedelta(seconds=5))", ".total_seconds()")
def a_timeout_that_is_a_timedelta():
    Limits(head_timeout=timedelta(seconds=5))


@mistake("Limits", "Limits(leave_grace=math.inf)", "number of seconds")
def a_grace_without_end():
    Limits(leave_grace=math.inf)


@mistake("Limits", "Limits(max_bdy=1024)", "did you mean max_body?")
def a_misspelt_limit():
    Limits(max_bdy=1024)


# Responses


@mistake("Responses", "return 5", "returned int", "str(...)")
def a_number():
    returned(5)


@mistake("Responses", "return {1, 2}", "list(...)")
def a_set():
    returned({1, 2})


@mistake("Responses", 'return "done", "201"', "write 201, without quotes")
def a_status_that_is_text():
    returned(("done", "201"))


@mistake("Responses", 'return "done", {"x-a": "b"}', "(value, 200, headers)")
def headers_without_a_status():
    returned(("done", {"x-a": "b"}))


@mistake("Responses", 'return "done", True', "200 to 599")
def a_status_that_is_true():
    returned(("done", True))


@mistake("Responses", "return 1, 2, 3, 4", "4 items", "return a list")
def a_tuple_of_four():
    returned((1, 2, 3, 4))


@mistake("Responses", 'return "x", 200, {"x-count": 5}', "'x-count'", "str(...)")
def a_header_of_a_tuple_that_is_a_number():
    returned(("x", 200, {"x-count": 5}))


@mistake(
    "Responses",
    'return {"user": {"avatar": Path("a.png")}}',
    "birds (values.py, line 12)",
    "$.user.avatar",
    "Path",
)
def a_value_that_json_cannot_hold():
    returned({"user": {"avatar": pathlib.PurePosixPath("a.png")}})


@mistake("Responses", "return {(1, 2): 3}", "as a key")
def a_key_that_json_cannot_hold():
    returned({(1, 2): 3})


@mistake("Responses", "JSONResponse(cycle)", "contains itself")
def a_cycle():
    cycle = {}
    cycle["again"] = cycle
    JSONResponse(cycle)


@mistake("Responses", "return load() # an async function", "write 'await'")
def a_forgotten_await():
    async def load(): ...

    coroutine = load()
    try:
        returned(coroutine)
    finally:
        coroutine.close()


@mistake("Responses", "a `def` handler with `yield`", "'async def' with 'yield'")
def a_generator():
    returned(line for line in "ab")


@mistake("Responses", 'Response({"a": 1})', "JSONResponse")
def a_body_that_is_a_dict():
    Response({"a": 1})


@mistake("Responses", "Response(None)", "leave it out")
def a_body_that_is_none():
    Response(None)


@mistake("Responses", 'Response("x", "200")', "write 200, without quotes")
def a_status_in_quotes():
    Response("x", "200")


@mistake(
    "Responses", 'Response("x", headers={"set-cookie": ["a=1", "b=2"]})', "one pair for each value"
)
def a_header_of_several_values():
    Response("x", headers={"set-cookie": ["a=1", "b=2"]})


@mistake("Responses", r'response.set_header("x-name", "a\r\nb")', "line break")
def a_header_with_a_line_break():
    Response("x").set_header("x-name", "a\r\nb")


@mistake("Responses", 'response.headers["x-a"] = "b"', "set_header('x-a', 'b')")
def a_header_set_on_the_copy():
    Response("x").headers["x-a"] = "b"


@mistake("Responses", "RedirectResponse(None)", "URL or path")
def a_redirect_to_nothing():
    RedirectResponse(None)


@mistake("Responses", 'RedirectResponse("/", 200)', "301, 302, 303, 307 or 308")
def a_redirect_that_is_none():
    RedirectResponse("/", 200)


@mistake("Responses", "StreamingResponse([b'a', b'b'])", "'async def' with 'yield'")
def a_stream_of_a_list():
    StreamingResponse([b"a", b"b"])


@mistake("Responses", "StreamingResponse(ticks) # not called", "call it")
def a_stream_that_is_not_called():
    async def ticks():
        yield "tick"

    StreamingResponse(ticks)


@mistake("Responses", 'yield {"tick": 1}', "ticks (values.py", "msgspec.json.encode")
def a_chunk_that_is_a_dict():
    async def ticks():
        yield {"tick": 1}

    async def first():
        async with aclosing(ticks()) as chunks:
            chunk_to_bytes(await anext(chunks), chunks)

    trio.run(first)


@mistake("Responses", "a StreamingResponse at the top of a module, returned twice", "once")
def a_stream_that_is_returned_twice():
    async def ticks():
        yield "tick"

    kept = StreamingResponse(ticks())
    returned(kept)
    returned(kept)


# Cookies


@mistake("Cookies", 'response.set_cookie("id", 7)', "str(...)")
def a_cookie_that_is_a_number():
    Response().set_cookie("id", 7)


@mistake("Cookies", 'set_cookie("id", None)', "delete_cookie('id')")
def a_cookie_that_is_none():
    Response().set_cookie("id", None)


@mistake("Cookies", 'set_cookie("id", "7", max_age=timedelta(days=1))', "total_seconds()")
def an_age_that_is_a_timedelta():
    Response().set_cookie("id", "7", max_age=timedelta(days=1))


@mistake("Cookies", 'set_cookie("id", "7", expires=3600)', "max_age")
def an_expiry_in_seconds():
    Response().set_cookie("id", "7", expires=3600)


@mistake("Cookies", 'set_cookie("id", "7", path="app")', "slash")
def a_path_without_its_slash():
    Response().set_cookie("id", "7", path="app")


@mistake("Cookies", 'set_cookie("id", "7", domain="https://a.example")', "without scheme")
def a_domain_with_a_scheme():
    Response().set_cookie("id", "7", domain="https://a.example")


@mistake("Cookies", 'set_cookie("id", "7", samesite="none")', "secure=True")
def a_cookie_for_other_sites_that_is_not_secure():
    Response().set_cookie("id", "7", samesite="none")


@mistake("Cookies", "set_cookie with 5,000 characters", "4096")
def a_long_cookie():
    Response().set_cookie("id", "x" * 5000)
