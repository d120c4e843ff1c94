"""OpenAPI: every route as its annotations say it; the official validator reads each document."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, TypedDict

import pytest
from msgspec import Meta, Struct

from finch import (
    Body,
    ConfigurationError,
    Cookie,
    Description,
    EventStream,
    File,
    FinchApp,
    FinchRoute,
    Form,
    Header,
    HTMLResponse,
    Methods,
    Query,
    RedirectResponse,
    Response,
    Upload,
    converter,
    named,
)
from finch.guards import Basic, Bearer
from finch.http.paths import CONVERTERS
from tests.describe.birds import app as birds
from tests.describe.official import checked_openapi


class Bird(Struct):
    """A bird."""

    name: Annotated[str, Meta(min_length=1)]
    rings: list[int] = []


class Filter(Struct, rename="camel"):
    max_age: Annotated[int, Meta(ge=0)]
    tags: list[str] = []


BIRD = {"$ref": "#/components/schemas/Bird"}


def operation(app, path="/", method="get"):
    return checked_openapi(app)["paths"][path][method]


def taking(**annotations):
    """The operation of a handler with these parameters."""
    app = FinchApp()
    defaults = {}
    for name, annotation in annotations.items():
        if isinstance(annotation, tuple):
            annotations[name], defaults[name] = annotation
    takes = ", ".join(f"{one}=defaults[{one!r}]" if one in defaults else one for one in annotations)
    handler = eval(f"lambda *, {takes}: None", {"defaults": defaults})
    handler.__annotations__ = annotations
    app.post("/")(handler)
    return operation(app, method="post")


def parameter(annotation, default=...):
    """How a parameter called ``one`` is described."""
    given = annotation if default is ... else (annotation, default)
    [found] = taking(one=given)["parameters"]
    return found


def answering(annotation):
    """The responses of a handler with this return annotation, but for errors."""
    app = FinchApp()

    async def index(request): ...

    index.__annotations__["return"] = annotation
    app.get("/")(index)
    responses = operation(app)["responses"]
    assert responses.pop("default") == {"$ref": "#/components/responses/Error"}
    return responses


def body(media, schema):
    return {"content": {media: {"schema": schema} if schema else {}}}


# Paths


@pytest.mark.parametrize(
    ("path", "written", "schema"),
    [
        ("/{x}", "/{x}", {"type": "string", "pattern": "^[^/]+$"}),
        (
            "/{x:int}",
            "/{x}",
            {"type": "integer", "minimum": -(10**18 - 1), "maximum": 10**18 - 1},
        ),
        ("/a/{x:uuid}/b", "/a/{x}/b", {"type": "string", "format": "uuid"}),
        ("/{x:path}", "/{x}", {"type": "string", "minLength": 1}),
        ("/süß/{x}.json", "/s%C3%BC%C3%9F/{x}.json", {"type": "string", "pattern": "^[^/]+$"}),
    ],
)
def test_a_parameter_of_the_path(path, written, schema):
    app = FinchApp()
    app.get(path)(lambda request, x: x)
    [found] = operation(app, written)["parameters"]
    assert found.pop("description", None) == ("May have slashes." if ":path" in path else None)
    assert found == {"name": "x", "in": "path", "required": True, "schema": schema}


def test_a_converter_of_the_applications_own_reads_text():
    converter("moon")(str)
    try:
        app = FinchApp()
        app.get("/{x:moon}")(lambda request, x: x)
        [found] = operation(app, "/{x}")["parameters"]
        assert found["description"] == "What the converter moon reads."
    finally:
        del CONVERTERS["moon"]


def test_paths_that_differ_in_the_names_of_parameters_are_one_and_the_first_counts():
    app = FinchApp()

    @app.get("/birds/{key:int}")
    async def by_key(request, key):
        """By key."""

    @app.get("/birds/{name}")
    async def by_name(request, name): ...

    @app.delete("/birds/{other}")
    async def remove(request, other): ...

    paths = checked_openapi(app)["paths"]
    assert list(paths) == ["/birds/{key}"]
    both = paths["/birds/{key}"]
    assert both["get"]["summary"] == "By key."
    assert "/birds/{name} is tried after this one" in both["get"]["description"]
    assert [one["name"] for one in both["delete"]["parameters"]] == ["key"]


def test_methods_that_openapi_does_not_know_are_left_out():
    app = FinchApp()
    app.route("/all", methods=Methods.ALL)(lambda request: None)
    app.route("/insert", methods=["INSERT"])(lambda request: None)
    app.route("/head", methods=["HEAD"])(lambda request: None)
    app.get("/get")(lambda request: None)
    paths = checked_openapi(app)["paths"]
    every = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
    assert {path: set(item) for path, item in paths.items()} == {
        "/all": every,
        "/head": {"head"},
        "/get": {"get"},
    }


# What is in a description


def test_finchs_own_routes_sockets_and_hidden_routes_are_not_described():
    app = FinchApp(describe=True, health=True)
    hidden = app.group("/hidden", describe=False)
    hidden.get("/one")(lambda request: None)
    hidden.group("/more").get("/two")(lambda request: None)
    app.get("/three", describe=False)(lambda request: None)
    parent = FinchRoute(
        "/four", describe=False, children=[FinchRoute("/five", lambda request: None)]
    )
    app.add_routes([parent])
    app.socket("say")(lambda socket, data: None)
    app.websocket("/raw")(lambda ws: None)
    app.get("/seen")(lambda request: None)
    assert list(checked_openapi(app)["paths"]) == ["/seen"]


def test_the_examples_of_finch_are_applications_as_any_other():
    from finch.examples.hello import app

    assert "/" in checked_openapi(app)["paths"]


def test_a_docstring_is_summary_and_description():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        """The first line.

        The rest
        of it.
        """

    found = operation(app)
    assert (found["summary"], found["description"]) == ("The first line.", "The rest\nof it.")


def test_an_operation_has_the_name_of_its_route_or_handler_and_no_two_are_equal():
    app = FinchApp()

    async def show(request): ...

    app.get("/a")(show)
    app.get("/b")(show)
    app.get("/c", key="the c")(show)
    app.route("/d", methods=["GET", "POST"], key="d")(show)
    paths = checked_openapi(app)["paths"]
    names = [one["operationId"] for item in paths.values() for one in item.values()]
    assert names == ["show", "show_2", "the_c", "d_get", "d_post"]


def test_a_group_is_a_tag():
    app = FinchApp()
    app.group("/api").group("/users/{user}").get("/birds")(lambda request, user: None)
    app.add_routes([FinchRoute("/parent", children=[FinchRoute("/child", lambda request: None)])])
    assert operation(app, "/api/users/{user}/birds")["tags"] == ["api/users"]
    assert operation(app, "/parent/child")["tags"] == ["parent"]


def test_what_is_deprecated_is_said_to_be():
    app = FinchApp()

    def old(request): ...

    old.__deprecated__ = "use new"  # as warnings.deprecated does
    app.get("/")(old)
    assert operation(app)["deprecated"] is True


# Parameters


@pytest.mark.parametrize(
    ("marker", "place"), [(Query, "query"), (Header, "header"), (Cookie, "cookie")]
)
def test_a_marked_parameter(marker, place):
    assert parameter(marker[int]) == {
        "name": "one",
        "in": place,
        "required": True,
        "schema": {"type": "integer"},
    }
    assert parameter(marker[int], 3)["schema"] == {"type": "integer", "default": 3}
    assert not parameter(marker[int | None])["required"]
    assert parameter(Annotated[marker[str], named("two")])["name"] == "two"


def test_constraints_and_descriptions_of_meta_are_kept():
    found = parameter(Annotated[Query[int], Meta(ge=1, le=9, description="how many")], 2)
    assert found["schema"]["minimum"] == 1
    assert found["schema"]["maximum"] == 9
    assert found["description"] == "how many"


def test_a_list_in_the_query_is_several_values_and_in_headers_several_headers():
    assert parameter(Query[list[int]])["schema"]["type"] == "array"
    assert not parameter(Query[list[int]])["required"]
    found = parameter(Header[list[int]])
    assert found["schema"]["type"] == "integer"
    assert found["description"] == "May be sent several times."


def test_a_struct_in_the_query_is_a_parameter_for_each_field():
    found = taking(one=Query[Filter], two=Query[str])["parameters"]
    assert [(one["name"], one["required"]) for one in found] == [
        ("maxAge", True),
        ("tags", False),
        ("two", True),
    ]
    assert found[0]["schema"] == {"type": "integer", "minimum": 0}
    all_or_nothing = taking(one=(Query[Filter], Filter(3)))["parameters"]
    assert not any(one["required"] for one in all_or_nothing)


def test_a_default_that_json_cannot_hold_is_left_out():
    assert "default" not in parameter(Query[Any], object())["schema"]


def test_headers_that_openapi_ignores_are_left_out_and_none_is_there_twice():
    found = taking(
        accept=Header[str],
        content_type=Header[str],
        authorization=Header[str],
        one=Annotated[Header[str], named("X-One")],
        two=Annotated[Header[str], named("x-one")],
    )["parameters"]
    assert [one["name"] for one in found] == ["X-One"]


# Bodies


def test_a_json_body():
    found = taking(one=Body[Bird])
    assert found["requestBody"] == {"required": True, **body("application/json", BIRD)}
    assert set(found["responses"]) == {"2XX", "400", "413", "415", "422", "default"}
    assert not taking(one=(Body[Bird | None], None))["requestBody"]["required"]


def test_a_body_of_bytes_or_text():
    assert list(taking(one=Body[bytes])["requestBody"]["content"]) == ["application/octet-stream"]
    assert list(taking(one=Body[str])["requestBody"]["content"]) == ["text/plain"]


def test_a_form():
    found = taking(one=Form[str], two=(Form[int], 3), three=Form[Filter])["requestBody"]
    assert list(found["content"]) == ["application/x-www-form-urlencoded", "multipart/form-data"]
    schema = found["content"]["multipart/form-data"]["schema"]
    assert list(schema["properties"]) == ["one", "two", "maxAge", "tags"]
    assert schema["required"] == ["one", "maxAge"]


def test_files():
    annotations = {"one": File[Upload], "two": File[list[Upload]], "three": File[Upload | None]}
    found = taking(**annotations)["requestBody"]
    [media] = found["content"].items()
    assert media[0] == "multipart/form-data"
    assert media[1]["schema"]["properties"] == {
        "one": {"type": "string", "format": "binary"},
        "two": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "three": {"type": "string", "format": "binary"},
    }
    assert media[1]["schema"]["required"] == ["one"]


# Responses


class Tagged(TypedDict):
    x: int


JSON = "application/json"
ANY = {"2XX": {"description": "Success"}}
REDIRECT = {"3XX": {"description": "Redirect"}}


def ok(media, schema, status="200", text="OK"):
    return {status: {"description": text, **body(media, schema)}}


@pytest.mark.parametrize(
    ("annotation", "responses"),
    [
        (Bird, ok(JSON, BIRD)),
        (list[Bird], ok(JSON, {"type": "array", "items": BIRD})),
        (dict[str, Any], ok(JSON, {"type": "object"})),
        (Tagged, ok(JSON, {"$ref": "#/components/schemas/Tagged"})),
        (str, ok("text/plain", {"type": "string"})),
        (Literal["a", "b"], ok("text/plain", {"type": "string"})),
        (bytes, ok("application/octet-stream", None)),
        (AsyncIterator[str], ok("text/plain", None)),
        (None, {"204": {"description": "No Content"}}),
        (Bird | None, {**ok(JSON, BIRD), "204": {"description": "No Content"}}),
        (Bird | list[Bird], ok(JSON, {"anyOf": [BIRD, {"type": "array", "items": BIRD}]})),
        (tuple[Bird, int], ok(JSON, BIRD, "2XX", "Success")),
        (tuple[Bird, Literal[201]], ok(JSON, BIRD, "201", "Created")),
        (tuple[None, Literal[202], dict[str, str]], {"202": {"description": "Accepted"}}),
        (Response, ANY),
        (HTMLResponse, ok("text/html", None, "2XX", "Success")),
        (EventStream, ok("text/event-stream", None, "2XX", "Success")),
        (RedirectResponse, REDIRECT),
        (RedirectResponse | str, {**ok("text/plain", {"type": "string"}), **REDIRECT}),
        (Any, ANY),
        (int, ANY),  # no handler may return it; that is not told here
        (tuple, ANY),
        ("NotDefined", ANY),
    ],
)
def test_responses(annotation, responses):
    assert answering(annotation) == responses


def test_a_generator_is_a_stream():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        yield "text"

    assert operation(app)["responses"]["200"] == {
        "description": "OK",
        **body("text/plain", None),
    }


def test_errors_are_problems_or_text():
    found = checked_openapi(birds)["components"]["responses"]["Error"]["content"]
    assert list(found) == ["application/problem+json", "text/plain", "text/html"]


# Who may ask


async def session(request):
    return "ann"


def test_a_route_with_auth_may_be_401_and_says_which_credentials_it_takes():
    app = FinchApp(auth=session)
    api = app.group("/api", auth=Bearer("secret"))
    api.get("/in")(lambda request: None)
    api.get("/out", auth=False)(lambda request: None)
    app.get("/session")(lambda request: None)
    document = checked_openapi(app)
    found = {path: item["get"] for path, item in document["paths"].items()}
    assert found["/api/in"]["security"] == [{"Bearer": []}]
    assert "401" in found["/api/in"]["responses"]
    assert "401" in found["/session"]["responses"]
    assert "security" not in found["/session"]  # nobody knows how it finds out
    assert "401" not in found["/api/out"]["responses"]
    assert "security" not in found["/api/out"]
    assert document["components"]["securitySchemes"] == {
        "Bearer": {"type": "http", "scheme": "bearer"}
    }


def test_credentials_may_be_the_matter_of_a_middleware():
    app = FinchApp(middleware=[Basic({"ann": "secret"})])
    app.get("/")(lambda request: None)
    assert operation(app)["security"] == [{"Basic": []}]


# The document


def test_the_application_as_a_whole():
    about = Description(
        title="Birds", version="2.1", text="All of them.", servers=["https://a.example.org/v2"]
    )
    document = checked_openapi(FinchApp(describe=about))
    assert document["info"] == {"title": "Birds", "version": "2.1", "description": "All of them."}
    assert document["servers"] == [{"url": "https://a.example.org/v2"}]


def test_descriptions_say_true_things_of_a_whole_api():
    found = {
        (path, method): list(one["responses"])
        for path, item in checked_openapi(birds)["paths"].items()
        for method, one in item.items()
    }
    assert found["/birds", "post"] == ["201", "400", "413", "415", "422", "default"]
    assert found["/birds/{key}", "delete"] == ["204", "default"]


@pytest.mark.parametrize("wrong", ["no", 1, None])
def test_describe_of_a_route_is_true_or_false(wrong):
    with pytest.raises(ConfigurationError, match="describe of the route '/' is True or False"):
        FinchApp().get("/", describe=wrong)(lambda request: None)


def test_nothing_is_imported_for_applications_without_a_description():
    import subprocess
    import sys

    code = "import finch, sys; finch.FinchApp(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [one for one in out.stdout.split() if one.startswith("finch.describe.")] == []
