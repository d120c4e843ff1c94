"""A client that is behind gets the newest of each path and key, whatever kind of connection it has.

It reads nothing that counts but its pings: what it has not answered, it may not have read.
"""

import re

from websockets.frames import Opcode

from tests.transports import app_with, masked


async def test_the_newest_of_each_key_is_sent_when_the_client_has_caught_up(serve_over):
    app = app_with()

    @app.socket("go")
    async def go(socket, data):
        for number in range(10):
            await app.everyone.send(number, path="price", volatile=True, key=number % 2)
        return socket.replaced

    async with serve_over(app, bystander=False) as server:
        peer = await server.open(b"/ws")
        await peer.say(masked(Opcode.TEXT, b'{"path":"go","id":1}'))
        heard = await peer.hear(b'"reply":1}')
        assert re.findall(rb'"data":(\d+)', heard) == [b"0", b"7"]  # the first; 9 wait, 2 at a time
        assert b"\x89\x011" in heard  # the ping behind the first
        await peer.say(masked(Opcode.PONG, b"1"))
        heard = await peer.hear(b"\x89\x012")
        assert re.findall(rb'"data":(\d+)', heard) == [b"8", b"9"]


async def test_a_client_that_answers_no_ping_is_not_closed_and_little_waits_for_it(serve_over):
    app = app_with(max_outbox=64 * 1024)

    @app.socket("go")
    async def go(socket, data):
        for number in range(1000):
            await app.everyone.send("x" * 1000, path="frame", volatile=True, key=number)
        return socket.replaced

    async with serve_over(app, bystander=False) as server:
        peer = await server.open(b"/ws")
        await peer.say(masked(Opcode.TEXT, b'{"path":"go","id":1}'))
        heard = await peer.hear(b'"reply":1}')
        assert heard.count(b'"path":"frame"') == 1
        replaced = int(re.findall(rb'"data":(\d+)', heard)[0])
        waiting = 999 - replaced
        assert 20 <= waiting <= 32  # half of the outbox
        await peer.say(masked(Opcode.PONG, b"1"))
        heard = await peer.hear(b"\x89\x012")
        assert heard.count(b'"path":"frame"') == waiting
