"""Converters of an application's own: whatever the function does, a path matches or it does not."""

import pytest

from finch import ConfigurationError, FinchApp, converter
from finch.testing import TestClient


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (read := (lambda text: text), "the name of a converter is an identifier such as 'date'"),
        ("no name", "the name of a converter is an identifier"),
        ("int", "the converter 'int' is already registered; there are str, int"),
    ],
)
def test_a_wrong_name_is_refused(name, said):
    with pytest.raises(ConfigurationError, match=said):
        converter(name)


def test_what_is_no_function_is_refused():
    with pytest.raises(ConfigurationError, match="the converter 'odd' is a function, not 5"):
        converter("odd")(5)


async def test_what_it_raises_beside_value_error_is_logged_and_does_not_match(caplog):
    @converter("odd")
    def odd(text):
        raise KeyError(text)

    app = FinchApp()
    app.get("/{a:odd}")(lambda request, a: a)

    async with TestClient(app) as client:
        assert (await client.get("/x")).status == 404
    assert "the converter odd" in caplog.text
    assert "KeyError" in caplog.text


async def test_rooms_may_use_it():
    converter("low")(lambda text: text.lower() if text != "bad" else int(text))
    app = FinchApp()
    rooms = app.rooms("chat/{name:low}")

    assert rooms.match("chat/LOBBY") == {"name": "lobby"}
    assert rooms.match("chat/bad") is None


def test_two_routes_that_differ_in_converters_of_ones_own_are_two_routes():
    converter("one")(int)
    converter("two")(str)
    app = FinchApp()
    app.get("/{a:one}")(lambda request, a: a)
    app.get("/{a:two}")(lambda request, a: a)
    app.get("/{a}")(lambda request, a: a)

    with pytest.raises(ConfigurationError, match="already has a handler"):
        app.get("/{b:one}")(lambda request, b: b)
    other = FinchApp()
    other.get("/{a}")(lambda request, a: a)
    with pytest.raises(ConfigurationError, match="would never run"):
        other.get("/{a:one}")(lambda request, a: a)
