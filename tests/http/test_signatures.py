"""What a handler takes: the request, the path's parameters, and what its annotations ask for."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import typing
import uuid
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Protocol, TypeVar

import msgspec
import pytest

from finch import FinchApp, FinchRoute, Request, Response, SocketController
from finch.errors import ConfigurationError
from finch.http.routing import Match, Router

if TYPE_CHECKING:
    from somewhere import Unknown

BirdId = NewType("BirdId", int)
T = TypeVar("T")


class Color(enum.StrEnum):
    RED = "red"


class Sized(Protocol):
    def __len__(self) -> int: ...


def params(path, index, asked, method="GET"):
    router = Router()
    router.add(FinchRoute(path, index))
    found = router.match(method, asked)
    return found.params if isinstance(found, Match) else None


def handler(annotation: Any, *, text: bool = False):
    """A handler whose parameter ``a`` has this annotation, a value or the code of one."""
    names = {"value": annotation, "uuid": uuid, "datetime": datetime, "typing": typing}
    written = annotation if text else "value"
    code = compile(f"async def read(request, a: {written}): ...", "a", "exec", dont_inherit=True)
    exec(code, names)
    return names["read"]


# What an annotation asks for


@pytest.mark.parametrize(
    ("annotation", "asked", "value"),
    [
        (int, "/5", 5),
        (int, "/x", None),
        (float, "/5.5", 5.5),
        (float, "/x", None),
        (uuid.UUID, "/" + "1" * 8 + "-1111" * 3 + "-" + "1" * 12, uuid.UUID("1" * 8 + ("1" * 24))),
        (uuid.UUID, "/x", None),
        (int | None, "/5", 5),
        (Optional[int], "/x", None),  # noqa: UP045
        (Annotated[int, "positive"], "/5", 5),
        (BirdId, "/5", 5),
        (str, "/5", "5"),
        (str | None, "/5", "5"),
        (int | str, "/5", "5"),
        (Any, "/5", "5"),
        (object, "/5", "5"),
        (T, "/5", "5"),
        (typing.Hashable, "/5", "5"),
        (Sized, "/5", "5"),
    ],
)
def test_an_annotation_converts_as_the_converter_of_that_type_does(annotation, asked, value):
    found = params("/{a}", handler(annotation), asked)

    assert found == (None if value is None else {"a": value})
    assert found is None or type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("int", 5),
        ("'int'", 5),
        ("'typing.Optional[int]'", 5),
        ("'int | None'", 5),
        ("'uuid.UUID'", None),
        ("'str'", "5"),
        ("'Unknown'", "5"),  # it cannot be resolved
        ("'typing.Unknown'", "5"),
        ("'no python'", "5"),
        ("'1 / 0'", "5"),
    ],
)
def test_an_annotation_may_be_text(text, value):
    assert params("/{a}", handler(text, text=True), "/5") == (
        None if value is None else {"a": value}
    )


async def postponed(
    request: Request, bird: int, ring: uuid.UUID, note: Unknown, *, wild: Unknown = 1
):
    """Its annotations are text, by this module's first import."""


def test_postponed_annotations_convert_and_those_for_type_checkers_only_are_ignored():
    ring = uuid.uuid4()

    found = params("/{bird}/{ring}/{note}", postponed, f"/5/{ring}/x")

    assert found == {"bird": 5, "ring": ring, "note": "x"}


@pytest.mark.parametrize("annotation", ["int", "str", "bool", "float | None", "uuid.UUID"])
def test_an_annotated_default_that_no_request_replaces_is_refused(annotation):
    code = f"async def read(request, a, page: {annotation} = None): ..."
    exec(code, names := {"uuid": uuid})

    with pytest.raises(ConfigurationError, match=r"page: Query\[.*\] = None") as refused:
        FinchApp().get("/{a}")(names["read"])
    assert "would be None in every request" in str(refused.value)


def test_a_default_that_a_group_replaces_or_that_is_meant_to_stay_is_not_refused():
    async def read(request, a: int = 1, notes=(), birds: Birds | None = None): ...

    app = FinchApp()
    app.group("/{a}").get("/notes")(read)
    assert app.path_for("read", a=7) == "/7/notes"

    async def page(request, a, size: int): ...

    assert params("/{a}", functools.partial(page, size=20), "/x") == {"a": "x"}


class Birds:
    async def one(self, request, a: int): ...

    async def __call__(self, request, a: int): ...

    @staticmethod
    async def static(request, a: int): ...

    @classmethod
    async def made(cls, request, a: int): ...


async def plain(request, a: int, b="x"): ...


async def stream(request, a: int):
    yield "x"


async def keyword(request, *, a: int): ...


@functools.wraps(plain)
async def wrapping(*args, **kwargs): ...


# Names of their own: a function's repr has an address in it, which another process does not share.
KINDS_OF_HANDLERS = (
    "plain stream keyword wrapped method callable static class partial partial-of-method lambda"
).split()


@pytest.mark.parametrize(
    "index",
    [
        plain,
        stream,
        keyword,
        wrapping,
        Birds().one,
        Birds(),
        Birds.static,
        Birds.made,
        functools.partial(plain, b="y"),
        functools.partial(functools.partial(Birds().one)),
        lambda request, a: "x",
    ],
    ids=KINDS_OF_HANDLERS,
)
def test_every_kind_of_handler_is_asked_for_its_annotations(index):
    expected = {"a": "5"} if getattr(index, "__name__", "") == "<lambda>" else {"a": 5}

    assert params("/{a}", index, "/5") == expected


async def anything(request, **a: int): ...


async def everything(*args: int, **kwargs: bool): ...


@pytest.mark.parametrize("index", [anything, everything])
def test_the_annotation_of_all_further_parameters_asks_for_nothing(index):
    assert params("/{a}/{kwargs}", index, "/5/6") == {"a": "5", "kwargs": "6"}


def test_a_converter_in_the_path_is_enough():
    assert params("/{a:int}", anything, "/5") == {"a": 5}
    assert params("/{a:int}", handler(int), "/5") == {"a": 5}
    assert params("/{a:int}", handler(float), "/5") == {"a": 5}
    assert params("/{a:int}", handler(int | str), "/5") == {"a": 5}
    assert params("/{a:path}", handler(str), "/5/6") == {"a": "5/6"}


def test_an_annotation_makes_another_path_as_a_converter_does():
    router = Router()
    router.add(FinchRoute("/{a}", handler(int)))
    router.add(FinchRoute("/{a}", handler(str)))

    assert router.match("GET", "/5").params == {"a": 5}
    assert router.match("GET", "/x").params == {"a": "x"}
    with pytest.raises(ConfigurationError, match="already has a handler"):
        router.add(FinchRoute("/{b:int}", anything))


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (bool, "bool"),
        (bytes, "bytes"),
        (datetime.date, "datetime.date"),
        (Color, "tests.http.test_signatures.Color"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (list[int], "list[int]"),
        (int | float, "int | float"),
        (None, "None"),
    ],
)
def test_an_annotation_that_no_converter_makes_is_refused_with_the_converters(annotation, shown):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute("/x/{a}", handler(annotation))
    said = str(caught.value)
    assert "the handler of route '/x/{a}' annotates {a} with " in said
    assert f" with {shown}, " in said
    assert "the converters are str, int, float, uuid, path" in said
    assert "write a: str, and convert it in the handler" in said


@pytest.mark.parametrize(
    ("path", "annotation", "said"),
    [
        ("/{a:int}", "str", "{a:int} of route '/{a:int}' gives int, but its handler annotates it"),
        ("/{a:int}", "str", "write {a} in the path, or a: int in the handler"),
        ("/{a:str}", "int", "write {a:int} in the path, or a: str in the handler"),
        ("/{a:path}", "int", "write {a:int} in the path, or a: str in the handler"),
        ("/{a:float}", "int", "write {a:int} in the path, or a: float in the handler"),
        ("/{a:uuid}", "str", "write {a} in the path, or a: UUID in the handler"),
        ("/{a:int}", "bool", "annotates it with bool: write a: int in the handler"),
        ("/{a:path}", "datetime.date", "write a: str in the handler"),
    ],
)
def test_a_converter_that_contradicts_the_annotation_is_refused(path, annotation, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute(path, handler(repr(annotation), text=True))
    assert said in str(caught.value)


# The shape


class House:
    async def all(self, request): ...

    async def each(self, request, **params): ...

    async def bare(self): ...


async def nothing(): ...


async def only(a): ...


async def swapped(a, request): ...


async def named(*, request, a): ...


async def short(request): ...


async def more(request, a, b): ...


async def by_place(request, a, /): ...


async def typed(a: int): ...


async def parsed(bird: dict[str, int]): ...


@pytest.mark.parametrize(
    ("path", "index", "said"),
    [
        ("/{a}", nothing, "called with (request, a), but is written nothing(); add a to its"),
        ("/{a}", swapped, "the request comes first: write (request, a)"),
        ("/{a}", named, "the request comes first: write (request, a)"),
        ("/{a}", short, "is written short(request); add a to its parameters"),
        ("/{a}", by_place, "a is passed by name: leave out the slash"),
        ("/{request}", short, "call the path's parameter something other than request"),
        ("/{class}", short, "'class' is a keyword of Python"),
        (
            "/",
            typed,
            "the first parameter of the handler of / is the request, but typed annotates it",
        ),
        ("/", parsed, "annotates it with dict[str, int]: add request before it"),
        ("/", parsed, "or say where it comes from: bird: Query[dict[str, int]]"),
    ],
)
def test_a_handler_that_does_not_fit_its_path_is_told_how_to(path, index, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute(path, index)
    assert said in str(caught.value)


def test_what_a_path_lacks_is_told_when_the_route_is_added_since_a_parent_may_have_it():
    route = FinchRoute("/{a}", more)

    with pytest.raises(
        ConfigurationError, match=r"add \{b\} to the path, give b a default, or say"
    ):
        FinchApp().add_routes([route])
    app = FinchApp()
    app.add_routes([FinchRoute("/in/{b}", children=[route])])
    assert [one.path for one in app.routes if one.index is more] == ["/in/{b}/{a}"]


@pytest.mark.parametrize(("path", "index"), [("/", nothing), ("/{a}", only)])
def test_the_request_may_be_left_out(path, index):
    assert FinchRoute(path, index).plan.takes_request is False


def ready(request: Request): ...


def wide(request: object): ...


def loose(request: Any): ...


def alike(request: Sized): ...


def narrow(request: Narrow): ...


class Narrow(Request):
    pass


@pytest.mark.parametrize("index", [ready, wide, loose, alike, narrow, print])
def test_the_request_may_be_annotated(index):
    assert FinchRoute("/", index).index is index


# Classes and their methods


class Called:
    def __init__(self, store=None): ...

    async def __call__(self, request): ...


class Empty:
    def __init__(self, store): ...


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (House, "the handler of /a is the class House; make an instance first: write "),
        (House, "write FinchRoute('/a', House().all)"),
        (Called, "write FinchRoute('/a', Called())"),
        (Empty, "write FinchRoute('/a', Empty())"),
        (SocketController, "write FinchRoute('/a', SocketController().socket)"),
        (House.all, "the handler of /a is the method House.all without an instance"),
        (House.all, "write FinchRoute('/a', House().all)"),
        (House.bare, "write FinchRoute('/a', House().bare)"),
    ],
)
def test_a_class_or_a_method_without_an_instance_is_refused_with_what_to_write(index, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute("/a", index)
    assert said in str(caught.value)


class Page(Response):
    def __init__(self, request):
        super().__init__(b"page")


@dataclasses.dataclass
class Seen:
    request: Any


class Struct(msgspec.Struct):
    request: Any


class View:
    def __init__(self, request): ...

    def __await__(self):
        yield


@pytest.mark.parametrize("index", [Page, Seen, Struct, View, str])
def test_a_class_whose_instances_are_answers_is_a_handler(index):
    assert FinchRoute("/", index).index is index
