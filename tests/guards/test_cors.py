"""CORS: preflights, marked responses, sockets, and what is refused where it is written."""

import logging

import httpx
import pytest
import trio

from finch import ConfigurationError, FinchApp, HTTPError, SocketManager, StreamingResponse
from finch.guards import CORS, Basic, Bearer
from finch.testing import HandshakeRefused, TestClient
from tests.conftest import serving

PAGE = "https://app.example.org"


def application(guard, *more):
    app = FinchApp()
    app.middleware(guard)
    for one in more:
        app.middleware(one)

    @app.get("/")
    async def index(request):
        return "hello"

    @app.get("/bug")
    async def bug(request):
        raise ValueError

    @app.get("/stream")
    async def stream(request):
        async def pieces():
            yield "piece"

        return StreamingResponse(pieces())

    @app.get("/own")
    async def own(request):
        return "own", 200, {"access-control-allow-origin": "*", "vary": "Accept-Language"}

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


async def ask(guard, path="/", method="GET", **headers):
    names = {"origin": PAGE} | {name.replace("_", "-"): one for name, one in headers.items()}
    async with TestClient(application(guard)) as client:
        sent = {name: value for name, value in names.items() if value is not None}
        return await client.request(method, path, headers=sent)


def ask_first(guard, path="/", asks="PUT", **headers):
    return ask(guard, path, "OPTIONS", access_control_request_method=asks, **headers)


# Responses


async def test_a_listed_page_may_read_the_response():
    response = await ask(CORS([PAGE]))
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/", "/bug", "/nothing", "/stream"])
async def test_every_response_is_marked_those_to_errors_too(path):
    response = await ask(CORS(PAGE, expose=["x-total"], credentials=True), path)
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-expose-headers"] == "x-total"
    assert "Origin" in response.headers["vary"]


async def test_a_refusal_by_another_guard_is_marked():
    app = application(CORS(PAGE), Basic({"ann": "secret"}))
    async with TestClient(app) as client:
        response = await client.get("/", headers={"origin": PAGE})
    assert response.status == 401
    assert response.headers["access-control-allow-origin"] == PAGE


async def test_an_error_is_logged_once_and_its_handler_is_called(caplog):
    app = application(CORS(PAGE))
    seen = []

    @app.error_handler(500)
    async def sorry(request, error):
        seen.append(error.__cause__)
        return "sorry"

    async with TestClient(app) as client:
        response = await client.get("/bug", headers={"origin": PAGE})
    assert (response.status, response.text) == (500, "sorry")
    assert [type(one) for one in seen] == [ValueError]
    assert caplog.text.count("GET /bug raised") == 1


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_any_other_response_says_that_it_depends_on_the_origin(origin):
    response = await ask(CORS(PAGE), origin=origin)
    assert response.status == 200
    assert response.headers["vary"] == "Origin"
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [PAGE, "null", "https://evil.example"])
async def test_everybody_may_read_what_everybody_may_read(origin):
    response = await ask(CORS("*"), origin=origin)
    assert response.headers["access-control-allow-origin"] == "*"
    assert "vary" not in response.headers  # the response is the same for all


async def test_what_the_handler_says_stays():
    response = await ask(CORS(PAGE, credentials=True), "/own")
    assert response.headers.getlist("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Accept-Language, Origin"


# Preflights


@pytest.mark.parametrize("path", ["/", "/nothing", "/ws", "/bug", "/%ff"])
async def test_a_preflight_is_answered_before_routing(path):
    response = await ask_first(CORS(PAGE, headers=["x-token"], max_age=60), path)
    assert (response.status, response.body) == (204, b"")
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "PUT" in response.headers["access-control-allow-methods"].split(", ")
    assert response.headers["access-control-max-age"] == "60"
    assert response.headers["vary"] == (
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    )
    assert "content-type" not in response.headers


async def test_an_options_that_is_no_preflight_is_answered_by_the_route():
    response = await ask(CORS(PAGE), method="OPTIONS")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["access-control-allow-origin"] == PAGE
    response = await ask(
        CORS(PAGE), method="OPTIONS", origin=None, access_control_request_method="GET"
    )
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("options", "asked", "allowed"),
    [
        ({}, "content-type", True),
        ({}, "Content-Type,accept, range", True),
        ({}, "authorization", False),
        ({"headers": ["Authorization"]}, "authorization, content-type", True),
        ({"headers": ["authorization"]}, "authorization,x-token", False),
        ({"headers": "*"}, "authorization,x-anything", True),
        ({"headers": "*"}, "x y", False),
        ({"headers": "*"}, ",".join(f"x-{number}" for number in range(101)), False),
    ],
)
async def test_headers_are_allowed_by_name(options, asked, allowed):
    response = await ask_first(CORS(PAGE, **options), access_control_request_headers=asked)
    assert response.status == (204 if allowed else 403)
    if allowed:
        names = response.headers["access-control-allow-headers"].split(", ")
        assert {name.strip().lower() for name in asked.split(",")} <= set(names)


@pytest.mark.parametrize(
    ("options", "method", "allowed"),
    [
        ({}, "PATCH", True),
        ({}, "patch", False),  # methods have a case, and browsers do not change this one
        ({}, "PURGE", False),
        ({"methods": "*"}, "PURGE", True),
        ({"methods": "get"}, "GET", True),
        ({"methods": ["GET"]}, "PUT", False),
        ({"methods": "*"}, "a b", False),
    ],
)
async def test_methods_are_allowed_by_name(options, method, allowed):
    response = await ask_first(CORS(PAGE, **options), asks=method)
    assert response.status == (204 if allowed else 403)


async def test_a_refused_preflight_says_why_and_which_option_allows_it(caplog):
    caplog.set_level(logging.WARNING)
    response = await ask_first(CORS(PAGE), origin="https://evil.example")
    assert response.status == 403
    assert response.text == "CORS: pages of 'https://evil.example' are not allowed here"
    assert "origins=['https://evil.example'] allows it" in caplog.text
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert "Origin" in response.headers["vary"]
    response = await ask_first(CORS(PAGE), access_control_request_headers="x-token")
    assert response.text == "CORS: pages may not send the header 'x-token'"
    assert "headers=['x-token'] allows it" in caplog.text
    response = await ask_first(CORS(PAGE), asks="PURGE")
    assert response.text == "CORS: pages may not send 'PURGE'"


# Which origins

WILD = "https://*.example.org"


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        (PAGE, PAGE, True),
        (PAGE, "https://APP.example.org", True),
        (PAGE, "https://app.example.org:443", True),
        ("https://app.example.org/", PAGE, True),
        ("https://App.Example.org:443", PAGE, True),
        ("https://münchen.example", "https://xn--mnchen-3ya.example", True),
        ("http://[0:0::1]:80", "http://[::1]", True),
        ("capacitor://localhost", "capacitor://localhost", True),
        (PAGE, "https://app.example.org:8443", False),
        (PAGE, "http://app.example.org", False),
        (PAGE, "wss://app.example.org", False),
        ("capacitor://localhost", "ionic://localhost", False),
        (WILD, "https://a.example.org", True),
        (WILD, "https://a.b.example.org", True),
        (WILD, "https://A.EXAMPLE.ORG", True),
        (WILD, "https://example.org", False),
        (WILD, "https://.example.org", False),
        (WILD, "https://evil-example.org", False),
        (WILD, "https://a.example.org.", False),
        (WILD, "https://a.example.org.evil.example", False),
        (WILD, "http://a.example.org", False),
        (WILD, "https://a.example.org:8443", False),
        ("https://*.example.org:8443", "https://a.example.org:8443", True),
        ("http://*.localhost:3000", "http://app.localhost:3000", True),
        ("HTTPS://*.Example.org", "https://a.example.org", True),
    ],
)
def test_origins_are_compared_after_parsing(listed, origin, allowed):
    assert CORS(listed).allows(origin) is allowed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"origins": []}, "allow nobody"),
        ({"origins": "null"}, "every page can have"),
        ({"origins": ["*", PAGE]}, "write '\\*'"),
        ({"origins": "*", "credentials": True}, "list the origins"),
        ({"origins": "example.org"}, "https://example.org"),
        ({"origins": "https://*"}, "at its beginning"),
        ({"origins": "*.example.org"}, "https://\\*.example.org"),
        ({"origins": "https://a.*.org"}, "at its beginning"),
        ({"origins": "https://*example.org"}, "at its beginning"),
        ({"origins": "https://*.*.example.org"}, "at its beginning"),
        ({"origins": "https://*.org"}, "hosts of strangers"),
        ({"origins": "https://*.0.0.1"}, "hosts of strangers"),
        ({"origins": "app://*.example.org"}, "at its beginning"),
        ({"origins": "https://a.example/app"}, "is a URL"),
        ({"origins": "https://a.example, https://b.example"}, "origins=\\['https://a"),
        ({"origins": [5]}, "origins has 5"),
        ({"origins": 5}, "origins is 5"),
        ({"origins": b"https://a.example"}, "write origins="),
        ({"origins": PAGE, "methods": ["GET, POST"]}, "methods has 'GET, POST'"),
        ({"origins": PAGE, "headers": ["x:y"]}, "headers has 'x:y'"),
        ({"origins": PAGE, "headers": ["a\r\nb"]}, "headers has"),
        ({"origins": PAGE, "expose": "*", "credentials": True}, "means nothing"),
        ({"origins": PAGE, "credentials": "yes"}, "True or False"),
        ({"origins": PAGE, "max_age": -1}, "whole seconds"),
        ({"origins": PAGE, "max_age": True}, "whole seconds"),
        ({"origins": PAGE, "max_age": 10**9}, "whole seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(options, says):
    with pytest.raises(ConfigurationError, match=says):
        CORS(**options)


# Sockets


async def opens(app, path, origin):
    async with TestClient(app) as client:
        try:
            async with client.socket(path, headers={"origin": origin}) as socket:
                assert "access-control-allow-origin" not in socket.response.headers
                return True
        except HandshakeRefused:
            return False


async def test_its_origins_open_the_applications_sockets():
    app = application(CORS([PAGE, "https://*.example.com"]))
    SocketManager(app, path="/more")

    @app.websocket("/raw")
    async def raw(ws):
        async for _ in ws:
            pass

    for path in ("/ws", "/more", "/raw"):
        assert await opens(app, path, PAGE)
        assert await opens(app, path, "https://a.example.com")
        assert not await opens(app, path, "https://example.com")
        assert not await opens(app, path, "null")


async def test_it_may_be_given_to_the_application_at_once():
    assert await opens(FinchApp(middleware=[CORS(PAGE)]), "/ws", PAGE) is False  # no socket yet
    app = FinchApp(middleware=[CORS(PAGE)])
    SocketManager(app, path="/more")
    assert await opens(app, "/more", PAGE)


async def test_a_group_may_have_cors_and_its_preflights_reach_it():
    app = FinchApp()
    api = app.group("/api", middleware=[CORS(PAGE)], auth=Bearer("secret"))

    @api.put("/birds")
    async def put(request):
        return "put"

    @app.put("/other")
    async def other(request):
        return "other"

    async with TestClient(app) as client:
        asks = {"origin": PAGE, "access-control-request-method": "PUT"}
        first = await client.options("/api/birds", headers=asks)
        assert first.status == 204
        assert first.headers["access-control-allow-origin"] == PAGE
        assert first.headers["access-control-max-age"] == "600"
        refused = await client.put("/api/birds", headers={"origin": PAGE})
        assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PAGE)
        elsewhere = await client.options("/other", headers=asks)
        assert "access-control-allow-origin" not in elsewhere.headers


async def test_sockets_that_were_declared_before_are_opened_too():
    app = FinchApp(allowed_origins=["https://other.example"])
    SocketManager(app, path="/before")
    app.middleware(CORS(PAGE))
    assert await opens(app, "/before", PAGE)
    assert await opens(app, "/before", "https://other.example")


async def test_a_path_that_says_its_origins_itself_keeps_them():
    app = application(CORS(PAGE))
    SocketManager(app, path="/closed", allowed_origins=["https://other.example"])
    assert not await opens(app, "/closed", PAGE)


async def test_everybody_and_sockets_false_open_none():
    assert not await opens(application(CORS("*")), "/ws", PAGE)
    assert not await opens(application(CORS(PAGE, sockets=False)), "/ws", PAGE)


# With a client that was not written here


async def test_with_httpx():
    app = application(CORS(PAGE, credentials=True))
    async with serving(app) as server, httpx.AsyncClient() as client:
        with trio.fail_after(10):
            headers = {"origin": PAGE, "access-control-request-method": "DELETE"}
            first = await client.options(f"{server.http}/nothing", headers=headers)
            then = await client.delete(f"{server.http}/nothing", headers={"origin": PAGE})
    assert (first.status_code, then.status_code) == (204, 404)
    assert then.headers["access-control-allow-origin"] == PAGE


async def test_an_error_of_the_application_is_not_hidden_by_it():
    app = application(CORS(PAGE))

    @app.get("/teapot")
    async def teapot(request):
        raise HTTPError(418, "a teapot", {"x-pot": "tea"})

    async with TestClient(app) as client:
        response = await client.get("/teapot", headers={"origin": PAGE})
    assert (response.status, response.text, response.headers["x-pot"]) == (418, "a teapot", "tea")
