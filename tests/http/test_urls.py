"""URLs by the keys of routes: what is made leads back to the route, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finch import FinchApp, converter
from finch.testing import TestClient


async def bird(request, **params):
    return params


def birds():
    app = FinchApp()
    app.get("/birds/{name}", key="bird")(bird)
    app.get("/numbers/{number:int}/x", key="number")(bird)
    app.get("/files/{rest:path}", key="file")(bird)
    app.get("/{rest:path}", key="any")(bird)
    app.get("/plain page", key="plain")(bird)
    return app


@pytest.mark.parametrize(
    ("key", "params", "path"),
    [
        ("bird", {"name": "finch"}, "/birds/finch"),
        ("bird", {"name": "a b?#%ü"}, "/birds/a%20b%3F%23%25%C3%BC"),
        ("bird", {"name": "x", "tab": "songs"}, "/birds/x?tab=songs"),
        ("bird", {"name": "x", "tag": ["a", "b"], "no": None}, "/birds/x?tag=a&tag=b"),
        ("number", {"number": -7}, "/numbers/-7/x"),
        ("file", {"rest": "a/b c"}, "/files/a/b%20c"),
        ("plain", {}, "/plain%20page"),
    ],
)
def test_a_path_is_made_of_a_key_and_values(key, params, path):
    assert birds().path_for(key, **params) == path


@pytest.mark.parametrize(
    ("key", "params", "said"),
    [
        ("bird", {}, "needs a value for 'name'"),
        ("bird", {"name": None}, "needs a value for 'name', and it is None"),
        ("bird", {"name": "a/b"}, "is no path of the route"),
        ("bird", {"name": ""}, "is no path of the route"),
        ("bird", {"name": ".."}, "lead a browser elsewhere"),
        ("number", {"number": "seven"}, "is no path of the route"),
        ("number", {"number": 10**30}, "is no path of the route"),
        ("any", {"rest": "/evil.example"}, "lead a browser elsewhere"),
        ("file", {"rest": "a/../../b"}, "lead a browser elsewhere"),
    ],
)
def test_a_value_that_would_lead_elsewhere_is_refused(key, params, said):
    with pytest.raises(ValueError, match=said):
        birds().path_for(key, **params)


def test_an_unknown_key_is_told_with_the_one_that_was_meant():
    with pytest.raises(LookupError, match="did you mean 'number'"):
        birds().path_for("nubmer")
    with pytest.raises(LookupError, match="no route has the key"):
        birds().path_for("zzzzzz")


@pytest.mark.parametrize("key", [None, 7, bird])
def test_a_key_is_text(key):
    app = birds()
    app.get("/without a key")(bird)
    with pytest.raises(TypeError, match="the key of a route is text"):
        app.path_for(key)


def test_a_handlers_name_is_its_key_unless_several_have_it():
    app = FinchApp()

    @app.get("/a/{x}", "/b/{x}")
    async def one(request, x): ...

    assert app.path_for("one", x="y") == "/a/y"
    app.get("/c")(lambda request: 1)
    app.get("/d")(lambda request: 2)
    with pytest.raises(LookupError, match="several handlers are called '<lambda>': /c and /d"):
        app.path_for("<lambda>")


@given(st.text(min_size=1, max_size=20))
def test_whatever_the_value_its_path_comes_back_as_it_was(name):
    app = birds()
    try:
        path = app.path_for("bird", name=name)
    except (ValueError, UnicodeEncodeError):
        return
    assert path.isascii()
    from urllib.parse import unquote

    found = app._router.match("GET", unquote(path))
    assert (found.route.key, dict(found.params)) == ("bird", {"name": name})


async def test_url_for_is_absolute_and_believes_trusted_proxies_only():
    app = FinchApp()

    @app.get("/here")
    async def here(request):
        return request.url_for("here", page=2)

    forwarded = {"forwarded": "proto=https;host=shop.example"}
    async with TestClient(app, forwarded_allow_ips="*") as client:
        got = await client.get("/here", headers=forwarded)
        assert got.text == "https://shop.example/here?page=2"
    async with TestClient(app) as client:
        got = await client.get("/here", headers={"host": "a.example:8080", **forwarded})
        assert got.text == "http://a.example:8080/here?page=2"


async def test_a_converter_of_ones_own_makes_values_and_texts():
    @converter("hex", to_text="{:x}".format)
    def read(text):
        return int(text, 16)

    app = FinchApp()
    app.get("/{color:hex}", key="color")(bird)
    app.get("/{name}", key="name")(lambda request, name: f"the name {name}")
    assert app.path_for("color", color=255) == "/ff"
    async with TestClient(app) as client:
        assert (await client.get("/ff")).json() == {"color": 255}
        assert (await client.get("/zz")).text == "the name zz"


async def test_without_a_host_url_for_is_a_path_and_never_another_host():
    app = FinchApp()

    @app.get("/{name}", key="name")
    async def show(request, name):
        return request.url_for("name", name="evil.example")

    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET /a HTTP/1.0\r\n\r\n")
        received = b""
        while piece := await stream.receive_some():
            received += piece
    assert received.endswith(b"\r\n\r\n/evil.example")  # not "http:///evil.example"
