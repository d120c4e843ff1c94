"""What a route's path says, and what it cannot say."""

from __future__ import annotations

import pytest

from finch.errors import ConfigurationError
from finch.http.paths import Parameter, parse_path


@pytest.mark.parametrize(
    ("path", "elements"),
    [
        ("/", ("/",)),
        ("//", ("//",)),
        ("/a/{b}", ("/a/", Parameter("b", None))),
        ("/a/{b:str}", ("/a/", Parameter("b", "str"))),
        ("/{b}{c:int}x", ("/", Parameter("b", None), Parameter("c", "int"), "x")),
        ("/鳥/{vögel:path}", ("/鳥/", Parameter("vögel", "path"))),
        # none of these is a mistake for sure
        ("/a:batch", ("/a:batch",)),
        ("/v1/{name}:batch", ("/v1/", Parameter("name", None), ":batch")),
        ("/a*b/a*", ("/a*b/a*",)),
        ("/a<b", ("/a<b",)),
        ("/a[0]", ("/a[0]",)),
        ("/100%", ("/100%",)),
        ("/:", ("/:",)),
        ("/a b", ("/a b",)),
    ],
)
def test_a_path_is_text_and_parameters(path, elements):
    assert parse_path(path) == elements


def index(request): ...


class Birds:
    def __call__(self, request): ...


@pytest.mark.parametrize(
    ("path", "said"),
    [
        # its beginning and its end
        ("birds", "write '/birds'"),
        ("", "write '/'"),
        ("{a}", "write '/{a}'"),
        (" /birds", "write '/birds'"),
        ("/birds\n", "write '/birds'"),
        ("https://example.org/birds", "write '/birds'"),
        ("ws://example.org", "write '/'"),
        # its parameters
        ("/{}", "'{}' in route '/{}' is not a valid parameter name"),
        ("/{a b}", "'{a b}' in route '/{a b}' is not a valid parameter name; write {a_b}"),
        ("/{1a}", "is not a valid parameter name"),
        ("/{:int}", "is not a valid parameter name"),
        ("/{ id }", "is not a valid parameter name; write {id}"),
        ("/{id!r}", "is not a valid parameter name; write {id}"),
        ("/{id?}", "is not a valid parameter name; write {id}"),
        ("/{id=5}", "is not a valid parameter name; write {id}"),
        ("/{*rest}", "is not a valid parameter name; write {rest:path}"),
        ("/{rest...}", "is not a valid parameter name; write {rest:path}"),
        ("/{a:int:str}", "converter 'int:str'"),
        ("/{a:number}", "converter 'number'; the converters are str, int, float, uuid, path"),
        (
            "/{id: int}",
            "converter ' int'; the converters are str, int, float, uuid, path; write {id:int}",
        ),
        ("/{id :int}", "write {id:int}"),
        ("/{id:}", "write {id}"),
        (
            "/{id:string}",
            "converter 'string'; the converters are str, int, float, uuid, path; write {id}",
        ),
        ("/{id:integer}", "write {id:int}"),
        ("/{id:Int}", "write {id:int}"),
        ("/{id:UUID}", "write {id:uuid}"),
        ("/{id:decimal}", "write {id:float}"),
        ("/{int:id}", "write {id:int}"),
        ("/{string:id}", "the converters are str, int, float, uuid, path"),
        (r"/{id:\d+}", "the converters are str, int, float, uuid, path"),
        ("/{a}/{a}", "has the parameter 'a' twice"),
        ("/a}", "an unmatched brace"),
        ("/{a", "an unmatched brace"),
        ("/{a}}", "an unmatched brace"),
        ("/a}/{b}", "an unmatched brace"),
        ("/{a/{b}", "an unmatched brace"),
        ("/{a}/b}/{c}", "an unmatched brace"),
        ("/{{a}}", "an unmatched brace; a parameter is written {name}"),
        # the parameters of other frameworks
        ("/birds/<id>", "has '<id>', which is literal text here"),
        ("/birds/<id>", "write '/birds/{id}'"),
        ("/a/<int:id>/<string(length=2):lang>", "write '/a/{id:int}/{lang}'"),
        ("/a/<path:rest>", "write '/a/{rest:path}'"),
        ("/a/<slug:name>", "write '/a/{name}'"),
        (f"/a/{id}", "write '/a/{name}' (and without f before the quotes)"),
        ("/birds/:id", "has ':id', which is literal text here"),
        ("/birds/:id/eggs/:egg", "write '/birds/{id}/eggs/{egg}'"),
        ("/:from-:to", "write '/{from}-{to}'"),
        (r"/:id(\d+)?", "write '/{id}'"),
        ("/[id]/x", "write '/{id}/x'"),
        ("/[...rest]", "write '/{rest:path}'"),
        ("/files/*", "write '/files/{rest:path}'"),
        ("/files/*name", "write '/files/{name:path}'"),
        # what no request has
        ("/birds?page={page}", "write '/birds', and read request.query"),
        ("/birds/{id}?", "write '/birds/{id}', and read request.query"),
        ("/birds#top", "write '/birds'"),
        ("/a%20b", "write '/a b'"),
        ("/%E9%B3%A5/{id}", "write '/鳥/{id}'"),
        ("/a%2Fb", "use a parameter"),
        ("/a%3f", "use a parameter"),
        ("/a%FF", "use a parameter"),
        ("/a\udc80", "lone surrogate"),
        # what is not text
        (None, "is text such as '/birds', not None"),
        (b"/a", "is text such as '/birds', not b'/a'"),
        (
            index,
            "this is the function index: the path comes first, in parentheses; write @app.get(",
        ),
        (Birds(), 'in parentheses; write @app.get("/path") or FinchRoute("/path", handler)'),
    ],
)
def test_a_path_that_would_never_match_is_refused_with_what_to_write(path, said):
    with pytest.raises(ConfigurationError) as caught:
        parse_path(path)
    assert said in str(caught.value)


@pytest.mark.parametrize("path", ["/birds/<int:id>", "/:a/:b", "/[id]", "/files/*", "/a%20b"])
def test_what_is_said_to_be_written_can_be_written(path):
    with pytest.raises(ConfigurationError) as caught:
        parse_path(path)
    assert parse_path(str(caught.value).rpartition("write '")[2].rstrip("'"))
