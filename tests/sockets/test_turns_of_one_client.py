"""How much of one client is done before the others have their turn, and how little is enough."""

import zlib

import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from finch import FinchApp, Limits, SocketEvent, SocketManager
from finch.testing import TestClient
from finch.turns import HEAVY, TURN
from tests.transports import masked

PONG = b"\x8a\x00"
WHOLE_TURN = TURN << HEAVY  # bytes of a message that is a turn's work by itself


def compressed(text, count):
    """The frames of so many messages."""
    packer = zlib.compressobj(wbits=-15)
    frames = []
    for _ in range(count):
        squeezed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
        frame = masked(Opcode.TEXT, squeezed.removesuffix(b"\0\0\xff\xff"))
        frames.append(bytes([frame[0] | 0x40]) + frame[1:])  # RSV1: the payload is compressed
    return frames


# trio runs the tasks of one turn in any order: so an answer may be a turn early or late, not more.
@pytest.mark.parametrize(("pings", "last"), [(TURN - 1, "answer"), (4 * TURN, "pong")])
async def test_a_turn_reads_as_many_events_as_it_has_units(pings, last):
    """The message's answer is made once the reading gives others a turn."""
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    async with TestClient(app) as client, client.socket("/raw") as socket:
        for _ in range(6):  # with half the units, the answer would be last in half of the cases
            await socket.stream.send_all(
                masked(Opcode.TEXT, b"hello") + masked(Opcode.PING, b"") * pings
            )
            heard = b""
            with trio.fail_after(5):
                while heard.count(PONG) < pings or b"hello" not in heard:
                    heard += await socket.stream.receive_some()
            assert heard.endswith(b"hello" if last == "answer" else PONG)


async def test_a_long_message_is_handled_before_all_others_are_inflated():
    app = FinchApp()

    @app.websocket("/raw", compression=True)
    async def raw(ws):
        async for _ in ws:
            await ws.send("it is long")

    async with (
        TestClient(app, headers={"sec-websocket-extensions": "permessage-deflate"}) as client,
        client.socket("/raw") as socket,
    ):
        messages = compressed(b"x" * WHOLE_TURN, 6)
        await socket.stream.send_all(b"".join(messages) + masked(Opcode.PING, b""))
        heard = b""
        with trio.fail_after(5):
            while PONG not in heard:
                heard += await socket.stream.receive_some()
        assert not heard.startswith(PONG)


class Handled:
    """An application that notes which turn each message was handled in."""

    def __init__(self):
        self.app = FinchApp()
        self.turn = 0
        self.turns = []
        self.gate = trio.Event()
        manager = SocketManager(self.app, path="/ws", compression=True)
        manager.add_socket_route("wait", SocketEvent(on_message=self.wait))
        manager.add_socket_route("note", SocketEvent(on_message=self.note))

    async def wait(self, socket, data):
        await self.gate.wait()

    async def note(self, socket, data):
        self.turns.append(self.turn)

    async def count_turns(self):
        while True:
            self.turn += 1
            await trio.lowlevel.checkpoint()

    async def of(self, frames):
        """The turns of messages that all wait already when the first is handled."""
        async with (
            TestClient(
                self.app, headers={"sec-websocket-extensions": "permessage-deflate"}
            ) as client,
            client.socket("/ws") as socket,
            trio.open_nursery() as nursery,
        ):
            await socket.stream.send_all(masked(Opcode.TEXT, b'{"path":"wait"}') + b"".join(frames))
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(self.count_turns)
            self.gate.set()
            with trio.fail_after(5):
                while len(self.turns) < len(frames):
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        return self.turns


async def test_ten_short_messages_are_no_turns_work():
    turns = await Handled().of([masked(Opcode.TEXT, b'{"path":"note"}')] * 10)
    assert turns[-1] - turns[0] <= 2


async def test_between_long_messages_the_others_have_their_turns():
    text = b'{"path":"note","data":"%b"}' % (b"x" * WHOLE_TURN)
    turns = await Handled().of(compressed(text, 4))
    assert turns[-1] - turns[0] >= 2


async def test_a_raw_socket_reads_on_once_the_half_is_taken():
    app = FinchApp(limits=Limits(inbox=4))
    gate = trio.Semaphore(0)

    @app.websocket("/raw")
    async def raw(ws):
        while True:
            await gate.acquire()
            await ws.receive()

    async with TestClient(app) as client, client.socket("/raw") as socket:
        await socket.stream.send_all(masked(Opcode.TEXT, b"x") * 4 + masked(Opcode.PING, b""))
        gate.release()
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.05) as waited:
            await socket.stream.receive_some()
        assert waited.cancelled_caught  # three wait, so the ping is not read
        gate.release()
        with trio.fail_after(5):
            assert await socket.stream.receive_some() == PONG
        gate.release()
        gate.release()
        gate.release()  # for the end, so that nobody has to wait for the handler
