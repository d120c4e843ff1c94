"""Marked parameters: what a handler names and annotates it gets, and what does not fit is 422."""

import datetime
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest

from finch import (
    Body,
    ConfigurationError,
    Cookie,
    File,
    FinchApp,
    FinchRoute,
    Form,
    Header,
    Query,
    Request,
    Upload,
    named,
)
from finch.testing import TestClient


class Color(enum.StrEnum):
    RED = "red"


class Filter(msgspec.Struct):
    page: int = 1
    tags: list[str] = []
    color: Color | None = None


@dataclass
class Place:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list)


def taking(annotation, *default):
    """An application whose handler takes ``value``."""
    app = FinchApp()

    async def handler(value): ...

    handler.__annotations__["value"] = annotation
    handler.__defaults__ = default or None

    async def answer(value):
        return {"value": value}

    answer.__annotations__["value"] = annotation
    answer.__defaults__ = default or None
    app.route("/", methods=["GET", "POST"])(answer)
    return app


JSON = {"content-type": "application/json"}


class Switches(msgspec.Struct):
    a: bool = False
    b: bool | None = None
    c: bool | str = "on"


async def ask(app, target="/", **options):
    async with TestClient(app) as client:
        if "json" in options or "content" in options:
            return await client.post(target, **options)
        return await client.get(target, **options)


@pytest.mark.parametrize(
    ("annotation", "query", "value"),
    [
        (Query[str], "value=a%20b", "a b"),
        (Query, "value=a", "a"),
        (Annotated[int, Query], "value=7", 7),
        (Query[str], "value=", ""),
        (Query[str], "value=first&value=second", "first"),
        (Query[int], "value=7", 7),
        (Query[float], "value=1.5", 1.5),
        (Query[bool], "value=true", True),
        (Query[bool], "value=on", True),
        (Query[bool], "value=0", False),
        (Query[bool], "value=no", False),
        (Query[int | None], "", None),
        (Query[str | None], "", None),
        (Query[list[int]], "value=1&value=2", [1, 2]),
        (Query[list[int]], "", []),
        (Query[set[str]], "value=a&value=a", ["a"]),
        (Query[tuple[int, int]], "value=1&value=2", [1, 2]),
        (Query[Color], "value=red", "red"),
        (Query[Literal["a", "b"]], "value=b", "b"),
        (Query[datetime.date], "value=2026-01-02", "2026-01-02"),
        (Query[Any], "value=x", "x"),
        (Annotated[Query[int], msgspec.Meta(ge=1)], "value=1", 1),
        (Annotated[Query[int], named("page-number")], "page-number=3", 3),
        (
            Query[Filter],
            "page=2&tags=a&tags=b&color=red&other=x",
            {"page": 2, "tags": ["a", "b"], "color": "red"},
        ),
        (Query[Filter], "", {"page": 1, "tags": [], "color": None}),
        (Query[Filter | None], "page=2", {"page": 2, "tags": [], "color": None}),
        (Query[Filter | None], "", None),
        (Query[bool | None], "value=on", True),
        (Query[Switches], "a=on&b=no", {"a": True, "b": False, "c": "on"}),
        (Query[Switches], "c=yes", {"a": False, "b": None, "c": "yes"}),
        (Query[Place], "x=1&y=2&names=a", {"x": 1, "y": 2, "names": ["a"]}),
        ("Query[int]", "value=7", 7),
    ],
)
async def test_a_query_parameter_has_the_type_of_its_annotation(annotation, query, value):
    response = await ask(taking(annotation), f"/?{query}")

    assert (response.status, response.json()) == (200, {"value": value})


@pytest.mark.parametrize(
    ("annotation", "query", "said"),
    [
        (Query[int], "", "the query parameter 'value' is missing"),
        (
            Query[int],
            "value=x",
            "the query parameter 'value' does not fit: Expected `int`, got `str`",
        ),
        (Query[int], "value=", "the query parameter 'value' does not fit"),
        (Query[bool], "value=maybe", "the query parameter 'value' does not fit"),
        (
            Query[list[int]],
            "value=1&value=x",
            "does not fit: Expected `int`, got `str` - at `$[1]`",
        ),
        (Query[Color], "value=blue", "does not fit: Invalid enum value 'blue'"),
        (Annotated[Query[int], msgspec.Meta(ge=1)], "value=0", "does not fit: Expected `int` >= 1"),
        (Annotated[Query[int], named("n")], "value=1", "the query parameter 'n' is missing"),
        (Query[Place], "y=1", "the query does not fit: Object missing required field `x`"),
        (Query[Place], "x=z", "the query does not fit: Expected `int`, got `str` - at `$.x`"),
    ],
)
async def test_what_does_not_fit_is_422_and_named(annotation, query, said):
    response = await ask(taking(annotation), f"/?{query}")

    assert response.status == 422
    assert said in response.text


async def test_every_fault_is_named_at_once():
    app = FinchApp()

    @app.get("/")
    async def handler(a: Query[int], b: Query[int], x_c: Header[int]): ...

    response = await ask(app, "/?b=x", headers={"x-c": "y"})

    assert response.status == 422
    for name in ("'a' is missing", "'b' does not fit", "'x-c' does not fit"):
        assert name in response.text
    told = await ask(app, "/?b=x", headers={"x-c": "1", "accept": "application/json"})
    assert told.json()["errors"] == [
        {"in": "query", "name": "a", "detail": "the query parameter 'a' is missing"},
        {
            "in": "query",
            "name": "b",
            "detail": "the query parameter 'b' does not fit: Expected `int`, got `str`",
        },
    ]


async def test_a_default_stands_for_what_is_missing_only():
    app = taking(Query[int], 5)

    assert (await ask(app)).json() == {"value": 5}
    assert (await ask(app, "/?value=1")).json() == {"value": 1}
    assert (await ask(app, "/?value=x")).status == 422


async def test_headers_and_cookies_are_taken_by_name():
    app = FinchApp()

    @app.get("/")
    async def handler(
        user_agent: Header[str],
        count: Annotated[Header[int], named("X-Count")],
        theme: Cookie[str] = "light",
        accept: Header[list[str]] = (),
    ):
        return [user_agent, count, theme, list(accept)]

    headers = {"User-Agent": "finch", "x-count": "3", "accept": ["a", "b"]}
    assert (await ask(app, headers=headers)).json() == ["finch", 3, "light", ["a", "b"]]
    assert (await ask(app, headers={**headers, "cookie": "theme=dark"})).json()[2] == "dark"


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (Body[Place], b'{"x": 1, "y": 2}', {"x": 1, "y": 2, "names": []}),
        (Body[list[int]], b"[1, 2]", [1, 2]),
        (Body[Any], b'{"a": null}', {"a": None}),
        (Body[dict[str, int]], b'{"a": 1}', {"a": 1}),
        (Body[str], b"plain \xc3\xbc", "plain ü"),
    ],
)
async def test_a_body_is_converted(annotation, body, value):
    response = await ask(taking(annotation), content=body, headers=JSON)

    assert (response.status, response.json()) == (200, {"value": value})


async def test_a_body_of_bytes_is_as_it_came():
    app = FinchApp()

    @app.post("/")
    async def handler(body: Body[bytes]):
        return body

    assert (await ask(app, content=b"\x00\xff")).body == b"\x00\xff"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 415),  # a Blob without a type, from a page of any site
        ("", 415),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/merge-patch+JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
async def test_a_typed_body_is_json_and_a_form_of_another_site_is_not(content_type, status):
    headers = {} if content_type is None else {"content-type": content_type}

    response = await ask(taking(Body[Place]), content=b'{"x": 1}', headers=headers)

    assert response.status == status


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"", 400, "the body is not JSON"),
        (b"{}", 422, "the body does not fit: Object missing required field `x`"),
        (b'{"x": "1"}', 422, "Expected `int`, got `str` - at `$.x`"),
        (b" " * (5 * 1024 * 1024), 413, "longer than"),
    ],
)
async def test_a_wrong_body_is_refused(body, status, said):
    response = await ask(taking(Body[Place]), content=body, headers=JSON)

    assert response.status == status
    assert said in response.text


async def test_an_empty_body_is_the_default_if_there_is_one():
    assert (await ask(taking(Body[Place | None], None), content=b"")).json() == {"value": None}


async def test_the_request_comes_first_or_nowhere_and_path_parameters_come_along():
    app = FinchApp()

    @app.post("/with/{bird}")
    async def with_request(request: Request, bird: int, page: Query[int], body: Body[Any]):
        return [request.method, bird, page, body]

    @app.post("/without/{bird}")
    def without(bird: int, *, page: Query[int], body: Body[Any]):
        return ["in a thread", bird, page, body]

    async with TestClient(app) as client:
        got = await client.post("/with/7?page=2", json={"a": 1})
        assert got.json() == ["POST", 7, 2, {"a": 1}]
        got = await client.post("/without/7?page=2", json={"a": 1})
        assert got.json() == ["in a thread", 7, 2, {"a": 1}]


async def test_a_method_and_a_generator_may_be_marked():
    class Birds:
        async def all(self, page: Query[int] = 1):
            return f"page {page}"

    app = FinchApp()
    app.get("/birds")(Birds().all)

    @app.get("/stream")
    async def stream(n: Query[int]):
        for number in range(n):
            yield f"{number} "

    async with TestClient(app) as client:
        assert (await client.get("/birds?page=3")).text == "page 3"
        assert (await client.get("/stream?n=3")).text == "0 1 2 "


async def test_the_hook_of_the_application_makes_what_msgspec_does_not_know():
    class Model:
        def __init__(self, n):
            self.n = n

    app = FinchApp(dec_hook=lambda cls, value: Model(int(value)))

    @app.post("/{kind}")
    async def handler(kind, query: Query[Model], body: Body[Model]):
        return [query.n, body.n]

    assert (await ask(app, "/x?query=3", json=4)).json() == [3, 4]


class Opaque: ...


async def two_bodies(a: Body[int], b: Body[int]): ...


async def in_the_path(request, a: Query[str]): ...


async def many(*a: Query[str]): ...


async def opaque(a: Query[Opaque]): ...


async def opaque_body(a: Body[Opaque]): ...


async def unmarked(request, page: int): ...


async def inside(request, page: Query[int] | None = None): ...


async def inside_list(request, tags: list[Query[str]] = ()): ...


async def unreadable(request, page: "Query[Unknown]" = None): ...  # noqa: F821


async def unreadable_first(page: "Query[Unknown]"): ...  # noqa: F821


@pytest.mark.parametrize(
    ("path", "handler", "said"),
    [
        ("/", two_bodies, "wants both a and b of one body"),
        ("/{a}", in_the_path, "{a} of /{a} is in the path, and its handler in_the_path says"),
        ("/", many, "a marked parameter is written without a star"),
        ("/", opaque, "a of the handler of /: msgspec does not know how to make Opaque"),
        ("/", opaque_body, "msgspec does not know how to make Opaque"),
        ("/", unmarked, "say where it comes from: page: Query[str], Header, Cookie, Body"),
        ("/", inside, "has its marker inside of another type: write the marker outside"),
        ("/", inside_list, "inside_list, the handler of /, has its marker inside of another type"),
        ("/", unreadable, "page of unreadable, the handler of /: 'Query[Unknown]' cannot be read"),
        ("/", unreadable_first, "name 'Unknown' is not defined"),
    ],
)
def test_a_handler_that_no_request_can_fill_is_refused_at_once(path, handler, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchApp().add_routes([FinchRoute(path, handler)])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "annotation",
    [
        Query[dict],
        Query[list[list[int]]],
        Query[list[Filter]],
        Form[dict[str, str] | None],
        Form[set[tuple[int, int]]],
        Header[Filter],
        Cookie[Place],
        File[str],
        File[bytes],
        File[list[str]],
    ],
)
def test_a_type_that_no_text_becomes_is_refused_at_once(annotation):
    with pytest.raises(ConfigurationError, match="would ever fit"):
        taking(annotation)


@pytest.mark.parametrize("annotation", [File[Upload | None], File[list[Upload]], File[Any]])
def test_files_are_uploads(annotation):
    taking(annotation)


@pytest.mark.parametrize("name", ["", 5, None])
def test_named_takes_a_name(name):
    with pytest.raises(ConfigurationError, match="named"):
        named(name)


def test_a_handler_without_markers_is_called_as_before():
    async def handler(request, bird, page=1): ...

    assert FinchRoute("/{bird}", handler).plan is None
