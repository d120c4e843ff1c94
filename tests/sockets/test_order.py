"""One client's messages are handled in order; nobody waits for somebody else's handler."""

import pytest
import trio

from finch import FinchApp, Limits
from finch.testing import TestClient


async def test_a_thousand_messages_of_one_client_are_handled_in_order():
    app = FinchApp()
    handled = []

    @app.socket("n")
    async def note(socket, data):
        if data % 7 == 0:
            await trio.lowlevel.checkpoint()
        handled.append(data)
        return data

    async with TestClient(app) as client, client.socket() as socket:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send():
                for number in range(1000):
                    await socket.send("n", number)

            answers = [(await socket.receive()).data for _ in range(1000)]
    assert handled == answers == list(range(1000))


async def test_a_handler_that_waits_holds_up_its_client_only():
    app = FinchApp()
    release = trio.Event()

    @app.socket("slow")
    async def slow(socket, data):
        await release.wait()
        return "slow"

    @app.socket("fast")
    async def fast(socket, data):
        return "fast"

    async with TestClient(app) as client, client.socket() as one, client.socket() as two:
        await one.send("slow")
        await one.send("fast")
        await two.send("fast")
        assert (await two.receive()).data == "fast"
        release.set()
        assert [(await one.receive()).data for _ in range(2)] == ["slow", "fast"]


async def test_concurrent_handlers_do_not_hold_up_the_next_message():
    app = FinchApp()
    release = trio.Event()

    @app.socket("slow", concurrent=True)
    async def slow(socket, data):
        await release.wait()
        return data

    @app.socket("fast")
    async def fast(socket, data):
        return "fast"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("slow", 1)
        await socket.send("slow", 2)
        await socket.send("fast")
        assert (await socket.receive()).data == "fast"
        release.set()
        assert {(await socket.receive()).data for _ in range(2)} == {1, 2}


async def test_concurrent_handlers_are_bounded_and_cancelled_when_the_client_leaves(
    autojump_clock,
):
    app = FinchApp(limits=Limits(inbox=4))
    running = most = 0
    ended = []

    @app.socket("slow", concurrent=True)
    async def slow(socket, data):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await trio.sleep_forever()
        finally:
            running -= 1

    @app.on_disconnect
    async def gone(socket):
        ended.append(running)

    async with TestClient(app) as client:
        async with client.socket() as socket:
            for _ in range(3):
                await socket.send("slow")
        await trio.sleep(10)
        assert (most, ended) == (3, [0])
        async with client.socket() as socket:
            for _ in range(100):
                await socket.send("slow")
            await trio.sleep(3)
            assert most == 4
            await socket.stream.aclose()


async def test_reading_stops_when_the_inbox_is_full_and_goes_on_when_there_is_room():
    app = FinchApp(limits=Limits(inbox=4))
    gate = trio.Semaphore(0)
    handled = []

    @app.socket("n")
    async def note(socket, data):
        await gate.acquire()
        handled.append(data)

    async with TestClient(app) as client, client.socket() as socket:
        for number in range(12):
            await socket.send("n", number)
        await trio.testing.wait_all_tasks_blocked()
        [link] = [item for item in client._server._watched if hasattr(item, "paused")]
        assert link.paused
        for _ in range(12):
            gate.release()
        await trio.testing.wait_all_tasks_blocked()
        assert not link.paused
        assert handled == list(range(12))


async def test_pings_are_answered_while_a_handler_waits():
    app = FinchApp()

    @app.socket("wait")
    async def wait(socket, data):
        await trio.sleep_forever()

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("wait")
        await socket.stream.send_all(b"\x89\x82\0\0\0\0hi")
        with trio.fail_after(5):
            assert await socket.stream.receive_some() == b"\x8a\x02hi"


@pytest.mark.parametrize("count", [1, 200])
async def test_many_clients_that_wait_all_have_a_worker(count):
    app = FinchApp()
    waiting = 0
    everyone = trio.Event()

    @app.socket("meet")
    async def meet(socket, data):
        nonlocal waiting
        waiting += 1
        if waiting == count:
            everyone.set()
        await everyone.wait()
        return "met"

    async with TestClient(app) as client, trio.open_nursery() as nursery:

        async def visit():
            async with client.socket() as socket:
                await socket.send("meet")
                assert (await socket.receive()).data == "met"

        for _ in range(count):
            nursery.start_soon(visit)
