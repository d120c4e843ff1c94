"""Typed JSON: what is converted as msgspec does it, and how much of it is hashed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from finch.typed import MOST_HEAVY, MOST_LIGHT, decoder, shared_decoder

PRIME = 2**61 - 1  # what Python takes the hash of a number modulo


class Point(msgspec.Struct, frozen=True):
    x: int
    y: int


@dataclass(frozen=True)
class Place:
    x: int
    y: int


class Pair(NamedTuple):
    x: int
    y: str


class Color(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Key:
    """A type that msgspec does not know. All have one hash, and they count their meetings."""

    made = compared = 0

    def __init__(self, number: int) -> None:
        Key.made += 1
        self.number = number

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        Key.compared += 1
        return isinstance(other, Key) and self.number == other.number


def make_key(type_: type, number: Any) -> Key:
    return Key(number)


@pytest.fixture(autouse=True)
def nothing_counted():
    Key.made = Key.compared = 0


def refused(type_: Any, value: Any, hook: Any = None) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(msgspec.ValidationError) as caught:
        decoder(type_, hook)(raw)
    return str(caught.value)


# Numbers that all have the hash 0, as integers, and what else shares a hash as it likes.
INTEGERS = [number * PRIME for number in range(100, 100 + MOST_LIGHT)]
NUMBERS = list(range(MOST_LIGHT))
PAIRS = [[number, number] for number in NUMBERS]
POINTS = [{"x": number, "y": number} for number in NUMBERS]
UUIDS = [str(UUID(int=number * PRIME)) for number in NUMBERS]

HEAVY = [
    (set[int], INTEGERS),
    (frozenset[int], INTEGERS),
    (set[int | None], INTEGERS),
    (set[Any], INTEGERS),
    (set, INTEGERS),
    (set[Annotated[int, msgspec.Meta(ge=0)]], INTEGERS),
    (set[int | str], INTEGERS),
    (dict[int, None], dict.fromkeys(INTEGERS)),
    (set[Decimal], INTEGERS),
    (set[Decimal], [f"1e{number}" for number in NUMBERS]),
    (dict[Decimal, None], dict.fromkeys(NUMBERS)),
    (set[UUID], UUIDS),
    (dict[UUID, None], dict.fromkeys(UUIDS)),
    (set[tuple[int, int]], PAIRS),
    (set[tuple[int, ...]], PAIRS),
    (set[Pair], [[number, "a"] for number in NUMBERS]),
    (set[Point], POINTS),
    (set[Place], POINTS),
    (set[frozenset[int]], PAIRS),
    (set[tuple[str, float]], [["a", number] for number in NUMBERS]),
]
LIGHT = [
    (set[int], NUMBERS),
    (set[float], NUMBERS),
    (set[int | str], NUMBERS),
    (dict[int, None], dict.fromkeys(NUMBERS)),
    (dict[float, None], dict.fromkeys(NUMBERS)),
    (set[int], [2**62 + number for number in NUMBERS]),
    (set[timedelta], [f"PT{number}S" for number in NUMBERS]),
]
FREE = [
    (set[str], [str(number) for number in INTEGERS]),
    (dict[str, None], dict.fromkeys(INTEGERS)),
    (dict, dict.fromkeys(INTEGERS)),
    (dict[Any, None], dict.fromkeys(INTEGERS)),
    (list[int], INTEGERS),
    (tuple[int, ...], INTEGERS),
    (set[tuple[str, str]], [[str(number), ""] for number in NUMBERS]),
    (set[Literal[1, 2]], [1, 2] * MOST_LIGHT),
    (set[Color], ["red"] * MOST_LIGHT),
    (set[Level], [1] * MOST_LIGHT),
    (set[date], ["2020-01-01"] * MOST_LIGHT),
    (set[bool | None], [True, None] * MOST_LIGHT),
]


def name(value: Any) -> str | None:
    return None if isinstance(value, list | dict) else str(value)


def first(value: Any, count: int) -> Any:
    items = list(value.items()) if isinstance(value, dict) else value
    return type(value)(items[:count])


@pytest.mark.parametrize(("type_", "value"), HEAVY, ids=name)
def test_of_what_shares_a_hash_with_any_number_512_are_hashed(type_, value):
    made = decoder(type_)(json.dumps(first(value, MOST_HEAVY)).encode())

    assert len(made) == MOST_HEAVY
    assert f"at most {MOST_HEAVY}" in refused(type_, first(value, MOST_HEAVY + 1))


@pytest.mark.parametrize(("type_", "value"), LIGHT, ids=name)
def test_of_other_numbers_as_many_are_hashed_as_cannot_fill_the_table_against_us(type_, value):
    assert len(decoder(type_)(json.dumps(value).encode())) == MOST_LIGHT
    more = {**value, "-1": None} if isinstance(value, dict) else [*value, value[0]]
    assert f"at most {MOST_LIGHT}" in refused(type_, more)


@pytest.mark.parametrize(("type_", "value"), FREE, ids=name)
def test_what_is_hashed_with_a_secret_or_has_few_values_is_not_counted(type_, value):
    raw = json.dumps(value).encode()

    assert decoder(type_)(raw) == msgspec.json.decode(raw, type=type_)


def test_what_is_refused_was_neither_made_nor_compared():
    hook = make_key
    decoder(set[Key], hook)(json.dumps(NUMBERS[:MOST_HEAVY]).encode())
    assert Key.made == MOST_HEAVY
    assert 0 < Key.compared < MOST_HEAVY**2

    Key.made = Key.compared = 0
    refused(set[Key], NUMBERS[: MOST_HEAVY + 1], hook)
    assert (Key.made, Key.compared) == (0, 0)


def test_a_key_is_counted_each_time_that_it_comes():
    # one key that meets many others would meet them each time
    again = b"{" + b",".join([b'"5":1'] * (MOST_LIGHT + 1)) + b"}"

    refused(dict[int, int], again)
    refused(set[int], [5] * (MOST_LIGHT + 1))


def test_large_elements_count_for_more():
    long = [[0] * 400 + [number] for number in range(200)]

    assert len(decoder(set[tuple[int, ...]])(json.dumps(long[:50]).encode())) == 50
    refused(set[tuple[int, ...]], long)


def test_many_small_sets_count_for_less_than_one_large_one():
    many = [[number, number + PRIME] for number in INTEGERS]
    assert len(decoder(list[set[int]])(json.dumps(many).encode())) == len(many)

    larger = [INTEGERS[:MOST_HEAVY], INTEGERS[:100]]
    assert "`$[...]`" in refused(list[set[int]], larger)
    assert "sets" in refused(list[set[int]], b"[" + b"[]," * 420_000 + b"[]]")


class Tree(msgspec.Struct):
    ids: set[int] = msgspec.field(default_factory=set)
    below: Tree | None = None


class Named(msgspec.Struct, rename="upper", tag="named"):
    ids: set[int]


class Listed(msgspec.Struct, array_like=True, tag="listed"):
    label: str
    ids: set[int]


class Bare(msgspec.Struct, array_like=True):
    label: str
    ids: set[int]


@dataclass
class Data:
    ids: set[int]


class Typed(TypedDict):
    ids: set[int]


class Tuple(NamedTuple):
    label: str
    ids: set[int]


MANY = INTEGERS[: MOST_HEAVY + 1]


@pytest.mark.parametrize(
    ("type_", "value", "place"),
    [
        (Tree, {"ids": MANY}, "$.ids"),
        (Tree, {"below": {"below": {"ids": MANY}}}, "$.below.below.ids"),
        (Named | None, {"type": "named", "IDS": MANY}, "$.IDS"),
        (Listed, ["listed", "a", MANY], "$[1]"),
        (Bare, ["a", MANY], "$[1]"),
        (Data, {"ids": MANY}, "$.ids"),
        (Typed, {"ids": MANY}, "$.ids"),
        (Tuple, ["a", MANY], "$[1]"),
        (tuple[int, set[int]], [1, MANY], "$[1]"),
        (tuple[set[int], ...], [MANY], "$[...]"),
        (list[Data], [{"ids": [1]}, {"ids": MANY}], "$[...].ids"),
        (dict[str, Data], {"a": {"ids": MANY}}, "$[...].ids"),
        (dict[int, set[int]], {"1": MANY}, "$[...]"),
        (set[frozenset[int]], [MANY], "$[...]"),
        (Annotated[set[int] | None, msgspec.Meta(title="ids")], MANY, "$"),
    ],
)
def test_it_is_found_wherever_in_the_type_it_is(type_, value, place):
    assert f"`{place}`" in refused(type_, value)


def test_the_tag_says_which_of_several_types_is_meant():
    class One(msgspec.Struct, tag="one"):
        ids: set[int]

    class Other(msgspec.Struct, tag="other"):
        ids: set[int]

    value = json.dumps({"type": "other", "ids": NUMBERS}).encode()
    assert len(decoder(One | Other)(value).ids) == MOST_LIGHT


def test_what_is_not_hashed_has_no_bound_beside_what_is():
    class Series(msgspec.Struct):
        tags: set[int]
        samples: list[int]

    series = decoder(Series)(json.dumps({"tags": NUMBERS, "samples": INTEGERS * 2}).encode())
    assert len(series.samples) == 2 * MOST_LIGHT


@pytest.mark.parametrize("raw", [b"[1,2,2]", "[1,2,2]", msgspec.Raw(b"[1,2,2]")])
def test_json_comes_in_every_form(raw):
    assert decoder(set[int])(raw) == {1, 2}
    assert decoder(list[int])(raw) == [1, 2, 2]


def test_every_form_is_counted():
    raw = json.dumps(MANY)
    for form in (raw, raw.encode(), msgspec.Raw(raw.encode())):
        refused(set[int], form) if isinstance(form, bytes) else None
        with pytest.raises(msgspec.ValidationError):
            decoder(set[int])(form)


def test_what_is_no_json_is_refused_before_anything_is_hashed():
    hook = make_key
    whole = json.dumps(NUMBERS[: MOST_HEAVY + 1]).encode()
    for raw in (whole[:-1], whole[:-1] + b",}", whole + b"]"):
        with pytest.raises(msgspec.DecodeError):
            decoder(set[Key], hook)(raw)
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        decoder(set[int])(b"1," * MOST_HEAVY + b"[" * 100_000)
    with pytest.raises(msgspec.ValidationError):
        decoder(set[int])(b"[" + b'"\xff",' * MOST_HEAVY + b"1]")
    assert Key.made == 0


@pytest.mark.parametrize("type_", [set[Any], set, frozenset, set[int | Any]])
def test_an_element_that_cannot_be_hashed_does_not_fit(type_):
    assert "unhashable" in refused(type_, [[1]])


class Soft(msgspec.Struct):
    x: int


@dataclass
class SoftPlace:
    x: int


@pytest.mark.parametrize(
    "type_", [set[list[int]], set[dict], set[set[int]], set[Soft], frozenset[SoftPlace | None]]
)
def test_a_type_that_cannot_be_hashed_is_refused_when_its_decoder_is_made(type_):
    with pytest.raises(TypeError, match="must be hashable"):
        decoder(type_)


def test_a_type_has_one_decoder():
    assert shared_decoder(set[int]) is shared_decoder(set[int])
    with pytest.raises(TypeError):
        shared_decoder(set[Soft])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers().map(str), inner),
    max_leaves=8,
)
PADDING = "," * MOST_HEAVY  # makes the counter look at everything
TYPES = [
    set[Any],
    dict[int, Any],
    list[set[int]] | dict[str, set[Any]],
    Tree,
    Named | str,
    Listed | None,
    set[datetime] | dict[float, time] | None,
]


@settings(max_examples=500, deadline=None)
@given(VALUES, st.sampled_from(TYPES), st.integers(0, 200), st.text(max_size=3), st.booleans())
def test_below_the_bounds_it_is_msgspec_s_answer(value, type_, place, text, utf8):
    written = json.dumps([PADDING, value], ensure_ascii=not utf8)
    if text:
        written = written[:-place] + text + written[-place:]
    raw = written.encode("utf-8", "surrogatepass")
    wrapped = tuple[str, type_]

    def outcome(decode):
        try:
            return repr(decode(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        except TypeError:  # msgspec's: unhashable
            return None

    assert outcome(decoder(wrapped)) == outcome(msgspec.json.Decoder(wrapped).decode)
