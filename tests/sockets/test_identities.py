"""Who a client is: asked before it is connected, renewed in time, and sent away when it ends."""

import time
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing

from finch import ConfigurationError, FinchApp, History, HTTPError, Identity, SocketManager
from finch.testing import HandshakeRefused, Refused, TestClient


async def settled():
    await trio.testing.wait_all_tasks_blocked(0.001)


@pytest.fixture
def app():
    app = FinchApp()
    app.state["left"] = left = []

    @app.authorize
    async def authorize(request):
        token = request.query.get("token")
        if token == "bad":
            raise HTTPError(401, "no such token", headers={"WWW-Authenticate": "Bearer"})
        if token == "bug":
            raise ValueError("a bug")
        if token == "false":
            return False
        if token == "odd":
            return object()
        if token == "old":
            return Identity("ada", expires_at=time.time() - 1)
        if token == "short":
            return Identity("ada", expires_at=time.time() + 15)
        if token == "date":
            return Identity(7, expires_at=datetime.now(UTC) + timedelta(seconds=15))
        return token

    @app.socket("who")
    async def who(socket, data):
        return [socket.user_id, socket.identity.user_id]

    @app.on_disconnect
    async def gone(socket):
        left.append(socket.user_id)

    return app


@pytest.fixture
async def client(app):
    async with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "user"),
    [("?token=ada", "ada"), ("?token=short", "ada"), ("?token=date", 7), ("", None)],
)
async def test_what_authorize_returns_is_the_user(app, client, query, user, autojump_clock):
    async with client.socket(f"/ws{query}") as socket:
        assert await socket.call("who") == [user, user]
        assert app.socket_manager.count_users == (user is not None)
        if user is not None:
            assert app.user(user).count == 1
            assert await app.user(user).send("hi") == 1


@pytest.mark.parametrize(
    ("token", "status", "body"),
    [
        ("bad", 401, "no such token"),
        ("bug", 500, "Internal Server Error"),
        ("false", 403, ""),
        ("odd", 500, "Internal Server Error"),
        ("old", 401, "your identity has expired"),
    ],
)
async def test_a_refusal_is_an_ordinary_response(app, client, token, status, body, autojump_clock):
    met = []

    @app.on_connect
    async def greet(socket):
        met.append(socket)

    with pytest.raises(HandshakeRefused) as refused:
        async with client.socket(f"/ws?token={token}"):
            pass
    response = refused.value.response
    assert response.status == status
    assert body in response.text
    if token == "bad":
        assert response.headers["www-authenticate"] == "Bearer"
    assert (met, app.state["left"]) == ([], [])
    assert app.socket_manager.count_clients == 0


async def test_authorize_of_a_manager_is_given_to_it():
    app = FinchApp()

    def authorize(request):
        return request.headers["x-user"]

    manager = SocketManager(app, path="/other", authorize=authorize)
    async with TestClient(app) as client:
        async with client.socket("/other", headers={"x-user": "ada"}):
            assert manager.user("ada").count == 1


async def test_a_user_that_a_handler_names_is_not_asked_for(client, app, autojump_clock):
    @app.get("/mine")
    async def mine(request):
        return app.socket_manager.request_handle(request, user_id="bob")

    async with client.socket("/mine?token=bad") as socket:
        assert await socket.call("who") == ["bob", "bob"]


async def test_a_second_authorize_and_one_that_takes_too_much_are_refused(app):
    with pytest.raises(ConfigurationError, match="authorize is already registered"):
        app.authorize(lambda request: None)
    with pytest.raises(ConfigurationError, match="authorize"):
        FinchApp().authorize(lambda request, more: None)
    with pytest.raises(ConfigurationError, match="renew"):
        FinchApp().renew(lambda socket: None)
    app.renew(lambda socket, data: None)
    with pytest.raises(ConfigurationError, match="renew is already registered"):
        app.renew(lambda socket, data: None)


# Expiry


@pytest.mark.parametrize("token", ["short", "date"])
async def test_who_has_expired_is_closed_with_4401(app, client, token, autojump_clock):
    async with client.socket(f"/ws?token={token}") as socket, client.socket("/ws?token=x") as other:
        with trio.move_on_after(13):
            await socket.receive(timeout=1000)
        assert await socket.call("who")
        closed = await socket.wait_closed(timeout=5)
        assert (closed.code, closed.reason) == (4401, "your identity has expired")
        assert await other.call("who") == ["x", "x"]
        await settled()
        assert len(app.state["left"]) == 1
        assert app.socket_manager.count_clients == 1


async def test_who_leaves_before_is_forgotten(app, client, autojump_clock):
    async with client.socket("/ws?token=short"):
        assert app.socket_manager.identities._expiring
    await settled()
    assert not app.socket_manager.identities._expiring
    await trio.sleep(100)
    assert not client._server.lagging


# Renewal


@pytest.fixture
def renewing(app):
    @app.renew
    async def renew(socket, data):
        if data == "bad":
            raise HTTPError(401, "no such token")
        if data == "bug":
            raise ValueError("a bug")
        if data == "false":
            return False
        if data == "other":
            return Identity("eve", expires_at=time.time() + 1000)
        if data == "nobody":
            return None
        if data == "old":
            return Identity(socket.user_id, expires_at=time.time() - 1)
        if data == "forever":
            return Identity(socket.user_id)
        return Identity(socket.user_id, expires_at=time.time() + data)

    return app


async def test_a_renewed_identity_lives_on(renewing, client, autojump_clock):
    async with client.socket("/ws?token=short") as socket:
        with trio.move_on_after(12):
            await socket.receive(timeout=1000)
        answer = await socket.call("finch.auth", 120)
        assert time.time() + 100 < answer["expires_at"] < time.time() + 140
        with trio.move_on_after(110):
            await socket.receive(timeout=1000)
        assert await socket.call("who") == ["ada", "ada"]
        assert await socket.call("finch.auth", "forever") == {"expires_at": None}
        with trio.move_on_after(300):
            await socket.receive(timeout=1000)
        assert await socket.call("who") == ["ada", "ada"]


async def test_a_renewal_can_bring_the_end_nearer(renewing, client, autojump_clock):
    async with client.socket("/ws?token=short") as socket:
        await socket.call("finch.auth", 5)
        assert (await socket.wait_closed(timeout=10)).code == 4401


@pytest.mark.parametrize(
    ("data", "status"), [("bad", 401), ("bug", 500), ("false", 403), ("old", 401), ({}, 500)]
)
async def test_a_renewal_that_is_refused_changes_nothing(
    renewing, client, data, status, autojump_clock
):
    async with client.socket("/ws?token=short") as socket:
        with pytest.raises(Refused) as refused:
            await socket.call("finch.auth", data)
        assert refused.value.status == status
        assert await socket.call("who") == ["ada", "ada"]
        assert (await socket.wait_closed(timeout=17)).code == 4401


@pytest.mark.parametrize("data", ["other", "nobody"])
async def test_the_user_cannot_change(renewing, client, data, autojump_clock):
    async with client.socket("/ws?token=short") as socket, client.socket("/ws?token=ada") as tab:
        with pytest.raises(Refused) as refused:
            await socket.call("finch.auth", data)
        assert refused.value.status == 403
        closed = await socket.wait_closed()
        assert (closed.code, closed.reason) == (4500, "the user cannot change")
        assert renewing.user("eve").count == 0
        assert await tab.call("who") == ["ada", "ada"]


async def test_without_renew_finch_auth_is_unknown(app, client, autojump_clock):
    async with client.socket("/ws?token=ada") as socket:
        with pytest.raises(Refused) as refused:
            await socket.call("finch.auth", 5)
        assert refused.value.status == 404


# Users


async def test_a_user_is_logged_out_of_every_tab_but_one(app, client, autojump_clock):
    @app.socket("log out elsewhere")
    async def log_out(socket, data):
        return await app.user(socket.user_id).close(4501, "logged out", skip=socket)

    async with (
        client.socket("/ws?token=ada") as tab,
        client.socket("/ws?token=ada") as second,
        client.socket("/ws?token=ada") as third,
        client.socket("/ws?token=bob") as bob,
    ):
        assert await tab.call("log out elsewhere") == 2
        for other in (second, third):
            closed = await other.wait_closed()
            assert (closed.code, closed.reason) == (4501, "logged out")
        assert await tab.call("who") == ["ada", "ada"]
        assert await bob.call("who") == ["bob", "bob"]
        assert app.user("ada").count == 1


async def test_a_user_without_history_is_told_no_position(app, client, autojump_clock):
    async with client.socket("/ws?token=ada&since=user:x:1") as socket:
        await app.user("ada").send("hi")
        message = await socket.receive()
        assert (message.room, message.seq) == (None, None)


async def test_positions_that_are_malformed_are_a_400():
    app = FinchApp()
    SocketManager(app, history=History(), path="/ws")
    async with TestClient(app) as client:
        for since in ("x", "everyone", "everyone:", "everyone:x", "user:x:y", "room:x:1", ""):
            with pytest.raises(HandshakeRefused) as refused:
                async with client.socket(f"/ws?since={since}"):
                    pass
            assert refused.value.response.status == 400
