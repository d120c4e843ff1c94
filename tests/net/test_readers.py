"""The hub: descriptors that come back as another's, pauses, floods, the end."""

import socket
import struct

import trio
from websockets.frames import Frame, Opcode

from finch import FinchApp, Limits
from tests.conftest import serving
from tests.test_server import HANDSHAKE, masked, read_until


def echo_app(**limits):
    app = FinchApp(limits=Limits(**limits))

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    @app.socket("echo")
    async def echo(client, data):
        return data

    return app


async def open_socket(running, path=b"/raw"):
    stream = await running.connect()
    await stream.send_all(HANDSHAKE % (path, b""))
    await read_until(stream, b"\r\n\r\n")
    return stream


async def test_a_descriptor_that_is_used_again_belongs_to_the_newcomer(serve):
    async with serve(echo_app()) as running:
        for number in range(50):
            stream = await open_socket(running)
            message = b"visitor %d" % number
            await stream.send_all(masked(Opcode.TEXT, message))
            await read_until(stream, message)
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()


async def test_the_hub_forgets_every_link_when_it_is_over():
    async with serving(echo_app()) as running:
        hub = running.server._hub
        streams = [await open_socket(running) for _ in range(5)]
        assert len(hub._links) == 5
        for stream in streams:
            await stream.aclose()
        with trio.fail_after(5):
            while hub._links or hub._resting or running.server._watched:
                await trio.sleep(0.01)


async def test_a_flood_of_pings_is_answered_and_others_are_served_meanwhile(serve):
    async with serve(echo_app()) as running:
        flooder = await open_socket(running)
        other = await open_socket(running)
        pings = Frame(Opcode.PING, b"").serialize(mask=True) * 20_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flooder.send_all, pings)
            for _ in range(20):
                await other.send_all(masked(Opcode.TEXT, b"hi"))
                await read_until(other, b"hi")
            pongs = 0
            with trio.fail_after(20):
                while pongs < 20_000 * 2:
                    pongs += len(await flooder.receive_some())


async def test_a_paused_link_goes_on_where_it_stopped_and_hears_of_control_frames(serve):
    async with serve(echo_app(inbox=2)) as running:
        stream = await open_socket(running)
        frames = b"".join(masked(Opcode.TEXT, b"%03d" % number) for number in range(300))
        pings = Frame(Opcode.PING, b"p").serialize(mask=True) * 600
        await stream.send_all(frames + pings + masked(Opcode.TEXT, b"end"))
        data = await read_until(stream, b"\x81\x03end")
        places = [data.index(b"\x81\x03%03d" % number) for number in range(300)]
        assert places == sorted(places)
        assert data.count(b"\x8a\x01p") == 600


async def test_a_peer_that_closes_its_side_is_let_go(serve):
    async with serve(echo_app()) as running:
        stream = await open_socket(running)
        await stream.send_all(masked(Opcode.TEXT, b"last words"))
        await stream.send_eof()
        with trio.fail_after(5):
            while await stream.receive_some():
                pass
