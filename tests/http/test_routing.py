"""Which route a method and a path belong to."""

from __future__ import annotations

import functools
import uuid

import pytest

from finch.errors import ConfigurationError
from finch.http.methods import Methods
from finch.http.routing import FinchRoute, Match, Router


async def index(request, **params):
    return "index"


async def other(request, **params):
    return "other"


def router(*routes: FinchRoute | str) -> Router:
    made = Router()
    for route in routes:
        made.add(FinchRoute(route, index) if isinstance(route, str) else route)
    return made


def matched(routes: Router, method: str, path: str) -> Match:
    found = routes.match(method, path)
    assert isinstance(found, Match)
    return found


def allowed(routes: Router, method: str, path: str) -> frozenset[str]:
    found = routes.match(method, path)
    assert isinstance(found, frozenset)
    return found


def params(pattern: str, path: str) -> dict[str, object] | None:
    found = router(pattern).match("GET", path)
    return found.params if isinstance(found, Match) else None


# Converters

ID = "12345678-1234-5678-1234-56781234ABCD"


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/a/{b}", "/a/x", {"b": "x"}),
        ("/a/{b}", "/a/grüße und mehr", {"b": "grüße und mehr"}),
        ("/a/{b}", "/a/", None),
        ("/a/{b}", "/a/x/", None),
        ("/a/{b}", "/a/x/y", None),
        ("/a/{b}", "/a/x\n", {"b": "x\n"}),
        ("/a/{b:str}", "/a/5", {"b": "5"}),
        ("/a/{b:int}", "/a/5", {"b": 5}),
        ("/a/{b:int}", "/a/-5", {"b": -5}),
        ("/a/{b:int}", "/a/007", {"b": 7}),
        ("/a/{b:int}", "/a/5\n", None),
        ("/a/{b:int}", "/a/+5", None),
        ("/a/{b:int}", "/a/1_0", None),
        ("/a/{b:int}", "/a/٣", None),
        ("/a/{b:int}", "/a/5.0", None),
        ("/a/{b:int}", "/a/x", None),
        ("/a/{b:int}", "/a/" + "9" * 18, {"b": 10**18 - 1}),
        ("/a/{b:int}", "/a/" + "9" * 5000, None),
        ("/a/{b:float}", "/a/1.5", {"b": 1.5}),
        ("/a/{b:float}", "/a/-2", {"b": -2.0}),
        ("/a/{b:float}", "/a/nan", None),
        ("/a/{b:float}", "/a/1e5", None),
        ("/a/{b:float}", "/a/.5", None),
        ("/a/{b:float}", "/a/5.", None),
        ("/a/{b:uuid}", f"/a/{ID}", {"b": uuid.UUID(ID)}),
        ("/a/{b:uuid}", f"/a/{ID.lower()}", {"b": uuid.UUID(ID)}),
        ("/a/{b:uuid}", "/a/" + ID.replace("-", ""), None),
        ("/a/{b:uuid}", f"/a/{{{ID}}}", None),
        ("/a/{b:path}", "/a/x/y/z", {"b": "x/y/z"}),
        ("/a/{b:path}", "/a//x//", {"b": "/x//"}),
        ("/a/{b:path}", "/a/x\ny", {"b": "x\ny"}),
        ("/a/{b:path}", "/a/", None),
        ("/{b:path}", "/", None),
        ("/{b}", "//", None),
        ("/{b}/{c:int}", "/x/5", {"b": "x", "c": 5}),
        ("/{b}-{c:int}", "/x-y-5", {"b": "x-y", "c": 5}),
        ("/{b:int}.{c}", "/5.tar.gz", {"b": 5, "c": "tar.gz"}),
        ("/{b:path}/edit", "/x/y/edit", {"b": "x/y"}),
        ("/{b:path}/edit", "/x/y/editor", None),
        ("/a.b/{c}", "/axb/y", None),
        ("/a+(b)*/{c}", "/a+(b)*/y", {"c": "y"}),
        ("/a|b/{c}", "/a", None),
        ("/鳥/{vögel}", "/鳥/5", {"vögel": "5"}),
    ],
)
def test_a_path_gives_its_parameters_or_does_not_match(pattern, path, found):
    assert params(pattern, path) == found
    values = params(pattern, path)
    if found is not None and values is not None:
        assert {name: type(value) for name, value in values.items()} == {
            name: type(value) for name, value in found.items()
        }


STATIC = ["/", "//", "/a", "/a/", "/a//b", "/a b", "/.", "/a:b", "/A", "/%", "/鳥", "/a*", "/<b"]


@pytest.mark.parametrize("path", STATIC)
def test_a_path_without_parameters_is_matched_as_it_is(path):
    found = router(*STATIC).match("GET", path)

    assert isinstance(found, Match)
    assert (found.route.path, found.params) == (path, {})


@pytest.mark.parametrize("path", ["", "*", "a", "/none", "/a/b"])
def test_an_unknown_path_has_no_methods(path):
    assert router("/", "/a", "/b/{c}").match("GET", path) == frozenset()


# Precedence


def test_a_path_without_parameters_wins_over_a_pattern():
    routes = router("/birds/{name}", "/birds/new")

    assert matched(routes, "GET", "/birds/new").route.path == "/birds/new"
    assert matched(routes, "GET", "/birds/old").route.path == "/birds/{name}"


def test_patterns_are_tried_in_the_order_in_which_they_were_added():
    routes = router("/{a:int}", "/{b}", "/{c:path}")

    assert matched(routes, "GET", "/5").params == {"a": 5}
    assert matched(routes, "GET", "/x").params == {"b": "x"}
    assert matched(routes, "GET", "/x/y").params == {"c": "x/y"}


def test_a_pattern_answers_a_method_that_the_path_without_parameters_has_not():
    routes = router("/a", FinchRoute("/{b}", other, methods=["DELETE"]))

    assert matched(routes, "GET", "/a").route.index is index
    assert matched(routes, "DELETE", "/a").route.index is other


# Methods


def test_a_known_path_with_another_method_tells_its_methods():
    routes = router("/a", FinchRoute("/a", other, methods=["POST"]))

    assert allowed(routes, "PUT", "/a") == {"GET", "HEAD", "POST"}


def test_the_methods_of_every_route_that_matches_are_told():
    routes = router(
        "/a",
        FinchRoute("/{b}", index, methods=["DELETE"]),
        FinchRoute("/{c:path}", index, methods=["PATCH"]),
        FinchRoute("/{d:int}", index, methods=["PUT"]),
    )

    assert allowed(routes, "OPTIONS", "/a") == {"GET", "HEAD", "DELETE", "PATCH"}


def test_head_comes_with_get_and_with_nothing_else():
    assert FinchRoute("/", index).methods == {"GET", "HEAD"}
    assert FinchRoute("/", index, methods=["POST"]).methods == {"POST"}
    assert matched(router("/"), "HEAD", "/").route.index is index


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (Methods.ONLY_GET, {"GET", "HEAD"}),
        (Methods.GET_POST, {"GET", "HEAD", "POST"}),
        (Methods.ONLY_POST, {"POST"}),
        (Methods.ONLY_PUT, {"PUT"}),
        (Methods.ONLY_PATCH, {"PATCH"}),
        (Methods.ONLY_DELETE, {"DELETE"}),
        (Methods.ONLY_INSERT, {"INSERT"}),
        (Methods.ALL, set(Methods.ALL)),
        (["post", "Put"], {"POST", "PUT"}),
        ({"PURGE"}, {"PURGE"}),
        ((method for method in ["DELETE"]), {"DELETE"}),
    ],
)
def test_methods_are_any_iterable_of_text_in_any_case(methods, expected):
    assert FinchRoute("/", index, methods=methods).methods == expected


def test_all_methods_are_those_of_the_seed():
    assert set(Methods.ALL) == {
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "INSERT",
        "CONNECT",
        "OPTIONS",
        "TRACE",
    }


# Conflicts


@pytest.mark.parametrize("path", ["/a", "/a/{b}", "/a/{b:int}/{c:path}"])
def test_a_path_and_method_cannot_be_had_twice(path):
    routes = router(path)

    with pytest.raises(ConfigurationError) as caught:
        routes.add(FinchRoute(path, other, methods=["POST", "GET"]))
    said = str(caught.value)
    assert said == f"GET {path} already has a handler: index; so other cannot be added"
    assert routes.match("POST", "/a") in ({"GET", "HEAD"}, frozenset())


def test_a_path_may_be_had_with_another_method_each():
    routes = router(
        "/a",
        FinchRoute("/a", other, methods=["POST"]),
        "/b/{c}",
        FinchRoute("/b/{c}", other, methods=["POST"]),
    )

    assert matched(routes, "GET", "/a").route.index is index
    assert matched(routes, "POST", "/a").route.index is other
    assert matched(routes, "GET", "/b/1").route.index is index
    assert matched(routes, "POST", "/b/1").route.index is other


def test_names_of_parameters_do_not_make_another_path():
    routes = router("/a/{x}", FinchRoute("/a/{x:int}", other, methods=["POST"]))

    with pytest.raises(ConfigurationError) as caught:
        routes.add(FinchRoute("/a/{y:str}", other))
    assert str(caught.value) == (
        "GET /a/{y:str} already has a handler: index at /a/{x}, which differs only in the "
        "parameters' names; so other cannot be added"
    )
    routes.add(FinchRoute("/a/{y}", other, methods=["POST"]))
    assert matched(routes, "POST", "/a/b").params == {"y": "b"}


def test_another_converter_makes_another_path():
    routes = router("/a/{x:int}", FinchRoute("/a/{y}", other))

    assert matched(routes, "GET", "/a/5").params == {"x": 5}
    assert matched(routes, "GET", "/a/b").params == {"y": "b"}


# HEAD


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    ("path", "same", "asked", "params"),
    [("/a", "/a", "/a", {}), ("/a/{b}-{c:int}", "/a/{d}-{e:int}", "/a/x-5", {"d": "x", "e": 5})],
)
def test_a_route_that_was_given_head_answers_it_whichever_came_first(
    turn, path, same, asked, params, caplog
):
    routes = router(*[path, FinchRoute(same, other, methods=["HEAD", "POST"])][::turn])

    assert matched(routes, "GET", asked).route.index is index
    assert matched(routes, "POST", asked).route.index is other
    head = matched(routes, "HEAD", asked)
    assert head.route.index is other
    assert head.params == params
    assert not caplog.records

    routes.remove(head.route)
    assert matched(routes, "HEAD", asked).route.index is index
    assert allowed(routes, "POST", asked) == {"GET", "HEAD"}


@pytest.mark.parametrize(("path", "asked"), [("/a", "/a"), ("/{b}", "/a")])
def test_a_route_may_have_head_alone(path, asked):
    routes = router(FinchRoute(path, other, methods=["HEAD"]))

    assert matched(routes, "HEAD", asked).route.index is other
    assert allowed(routes, "GET", asked) == {"HEAD"}


@pytest.mark.parametrize("path", ["/a", "/{b}"])
@pytest.mark.parametrize("methods", [["HEAD"], ["GET", "HEAD"], Methods.ALL])
def test_two_routes_cannot_both_be_given_head(path, methods):
    routes = router(FinchRoute(path, index, methods=methods))

    with pytest.raises(
        ConfigurationError, match=r"^HEAD /.* already has a handler: index; so other"
    ):
        routes.add(FinchRoute(path, other, methods=["HEAD"]))


# What is never reached


@pytest.mark.parametrize("paths", [("/a/{x}", "/a/{y:int}"), ("/{rest:path}", "/a/{x}")])
def test_a_route_behind_one_that_matches_all_of_its_paths_is_refused_and_both_are_named(paths):
    first, second = paths

    with pytest.raises(ConfigurationError) as caught:
        router(*paths)
    assert str(caught.value).startswith(
        f"GET {second} (index) would never run: {first} (index) was added before it"
    )


@pytest.mark.parametrize(
    "paths",
    [
        ("/a/{x:int}", "/a/{y}"),
        ("/{rest:path}", "/a"),
        ("/{a}", FinchRoute("/{b:int}", other, methods=["POST"])),
    ],
)
def test_a_route_that_is_reached_by_any_request_is_accepted(paths):
    assert len(router(*paths).routes()) == 2


# Taking out


def test_a_route_can_be_taken_out_again():
    static, dynamic = FinchRoute("/a", index), FinchRoute("/b/{c}", index)
    routes = router(static, dynamic)
    assert routes.routes() == [static, dynamic]
    assert routes.has_path("/a")
    assert routes.has_path("/b/{c}")
    assert not routes.has_path("/b/1")

    routes.remove(static)
    routes.remove(dynamic)

    assert routes.routes() == []
    assert routes.match("GET", "/a") == routes.match("GET", "/b/1") == frozenset()
    routes.add(static)
    assert isinstance(routes.match("GET", "/a"), Match)


# Mistakes


def test_methods_that_are_one_text_are_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match=r"write methods=\['POST'\]"):
        FinchRoute("/", index, methods="POST")


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("GET, POST", "write methods=['GET', 'POST']"),
        ("", "write methods=['GET']"),
        (None, "write a list such as methods=['GET']"),
        (5, "write a list such as methods=['GET']"),
        (b"GET", "has the method 71, but a method is text"),
        ([None], "has the method None, but a method is text"),
        ([b"GET"], "has the method b'GET', but a method is text"),
        (["GET,POST"], "has 'GET,POST', which is not the name of a method: write methods=['GET', "),
        (["GET POST"], "write methods=['GET', 'POST']"),
        (["GET|POST"], "write methods=['GET', 'POST']"),
        ([" get"], "which is not the name of a method: write methods=['get']"),
        (["GÉT"], "which is not the name of a method"),
        ([""], "which is not the name of a method"),
        (["GE:T"], "which is not the name of a method"),
        (["*"], "write methods=Methods.ALL"),
        (["any"], "write methods=Methods.ALL"),
        (["GTE"], "did you mean 'GET'?"),
        (["psot"], "did you mean 'POST'?"),
        (["DEL"], "did you mean 'DELETE'?"),
        (["OPTION"], "did you mean 'OPTIONS'?"),
    ],
)
def test_methods_that_no_request_can_have_are_refused_with_what_to_write(methods, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute("/a", index, methods=methods)
    assert said in str(caught.value)
    assert "'/a'" in str(caught.value)


@pytest.mark.parametrize(
    "method",
    "ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT COPY LABEL LINK LOCK M-SEARCH MERGE MKACTIVITY "
    "MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY ORDERPATCH PRI PROPFIND PROPPATCH "
    "PURGE QUERY REBIND REPORT SEARCH SUBSCRIBE UNBIND UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE "
    "UPDATEREDIRECTREF VERSION-CONTROL".split(),
)
def test_a_method_of_an_extension_is_taken_as_it_is(method):
    assert FinchRoute("/", index, methods=[method]).methods == {method}


def test_a_handler_that_somebody_called_already_is_refused_with_what_to_write():
    with pytest.raises(
        ConfigurationError, match=r"call of index, not the function: write index without"
    ):
        FinchRoute("/a", index(None))  # type: ignore[arg-type]


def test_a_route_needs_a_method_and_something_to_call():
    with pytest.raises(ConfigurationError, match="has no methods"):
        FinchRoute("/a", index, methods=[])
    with pytest.raises(ConfigurationError, match=r"'/a' is not callable: 'index'"):
        FinchRoute("/a", "index")  # type: ignore[arg-type]


# Indexes


class House:
    async def bound(self, request):
        return "bound"

    async def __call__(self, request):
        return "called"


class Thread:
    def __call__(self, request):
        return "called"


async def stream(request):
    yield "a"


def blocking(request):
    return "a"


@pytest.mark.parametrize(
    ("function", "inline"),
    [
        (index, True),
        (stream, True),
        (House().bound, True),
        (House(), True),
        (functools.partial(index, extra=1), True),
        (functools.partial(functools.partial(stream)), True),
        (blocking, False),
        (Thread(), False),
        (functools.partial(blocking), False),
        (lambda request: "a", False),
        (str, False),
        (print, False),
    ],
)
def test_only_what_cannot_block_runs_inline(function, inline):
    assert FinchRoute("/", function).inline is inline


def test_a_route_shows_itself():
    assert repr(FinchRoute("/a", index)) == "FinchRoute('/a', methods=['GET', 'HEAD'])"
