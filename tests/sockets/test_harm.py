"""What goes wrong in an application's code, or what a hostile client sends, harms nobody else."""

import logging
import sys
import time

import pytest
import trio

from finch import FinchApp, History, Identity, SocketManager
from finch.testing import TestClient
from finch.wire.message import read_message


async def leave_a_nursery_open():
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(trio.sleep_forever)


async def leave_a_scope_open():
    trio.CancelScope().__enter__()


async def leave_a_cancelled_scope_open():
    trio.CancelScope().__enter__().cancel()
    await trio.sleep_forever()


@pytest.fixture
def serving(autojump_clock, caplog):
    """An application with a handler that echoes; the test's log is silent."""
    caplog.set_level(logging.CRITICAL + 1, "finch")
    app = FinchApp()

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


async def joined(socket, room, **fields):
    await socket.send("finch.join", id="join", room=room, **fields)
    return await socket.receive()


@pytest.mark.parametrize(
    "accident", [leave_a_nursery_open, leave_a_scope_open, leave_a_cancelled_scope_open]
)
async def test_a_task_that_leaves_something_open_ends_alone(serving, accident, autojump_clock):
    games = serving.rooms("game/{name}")
    games.task(accident_of_a_room(accident))

    @games.socket("spawn")
    async def spawn(socket, data, room):
        socket.spawn(accident)
        room.spawn(accident)

    heard = []
    try:
        async with TestClient(serving) as client:
            async with client.socket("/ws") as one, client.socket("/ws") as other:
                assert (await joined(one, "game/7")).status == 200
                await one.send("spawn", id=1, room="game/7")
                assert (await one.receive()).reply == 1
                await trio.sleep(1)
                for socket in (one, other):
                    await socket.send("echo", "still here", id=2)
                    heard.append((await socket.receive()).data)
    finally:  # the end of the server would cancel this test, which then would pass
        assert heard == ["still here", "still here"]


def accident_of_a_room(accident):
    async def run(room):
        await accident()

    return run


async def test_no_client_joins_the_audiences_that_finch_keeps(serving):
    SocketManager(serving, history=History(), user_history=History())
    rooms = serving.rooms("{name}")

    @rooms.socket("say")
    async def say(socket, data, room):
        await room.send(data, path="said")

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        assert (await socket.receive()).path == "finch.join"  # everyone, by the handshake
        for name in ("finch.everyone", "finch.user"):
            assert (await joined(socket, name)).status == 404
            await socket.send("say", "to everyone", id=1, room=name)
            assert (await socket.receive()).status == 404
            with pytest.raises(ValueError, match=r"Finch's own"):
                await next(iter(serving.everyone)).join(name)


async def test_a_meta_that_is_nested_too_deeply_breaks_no_room(serving, autojump_clock):
    serving.rooms("chat/{name}", presence=True)
    deepest = sys.getrecursionlimit()
    async with TestClient(serving) as client:
        async with client.socket("/ws") as one, client.socket("/ws") as other:
            for depth in range(deepest - 60, deepest):  # where Finch cannot read it any longer
                room, meta = f"chat/{depth}", "[" * depth + "]" * depth
                await one.send_raw(f'{{"path":"finch.join","id":1,"room":"{room}","data":{meta}}}')
                assert (await one.receive()).status in (200, 400)
                assert (await joined(other, room)).status == 200
                assert (await other.receive()).path == "finch.presence"


@pytest.mark.parametrize("identity", [Identity("ann", meta=object()), Identity("\udc80")])
async def test_an_identity_that_cannot_be_sent_breaks_no_room(serving, identity):
    serving.rooms("chat/{name}", presence=True)

    @serving.authorize
    async def authorize(request):
        return "bob" if "bob" in request.query else identity

    async with TestClient(serving) as client:
        async with client.socket("/ws") as one, client.socket("/ws?bob=") as bob:
            assert (await joined(one, "chat/x")).status == 500
            assert (await joined(bob, "chat/x")).data["count"] == 1
            assert (await bob.receive()).path == "finch.presence"


async def fill(room):
    """More messages than the buffers between a server and a client take."""
    for _ in range(100):
        await room.send("x" * 20_000)


@pytest.mark.parametrize("reader", ["hub"], indirect=True)  # a stream in memory takes everything
async def test_a_join_that_is_cancelled_halfway_can_be_repeated(serving):
    left = []
    rooms = serving.rooms("chat/{name}", history=History())

    @rooms.on_leave
    async def on_leave(socket, room):
        left.append(room.name)

    room = serving.room("chat/x")
    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await fill(room)
        await socket.send("finch.join", id=1, room="chat/x", last=100)
        assert (await socket.receive()).path == "finch.join"
        await socket.send("finch.cancel", id=1)
        while (answer := await socket.receive()).reply is None:
            pass
        assert (answer.status, left) == (499, ["chat/x"])
        assert (await joined(socket, "chat/x")).status == 200
        assert await room.send("for members") == 1
        assert (await socket.receive()).data == "for members"
    assert left == ["chat/x", "chat/x"]


@pytest.mark.parametrize("reader", ["hub"], indirect=True)  # a stream in memory takes everything
async def test_a_handler_that_gives_up_a_join_can_repeat_it(serving, leaping_clock):
    serving.rooms("chat/{name}")
    room = serving.room("chat/x")

    @serving.socket("join")
    async def join(socket, data):
        await socket.send("x" * 900_000)
        with trio.move_on_after(1):
            await socket.join("chat/x")
        return list(socket.rooms)

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await socket.send("join", id=1)
        await trio.sleep(2)
        assert len((await socket.receive()).data) == 900_000
        assert (await socket.receive()).data == []
        assert room.count == 0


async def test_a_renewal_that_ends_after_its_client_keeps_nothing_of_it(serving, autojump_clock):
    @serving.authorize
    async def authorize(request):
        return Identity("ann", expires_at=time.time() + 3600)

    @serving.renew
    async def renew(socket, data):
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
        return Identity("ann", expires_at=time.time() + 7200)

    async with TestClient(serving) as client:
        async with client.socket("/ws") as socket:
            await socket.send("finch.auth", id=1)
            await socket.stream.aclose()
        await trio.sleep(10)
        assert serving.socket_manager.count_clients == 0
        assert not serving.socket_manager.identities.probe()  # nothing left to look after


async def test_asking_a_room_for_what_cannot_be_sent_raises_at_once(serving, caplog):
    caplog.set_level(logging.DEBUG, "finch")
    room = serving.room("lobby")
    async with TestClient(serving) as client, client.socket("/ws"):
        await next(iter(serving.everyone)).join("lobby")
        with pytest.raises(TypeError, match="cannot be sent"):
            room.call(object())
    assert "a bug in Finch" not in caplog.text


async def test_who_is_in_a_grace_at_the_end_of_a_server_is_forgotten(serving):
    serving.rooms("chat/{name}", presence=True)
    for _ in range(2):
        async with TestClient(serving) as client:
            assert serving.room("chat/x").presence == []
            async with client.socket("/ws") as socket:
                assert (await joined(socket, "chat/x")).data["count"] == 1
            assert len(serving.room("chat/x").presence) == 1
        assert len(serving.socket_manager.halls) == 0


async def test_a_client_that_visits_a_thousand_rooms_leaves_nothing_in_memory(serving):
    serving.rooms("chat/{name}", history=History())
    backplane = serving.socket_manager.backplane
    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await serving.room("chat/lobby").send("is kept for an hour")
        for number in range(1000):
            assert (await joined(socket, f"chat/{number}")).status == 200
            await socket.send("finch.leave", id=1, room=f"chat/{number}")
            assert (await socket.receive()).status == 200
        assert len(backplane._archives) < 5
        assert len(await serving.room("chat/lobby").history()) == 1


async def test_cancelling_does_not_read_all_long_messages_that_wait(
    serving, monkeypatch, autojump_clock
):
    read = []

    def counted(payload):
        read.append(len(payload))
        return read_message(payload)

    @serving.socket("wait")
    async def wait(socket, data):
        await trio.sleep(10)

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await socket.send("wait")
        for number in range(10):
            await socket.send("echo", "x" * 50_000, id=number)
        await socket.send("echo", "short", id="short")
        await trio.sleep(1)
        monkeypatch.setattr("finch.sockets.inbox.read_message", counted)
        await socket.send("finch.cancel", id="short")
        assert (await socket.receive()).status == 499
        assert sum(read) < 100_000
        monkeypatch.undo()
        for number in range(10):
            assert (await socket.receive(20)).reply == number


async def test_an_id_cancels_only_the_message_with_the_same_json(serving, autojump_clock):
    @serving.socket("wait")
    async def wait(socket, data):
        await trio.sleep(10)
        return "done"

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await socket.send("wait", id=1)
        await socket.send("wait", id=0)
        for id in (True, 1.0, False, "1", [1], None):
            await socket.send("finch.cancel", id=id)
        assert (await socket.receive(20)).data == "done"
        assert (await socket.receive(20)).data == "done"


async def test_who_is_let_in_by_on_join_and_then_by_its_own_request_leaves_once(
    serving, autojump_clock
):
    left = []
    rooms = serving.rooms("chat/{name}")

    @rooms.on_join
    async def on_join(socket, room):
        await socket.join(room.name)

    @rooms.on_leave
    async def on_leave(socket, room):
        left.append(room.name)

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        assert (await joined(socket, "chat/x")).room == "chat/x"
        assert (await socket.receive()).reply == "join"
    assert left == ["chat/x"]


async def test_a_long_history_does_not_keep_the_archives_of_a_short_one(serving, autojump_clock):
    serving.rooms("kept/{name}", history=History(seconds=86_400))
    serving.rooms("short/{name}", history=History(seconds=1))
    backplane = serving.socket_manager.backplane
    async with TestClient(serving):
        await serving.room("kept/x").send("for a day")
        for number in range(100):
            await serving.room(f"short/{number}").send("for a second")
            await trio.sleep(1)
        assert len(backplane._archives) < 10


async def test_a_client_cannot_cancel_the_goodbye_to_a_room(serving, autojump_clock):
    rooms = serving.rooms("chat/{name}")
    said = []

    @rooms.on_leave
    async def on_leave(socket, room):
        await trio.sleep(0.5)
        said.append("goodbye")

    async with TestClient(serving) as client, client.socket("/ws") as socket:
        await socket.join("chat/x")
        await socket.send("finch.leave", id=1, room="chat/x")
        await socket.send("finch.cancel", id=1)
        answer = await socket.receive()
        assert (answer.path, answer.status, said) == ("finch.leave", 200, ["goodbye"])
