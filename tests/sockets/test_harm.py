"""What goes wrong in an application's code, or what a hostile client sends, harms nobody else."""

import logging
import sys

import pytest
import trio

from finch import FinchApp, History, Identity, SocketManager
from finch.testing import TestClient


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
async def test_a_task_that_leaves_something_open_ends_alone(serving, accident):
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


async def test_a_meta_that_is_nested_too_deeply_breaks_no_room(serving):
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


@pytest.fixture
def slowly(reader):
    if reader == "task":
        pytest.skip("a stream in memory takes everything at once")


@pytest.mark.usefixtures("slowly")
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


@pytest.mark.usefixtures("slowly")
async def test_a_handler_that_gives_up_a_join_can_repeat_it(serving):
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
