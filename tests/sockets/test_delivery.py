"""Durable or volatile: what a client gets that is slow. It is behind while a ping that followed a
message is unanswered; these clients answer pings when they read."""

import pytest
import trio
import trio.testing

from finch import FinchApp, History, Limits
from finch.testing import TestClient


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(max_outbox=256 * 1024))
    app.state["met"] = met = []
    app.rooms("prices", history=History(messages=1000))

    @app.on_connect
    async def greet(socket):
        met.append(socket)

    return app


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def drained(socket, seconds=3):
    """All that comes within these seconds."""
    got = []
    with trio.move_on_after(seconds):
        while True:
            got.append(await socket.receive(timeout=100))
    return got


async def test_a_client_that_keeps_up_gets_every_one(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("prices")
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def feed():
                for number in range(100):
                    await app.room("prices").send(number, volatile=True, key="A")
                    await trio.sleep(0.05)

            got = await drained(socket, 6)
        assert [one.data for one in got] == list(range(100))
        assert app.state["met"][0].replaced == 0


async def test_the_newest_of_each_path_and_key_waits_for_one_that_does_not_read(
    app, autojump_clock
):
    async with TestClient(app) as client, client.socket() as slow:
        await slow.join("prices")
        room = app.room("prices")
        for number in range(10):
            for key in ("A", "B", None):
                await room.send([key, number], path="price", volatile=True, key=key)
            await room.send(number, path="cursor", volatile=True)
        [socket] = app.state["met"]
        # the first of all was sent at once, and the ping behind it is unanswered
        assert socket.replaced == 35
        assert app.socket_manager.replaced == 35
        got = [(one.path, one.data) for one in await drained(slow)]
        assert got == [
            ("price", ["A", 0]),
            ("price", ["A", 9]),
            ("price", ["B", 9]),
            ("price", [None, 9]),
            ("cursor", 9),
        ]
        assert socket.lag == 0
        await room.send("now", volatile=True, key="A")
        assert [one.data for one in await drained(slow)] == ["now"]  # it has caught up


async def test_the_same_key_in_two_rooms_is_two(autojump_clock):
    app = FinchApp()
    app.rooms("prices/{name}")
    async with TestClient(app) as client, client.socket() as slow:
        await slow.join("prices/a")
        await slow.join("prices/b")
        for number in range(3):
            for name in "ab":
                await app.room(f"prices/{name}").send(number, volatile=True, key="x")
        got = [(one.room, one.data) for one in await drained(slow)]
        assert got == [("prices/a", 0), ("prices/a", 2), ("prices/b", 2)]


@pytest.mark.parametrize("whom", ["everyone", "room", "client"])
async def test_nobody_is_closed_for_volatile_messages(app, whom, autojump_clock):
    """A hundred times what may wait for a client."""
    async with TestClient(app) as client, client.socket() as slow, client.socket() as fast:
        for socket in (slow, fast):
            await socket.join("prices")
        audience = {
            "everyone": app.everyone,
            "room": app.room("prices"),
            "client": app.state["met"][0],
        }[whom]
        count = 0

        async def read_all():
            nonlocal count
            while True:
                await fast.receive(timeout=100)
                count += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all)
            for number in range(500):
                await audience.send([number, "x" * 50_000], volatile=True, key=number % 2)
                await settled()
            nursery.cancel_scope.cancel()
        assert count == (0 if whom == "client" else 500)
        got = [one.data[0] for one in await drained(slow)]
        assert got[0] == 0
        assert got[-2:] == [498, 499]
        assert len(got) + app.state["met"][0].replaced == 500


@pytest.mark.parametrize("reader", ["hub"], indirect=True)  # a stream in memory takes everything
async def test_durable_messages_close_one_that_is_too_slow_and_it_comes_back(app, autojump_clock):
    async with TestClient(app) as client:
        room = app.room("prices")
        async with client.socket() as slow, client.socket() as fast:
            joined = await slow.join("prices")
            await fast.join("prices")
            for number in range(40):
                await room.send([number, "x" * 50_000])
                assert (await fast.receive()).data[0] == number
            assert (await slow.wait_closed()).code == 1013
        async with client.socket() as again:
            assert (await again.join("prices", since=joined.position)).recovered
            assert [(await again.receive()).data[0] for _ in range(40)] == list(range(40))


async def test_a_durable_message_does_not_wait_behind_volatile_ones(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as slow:
        await slow.join("prices")
        room = app.room("prices")
        for number in range(3):
            await room.send(number, volatile=True)
        assert (await room.send("kept")).seq == 1
        got = [one.data for one in await drained(slow)]
        assert got == [0, "kept", 2]


async def test_one_message_that_is_larger_than_the_bound_waits_alone(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as slow:
        await slow.join("prices")
        for key in range(3):
            await app.room("prices").send([key, "x" * 150_000], volatile=True, key=key)
        got = [one.data[0] for one in await drained(slow)]
        assert got == [0, 2]
        assert app.state["met"][0].replaced == 1


async def test_a_slow_reader_sees_nothing_old(app, autojump_clock):
    """20 messages a second, of which it reads 2: what it reads is at most a second old."""
    async with TestClient(app) as client, client.socket() as slow:
        await slow.join("prices")

        async def feed():
            while True:
                await app.everyone.send(trio.current_time(), volatile=True, key="A")
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            for _ in range(60):
                age = trio.current_time() - (await slow.receive()).data
                assert age <= 1
                await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
        assert app.state["met"][0].replaced > 400


async def test_what_waits_for_one_that_leaves_is_forgotten(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as other:
        async with client.socket() as slow:
            await settled()  # the server has met both
            for number in range(3):
                await app.everyone.send(number, volatile=True)
            [_, socket] = app.state["met"]
            assert socket.replaced == 1
            await trio.aclose_forcefully(slow.stream)
        await trio.sleep(1)
        assert app.everyone.count == 1
        assert await app.everyone.send("on", volatile=True) == 1
        assert [one.data for one in await drained(other)] == [0, "on"]
        assert await socket.send("nobody hears it", volatile=True) is False
