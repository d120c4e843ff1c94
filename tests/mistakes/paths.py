"""Mistakes in the text of a path, in what a handler takes, and in the methods of a route."""

from datetime import date

from finch import Body, Controller, FinchApp, FinchRoute, Query
from tests.mistakes.book import mistake


async def bird(request, bird_id): ...


async def index(request): ...


def route(path, handler=bird, **options):
    """Makes a route, some time later."""
    return lambda: FinchRoute(path, handler, **options)


PATHS = "Routes: paths"

for path, *must_say in [
    ("/birds/<bird_id>", "'/birds/{bird_id}'"),
    ("/birds/<int:bird_id>", "'/birds/{bird_id:int}'"),
    ("/birds/:bird_id", "'/birds/{bird_id}'"),
    ("/birds/[bird_id]", "'/birds/{bird_id}'"),
    ("/files/*", "'/files/{rest:path}'"),
    ("/birds/{ bird_id }", "{bird_id}"),
    ("/birds/{bird_id: int}", "{bird_id:int}"),
    ("/birds/{bird_id!r}", "{bird_id}"),
    ("/birds/{bird_id:string}", "{bird_id}", "str, int, float, uuid, path"),
    ("/birds/{bird_id:integer}", "{bird_id:int}"),
    ("/birds/{int:bird_id}", "{bird_id:int}"),
    ("/birds?page=1", "'/birds'", "request.query"),
    ("/birds#all", "'/birds'"),
    ("/red%20kite", "'/red kite'", "decoding"),
    ("/birds ", "'/birds'"),
    ("https://example.org/birds", "'/birds'"),
]:
    mistake(PATHS, f'@app.get("{path}")', *must_say)(route(path))

mistake(PATHS, 'FinchRoute(index, "/birds")', "the path comes first")(route(index, "/birds"))


@mistake(PATHS, "the same path twice, with another parameter's name", "/birds/{x}", "/birds/{y}")
def the_same_path_by_another_name():
    async def first(request, x): ...

    async def second(request, y): ...

    FinchApp().add_routes([FinchRoute("/birds/{x}", first), FinchRoute("/birds/{y}", second)])


HANDLERS = "Routes: handlers"


@mistake(HANDLERS, "async def birds(request, page: int = Query(1))", "value: Query[int] = 1")
def a_marker_that_is_called():
    @FinchApp().get("/birds")
    async def birds(request, page: int = Query(1)): ...


@mistake(HANDLERS, "async def birds(request, page: int = 1)", "page: Query[int] = 1")
def a_parameter_of_the_query_without_its_marker():
    @FinchApp().get("/birds")
    async def birds(request, page: int = 1): ...


@mistake(HANDLERS, "the request behind another parameter", "the request comes first")
def the_request_comes_late():
    @FinchApp().get("/birds/{bird_id}")
    async def bird(bird_id, request): ...


@mistake(HANDLERS, "a query parameter without its marker", "page: Query[str]")
def a_parameter_without_its_marker():
    @FinchApp().get("/birds")
    async def birds(request, page): ...


@mistake(HANDLERS, "two bodies", "write one type with both")
def two_bodies():
    @FinchApp().post("/birds")
    async def add(bird: Body[dict], ring: Body[dict]): ...


@mistake(HANDLERS, "a guard that is called, and not given", "is a function that takes (request)")
def a_guard_that_is_called():
    @FinchApp().get("/birds", auth=bool("the token"))
    async def birds(request): ...


@mistake(HANDLERS, "a parameter that the path does not have", "add {name} to the path")
def a_parameter_too_many():
    @FinchApp().get("/birds/{bird_id}")
    async def bird(request, bird_id, name): ...


@mistake(HANDLERS, "a handler without one of the path's parameters", "add bird_id")
def a_parameter_too_few():
    @FinchApp().get("/birds/{bird_id}")
    async def bird(request): ...


@mistake(HANDLERS, "async def index(user: dict) for a path without parameters", "is the request")
def a_first_parameter_that_is_not_the_request():
    @FinchApp().get("/")
    async def index(user: dict): ...


@mistake(
    HANDLERS, "{day} and day: date", "the converters are str, int, float, uuid, path", "day: str"
)
def an_annotation_that_no_converter_makes():
    @FinchApp().get("/calendar/{day}")
    async def calendar(request, day: date): ...


@mistake(HANDLERS, "{bird_id:int} and bird_id: str", "{bird_id} in the path", "bird_id: int")
def a_converter_and_another_annotation():
    @FinchApp().get("/birds/{bird_id:int}")
    async def bird(request, bird_id: str): ...


class Birds(Controller):
    async def all(self, request): ...


mistake(HANDLERS, 'FinchRoute("/birds", Birds)', "Birds().all")(route("/birds", Birds))
mistake(HANDLERS, 'FinchRoute("/birds", Birds.all)', "Birds().all")(route("/birds", Birds.all))


@mistake(HANDLERS, 'FinchRoute("/birds", index(request))', "without parentheses")
def an_index_that_was_called():
    FinchRoute("/birds", index(None))


METHODS = "Routes: methods"

for methods, *must_say in [
    ("GET, POST", "methods=['GET', 'POST']"),
    (["GET,POST"], "methods=['GET', 'POST']"),
    (["*"], "Methods.ALL"),
    (["GTE"], "'GET'"),
    ([], "methods=['GET']"),
]:
    mistake(METHODS, f"methods={methods!r}", *must_say)(route("/birds", index, methods=methods))


@mistake(METHODS, "two handlers of HEAD for one path", "HEAD /birds already has a handler")
def two_handlers_of_head():
    FinchApp().add_routes(
        [
            FinchRoute("/birds", index, methods=["GET", "HEAD"]),
            FinchRoute("/birds", index, methods=["HEAD"]),
        ]
    )
