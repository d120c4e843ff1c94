"""What a callback of a room is called with: first what it always gets, then what it names."""

import functools

import pytest

from finch import ConfigurationError
from finch.sockets.binding import Bound

FIXED = ("socket", "data")
OFFERED = ("room", "name", "number")
GIVEN = {"room": "R", "name": "N", "number": 7}


def nothing_more(socket, data): ...


def other_names_for_the_fixed(s, d): ...


def some(socket, data, room): ...


def another_order(socket, data, number, room): ...


def by_keyword(socket, data, *, name): ...


def with_a_default(socket, data, name="nobody"): ...


def with_a_default_of_its_own(socket, data, times=3): ...


def everything(socket, data, **rest): ...


def one_and_everything(socket, data, name, **rest): ...


def whatever_comes(*args, room): ...


def one_and_whatever_comes(socket, *args, room, name="nobody"): ...


class Callable:
    def __call__(self, socket, data, room): ...

    def method(self, socket, data, name): ...


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (nothing_more, ()),
        (other_names_for_the_fixed, ()),
        (some, ("room",)),
        (another_order, ("number", "room")),
        (by_keyword, ("name",)),
        (with_a_default, ("name",)),
        (with_a_default_of_its_own, ()),
        (everything, OFFERED),
        (one_and_everything, OFFERED),
        (whatever_comes, ("room",)),
        (one_and_whatever_comes, ("room", "name")),
        (Callable(), ("room",)),
        (Callable().method, ("name",)),
        (functools.partial(some, room="mine"), ("room",)),
    ],
)
def test_it_gets_what_it_names(function, names):
    bound = Bound(function, FIXED, OFFERED, "the callback")
    assert set(bound.names) == set(names)
    arguments = bound.arguments(GIVEN)
    assert arguments == {name: GIVEN[name] for name in names}
    function("socket", "data", **arguments)  # it can be called so


def too_few(socket): ...


def unknown(socket, data, romo): ...


def too_early(room, socket, data): ...


def only_the_room(socket, room): ...


def positional(socket, data, room, /): ...


@pytest.mark.parametrize("function", [too_few, unknown, too_early, only_the_room, positional])
def test_it_cannot_name_anything_else(function):
    with pytest.raises(ConfigurationError) as raised:
        Bound(function, FIXED, OFFERED, "the callback of the rooms")
    said = str(raised.value)
    assert said.startswith("the callback of the rooms takes (socket, data) first")
    assert "room, name, number" in said
    assert function.__name__ in said
    assert "test_binding.py" in said


def test_what_is_not_callable_is_refused():
    with pytest.raises(ConfigurationError, match="not callable: 'text'"):
        Bound("text", FIXED, OFFERED, "it")
