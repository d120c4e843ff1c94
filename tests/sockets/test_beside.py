"""concurrent=True: how many messages of one client are handled side by side, and what follows."""

import trio
import trio.testing
from websockets.frames import Opcode

from finch import FinchApp, Limits
from finch.testing import TestClient
from tests.transports import masked


class Desk:
    """An application with a concurrent path; who is handled, and the key to let each one go."""

    def __init__(self, inbox):
        self.app = FinchApp(limits=Limits(inbox=inbox))
        self.running = []
        self.most = 0
        self.ended = []
        self.keys = {}
        self.app.socket("beside", concurrent=True)(self.beside)
        self.app.socket("note")(self.note)

    async def beside(self, socket, data):
        self.running.append(data)
        self.most = max(self.most, len(self.running))
        self.keys[data] = trio.Event()
        await self.keys[data].wait()
        self.running.remove(data)
        self.ended.append(data)

    async def note(self, socket, data):
        self.ended.append(data)

    async def let_go(self, number):
        self.keys[number].set()
        await trio.testing.wait_all_tasks_blocked()


async def say(socket, *messages):
    """In one piece, so that the server has them all at once."""
    await socket.stream.send_all(
        b"".join(
            masked(Opcode.TEXT, b'{"path":"%b","data":%d}' % (path, data))
            for path, data in messages
        )
    )
    await trio.testing.wait_all_tasks_blocked()


async def test_with_an_inbox_of_one_the_second_is_handled_in_order_and_the_third_waits():
    desk = Desk(inbox=1)
    async with TestClient(desk.app) as client, client.socket() as socket:
        await say(socket, *((b"beside", number) for number in range(5)))
        assert sorted(desk.running) == [0, 1]
        await desk.let_go(0)  # its place is free, but the second is handled in order
        assert desk.running == [1]
        await desk.let_go(1)
        assert sorted(desk.running) == [2, 3]
        for number in (2, 3, 4):
            await desk.let_go(number)
        assert desk.ended == [0, 1, 2, 3, 4]


async def test_what_finds_no_place_beside_is_handled_in_order_and_the_next_wait_for_it():
    desk = Desk(inbox=4)
    holding = trio.Event()

    @desk.app.socket("hold")
    async def hold(socket, data):
        await holding.wait()

    async with TestClient(desk.app) as client, client.socket() as socket:
        await say(socket, (b"beside", 0), (b"hold", 0))
        await say(socket, *((b"beside", number) for number in range(1, 12)))
        assert desk.running == [0]
        await desk.let_go(0)
        holding.set()  # three wait; when the first of them begins, two more are read
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(desk.running) == [1, 2, 3, 4, 5]
        for number in (1, 2, 3):
            await desk.let_go(number)
        assert sorted(desk.running) == [4, 5]  # four was the most beside, so 5 is in order
        await desk.let_go(5)
        assert sorted(desk.running)[:2] == [4, 6]
        while desk.running:
            await desk.let_go(desk.running[0])
        assert sorted(desk.ended) == list(range(12))
        assert desk.most == 5


async def test_reading_goes_on_once_the_half_is_free():
    desk = Desk(inbox=4)
    async with TestClient(desk.app) as client, client.socket() as socket:
        # four are handled beside, so nothing more is read
        for number in range(4):
            await say(socket, (b"beside", number))
        await say(socket, (b"note", 100))
        assert desk.ended == []
        await desk.let_go(0)
        assert desk.ended == [0]
        await desk.let_go(1)
        assert desk.ended == [0, 1, 100]
