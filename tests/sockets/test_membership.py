"""Coming into rooms and leaving them: who may, what is refused, and the end of a membership."""

import pytest
import trio
import trio.testing

from finch import ClientGone, FinchApp, History, HTTPError, Identity, Limits
from finch.testing import Refused, TestClient


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(max_rooms=3))
    app.state["left"] = left = []
    app.state["met"] = met = []
    chat = app.rooms("chat/{name}", history=History(messages=10))
    app.rooms("plain/{name}")

    @app.on_connect
    async def greet(socket):
        met.append(socket)

    @chat.on_join
    async def may_join(socket, room, name):
        if name == "staff":
            raise HTTPError(451, "staff only")
        if name == "broken":
            raise ValueError("a bug")
        if name == "false":
            return False
        if name == "response":
            return "not you", 403
        if name == "odd":
            return object()
        if name == "slow":
            await trio.sleep(10)
        return None

    @chat.on_leave
    async def goodbye(socket, room, name):
        left.append((name, room.count))

    @chat.socket("say")
    async def say(socket, data, room):
        return int(await room.send(data, path="said"))

    @app.socket("leave")
    async def leave(socket, data):
        await socket.leave(data)
        return list(socket.rooms)

    @app.socket("bye")
    async def bye(socket, data):
        await socket.close(4000, "bye")

    return app


async def refused(waits):
    with pytest.raises(Refused) as raised:
        await waits
    return raised.value.status


async def settled():
    await trio.testing.wait_all_tasks_blocked(0.001)


async def test_a_member_hears_the_room_until_it_leaves(app):
    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.join("chat/a")
        await bob.join("chat/a")
        assert await ada.call("say", 1, room="chat/a") == 2
        await bob.leave("chat/a")
        assert await ada.call("say", 2, room="chat/a") == 1
        assert (await bob.receive()).data == 1
        await bob.send("leave", "nothing", id=1)
        assert (await bob.receive()).path == "leave"  # nothing of the room in between
        assert app.state["left"] == [("a", 1)]


@pytest.mark.parametrize(
    ("room", "status"),
    [
        ("chat/staff", 451),
        ("chat/broken", 500),
        ("chat/false", 403),
        ("chat/response", 403),
        ("chat/odd", 500),
        ("nowhere", 404),
        ("chat/", 404),
        ("finch.everyone", 404),
        ("", 404),
        ("x" * 10_000, 400),
        (None, 400),
        (5, 400),
        (["chat/a"], 400),
        ({}, 400),
    ],
)
async def test_a_join_that_is_refused_leaves_nothing_behind(app, room, status):
    async with TestClient(app) as client, client.socket() as socket, client.socket() as other:
        await other.join("chat/a")
        assert await refused(socket.join(room)) == status
        [client_of_it] = [one for one in app.state["met"] if not one.rooms]
        assert not client_of_it.rooms
        assert len(app.socket_manager.halls) == 1
        assert await refused(socket.call("say", "hi", room="chat/a")) == 403
        assert await other.call("say", "hi", room="chat/a") == 1
    assert app.state["left"] == [("a", 0)]


@pytest.mark.parametrize(
    "since",
    [
        "",
        ":",
        "x",
        "x:",
        ":1",
        "x:-1",
        "x:1.5",
        "x:1:2",
        "x:\u0661",
        "ü:1",
        f"x:{10**20}",
        "x" * 40,
        5,
        {},
    ],
)
async def test_a_malformed_position_is_no_join(app, since):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("finch.join", id=1, room="chat/a", since=since)
        answer = await socket.receive()
        assert (answer.path, answer.status, answer.reply) == ("error", 400, 1)
        assert await refused(socket.call("say", "hi", room="chat/a")) == 403


@pytest.mark.parametrize("last", [-1, 1.5, "5", True, [], 2**40])
async def test_a_malformed_last_is_no_join(app, last):
    async with TestClient(app) as client, client.socket() as socket:
        assert await refused(socket.join("chat/a", last=last)) == 400
        assert app.room("chat/a").count == 0


async def test_a_meta_that_is_too_large_is_no_join(app):
    async with TestClient(app) as client, client.socket() as socket:
        assert await refused(socket.join("chat/a", "x" * 5000)) == 413
        assert app.room("chat/a").count == 0


@pytest.mark.parametrize(
    ("room", "status"),
    [("chat/a", 403), ("chat/staff", 403), ("nowhere", 404), (5, 400), ({}, 400), ("y" * 999, 404)],
)
async def test_only_a_member_addresses_a_room(app, room, status):
    async with TestClient(app) as client, client.socket() as socket, client.socket() as other:
        await other.join("chat/a")
        assert await refused(socket.call("say", "hi", room=room)) == status
        assert await refused(socket.leave(room)) == status
        await settled()
        assert app.room("chat/a").count == 1


@pytest.mark.parametrize("path", ["finch.", "finch.joined", "finch.presence", "finch.everyone"])
async def test_a_reserved_path_that_is_unknown_is_404(app, path):
    app.on_message(lambda socket, data: "caught")
    async with TestClient(app) as client, client.socket() as socket:
        assert await refused(socket.call(path)) == 404
        assert await socket.call("anything else") == "caught"


async def test_too_many_rooms_are_429_until_one_is_left(app):
    async with TestClient(app) as client, client.socket() as socket:
        for number in range(3):
            await socket.join(f"chat/{number}")
        assert await refused(socket.join("chat/3")) == 429
        await socket.join("chat/2")  # it is in it already
        [at_the_server] = app.state["met"]
        with pytest.raises(RuntimeError, match="is in 3 rooms"):
            await at_the_server.join("lobby")
        await socket.leave("chat/0")
        await socket.join("chat/3")
        assert list(at_the_server.rooms) == ["chat/1", "chat/2", "chat/3"]


async def test_to_join_again_is_no_second_membership(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/a")
        assert (await socket.join("chat/a")).recovered
        assert await socket.call("say", "once", room="chat/a") == 1
        assert (await socket.receive()).data == "once"
        await socket.leave("chat/a")
        assert await refused(socket.leave("chat/a")) == 403
    assert app.state["left"] == [("a", 0)]


async def hang_up(client, socket, app):
    await socket.close()


async def drop(client, socket, app):
    await trio.aclose_forcefully(socket.stream)


async def close_by_handler(client, socket, app):
    await socket.send("bye")
    assert (await socket.wait_closed()).code == 4000


async def close_by_audience(client, socket, app):
    await app.room("chat/a").close(4001)
    assert (await socket.wait_closed()).code == 4001


async def break_the_rules(client, socket, app):
    await socket.stream.send_all(b"\xff\xff\xff\xff")
    assert (await socket.wait_closed()).code == 1002


async def leave_first(client, socket, app):
    await socket.leave("chat/a")
    await socket.close()


async def be_let_go_first(client, socket, app):
    assert await socket.call("leave", "chat/a") == ["plain/b"]
    await trio.aclose_forcefully(socket.stream)


@pytest.mark.parametrize(
    "end",
    [
        hang_up,
        drop,
        close_by_handler,
        close_by_audience,
        break_the_rules,
        leave_first,
        be_let_go_first,
    ],
)
async def test_on_leave_runs_once_however_the_connection_ends(app, end, autojump_clock):
    async with TestClient(app) as client, client.socket() as other:
        await other.join("plain/b")
        async with client.socket() as socket:
            await socket.join("chat/a")
            await socket.join("plain/b")
            await end(client, socket, app)
        await trio.sleep(10)
        assert app.state["left"] == [("a", 0)]
        assert app.room("plain/b").count == 1
        assert len(app.socket_manager.halls) == 1
        assert app.socket_manager.count_clients == 1
        assert len(app.socket_manager.members.rooms) == 1


async def test_the_end_of_the_server_is_the_end_of_a_membership(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/a")
    async with TestClient(app) as client:
        pass
    assert app.state["left"] == [("a", 0)]
    assert not len(app.socket_manager.halls)


async def test_who_is_gone_while_on_join_runs_is_no_member(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send("finch.join", id=1, room="chat/slow")
            await settled()
            await trio.aclose_forcefully(socket.stream)
        await trio.sleep(20)
        assert app.room("chat/slow").count == 0
        assert not len(app.socket_manager.halls)
        assert app.socket_manager.count_clients == 0


async def test_a_join_waits_for_on_join_and_so_do_the_messages_behind_it(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("finch.join", room="chat/slow")
        await socket.send("say", "hi", room="chat/slow", id=2)
        await settled()
        assert app.room("chat/slow").count == 0
        assert await app.room("chat/slow").send("too early") == 0
        messages = [await socket.receive(timeout=11) for _ in range(3)]
        assert [one.path for one in messages] == ["finch.join", "said", "say"]
        assert messages[0].seq == 1


# The server joins anybody to anything


@pytest.fixture
async def pair(app, autojump_clock):
    """A client, as it sees itself and as the server sees it."""
    async with TestClient(app) as client, client.socket() as socket:
        await settled()
        yield socket, app.state["met"][0]


async def test_the_server_joins_a_client_to_a_room_that_nobody_declared(app, pair):
    socket, at_the_server = pair
    room = await at_the_server.join("lobby")
    assert (room.name, room.params, room.declared, room.presence) == ("lobby", {}, None, [])
    assert room.count == 1
    assert list(room) == [at_the_server]
    assert at_the_server.rooms == {"lobby": room}
    assert await app.room("lobby").send("hi", path="said") == 1
    message = await socket.receive()
    assert (message.path, message.room, message.seq) == ("said", "lobby", None)
    assert await room.history() == []
    assert await refused(socket.join("lobby")) == 404  # by itself it cannot
    await at_the_server.leave("lobby")
    await at_the_server.leave("lobby")
    assert (room.count, at_the_server.rooms) == (0, {})
    assert not len(app.socket_manager.halls)


async def test_the_server_joins_a_client_without_asking_on_join(app, pair):
    socket, at_the_server = pair
    room = await at_the_server.join("chat/staff")
    told = await socket.receive()
    assert (told.path, told.room, told.seq, told.reply) == ("finch.join", "chat/staff", 0, None)
    assert await at_the_server.join("chat/staff") == room
    assert await socket.call("say", "hi", room="chat/staff") == 1
    await at_the_server.leave("chat/staff")
    assert app.state["left"] == [("staff", 0)]


async def test_what_the_server_joins_is_checked(pair):
    _, at_the_server = pair
    for wrong in ("", "x" * 257):
        with pytest.raises(ValueError, match="1 to 256 characters"):
            await at_the_server.join(wrong)
    with pytest.raises(TypeError, match="name of a room is text"):
        await at_the_server.join(5)
    with pytest.raises(TypeError, match="meta of a member cannot be sent"):
        await at_the_server.join("lobby", meta=object())
    assert at_the_server.rooms == {}


async def test_the_rooms_of_a_client_are_a_copy(pair):
    _, at_the_server = pair
    await at_the_server.join("lobby")
    at_the_server.rooms.clear()
    assert list(at_the_server.rooms) == ["lobby"]


async def test_who_has_left_joins_nothing(app, pair):
    socket, at_the_server = pair
    await socket.close()
    await settled()
    with pytest.raises(ClientGone, match="has left, so it cannot join 'lobby'"):
        await at_the_server.join("lobby")
    assert app.room("lobby").count == 0


async def test_a_handler_joins_its_own_client(app):
    @app.socket("enter")
    async def enter(socket, data):
        room = await socket.join(data)
        return await room.send("welcome")

    async with TestClient(app) as client, client.socket() as socket:
        assert await socket.call("enter", "anywhere") == 1
        message = await socket.receive()
        assert (message.data, message.room) == ("welcome", "anywhere")


async def test_who_is_let_out_by_another_while_it_joins_stays_out(app, autojump_clock):
    """While what it has missed is on its way, somebody ends its membership."""
    met = app.state["met"]
    app.rooms("chat", history=History(messages=1000))

    async with TestClient(app) as client, client.socket() as socket:
        for _ in range(200):
            await app.room("chat").send("x" * 1000)
        await socket.send("finch.join", id=1, room="chat", last=200)
        while not (met and met[0].rooms):
            await trio.sleep(0)
        await met[0].leave("chat")  # its messages are still on their way
        assert (await socket.receive()).path == "finch.join"
        await trio.sleep(1)
        assert app.room("chat").count == 0


async def test_meta_is_of_the_application_first_of_the_client_last():
    app = FinchApp()
    app.authorize(lambda request: Identity("ada", meta="by identity") if request.query else None)
    app.rooms("a/{x}", presence=True)
    app.rooms("b/{x}", presence=True).on_join(lambda socket, meta: f"{meta}, seen")
    async with TestClient(app) as client:
        async with client.socket("/ws?x") as known, client.socket() as unknown:
            assert (await known.join("a/1", "by itself")).presence[0]["meta"] == "by identity"
            assert (await known.join("b/1", "x")).presence[0]["meta"] == "by identity, seen"
            assert (await unknown.join("a/2", "by itself")).presence[0]["meta"] == "by itself"
            assert (await unknown.join("b/2", "x")).presence[0]["meta"] == "x, seen"


async def test_an_on_leave_that_raises_keeps_nobody(app, caplog):
    chat = app.rooms("loud/{name}")
    told = []
    chat.on_error(lambda socket, error: told.append(str(error)))

    @chat.on_leave
    async def loud(socket):
        raise ValueError("a bug in on_leave")

    async with TestClient(app) as client, client.socket() as other:
        async with client.socket() as socket:
            await socket.join("loud/1")
            await socket.join("chat/a")
            await socket.leave("loud/1")
            assert (await socket.receive()).status == 500
            await socket.join("loud/1")
        await settled()
        assert app.state["left"] == [("a", 0)]
        assert app.room("loud/1").count == 0
        await other.join("loud/1")
    assert told == ["a bug in on_leave"] * 3
    assert "on_leave of the room 'loud/1' raised" in caplog.text
