"""What a room's members hear while somebody is still on the way in."""

import pytest
import trio

from finch import FinchApp, History, Limits, SocketClient
from finch.testing import TestClient

KIB = 1024


@pytest.fixture
def app():
    """Rooms with and without presence; ``?user=`` says who somebody is."""
    app = FinchApp(limits=Limits(backpressure=4 * KIB))
    app.rooms("chat/{name}", history=History(messages=100), presence=True, grace=0)
    quiet = app.rooms("quiet/{name}", history=History(messages=100))

    @quiet.task
    async def run(room):
        await room.send(None, path="begun", volatile=True)

    @app.authorize
    async def authorize(request):
        return request.query["user"]

    @app.socket("come in")
    async def come_in(socket, data):
        await socket.join(data)

    return app


class Gate:
    """Holds a client back where it waits until its peer has read what was sent before."""

    def __init__(self, monkeypatch):
        self.reached, self.opened = trio.Event(), trio.Event()
        self.user = None
        send_one = SocketClient._send_one

        async def wait(client, envelope):
            sent = await send_one(client, envelope)
            if client.user_id == self.user:
                self.reached.set()
                await self.opened.wait()
            return sent

        monkeypatch.setattr(SocketClient, "_send_one", wait)


@pytest.fixture
def gate(monkeypatch):
    return Gate(monkeypatch)


async def hear(socket, path):
    """The next message to that path."""
    while True:
        message = await socket.receive()
        if message.path == path:
            return message


JOINS = {"asks": ("finch.join", None), "is let in": ("come in", "{room}")}


async def join(socket, how, room):
    path, data = JOINS[how]
    if data is None:
        await socket.send(path, room=room)
    else:
        await socket.send(path, data.format(room=room))


@pytest.mark.parametrize("how", JOINS)
async def test_who_comes_and_goes_meanwhile_is_told_to_the_joiner(app, gate, how, autojump_clock):
    gate.user = "ann"
    async with TestClient(app) as client, client.socket("/ws?user=ann") as ann:
        async with client.socket("/ws?user=cid") as cid:
            await join(cid, "asks", "chat/lobby")
            await hear(cid, "finch.presence")
            await join(ann, how, "chat/lobby")
            await gate.reached.wait()
        async with client.socket("/ws?user=bob") as bob:
            await join(bob, "asks", "chat/lobby")
            await trio.sleep(1)
            gate.opened.set()
            answer = await hear(ann, "finch.join")
            assert [one["user"] for one in answer.data["presence"]] == ["cid", "ann"]
            told = await hear(ann, "finch.presence")
            assert [one["user"] for one in told.data["presence"]] == ["ann", "bob"]
            assert told.data["count"] == 2


@pytest.mark.parametrize("how", JOINS)
async def test_a_joiner_that_nothing_has_happened_to_is_told_once(app, how, autojump_clock):
    async with TestClient(app) as client, client.socket("/ws?user=ann") as ann:
        await join(ann, how, "chat/lobby")
        told = await hear(ann, "finch.presence")
        assert [one["user"] for one in told.data["joins"]] == ["ann"]
        await trio.sleep(1)
        await app.room("chat/lobby").send(None, path="end")
        assert (await ann.receive()).path == "end"


@pytest.mark.parametrize("how", JOINS)
async def test_what_is_said_meanwhile_reaches_the_joiner(app, gate, how, autojump_clock):
    gate.user = "ann"
    async with TestClient(app) as client, client.socket("/ws?user=ann") as ann:
        await join(ann, how, "quiet/lobby")
        await gate.reached.wait()
        await app.room("quiet/lobby").send("meanwhile", path="said")
        gate.opened.set()
        assert (await hear(ann, "said")).data == "meanwhile"


@pytest.mark.parametrize("how", JOINS)
async def test_a_room_that_has_emptied_meanwhile_begins_again(app, gate, how, autojump_clock):
    gate.user = "ann"
    async with TestClient(app) as client, client.socket("/ws?user=ann") as ann:
        await join(ann, how, "quiet/lobby")
        await gate.reached.wait()
        async with client.socket("/ws?user=bob") as bob:
            await join(bob, "asks", "quiet/lobby")
            await hear(bob, "finch.join")
        await trio.sleep(1)
        gate.opened.set()
        await hear(ann, "begun")
        assert app.room("quiet/lobby").count == 1
