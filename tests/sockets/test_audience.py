"""Audiences: a client, a user, a room and everyone have the same verbs."""

import pytest
import trio
import trio.testing

from finch import FinchApp, HTTPError, Sent, SocketManager
from finch.testing import TestClient


@pytest.fixture
def app():
    app = FinchApp()
    app.state["met"] = met = []

    @app.on_connect
    async def greet(socket):
        met.append(socket)

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    app.rooms("chat/{name}")
    return app


AUDIENCES = {
    "everyone": lambda app: app.everyone,
    "user": lambda app: app.user("ada"),
    "room": lambda app: app.room("chat/a"),
}


@pytest.fixture(params=AUDIENCES)
def audience(request, app):
    return AUDIENCES[request.param](app)


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def test_all_of_it_hear_one_message(app, audience):
    async with (
        TestClient(app) as client,
        client.socket("/ws?user=ada") as one,
        client.socket("/ws?user=ada") as two,
    ):
        for socket in (one, two):
            await socket.join("chat/a")
        assert audience.count == 2
        assert set(audience) == set(app.state["met"])
        sent = await audience.send({"n": 1}, path="said", status=201)
        assert isinstance(sent, Sent)
        assert (sent, sent.seq, sent.position) == (2, None, None)
        for socket, at_the_server in zip((one, two), app.state["met"], strict=True):
            message = await socket.receive()
            assert (message.path, message.status, message.data) == ("said", 201, {"n": 1})
            assert message.client == at_the_server.id
        skipped = app.state["met"][0]
        assert await audience.send("not you", skip=skipped) == 1
        assert await audience.send("not you either", skip=skipped, volatile=True) == 1
        assert [(await two.receive()).data for _ in range(2)] == ["not you", "not you either"]
        await one.send("nothing", id=1)
        assert (await one.receive()).reply == 1


async def test_it_is_closed_but_for_one(app, audience):
    async with (
        TestClient(app) as client,
        client.socket("/ws?user=ada") as one,
        client.socket("/ws?user=ada") as two,
    ):
        for socket in (one, two):
            await socket.join("chat/a")
        assert await audience.close(4002, "that is all", skip=app.state["met"][1]) == 1
        closed = await one.wait_closed()
        assert (closed.code, closed.reason) == (4002, "that is all")
        await settled()
        assert audience.count == 1
        assert await audience.close() == 1
        assert (await two.wait_closed()).code == 1000
        await settled()
        assert (audience.count, list(audience)) == (0, [])
        assert await audience.send("nobody hears it") == 0
        assert await audience.close() == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"data": object()}, "cannot be sent"),
        ({"data": 1, "path": 5}, "path of a message is text"),
        ({"data": 1, "status": "200"}, "status of a message is an int"),
        ({"data": 1, "skip": "id"}, "skip is the client"),
        ({"data": 1, "volatile": True, "key": []}, "key of a volatile message"),
    ],
)
async def test_what_cannot_be_sent_reaches_nobody(app, audience, wrong, said):
    async with TestClient(app) as client, client.socket("/ws?user=ada") as socket:
        await socket.join("chat/a")
        with pytest.raises(TypeError, match=said):
            await audience.send(**wrong)
        await audience.send("after")
        assert (await socket.receive()).data == "after"


async def test_a_close_frame_that_cannot_be_is_refused(app, audience):
    async with TestClient(app) as client, client.socket("/ws?user=ada") as socket:
        await socket.join("chat/a")
        with pytest.raises(ValueError, match="1006"):
            await audience.close(1006)
        assert audience.count == 1


async def test_an_audience_is_its_own(app):
    async with (
        TestClient(app) as client,
        client.socket("/ws?user=ada") as ada,
        client.socket("/ws?user=bob") as bob,
        client.socket() as nobody,
    ):
        await bob.join("chat/a")
        await app.user("ada").send("to ada")
        await app.room("chat/a").send("to the room")
        await app.room("chat/b").send("to another room")
        await app.everyone.send("to all")
        assert [(await ada.receive()).data for _ in range(2)] == ["to ada", "to all"]
        assert [(await bob.receive()).data for _ in range(2)] == ["to the room", "to all"]
        assert (await nobody.receive()).data == "to all"
        assert "ada" in repr(app.user("ada"))
        assert "3 clients" in repr(app.everyone)


async def test_only_messages_of_a_room_name_it(app, audience):
    async with TestClient(app) as client, client.socket("/ws?user=ada") as socket:
        await socket.join("chat/a")
        await audience.send("hi")
        expected = "chat/a" if audience == app.room("chat/a") else None
        assert (await socket.receive()).room == expected


async def test_the_names_of_the_seed_are_the_same_thing(app):
    manager = app.socket_manager
    async with (
        TestClient(app) as client,
        client.socket("/ws?user=ada") as ada,
        client.socket() as other,
    ):
        await ada.join("chat/a")
        first, second = app.state["met"]
        assert await manager.send_to_all(1) == 2
        assert await manager.send_to_all_except(first, 2) == 1
        assert await manager.send_to_user("ada", 3) == 1
        assert await manager.send_to_room("chat/a", 4) == 1
        assert await manager.send_to_client(first.id, 5) is True
        assert await manager.send_to_client("unknown", 6) is False
        assert await second.send(7) is True
        assert [(await ada.receive()).data for _ in range(4)] == [1, 3, 4, 5]
        assert [(await other.receive()).data for _ in range(3)] == [1, 2, 7]
        with pytest.raises(TypeError, match="name of a room is text"):
            await manager.send_to_room(None, 1)
        with pytest.raises(TypeError, match="everyone"):
            manager.user(None)


async def test_two_managers_have_nothing_in_common(app):
    other = SocketManager(app, path="/other")
    other.rooms("chat/{name}")
    async with (
        TestClient(app) as client,
        client.socket() as here,
        client.socket("/other") as there,
    ):
        await here.join("chat/a")
        await there.join("chat/a")
        assert await app.room("chat/a").send("here") == 1
        assert await other.room("chat/a").send("there") == 1
        assert (await here.receive()).data == "here"
        assert (await there.receive()).data == "there"


async def test_a_message_that_is_sent_while_a_client_is_refused_reaches_the_others(app):
    """on_connect raises: the client is gone before it is one of the audience."""

    @app.on_message
    async def say(socket, data):
        return await app.everyone.send(data)

    async with TestClient(app) as client, client.socket() as socket:
        manager = SocketManager(app, path="/closed")

        @manager.on_connect
        async def refuse(socket):
            raise HTTPError(403, "no")

        async with client.socket("/closed") as refused:
            assert (await refused.wait_closed()).code == 1008
        assert await manager.everyone.send("nobody") == 0
        assert await socket.call("any", "hi") == 1
