"""Much at once, for a client that reads: what only waits for the end of the turn is no debt."""

import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from finch import FinchApp, Limits
from tests.transports import masked


@pytest.fixture
def reader():
    """Real sockets, with each kind of reader; not the folder's own."""


async def upgraded(running, path=b"/ws"):
    stream = await running.connect()
    await stream.send_all(
        b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % path
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += await stream.receive_some(1)
    assert head.startswith(b"HTTP/1.1 101")
    return stream


async def hear(stream, size):
    heard = b""
    with trio.fail_after(5):
        while len(heard) < size:
            heard += await stream.receive_some()
    return heard


async def test_a_burst_longer_than_the_outbox_reaches_a_client_that_reads(serve):
    app = FinchApp(limits=Limits(max_outbox=1000))
    sent = []

    @app.socket("burst")
    async def burst(socket, data):
        for _ in range(50):
            sent.append(await socket.manager.send_to_all("x" * 100))

    async with serve(app) as running:
        stream = await upgraded(running)
        await stream.send_all(masked(Opcode.TEXT, b'{"path":"burst"}'))
        heard = b""
        with trio.fail_after(5):
            while heard.count(b"x" * 100) < 50:
                piece = await stream.receive_some()
                heard += piece
                assert piece, heard[-200:]
                assert b"too slow" not in heard
        assert sent == [1] * 50
        await stream.send_all(masked(Opcode.PING, b"still there"))
        assert await hear(stream, 13) == b"\x8a\x0bstill there"


async def send_what_goes(stream, data, sent, most=100_000_000):
    """Send this again and again until nobody takes more; how many bytes were sent, all together."""
    while sent < most:
        with trio.move_on_after(0.2) as waited:
            sent += await stream.socket.send(data[sent % len(data) :])
        if waited.cancelled_caught:
            break
    return sent


async def test_a_client_is_read_no_faster_than_it_is_handled(serve):
    app = FinchApp(limits=Limits(inbox=4, leave_grace=0.1))
    gate = trio.Semaphore(0)
    handled = 0

    @app.socket("n")
    async def count(socket, data):
        nonlocal handled
        await gate.acquire()
        handled += 1

    async with serve(app) as running:
        stream = await upgraded(running)
        data = masked(Opcode.TEXT, b'{"path":"n"}') * 10_000
        before = await send_what_goes(stream, data, 0)
        for _ in range(100):
            gate.release()
            await trio.testing.wait_all_tasks_blocked()
        assert handled == 100
        after = await send_what_goes(stream, data, before, before + 1_000_000)
        # a hundred messages are 1,800 bytes; what is read for them comes in pieces of 64 KiB
        assert after - before <= 4 * 64 * 1024
