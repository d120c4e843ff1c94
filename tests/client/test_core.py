"""Backpressure: what a client does not read, it does not take from the network."""

import pytest
import trio

from finch import FinchApp, History, Limits
from finch.client import CallFailed, ConnectionClosed
from tests.client.world import until, world

pytestmark = pytest.mark.usefixtures("narrow")


def new_app(**limits):
    app = FinchApp(limits=Limits(**limits))
    app.rooms("feed", history=History(messages=1000))
    app.sent = 0

    @app.socket("flood")
    async def flood(socket, data):
        for number in range(data):
            await socket.send({"number": number, "padding": "x" * 20_000}, path="number")
            app.sent += 1

    @app.socket("echo", concurrent=True)
    async def echo(socket, data):
        return data

    @app.socket("long")
    async def long(socket, data):
        for _ in range(data):
            yield "x" * 100_000

    return app


async def test_a_slow_reader_makes_the_server_wait(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect(buffer=2) as client:
        numbers = client.messages("number")
        await client.send("flood", 200)
        await trio.sleep(5)
        assert app.sent < 60
        for number in range(200):
            assert (await anext(numbers)).data["number"] == number
        assert app.sent == 200


async def test_an_answer_comes_though_a_mailbox_is_full(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect(buffer=4) as client:
        async with client.join("feed") as feed:
            said = feed.messages("said")
            for number in range(12):
                await app.room("feed").send(number, path="said")
            await trio.sleep(2)
            assert await client.call("echo", 1) == 1  # its answer is behind the messages
            for number in range(12, 18):
                await app.room("feed").send(number, path="said")
            assert len([part async for part in client.stream("long", 2)]) == 2
            assert [(await anext(said)).data for _ in range(18)] == list(range(18))


async def test_a_mailbox_does_not_grow_without_limit_while_a_call_waits(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect(buffer=2) as client:
        numbers = client.messages("number")
        await client.send("flood", 200)
        with trio.move_on_after(5) as scope:
            await client.call("echo", 1)
        assert scope.cancelled_caught
        assert numbers.fullness <= 18
        assert app.sent < 100


async def test_leaving_does_not_wait_for_a_slow_reader(autojump_clock):
    app = new_app()
    async with world(app) as there:
        async with there.connect(buffer=2, close_timeout=100) as client:
            numbers = client.messages("number")
            await client.send("flood", 200)
            await trio.sleep(5)
            assert app.sent < 60
        assert trio.current_time() < 10
        assert (await anext(numbers)).data["number"] == 0


async def test_a_close_is_heard_though_a_mailbox_is_full(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect(buffer=2) as client:
        events = client.events()
        numbers = client.messages("number")
        await client.send("flood", 3)
        await trio.sleep(1)
        assert numbers.fullness >= 1
        await app.everyone.close(4500, "stay away")
        there.wires[-1].break_writing()
        await client.send("echo", 1)
        assert (await until(events, "closed")).code == 4500
        assert len([number async for number in _quietly(numbers)]) == 3


async def _quietly(messages):
    with pytest.raises(ConnectionClosed):
        async for message in messages:
            yield message


async def test_an_iterator_that_is_dropped_stops_nobody(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect(buffer=2) as client:
        numbers = client.messages("number")
        await client.send("flood", 50)
        await trio.sleep(5)
        assert app.sent < 50
        del numbers
        await trio.sleep(2)
        assert app.sent == 50


async def test_a_slow_reader_is_not_taken_for_a_dead_server(autojump_clock):
    app = new_app(ping_interval=1000, write_timeout=1000)
    async with world(app) as there, there.connect(buffer=2) as client:
        numbers = client.messages("number")
        await client.send("flood", 30)
        await trio.sleep(10)
        assert app.sent < 30
        await trio.sleep(200)
        assert [(await anext(numbers)).data["number"] for _ in range(30)] == list(range(30))
        assert len(there.wires) == 1


async def test_a_client_that_is_too_slow_for_its_room_comes_back_and_misses_nothing(
    autojump_clock,
):
    app = new_app()
    async with world(app) as there, there.connect(buffer=2) as client:
        events = client.events()
        async with client.join("feed") as feed:
            said = feed.messages("said", "finch.gap")
            for number in range(200):
                await app.room("feed").send([number, "x" * 20_000], path="said")
            heard = [(await anext(said)).data[0] for _ in range(200)]
            assert heard == list(range(200))
            assert (await until(events, "waiting")).code == 1013


async def test_an_answer_in_parts_is_limited(autojump_clock):
    async with world(new_app()) as there, there.connect(max_message_size=250_000) as client:
        assert len(await client.call("long", 2)) == 2
        with pytest.raises(CallFailed, match="too long") as failed:
            await client.call("long", 50)
        assert failed.value.status == 413
        assert await client.call("echo", 1) == 1
        parts = [len(part) async for part in client.stream("long", 50)]
        assert parts == [100_000] * 50


async def test_a_slow_reader_of_a_stream_makes_the_server_wait(autojump_clock):
    app = new_app()
    made = []

    @app.socket("parts")
    async def parts(socket, data):
        for number in range(200):
            made.append(number)
            yield "x" * 20_000

    async with world(app) as there, there.connect(buffer=2) as client:
        async with client.stream("parts") as stream:
            await anext(stream)
            await trio.sleep(5)
            assert len(made) < 60
            assert len([part async for part in stream]) == 199


async def test_a_send_waits_while_much_is_to_be_written(autojump_clock):
    app = FinchApp()
    go_on = trio.Event()

    @app.socket("slow")
    async def slow(socket, data):
        await go_on.wait()

    async with world(app) as there, there.connect() as client:
        sent = 0
        there.wires[-1].hold()

        async def send():
            nonlocal sent
            for _ in range(100):
                await client.send("slow", "x" * 10_000)
                sent += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.sleep(5)
            assert 6 <= sent <= 20
            go_on.set()
            there.wires[-1].let_go()
        assert sent == 100
