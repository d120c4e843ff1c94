"""What one client sends in one piece is dealt with in many turns, and others run in between.

Counted in turns of the event loop, not in time: in memory, nothing but the work itself takes one.
``benchmarks.floods`` measures what a real server's other clients notice.
"""

import zlib

import pytest
import trio
from websockets.frames import Opcode

from finch.testing import TestClient
from tests.transports import Peer, app_with, masked

COUNT = 5000
CHUNKED = (
    b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
FRAGMENT = masked(Opcode.CONT, b"", fin=False)
BEGIN, END = masked(Opcode.TEXT, b"", fin=False), masked(Opcode.CONT, b"")


async def turns_of(data, *, path=b"", extra=b""):
    """How many turns others have until the server has dealt with all of that and closed."""
    app = app_with(max_fragments=10**9)
    turns = 0

    @app.websocket("/sink", compression=True)
    async def sink(ws):
        async for _ in ws:
            pass

    @app.socket("nothing")
    async def nothing(socket, data):
        pass

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        peer = Peer(client.connect())
        if path:
            await peer.upgrade(path, extra)

        @nursery.start_soon
        async def others():
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        await peer.say(data)
        await peer.hear_all()
        nursery.cancel_scope.cancel()
    return turns


@pytest.mark.parametrize(
    ("data", "path", "least"),
    [
        (GET * COUNT + LAST_GET, b"", COUNT),
        (masked(Opcode.TEXT, b"x") * COUNT, b"/raw", COUNT // 80),
        (masked(Opcode.TEXT, b"{}") * COUNT, b"/ws", COUNT // 80),
        (masked(Opcode.PING, b"") * COUNT, b"/raw", COUNT // 80),
        (BEGIN + FRAGMENT * COUNT + END, b"/raw", COUNT // 80),
        (
            BEGIN + (FRAGMENT * 255 + masked(Opcode.PING, b"")) * (COUNT // 256) + END,
            b"/raw",
            COUNT // 80,
        ),
    ],
    ids=["requests", "messages", "envelopes", "pings", "fragments", "fragments and pings"],
)
async def test_a_flood_of_tiny_things_leaves_others_their_turns(data, path, least):
    close = masked(Opcode.CLOSE, b"\x03\xe8") if path else b""
    idle = await turns_of(close or LAST_GET, path=path)
    assert await turns_of(data + close, path=path) - idle >= least


async def test_a_body_in_tiny_chunks_leaves_others_their_turns():
    idle = await turns_of(CHUNKED + b"0\r\n\r\n")
    assert await turns_of(CHUNKED + b"1\r\nx\r\n" * COUNT + b"0\r\n\r\n") - idle >= COUNT // 512


async def test_messages_that_inflate_leave_others_their_turns():
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
    frame = masked(Opcode.BINARY, packed.removesuffix(b"\0\0\xff\xff"))
    bomb, close = bytes([frame[0] | 0x40]) + frame[1:], masked(Opcode.CLOSE, b"\x03\xe8")
    socket = {"path": b"/sink", "extra": b"Sec-WebSocket-Extensions: permessage-deflate\r\n"}
    idle = await turns_of(close, **socket)
    assert await turns_of(bomb * 20 + close, **socket) - idle >= 15
