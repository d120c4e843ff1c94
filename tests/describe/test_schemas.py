"""Schemas of any types that annotations may have: what has none is anything, and nothing fails."""

import enum
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import pydantic
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Meta, Raw, Struct, UnsetType

from finch import Body, ConfigurationError, Cookie, FinchApp, Form, Header, Query
from finch.describe.schemas import Schemas
from tests.describe.official import checked_asyncapi, checked_openapi

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"


class Node(Struct):
    value: int
    children: list["Node"] = []


class Cat(Struct, tag="cat"):
    lives: int = 9


class Dog(Struct, tag="dog"):
    name: str = "rex"


class Untagged(Struct):
    x: int


class Page(Struct, Generic[T]):
    items: list[T]


class Row(Struct, array_like=True):
    a: int
    b: str = ""


class Pair(NamedTuple):
    a: int
    b: str = ""


class Options(TypedDict, total=False):
    x: int


@dataclass
class Point:
    x: float = float("nan")
    y: "Missing" = None  # noqa: F821  # a name that exists nowhere


class Inner(pydantic.BaseModel):
    a: int


class Model(pydantic.BaseModel):
    inner: Inner
    more: list["Model"] = []


class Plain:
    """A class that neither msgspec nor anybody else knows."""


def local():
    class Node(Struct):  # the name of another
        text: str

    return Node


PLAIN = [
    Any, None, bool, int, float, str, bytes, object, datetime, date, timedelta, Decimal, UUID,
    Color, Node, Cat, Cat | Dog, Untagged, Cat | Untagged, Page[int], Page[Node], Row, Pair,
    Options, Point, Inner, Model, Plain, Raw, UnsetType, Literal["a", 1, None], local(), local(),
    list, dict, tuple, "NotDefined", T, 5, AsyncIterator[int], Mapping[str, int],
    Annotated[int, Meta(ge=1, description="one", examples=[1], extra_json_schema={"x": 1})],
    Annotated[str, Meta(pattern="^a", min_length=1)],
]  # fmt: skip


def wider(inner):
    kinds = st.sampled_from(
        [
            lambda one: list[one],
            lambda one: set[one],
            lambda one: dict[str, one],
            lambda one: tuple[one, ...],
            lambda one: tuple[one, int],
            lambda one: Annotated[one, Meta(title="named")],
            lambda one: one | None,
            lambda one: Page[one],
        ]
    )

    def made(kind, one):
        try:
            return kind(one)
        except (TypeError, AttributeError):  # "text" | None
            return one

    return st.builds(made, kinds, inner)


ANNOTATIONS = st.recursive(st.sampled_from(PLAIN), wider, max_leaves=3)
MARKERS = st.sampled_from([Query, Header, Cookie, Body, Form])


def model(cls, value):
    return cls.model_validate(value)


@settings(max_examples=80, derandomize=True, database=None, deadline=None)
@given(MARKERS, ANNOTATIONS, ANNOTATIONS, st.sampled_from([None, model]))
def test_whatever_annotations_say_the_description_is_valid_or_the_handler_is_refused(
    marker, taken, given, hook
):
    app = FinchApp(dec_hook=hook)

    async def handler(one): ...

    async def say(socket, data): ...

    try:
        handler.__annotations__ = {"one": marker[taken], "return": given}
    except AttributeError:  # Query[5]
        assume(False)
    say.__annotations__ = {"data": taken, "return": given}
    for register, function in ((app.post("/"), handler), (app.socket("say"), say)):
        with suppress(ConfigurationError):
            register(function)
    app.get("/given")(handler_of(given))
    checked_openapi(app)
    checked_asyncapi(app)


def handler_of(given):
    async def index(request): ...

    index.__annotations__ = {"return": given}
    return index


def test_a_pydantic_model_knows_its_own_schema():
    app = FinchApp(dec_hook=model)

    @app.post("/")
    async def add(one: Body[Model], two: Query[list[int]] = ()) -> list[Inner]: ...

    document = checked_openapi(app)
    names = set(document["components"]["schemas"])
    assert names == {"finch.Problem", "Model.Model", "Model.Inner"}
    schema = document["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Model.Model"}


def test_models_of_one_name_stay_apart():
    def other():
        class Model(pydantic.BaseModel):
            inner: Inner

        return Model

    schemas = Schemas([Model, other()])
    assert set(schemas.components) == {"Model.Model", "Model.Inner", "Model2.Inner"}


def test_a_class_that_fails_when_it_is_asked_is_anything():
    class Model:
        @classmethod
        def model_json_schema(cls, ref_template):
            raise ValueError("a bug")

    assert Schemas([Model]).of(Model) == {}


def test_local_classes_of_one_name_cannot_both_be_described_and_one_is_anything():
    one, two, three = local(), local(), Cat
    schemas = Schemas([one, two, three])
    assert schemas.of(one) == {"$ref": "#/components/schemas/Node"}
    assert schemas.of(two) == {}
    assert schemas.of(three) == {"$ref": "#/components/schemas/Cat"}
