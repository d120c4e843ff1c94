"""Clients that say nothing, because they need not or because nobody reads them: what time does."""

import gc

import pytest
import trio
import trio.testing
from websockets.frames import Opcode
from wsproto.connection import Connection

from finch import FinchApp, Limits
from finch.testing import TestClient
from tests.transports import masked

PING = b"\x89\x00"


async def next_bytes(socket):
    """What the server sends next, and when."""
    with trio.fail_after(1000):
        data = bytes(await socket.stream.receive_some())
    return data, trio.current_time()


def app_with_gate(**limits):
    """An application whose handler lets messages through a gate."""
    app = FinchApp(limits=Limits(**limits))
    gate = trio.Semaphore(0)

    @app.socket("wait")
    async def wait(socket, data):
        await gate.acquire()

    return app, gate


async def fill_inbox(socket, count):
    for _ in range(count):
        await socket.send("wait")
    await trio.testing.wait_all_tasks_blocked()


async def test_the_silence_while_nobody_read_does_not_count_afterwards(autojump_clock):
    app, gate = app_with_gate(inbox=1)
    async with TestClient(app) as client, client.socket() as socket:
        await fill_inbox(socket, 2)  # one is handled, one waits, and nothing more is read
        await trio.sleep(100)
        begun = trio.current_time()
        gate.release()
        gate.release()
        data, when = await next_bytes(socket)
        assert data == PING
        assert when - begun == pytest.approx(20, abs=1)


async def test_the_silence_counts_from_the_end_of_the_pause_however_long_the_grace(autojump_clock):
    app, gate = app_with_gate(inbox=1, leave_grace=300)
    async with TestClient(app) as client, client.socket() as socket:
        await fill_inbox(socket, 2)
        await trio.sleep(1)
        begun = trio.current_time()
        gate.release()
        gate.release()
        data, when = await next_bytes(socket)
        assert data == PING
        assert when - begun == pytest.approx(20, abs=1)


async def test_a_client_that_is_not_read_is_pinged_only_when_it_is_read_again(autojump_clock):
    app, gate = app_with_gate(inbox=1)
    async with TestClient(app) as client, client.socket() as socket:
        await fill_inbox(socket, 2)
        with trio.move_on_after(500) as waited:
            await socket.stream.receive_some()
        assert waited.cancelled_caught
        gate.release()
        gate.release()
        assert (await next_bytes(socket))[0] == PING


async def test_each_byte_begins_the_silence_anew(autojump_clock):
    app, _ = app_with_gate()
    async with TestClient(app) as client, client.socket() as socket:
        await trio.sleep(15)
        await socket.stream.send_all(masked(Opcode.PONG, b""))
        begun = trio.current_time()
        data, when = await next_bytes(socket)
        assert data == PING
        assert when - begun == pytest.approx(20, abs=1)
        await trio.sleep(15)
        await socket.stream.send_all(masked(Opcode.PONG, b""))
        begun = trio.current_time()
        data, when = await next_bytes(socket)
        assert data == PING  # and not the Close of a client that has not answered
        assert when - begun == pytest.approx(20, abs=1)


async def test_a_client_that_does_not_answer_its_ping_is_closed_with_1011(autojump_clock):
    app, _ = app_with_gate()
    async with TestClient(app) as client, client.socket() as socket:
        _, pinged = await next_bytes(socket)
        data, when = await next_bytes(socket)
        assert data == b"\x88\x15\x03\xf3no answer to a ping"
        assert when - pinged == pytest.approx(20, abs=1)


async def test_a_close_that_a_client_which_was_not_read_ignores_is_over_after_its_time(
    autojump_clock,
):
    app, _ = app_with_gate(inbox=1)
    connected, gone = [], []

    @app.on_connect
    async def keep(socket):
        connected.append(socket)

    @app.on_disconnect
    async def note(socket):
        gone.append(trio.current_time())

    async with TestClient(app) as client, client.socket() as socket:
        await fill_inbox(socket, 2)
        begun = trio.current_time()
        await connected[0].close(4000)
        assert (await next_bytes(socket))[0].startswith(b"\x88\x02\x0f\xa0")
        await trio.sleep(15)
        assert len(gone) == 1
        # 5 s for the answer to our Close, then 1 s for the messages that are still handled
        assert gone[0] - begun == pytest.approx(6, abs=1.5)


def parsers():
    """The server's parsers that are alive; the test's own client has one, too."""
    gc.collect()
    return sum(isinstance(item, Connection) and not item.client for item in gc.get_objects())


async def test_a_silent_client_holds_no_parser_once_it_was_pinged(autojump_clock):
    app = FinchApp()
    heard = []

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            heard.append(message)

    fragments = masked(Opcode.TEXT, b"go", fin=False) + masked(Opcode.CONT, b"ld")
    async with TestClient(app) as client, client.socket("/raw") as socket:
        before = parsers()
        await socket.stream.send_all(fragments)
        await trio.testing.wait_all_tasks_blocked()
        assert parsers() == before + 1
        assert (await next_bytes(socket))[0] == PING
        assert parsers() == before
        await socket.stream.send_all(fragments)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["gold", "gold"]
