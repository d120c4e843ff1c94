"""A thousand clients join, speak, freeze, leave, are cut and come back; then nothing is left."""

import gc
from random import Random

import trio
import trio.testing

from finch import FinchApp, History, Limits, SocketClient, SocketManager
from finch.sockets.identity import Identity
from finch.sockets.room import Hall
from finch.testing import TestClient
from tests.sockets.doors import narrow
from tests.sockets.peer import Peer

CLIENTS = 1000
ROUNDS = 1000
AT_A_TIME = 2  # clients that do something in a round
ROOMS = 60
settled = trio.testing.wait_all_tasks_blocked


def app_of(counts, ends):
    app = FinchApp(limits=Limits(max_rooms=3))
    manager = SocketManager(
        app, path="/ws", history=History(seconds=60), user_history=History(seconds=60)
    )
    chat = manager.rooms("chat/{name}", history=History(seconds=60), presence=True)
    crowd = manager.rooms("crowd/{name}", presence="count")

    @manager.authorize
    async def authorize(request):
        user = int(request.query["user"])
        expires = 2**33 if user % 3 == 0 else None
        return Identity(user, expires) if user % 4 else None

    for rooms in (chat, crowd):

        @rooms.on_join
        async def on_join(socket, room):
            counts["joined"] += 1
            if counts["joined"] % 10 == 0:
                socket.spawn(ask, socket)

        @rooms.on_leave
        async def on_leave(socket, room):
            counts["left"] += 1

        @rooms.task
        async def task(room):
            counts["tasks"] += 1
            try:
                await trio.sleep_forever()
            finally:
                counts["tasks"] -= 1

        @rooms.socket("say")
        async def say(socket, data, room):
            await room.send(data, path="said")
            await room.send(data, path="moved", volatile=True, key=socket.id)

    async def ask(socket):
        counts["asked"] += 1
        try:
            await socket.call("are you there?")
        finally:
            counts["asked"] -= 1
            ends.append(len(socket._asks))

    return app, manager


async def test_nothing_is_left_of_a_thousand_clients(reader, autojump_clock):
    random = Random(reader)
    counts = dict.fromkeys(("joined", "left", "tasks", "asked"), 0)
    ends = []  # how many calls to a client waited when one had ended
    app, manager = app_of(counts, ends)
    async with TestClient(app) as client, trio.open_nursery() as nursery:
        server = client._server
        await settled()

        def tasks():
            """How many there are, without the workers that wait for work."""
            living = trio.lowlevel.current_statistics().tasks_living
            return living - len(server.workers._parked)

        idle = tasks()

        def connect(number):
            peer = Peer(narrow(client, reader))
            nursery.start_soon(peer.run, f"?user={number // 2}")
            return peer

        async def act(number):
            peer = peers[number]
            if not peer.open:
                peers[number] = connect(number)
                return
            what = random.randrange(10)
            name = random.choice(("chat", "chat", "crowd")) + f"/{random.randrange(ROOMS)}"
            if what < 5:
                await peer.say({"path": "finch.join", "room": name, "last": 3})
                await peer.say({"path": "say", "room": name, "data": number})
            elif what < 6:
                for room in range(ROOMS):
                    await peer.say({"path": "finch.leave", "room": f"chat/{room}"})
            elif what < 7:
                peer.freeze()
            elif what < 8:
                await peer.leave()
            else:
                await peer.hang_up()
            peer.heard.clear()

        peers = [connect(number) for number in range(CLIENTS)]
        await settled()
        assert manager.count_clients == CLIENTS
        for _ in range(ROUNDS):
            for number in random.sample(range(CLIENTS), AT_A_TIME):
                await act(number)
            if random.random() < 0.5:
                await trio.sleep(0.02)
        await settled()
        assert len(manager.halls) > ROOMS
        assert counts["tasks"] > ROOMS
        assert counts["asked"] > 5
        assert server.lagging
        for peer in peers:
            await (peer.hang_up() if random.random() < 0.5 else peer.leave())
            peer.thaw()
        await trio.sleep(100)
        await manager.room("chat/other").send("so that old archives are noticed")
        for _ in range(2 * ROOMS + CLIENTS):
            await manager.room("chat/other").history()

        members = manager.members
        assert not len(members)
        assert not members.count_users
        assert not len(members.rooms)
        assert not list(members)
        assert not len(manager.halls)
        assert not server.lagging
        assert not server._watched
        assert not manager.identities._expiring
        assert list(manager.backplane._archives) == [("room", "chat/other")]
        assert not manager.backplane._unwritten
        assert counts["joined"] == counts["left"] > 300
        assert len(ends) > 50
        assert not any(ends)
        assert counts["asked"] == 0
        assert counts["tasks"] == 0
        assert tasks() <= idle
    peers.clear()
    gc.collect()
    assert [one for one in gc.get_objects() if isinstance(one, SocketClient | Hall)] == []
