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
