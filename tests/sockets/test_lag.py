"""How far behind a client is: by pings that follow what it is sent."""

import pytest
import trio
from websockets.frames import Opcode
from wsproto.events import Ping

from finch import FinchApp
from finch.sockets.lag import Lag
from finch.testing import TestClient
from tests.transports import masked


def test_nothing_sent_is_nothing_to_read():
    lag = Lag()
    assert lag.read
    assert lag.seconds(100) == 0
    assert lag.ping(100) is None


def test_what_was_asked_about_ages_until_it_is_answered():
    lag = Lag()
    lag.sent(10)
    lag.sent(11)
    assert not lag.read
    payload = lag.ping(12)
    assert lag.ping(20) is None  # nothing has come since
    assert lag.seconds(15) == 5
    lag.pong(payload)
    assert lag.read
    assert lag.seconds(20) == 0


def test_a_client_is_not_asked_too_often():
    lag = Lag()
    lag.sent(10)
    lag.ping(10.5)
    lag.sent(11)
    assert lag.ping(12) is None
    assert lag.ping(12.5) is not None


def test_an_answer_tells_nothing_of_what_came_after_its_ping():
    lag = Lag()
    lag.sent(10)
    payload = lag.ping(10)
    lag.sent(11)
    lag.sent(12)
    later = lag.ping(13)
    assert lag.seconds(20) == 10
    lag.pong(payload)
    assert not lag.read
    assert lag.seconds(20) == 9
    lag.pong(later)
    assert lag.read


def test_an_answer_is_one_to_earlier_pings_as_well():
    lag = Lag()
    for now in (10, 20, 30):
        lag.sent(now)
        payload = lag.ping(now)
    lag.pong(payload)
    assert lag.read


def test_pings_on_their_way_are_bounded():
    lag = Lag()
    payloads = []
    for now in range(0, 200, 2):
        lag.sent(now)
        payloads.append(lag.ping(now))
    assert payloads.count(None) == 36
    lag.pong(payloads[0])
    assert lag.seconds(200) == 198
    assert lag.ping(200) is not None


def test_an_answer_to_something_else_tells_nothing():
    lag = Lag()
    lag.pong(b"1")
    lag.sent(10)
    payload = lag.ping(10)
    lag.pong(b"")
    lag.pong(payload + b"0")
    assert lag.seconds(11) == 1


@pytest.fixture
def app():
    app = FinchApp()

    @app.on_connect
    async def greet(socket):
        app.state["socket"] = socket

    @app.socket("tick")
    async def tick(socket, data):
        await socket.send("tick")

    @app.socket("all")
    async def everybody(socket, data):
        await app.socket_manager.send_to_all("tick")

    return app


@pytest.mark.parametrize("path", ["tick", "all"])
async def test_a_client_that_does_not_read_falls_behind_and_one_that_does_catches_up(
    app, path, autojump_clock
):
    async with TestClient(app) as client, client.socket() as reader:
        await reader.send(path)
        await trio.sleep(10)
        socket = app.state["socket"]
        assert 9 <= socket.lag <= 10
        assert (await reader.receive()).data == "tick"
        with trio.move_on_after(2):
            await reader.receive()  # answers the ping
        assert socket.lag == 0


async def test_a_slow_reader_is_behind_by_what_it_has_not_read(app, autojump_clock):
    """20 messages a second, of which it reads 2."""
    async with TestClient(app) as client, client.socket() as reader:
        socket = None

        async def feed(task_status):
            nonlocal socket
            await reader.send("tick")
            await reader.receive()
            socket = app.state["socket"]
            task_status.started()
            for number in range(400):
                await socket.send(number)
                await trio.sleep(0.05)

        async with trio.open_nursery() as nursery:
            await nursery.start(feed)
            for _ in range(40):
                newest = (await reader.receive()).data
                await trio.sleep(0.5)
            nursery.cancel_scope.cancel()
        # what it has read last was sent so long ago, and pings are two seconds apart
        age = 20 - newest * 0.05
        assert age <= socket.lag <= age + 2.5


async def test_no_ping_is_sent_while_nothing_else_is(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("tick")
        await socket.receive()
        heard = []
        with trio.move_on_after(15):
            while True:
                socket._protocol.receive_data(bytes(await socket.stream.receive_some()))
                for event in socket._protocol.events():
                    heard.append(event)
                    if isinstance(event, Ping):
                        await socket._answer(event)
        assert [type(event) for event in heard] == [Ping]
        assert not client._server.lagging


async def test_a_client_that_has_left_is_not_asked(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send("tick")
            await socket.receive()
            assert client._server.lagging
        await trio.sleep(1)
        assert not client._server.lagging


async def test_over_every_door(serve_over, leaping_clock):
    app = FinchApp()
    met = []

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    @app.on_connect
    async def greet(socket):
        met.append(socket)
        await socket.send("welcome")

    async with serve_over(app) as server:
        peer = await server.open(b"/ws")
        await peer.hear(b"welcome")
        await peer.hear(b"\x89\x01")  # the ping behind it
        assert met[0].lag > 0
        payload = await peer.hear(b"1")
        await peer.say(masked(Opcode.PONG, payload))
        with trio.fail_after(60):
            while met[0].lag:
                await trio.sleep(0.1)


async def test_lag_is_known_when_an_application_is_served_again(app, autojump_clock):
    @app.on_disconnect
    async def leave(socket):
        await app.socket_manager.send_to_all("somebody has left")  # as the last thing of all

    for _ in range(2):
        async with TestClient(app) as client, client.socket(), client.socket():
            await app.socket_manager.send_to_all("hello")
            await trio.sleep(10)
            [some, other] = app.socket_manager.members
            assert some.lag > 1
            assert other.lag > 1
