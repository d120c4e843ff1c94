"""What an error says of values and functions, and that saying it never makes things worse."""

from __future__ import annotations

import functools
import pathlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pytest

from finch.explain import closest, hint, kind, not_text, shown, where, why_no_json


class Bird(msgspec.Struct, rename="camel"):
    first_name: str
    avatar: Any = msgspec.UNSET


@dataclass
class Nest:
    place: Any


@attrs.define
class Egg:
    size: Any


class Hostile:
    """Whoever touches it is sorry."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise SystemExit

    __str__ = __repr__


class Meta(type):
    @property
    def __name__(cls):
        raise SystemExit


class HostileKind(metaclass=Meta):
    pass


class Word(str):
    __slots__ = ()


PATH = pathlib.PurePosixPath("a")


# JSON


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (PATH, "the value is a PurePosixPath, which JSON cannot hold; write str(...) around it"),
        ({"user": {"avatar": PATH}}, "$.user.avatar is a PurePosixPath, which JSON cannot hold"),
        ([1, [2, (3, object())]], "$[1][1][1] is an object, which JSON cannot hold"),
        ({"two words": [1j]}, "$['two words'][0] is a complex"),
        ({5: {1.5: {2j}}}, "$[5][1.5][...] is a complex"),
        (Bird("a", PATH), "$.avatar is a PurePosixPath"),
        ([Bird(PATH)], "$[0].firstName is a PurePosixPath"),
        (Nest(Egg(deque())), "$.place.size is a deque, which JSON cannot hold; write list(...)"),
        ({"f": print}, "$.f is a builtin_function_or_method"),
        ({"f": where}, "$.f is a function, which JSON cannot hold; call it"),
        ({"cls": Nest}, "$.cls is a type, which JSON cannot hold; make an instance"),
        ([Word("a")], "$[0] is a Word, which JSON cannot hold; write str(...)"),
        ({"e": ValueError("x")}, "$.e is a ValueError, which JSON cannot hold; write str(...)"),
        ({(1, 2): 3}, "the value has a tuple as a key, which JSON cannot hold; write str(...)"),
        ({"a": {None: 3}}, "$.a has None as a key, which JSON cannot hold"),
        ([{True: 3}], "$[0] has True as a key, which JSON cannot hold"),
        ({"name": "\ud800"}, r"$.name has a lone surrogate ('\ud800'), which UTF-8 cannot hold"),
        ({"a\udcff": 1}, r"the value has a key with a lone surrogate ('\udcff')"),
    ],
    ids=lambda value: "" if not isinstance(value, str) else value[:40],
)
def test_the_part_that_json_cannot_hold_is_named_with_its_type(value, says):
    with pytest.raises(Exception):  # noqa: B017
        msgspec.json.encode(value)
    assert why_no_json(value).startswith(says)


def test_a_coroutine_is_a_forgotten_await():
    async def load(): ...

    coroutine = load()
    assert "write 'await'" in why_no_json({"user": coroutine})
    coroutine.close()


def test_a_pydantic_model_is_to_be_dumped():
    class Model:
        def model_dump(self): ...

    said = why_no_json([Model()])
    assert (
        said == "$[0] is a Model, which JSON cannot hold; write .model_dump(mode='json') after it"
    )


def test_a_value_that_contains_itself_is_told_where():
    cycle: dict[str, Any] = {"rooms": [{}]}
    cycle["rooms"][0]["house"] = cycle
    assert why_no_json(cycle) == "$.rooms[0].house contains itself, which JSON cannot hold"


def test_the_same_value_twice_is_not_a_cycle():
    shared = {"a": 1}
    assert why_no_json([shared, shared, {"b": 1j}]).startswith("$[2].b is a complex")


def test_a_very_deep_value_does_not_recurse_and_its_path_is_cut():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert why_no_json(deep) == "the value is nested too deeply"

    deep = 1j
    for _ in range(400):
        deep = [deep]
    said = why_no_json(deep)
    assert "[0]..." in said
    assert "is a complex" in said
    assert len(said) < 300


def test_the_search_ends_after_many_values():
    assert why_no_json([0] * 15_000 + [1j]).startswith("$[15000] is a complex")
    assert "complex" in why_no_json([0] * 30_000 + [1j])


def test_a_property_that_raises_does_no_harm():
    @dataclass
    class Odd:
        place: Any

        def __getattribute__(self, name):
            if name == "place":
                raise ValueError
            return super().__getattribute__(name)

    assert "JSON cannot hold" in why_no_json([Odd(1)])


# Functions


async def load(socket, data): ...


async def stream(request):
    yield


@functools.wraps(load)
async def wrapper(*args): ...


class House:
    async def method(self): ...

    def __call__(self): ...

    @classmethod
    def of_class(cls): ...


LINE = load.__code__.co_firstlineno


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (load, f"load (test_explain.py, line {LINE})"),
        (wrapper, f"load (test_explain.py, line {LINE})"),
        (functools.partial(functools.partial(load), 1), f"load (test_explain.py, line {LINE})"),
        (stream(None), f"stream (test_explain.py, line {LINE + 3})"),
        (House().method, "House.method (test_explain.py, line "),
        (House(), "House.__call__ (test_explain.py, line "),
        (House.of_class, "House.of_class (test_explain.py, line "),
        (House, "House"),
        (print, "print"),
        ("the handler of /birds", "the handler of /birds"),
        (5, "an int"),
    ],
)
def test_a_function_is_told_with_its_place(function, name):
    assert where(function).startswith(name)


def test_a_coroutine_is_told_by_its_function():
    coroutine = load(1, 2)
    assert where(coroutine) == f"load (test_explain.py, line {LINE})"
    coroutine.close()


def test_a_function_in_a_function_is_told_by_its_own_name():
    def inner(): ...

    assert where(inner).startswith("inner (")


def test_a_function_that_wraps_itself_does_no_harm():
    def odd(): ...

    odd.__wrapped__ = odd  # type: ignore[attr-defined]
    assert where(odd).startswith("odd (")


# Values


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "None"), ({}, "a dict"), (5, "an int")],
)
def test_a_value_is_told_by_its_type(value, said):
    assert kind(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "True"),
        (None, "None"),
        (5, "5"),
        ("a", "'a'"),
        ("a" * 100, repr("a" * 60) + "..."),
        (b"a" * 100, repr(b"a" * 60) + "..."),
        ({"secret": 1}, "a dict"),
        (Word("a"), "a Word"),
    ],
)
def test_only_pythons_own_values_are_printed_and_only_their_beginning(value, said):
    assert shown(value) == said


def test_a_number_that_python_would_not_print_is_not_printed():
    assert shown(1 << 50_000) == "a very large int"


@pytest.mark.parametrize(
    ("cls", "name"), [(Hostile, "a Hostile"), (HostileKind, "a HostileKind")], ids=["value", "kind"]
)
def test_a_hostile_value_is_told_by_its_type_and_never_asked(cls, name):
    assert kind(cls()) == shown(cls()) == where(cls()) == name
    assert hint(cls()) == ""
    assert why_no_json([cls()]) == f"$[0] is {name}, which JSON cannot hold"


def test_an_unknown_kind_has_no_hint():
    assert hint(object()) == ""


@pytest.mark.parametrize(
    ("name", "found"), [("on_mesage", "on_message"), ("xyz", None), (5, None), ("", None)]
)
def test_the_closest_name_is_found(name, found):
    assert closest(name, ("on_connect", "on_message")) == found


def test_a_lone_surrogate_is_no_text():
    assert not_text("grüße 🐦") is None
    assert "surrogate" in (not_text("a\ud800") or "")
