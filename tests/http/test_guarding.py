"""What stands before a handler: in which order, for whom, and what it may answer."""

import pytest

from finch import ConfigurationError, FinchApp, FinchRoute, HTTPError, RedirectResponse, Request
from finch.http.guarding import Level
from finch.sockets.manager import SocketManager
from finch.testing import HandshakeRefused, TestClient


def noted(name, said):
    async def middleware(request, call_next):
        said.append(f"{name} in")
        response = await call_next(request)
        said.append(f"{name} out {response.status}")
        return response

    return middleware


def asked(name, said, user=True):
    async def auth(request):
        said.append(f"auth of {name}")
        return user

    return auth


def everywhere(said, **users):
    """An application with guards at every level."""
    app = FinchApp(auth=asked("app", said), middleware=[noted("app", said)])
    group = app.group("/a", auth=asked("group", said), middleware=[noted("group", said)])
    inner = group.group("/b", auth=asked("inner", said, users.get("inner", "ann")))

    @inner.get("/c", auth=asked("route", said, users.get("route", "bob")))
    async def handler(request):
        said.append(f"handler for {request.user}")
        return "fine"

    return app


async def test_guards_run_from_the_outermost_level_to_the_handler_and_middleware_before_auth():
    said = []
    async with TestClient(everywhere(said)) as client:
        assert (await client.get("/a/b/c")).text == "fine"

    assert said == [
        "app in",
        "auth of app",
        "group in",
        "auth of group",
        "auth of inner",
        "auth of route",
        "handler for bob",
        "group out 200",
        "app out 200",
    ]


async def test_nobody_is_401_which_the_middleware_of_the_level_sees():
    said = []
    async with TestClient(everywhere(said, inner=None)) as client:
        response = await client.get("/a/b/c")

    assert (response.status, response.text) == (401, "Unauthorized")
    assert said[-3:] == ["auth of inner", "group out 401", "app out 401"]


@pytest.mark.parametrize("user", [None, False, ""])
async def test_nothing_is_nobody(user):
    app = FinchApp()
    app.get("/", auth=lambda request: user)(lambda request: "never")

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 401


@pytest.mark.parametrize("user", ["ann", 7, 0, True, {"id": 7}, []])
async def test_anything_else_is_the_user(user):
    app = FinchApp()
    app.get("/", auth=lambda request: user)(lambda request: {"user": request.user})

    async with TestClient(app) as client:
        assert (await client.get("/")).json() == {"user": user}


async def test_auth_may_raise_or_answer_itself():
    app = FinchApp()

    def forbid(request):
        raise HTTPError(403, "not you")

    async def login(request):
        return RedirectResponse("/login", 303)

    app.get("/forbidden", auth=forbid)(lambda request: "never")
    app.get("/away", auth=login)(lambda request: "never")

    async with TestClient(app) as client:
        response = await client.get("/forbidden")
        assert (response.status, response.text) == (403, "not you")
        response = await client.get("/away")
        assert (response.status, response.headers["location"]) == (303, "/login")


async def test_auth_false_opens_a_route_whatever_its_levels_ask():
    app = FinchApp(auth=lambda request: None)
    group = app.group("/in", auth=lambda request: None)

    @group.get("/login", auth=False)
    async def login(request):
        return "who are you?"

    @group.get("/home")
    async def home(request): ...

    async with TestClient(app) as client:
        assert (await client.get("/in/login")).text == "who are you?"
        assert (await client.get("/in/home")).status == 401
        assert (await client.get("/nowhere")).status == 404


async def test_finchs_own_routes_are_open_and_the_apps_sockets_are_not():
    app = FinchApp(auth=lambda request: None, health=True)

    @app.socket("hi")
    async def hi(socket, data): ...

    async with TestClient(app) as client:
        assert (await client.get("/finch.js")).status == 200
        assert (await client.get("/healthz")).status == 200
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/ws"):
                pass
        assert refused.value.response.status == 401


def by_token(request: Request):
    return request.query.get("token")


@pytest.mark.parametrize("path", ["/raw", "/admin", "/in/raw", "/ws"])
async def test_an_upgrade_passes_the_same_guards(path):
    said = []
    app = FinchApp(middleware=[noted("app", said)])
    guards = {"auth": by_token, "middleware": [noted("own", said)]}
    own = SocketManager(app, **guards)
    other = SocketManager(app, path="/admin", **guards)

    @own.socket("whoami")
    @other.socket("whoami")
    async def whoami(socket, data):
        return socket.user_id

    @app.websocket("/raw", **guards)
    async def raw(ws):
        await ws.send(ws.request.user)

    @app.group("/in", **guards).websocket("/raw")
    async def inner(ws):
        await ws.send(ws.request.user)

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket(path):
                pass
        assert refused.value.response.status == 401
        async with client.socket(f"{path}?token=ann") as socket:
            if "raw" in path:
                assert await socket.receive_raw() == "ann"
            else:
                await socket.send("whoami")
                assert (await socket.receive()).data == "ann"

    assert said == [
        "app in",
        "own in",
        "own out 401",
        "app out 401",
        "app in",
        "own in",
        "own out 101",
        "app out 101",
    ]


@pytest.mark.parametrize("early", [False, True])
async def test_guards_of_a_manager_are_not_lost_at_a_route_of_the_applications_own(early, caplog):
    app = FinchApp()
    before = app.socket_manager
    manager = SocketManager(app, auth=lambda request: None)

    @manager.socket("hi")
    async def hi(socket, data): ...

    @app.get("/live")
    async def live(request):
        return await (before if early else manager).request_handle(request)

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/live"):
                pass
        assert refused.value.response.status == 500
    assert "give auth= and middleware= to the route" in caplog.text


async def test_middleware_of_a_route_answers_the_options_that_finch_derives():
    app = FinchApp()

    async def preflight(request, call_next):
        response = await call_next(request)
        response.set_header("x-seen", request.method)
        return response

    @app.post("/", middleware=[preflight], auth=lambda request: None)
    async def handler(request): ...

    async with TestClient(app) as client:
        asked = await client.options("/", headers={"access-control-request-method": "POST"})
        assert (asked.status, asked.headers["x-seen"]) == (204, "OPTIONS")
        assert asked.headers["allow"] == "OPTIONS, POST"
        other = await client.options("/", headers={"access-control-request-method": "PUT"})
        assert "x-seen" not in other.headers


async def test_an_error_in_a_handler_is_a_response_for_the_middleware_of_its_route():
    said = []
    app = FinchApp()

    @app.get("/", middleware=[noted("own", said)])
    async def handler(request):
        raise HTTPError(404, "no bird")

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "no bird"

    assert said == ["own in", "own out 404"]


async def test_middleware_that_returns_nothing_is_told_about(caplog):
    app = FinchApp()

    async def forgets(request, call_next):
        await call_next(request)

    app.get("/", middleware=[forgets])(lambda request: "fine")

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "the middleware forgets returned nothing" in caplog.text


def plain(request, call_next): ...


async def yields(request, call_next):
    yield


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auth": 5}, "auth of the route '/' is a function that takes (request), not 5"),
        ({"auth": lambda: 1}, "auth of the route '/' is called with (request), but is written"),
        ({"auth": yields}, "is called with (request)"),
        ({"middleware": plain}, "middleware of the route '/' is a list: write middleware=[plain]"),
        ({"middleware": [plain]}, "the middleware plain is a plain def"),
        ({"middleware": [yields]}, "the middleware yields"),
        ({"middleware": [5]}, "is a function that takes (request, call_next), not 5"),
    ],
)
def test_what_is_no_guard_is_refused(options, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchRoute("/", lambda request: 1, **options)
    assert said in str(caught.value)


def test_a_level_without_guards_costs_nothing():
    app = FinchApp()
    app.group("/a").get("/b")(lambda request: 1)

    assert not Level().says_something
    assert [(route.levels, route.chain) for route in app.routes if route.path == "/a/b"] == [
        ((), None)
    ]
