"""What a manager says of itself in figures."""

import msgspec
import pytest
import trio

from finch import FinchApp, History, SocketManager, Stats
from finch.testing import TestClient


async def until(true):
    """Wait until something is true."""
    with trio.fail_after(10):
        while not true():
            await trio.sleep(0.01)


@pytest.fixture
def app():
    app = FinchApp()
    app.state["go on"] = trio.Event()
    app.rooms("chat/{name}", history=History(messages=5))

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    @app.socket("wait")
    async def wait(socket, data):
        app.state["waits"] = True
        await app.state["go on"].wait()

    @app.socket("fail")
    async def fail(socket, data):
        raise RuntimeError("raised on purpose")

    @app.get("/stats")
    async def stats(request):
        return app.socket_manager.stats()

    return app


@pytest.fixture
async def client(app):
    async with TestClient(app) as client:
        yield client


def test_nothing_has_happened_yet(app):
    figures = msgspec.to_builtins(app.socket_manager.stats())
    assert figures.pop("backplane") == "connected"
    assert set(figures.values()) == {0}


async def test_who_is_there_is_counted(app, client):
    stats = app.socket_manager.stats
    async with client.socket("/ws?user=ann") as ann, client.socket("/ws?user=ann") as too:
        async with client.socket("/ws?user=bob"), client.socket("/ws"):
            await ann.join("chat/a")
            await ann.join("chat/b")
            await too.join("chat/b")
            now = stats()
            assert (now.clients, now.users, now.rooms) == (4, 2, 2)
        await ann.leave("chat/a")
        await until(lambda: stats().clients == 2)
        assert (stats().users, stats().rooms) == (1, 1)


async def test_the_groups_of_those_who_hear_everything_are_no_rooms(app, client):
    SocketManager(app, history=History(messages=5), user_history=History(messages=5))
    async with client.socket("/ws?user=ann") as ann:
        await app.everyone.send("hello")
        await ann.receive()
        assert (app.socket_manager.stats().clients, app.socket_manager.stats().rooms) == (1, 0)


async def test_what_waits_is_counted(app, client):
    stats = app.socket_manager.stats
    async with client.socket("/ws") as ann, client.socket("/ws"):
        await ann.send("wait")
        await ann.send("fail")
        await ann.send("fail")
        await until(lambda: app.state.get("waits") and stats().waiting == 2)
        assert (stats().busy, stats().received, stats().paused) == (1, 1, 0)
        for _ in range(app.limits.inbox):
            await ann.send("fail")
        await until(lambda: stats().paused)
        app.state["go on"].set()
        # nobody is busy for a moment before the messages are read that had to wait
        await until(lambda: stats().failed == 2 + app.limits.inbox and not stats().busy)
        assert stats().waiting == stats().paused == 0
        assert stats().received == 3 + app.limits.inbox


async def test_what_audiences_were_sent_is_counted(app, client):
    async with client.socket("/ws") as ann, client.socket("/ws") as bob:
        await ann.join("chat/a")
        await bob.join("chat/a")
        await app.room("chat/a").send("hello")
        await app.everyone.send("hello")
        await app.room("chat/nobody").send("hello")
        assert app.socket_manager.stats().delivered == 4


async def test_a_client_that_reads_nothing_shows(app, autojump_clock):
    stats = app.socket_manager.stats
    async with TestClient(app) as client, client.socket("/ws") as slow, client.socket("/ws"):
        await slow.join("chat/a")
        for number in range(3):
            await app.room("chat/a").send(number, path="price", volatile=True)
        await trio.sleep(5)
        assert stats().lag == pytest.approx(5)
        assert [(await slow.receive()).data for _ in range(2)] == [0, 2]
        await slow.call("finch.ping")
        assert (stats().lag, stats().replaced) == (0, 1)


async def test_a_handler_may_return_them(app, client):
    answer = await client.get("/stats")
    assert msgspec.convert(answer.json(), Stats).clients == 0
