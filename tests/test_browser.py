"""The client for browsers, as an application serves it: its paths, its caching, its types."""

import gzip

import pytest

from finch import ConfigurationError, FinchApp, SocketManager
from finch.browser import STATIC
from finch.testing import TestClient

SCRIPT = (STATIC / "finch.js").read_bytes()


def app_with_sockets(**options):
    app = FinchApp(**options)

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


def paths(app):
    return {route.path for route in app.routes}


async def test_an_app_with_sockets_serves_its_client():
    async with TestClient(app_with_sockets()) as client:
        response = await client.get("/finch.js")
        assert response.status == 200
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        assert response.body == SCRIPT
        response = await client.get("/finch.global.js")
        assert response.body == (STATIC / "finch.global.js").read_bytes()
        response = await client.get("/finch.d.ts")
        assert response.headers["content-type"] == "application/typescript; charset=utf-8"
        assert response.body == (STATIC / "finch.d.ts").read_bytes()


async def test_a_page_of_another_site_may_load_it():
    async with TestClient(app_with_sockets()) as client:
        response = await client.get("/finch.js", headers={"origin": "https://other.example"})
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_cache_keeps_it_for_a_year_by_its_hash_and_asks_otherwise():
    app = app_with_sockets()
    async with TestClient(app) as client:
        response = await client.get(app.client_url)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        for url in ("/finch.js", "/finch.js?v=old", "/finch.js?v="):
            response = await client.get(url)
            assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("known", ["{}", "W/{}", '"x", {}', "*"])
async def test_who_has_it_already_gets_304(known):
    async with TestClient(app_with_sockets()) as client:
        tag = (await client.get("/finch.js")).headers["etag"]
        response = await client.get("/finch.js", headers={"if-none-match": known.format(tag)})
        assert (response.status, response.body) == (304, b"")
        assert response.headers["etag"] == tag
        assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("known", ['"x"', "x", ""])
async def test_who_has_another_gets_it(known):
    async with TestClient(app_with_sockets()) as client:
        response = await client.get("/finch.js", headers={"if-none-match": known})
        assert response.status == 200


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("br, GZIP ;q=0.5", True),
        ("gzip;q=1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("xgzip", False),
        ("", False),
    ],
)
async def test_it_is_compressed_for_those_who_accept_that(accepted, zipped):
    async with TestClient(app_with_sockets()) as client:
        plain = await client.get("/finch.js", headers={"accept-encoding": ""})
        response = await client.get("/finch.js", headers={"accept-encoding": accepted})
        assert response.headers["vary"] == "accept-encoding"
        assert (response.headers.get("content-encoding") == "gzip") is zipped
        assert (response.headers["etag"] != plain.headers["etag"]) is zipped
        body = gzip.decompress(response.body) if zipped else response.body
        assert body == SCRIPT


async def test_a_head_has_no_body():
    async with TestClient(app_with_sockets()) as client:
        response = await client.request("HEAD", "/finch.js")
        assert (response.status, response.body) == (200, b"")


def test_an_app_without_sockets_does_not_serve_it():
    assert paths(FinchApp()) == set()


def test_a_manager_with_a_path_of_its_own_is_enough():
    app = FinchApp()
    SocketManager(app, path="/admin")
    assert paths(app) == {"/admin", "/finch.js", "/finch.global.js", "/finch.d.ts"}


def test_it_can_be_elsewhere_or_nowhere():
    assert "/assets/live.js" in paths(app_with_sockets(client_path="/assets/live.js"))
    assert "/assets/live.global.js" in paths(app_with_sockets(client_path="/assets/live.js"))
    app = app_with_sockets(client_path=None)
    assert paths(app) == {"/ws"}
    assert app.client_url is None


@pytest.mark.parametrize("early", [True, False])
async def test_a_route_of_the_application_takes_its_place(early):
    app = FinchApp() if early else app_with_sockets()

    @app.get("/finch.js")
    async def mine(request):
        return "mine"

    @app.socket("time")
    async def tell_time(socket, data):
        return 0

    async with TestClient(app) as client:
        assert (await client.get("/finch.js")).body == b"mine"
        assert (await client.get("/finch.d.ts")).status == 200


@pytest.mark.parametrize("path", ["finch.js", "/finch", "/{name}.js", 7, ""])
def test_an_invalid_path_is_refused(path):
    with pytest.raises(ConfigurationError):
        FinchApp(client_path=path)
