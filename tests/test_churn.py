"""A thousand clients come, join, speak, leave and are cut at random; nothing is left of them."""

import gc
from random import Random

import trio
import trio.testing

from finch import FinchApp, History, Identity, SocketClient
from finch.cluster.history import Archive
from finch.sockets.room import Hall
from finch.testing import TestClient

CLIENTS = 1000
ROOMS = [f"chat/{number}" for number in range(20)]


async def test_nothing_is_left_of_a_thousand_clients(autojump_clock):
    app = FinchApp()
    chat = app.rooms("chat/{name}", history=History(messages=10, seconds=60), presence=True)
    tasks = 0

    @app.authorize
    async def authorize(request):
        return Identity(request.query["user"], expires_at=4102444800)

    @chat.socket("say")
    async def say(socket, data, room):
        await room.send(data, path="said")

    @chat.task
    async def run(room):
        nonlocal tasks
        tasks += 1
        try:
            await trio.sleep_forever()
        finally:
            tasks -= 1

    random = Random(7)
    manager = app.socket_manager
    async with TestClient(app) as client, trio.open_nursery() as nursery:

        async def live(number):
            async with (
                client.socket(f"/ws?user={number % 700}") as socket,
                trio.open_nursery() as mine,
            ):
                mine.start_soon(read, socket)
                for _ in range(random.randrange(8)):
                    await socket.send(
                        random.choice(["finch.join", "finch.leave", "say"]),
                        "hello",
                        room=random.choice(ROOMS),
                        id=random.choice([None, 1]),
                        since=random.choice([None, "old:3"]),
                    )
                    await trio.sleep(random.random() * 10)
                mine.cancel_scope.cancel()
                if random.random() < 0.5:
                    await trio.aclose_forcefully(socket.stream)  # cut, without a goodbye

        async def read(socket):
            while True:
                await socket.receive_raw(timeout=1000)

        for number in range(CLIENTS):
            nursery.start_soon(live, number)
        await trio.sleep(5)
        assert manager.count_clients > CLIENTS / 2
        assert tasks == len(manager.members.rooms)
        await trio.sleep(200)
        assert manager.count_clients == manager.count_users == len(manager.members.rooms) == 0
        assert len(manager.halls) == tasks == 0
        assert not manager.identities.probe()
        await manager.room("chat/0").send("the last", path="said")  # looks at what is kept
        await trio.sleep(100)
        for _ in ROOMS:
            await manager.room("chat/0").send("again", path="said")
        assert not client._server.lagging
    gc.collect()
    left = [type(one) for one in gc.get_objects() if isinstance(one, SocketClient | Hall)]
    assert left == []
    kept = [one for one in gc.get_objects() if isinstance(one, Archive)]
    assert len([one for one in kept if one.seq]) <= 1
