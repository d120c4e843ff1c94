"""Logins: an old session ends with them, sockets know the user, and a logout closes them."""

import pytest
import trio

from finch import FinchApp, SocketManager, Unavailable
from finch.errors import HTTPError
from finch.sessions import Sessions, flash, login, logout, session_user
from finch.testing import HandshakeRefused, SocketClosed, TestClient

KEY = "k" * 32


def login_app():
    app = FinchApp()
    app.middleware(Sessions(KEY))
    app.authorize(session_user)

    @app.get("/")
    async def index(request):
        return {"user": session_user(request), "again": request.user, **request.session}

    @app.post("/login")
    async def enter(request):
        said = await request.json()
        login(request, said.pop("id"), **said)
        assert request.user == request.session["user_id"]
        return "hello"

    @app.post("/logout")
    async def leave(request):
        await logout(request)
        assert request.user is None
        return "bye"

    @app.post("/cart")
    async def cart(request):
        request.session["cart"] = [1]
        flash(request, "added")
        return "added"

    @app.socket("who")
    async def who(socket, data):
        return [socket.user_id, socket.request.session.get("name")]

    return app


@pytest.mark.parametrize("user_id", [7, "ada", 0, ""])
async def test_who_is_logged_in_is_known_to_http_and_sockets(user_id):
    async with TestClient(login_app()) as client:
        assert (await client.get("/")).json() == {"user": None, "again": None}
        await client.post("/login", json={"id": user_id, "name": "Ada"})
        said = {"user": user_id, "again": user_id, "user_id": user_id, "name": "Ada"}
        assert (await client.get("/")).json() == said
        async with client.socket("/ws") as socket:
            await socket.send("who")
            assert (await socket.receive()).data == [user_id, "Ada"]
        await client.post("/logout")
        assert (await client.get("/")).json() == {"user": None, "again": None}


async def test_what_was_in_the_session_before_is_forgotten():
    async with TestClient(login_app()) as client:
        await client.post("/cart")
        before = client.cookies["session"]
        await client.post("/login", json={"id": 1})
        assert client.cookies["session"] != before
        assert (await client.get("/")).json() == {"user": 1, "again": 1, "user_id": 1}


async def test_a_logout_closes_the_sockets_of_the_user_on_all_managers():
    app = login_app()
    SocketManager(app, path="/admin", authorize=session_user)
    async with TestClient(app) as client, TestClient(app) as other:
        await client.post("/login", json={"id": 1})
        await other.post("/login", json={"id": 2})
        async with (
            client.socket("/ws") as one,
            client.socket("/admin") as two,
            other.socket("/ws") as not_meant,
        ):
            await client.post("/logout")
            for socket in (one, two):
                with pytest.raises(SocketClosed) as caught:
                    await socket.receive()
                assert (caught.value.code, caught.value.reason) == (4401, "logged out")
            await not_meant.send("who")
            assert (await not_meant.receive()).data == [2, None]


async def test_who_is_not_logged_in_closes_nothing():
    app = login_app()
    async with TestClient(app) as client, client.socket("/ws") as socket:
        await client.post("/logout")
        await socket.send("who")
        assert (await socket.receive()).data == [None, None]


async def test_a_logout_holds_though_the_backplane_cannot_be_reached(monkeypatch):
    app = login_app()
    closed = []
    second = SocketManager(app, path="/admin", authorize=session_user)

    async def fail(channel, code, reason, skip):
        raise Unavailable("cut")

    async def close(channel, code, reason, skip):
        closed.append(channel)
        return 0

    monkeypatch.setattr(app.socket_manager.backplane, "close", fail)
    monkeypatch.setattr(second.backplane, "close", close)
    async with TestClient(app) as client:
        await client.post("/login", json={"id": 1})
        assert (await client.post("/logout")).status == 503
        assert (await client.get("/")).json()["user"] is None
    assert len(closed) == 1


async def test_who_needs_a_user_refuses_the_others():
    app = FinchApp()
    app.middleware(Sessions(KEY))

    @app.authorize
    def only_users(request):
        user_id = session_user(request)
        if user_id is None:
            raise HTTPError(401)
        return user_id

    @app.socket("who")
    async def who(socket, data):
        return socket.user_id

    @app.post("/login")
    async def enter(request):
        login(request, 1)

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws"):
                pass
        await client.post("/login")
        async with client.socket("/ws") as socket:
            await socket.send("who")
            assert (await socket.receive()).data == 1


async def test_it_guards_routes_and_groups():
    app = FinchApp()
    app.middleware(Sessions(KEY))
    mine = app.group("/mine", auth=session_user)

    @mine.get("/")
    async def index(request):
        return [request.user]

    @app.post("/login/{user_id:int}")
    async def enter(request, user_id):
        login(request, user_id)

    async with TestClient(app) as client:
        assert (await client.get("/mine/")).status == 401
        await client.post("/login/7")
        assert (await client.get("/mine/")).json() == [7]
        await client.post("/login/0")  # zero is a user
        assert (await client.get("/mine/")).json() == [0]


async def test_an_id_that_is_none_in_a_session_is_nobody():
    app = login_app()

    @app.post("/odd")
    async def odd(request):
        request.session["user_id"] = await request.json()

    async with TestClient(app) as client:
        for value in (True, None, [1], {"id": 1}, 1.5):
            await client.post("/odd", json=value)
            assert (await client.get("/")).json()["user"] is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((None, {}), "not None; logout"),
        ((True, {}), "str or int, not bool"),
        ((object(), {}), "write user_id=user.id"),
        ((1, {"name": object()}), "what JSON can hold"),
    ],
)
async def test_what_is_no_user_is_refused(given, says):
    app = FinchApp()
    app.middleware(Sessions(KEY))
    said = []

    @app.get("/")
    async def index(request):
        try:
            login(request, given[0], **given[1])
        except TypeError as error:
            said.append(str(error))

    async with TestClient(app) as client:
        await client.get("/")
    assert says in said[0]


def test_what_is_no_request_is_refused():
    with pytest.raises(TypeError, match=r"write session_user\(socket.request\)"):
        session_user(object())


async def test_a_stolen_cookie_of_before_the_login_is_not_logged_in():
    async with TestClient(login_app()) as client, TestClient(login_app()) as thief:
        await client.post("/cart")
        thief.cookies["session"] = client.cookies["session"]
        await client.post("/login", json={"id": 1})
        assert (await thief.get("/")).json()["user"] is None
        await trio.lowlevel.checkpoint()


async def test_the_user_of_a_session_is_looked_up_without_a_thread(monkeypatch):
    app = FinchApp(middleware=[Sessions(KEY)], auth=session_user)

    @app.get("/in", auth=False)
    async def enter(request):
        login(request, 7)

    @app.get("/")
    async def who(request):
        return {"user": request.user}

    monkeypatch.setattr(trio.to_thread, "run_sync", None)
    async with TestClient(app) as client:
        assert (await client.get("/")).status == 401
        await client.get("/in")
        assert (await client.get("/")).json() == {"user": 7}


async def test_who_is_logged_in_is_the_user_of_every_request_unless_a_guard_says_another_one():
    app = FinchApp(middleware=[Sessions(KEY)])

    @app.get("/in")
    async def enter(request):
        login(request, 7)

    @app.get("/")
    async def public(request):
        return {"user": request.user}

    app.get("/guarded", auth=lambda request: "guard")(public)

    async with TestClient(app) as client:
        assert (await client.get("/")).json() == {"user": None}
        await client.get("/in")
        assert (await client.get("/")).json() == {"user": 7}
        assert (await client.get("/guarded")).json() == {"user": "guard"}
