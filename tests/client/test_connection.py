"""One open WebSocket of a client, byte by byte: the server here is written by hand."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    Pong,
    Request,
    TextMessage,
)

from finch.client import ConnectionClosed, connect
from tests.client.world import URL, until


class Server:
    """Accepts one connection after another, and does nothing by itself."""

    def __init__(self):
        self._opened, self._opens = trio.open_memory_channel(10)
        self.dials = 0
        self.together = b""  # sent in the same piece as the 101

    async def open(self):
        self.dials += 1
        ours, theirs = trio.testing.memory_stream_pair()
        await self._opened.send(theirs)
        return ours

    async def accept(self):
        """The next connection, after the handshake."""
        with trio.fail_after(1000):
            peer = Peer(await self._opens.receive())
            assert isinstance(await peer.hear(), Request)
            await peer.stream.send_all(peer.protocol.send(AcceptConnection()) + self.together)
            return peer


class Peer:
    def __init__(self, stream):
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.SERVER)
        self._events = []

    async def say(self, event):
        await self.stream.send_all(self.protocol.send(event))

    async def hear(self):
        """The next event; None at the end."""
        with trio.fail_after(1000):
            while not self._events:
                data = bytes(await self.stream.receive_some())
                if not data:
                    return None
                self.protocol.receive_data(data)
                self._events = list(self.protocol.events())
        return self._events.pop(0)


@pytest.fixture
def server():
    return Server()


@asynccontextmanager
async def linked(server, **options):
    """A client with a connection to a server."""
    async with trio.open_nursery() as nursery:
        peers = []

        @nursery.start_soon
        async def accept():
            peers.append(await server.accept())

        async with connect(URL, open_stream=server.open, close_timeout=1, **options) as client:
            yield client, peers[0]


async def test_a_message_in_many_frames_with_pings_between_is_one(server, autojump_clock):
    async with linked(server) as (client, peer):
        text = '{"path":"said","data":"häää"}'
        for number, letter in enumerate(text):
            last = number == len(text) - 1
            await peer.say(TextMessage(letter, message_finished=last))
            if not last:
                await peer.say(Ping(b"%d" % number))
        assert (await anext(client.messages())).data == "häää"
        assert (await peer.hear()).payload == b"0"


async def test_what_comes_with_the_handshake_is_heard(server, autojump_clock):
    text = b'{"path":"said","data":1}'
    server.together = bytes((0x81, len(text))) + text
    async with linked(server) as (client, _):
        assert (await anext(client.messages())).data == 1


async def test_a_call_that_comes_with_the_handshake_finds_who_answers_it(server, autojump_clock):
    text = b'{"path":"who","id":"s1"}'
    server.together = bytes((0x81, len(text))) + text
    for _ in range(10):  # trio runs tasks in any order
        async with linked(server) as (client, peer):
            client.answer("who", _answer)
            assert (await peer.hear()).data == '{"path":"who","data":"a test","reply":"s1"}'


async def _answer(question):
    return "a test"


async def test_nonsense_is_ignored_and_logged(server, autojump_clock, caplog):
    async with linked(server) as (client, peer):
        for text in ("hello", "[]", '{"path":5}'):
            await peer.say(TextMessage(text))
        await peer.say(TextMessage('{"path":"said","data":1}'))
        assert (await anext(client.messages())).data == 1
        assert caplog.text.count("not a message of Finch; it is ignored") == 3


async def test_a_silent_server_is_pinged_and_then_given_up(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        assert isinstance(await peer.hear(), Ping)
        assert trio.current_time() == 20
        await peer.say(Pong())
        assert isinstance(await peer.hear(), Ping)
        assert trio.current_time() == pytest.approx(40)
        waiting = await until(events, "waiting")
        assert (waiting.code, waiting.reason) == (1006, "silent for 40 s")
        assert trio.current_time() == pytest.approx(60)
        await server.accept()
        assert server.dials == 2


async def test_a_server_that_speaks_is_not_pinged(server, autojump_clock):
    async with linked(server) as (_, peer):
        for _ in range(10):
            await trio.sleep(15)
            await peer.say(Ping(b"alive?"))
        for _ in range(10):
            assert await peer.hear() == Pong(b"alive?")


async def test_a_message_that_is_too_long_closes_for_good(server, autojump_clock):
    async with linked(server, max_message_size=50) as (client, peer):
        messages = client.messages()
        await peer.say(TextMessage('{"path":"said","data":"%s"}' % ("x" * 24)))
        await peer.say(TextMessage('{"path":"said",', message_finished=False))
        await peer.say(TextMessage('"data":"%s"}' % ("x" * 26)))
        assert len((await anext(messages)).data) == 24
        with pytest.raises(ConnectionClosed, match="longer than 50") as closed:
            await anext(messages)
        assert closed.value.code == 1009
        assert (await peer.hear()).code == 1009


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x81\x01\xff", b"\x83\x00", b"\x81\xfe"])
async def test_after_a_broken_frame_the_client_comes_back(data, server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.stream.send_all(data)
        await peer.stream.send_eof()
        assert (await until(events, "waiting")).code == 1006
        await server.accept()


async def test_the_closing_handshake_is_answered(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.say(CloseConnection(1012, "restart"))
        assert (await peer.hear()).code == 1012
        assert await peer.hear() is None
        waiting = await until(events, "waiting")
        assert (waiting.code, waiting.reason) == (1012, "restart")


async def test_a_close_without_a_code_is_for_good(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.stream.send_all(b"\x88\x00")
        assert (await peer.hear()).code == 1005
        assert (await until(events, "closed")).code == 1005


async def test_a_close_is_heard_though_nothing_can_be_written(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.say(CloseConnection(4500, "stay away"))
        await trio.aclose_forcefully(peer.stream)
        await client.send("say", "too late")
        assert (await until(events, "closed")).code == 4500


async def test_a_close_that_comes_after_a_failed_write_is_heard(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.stream.receive_stream.aclose()
        await client.send("say", "nobody reads")
        await trio.sleep(0.5)
        await peer.say(CloseConnection(4500, "stay away"))
        assert (await until(events, "closed")).code == 4500


async def test_a_connection_that_cannot_be_written_to_is_given_up(server, autojump_clock):
    async with linked(server) as (client, peer):
        events = client.events()
        await peer.stream.receive_stream.aclose()
        await client.send("say", "nobody reads")
        begin = trio.current_time()
        await until(events, "waiting")
        assert trio.current_time() - begin == pytest.approx(1)  # close_timeout


async def test_leaving_says_goodbye_after_what_was_sent(server, autojump_clock):
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve():
            peer = await server.accept()
            assert (await peer.hear()).data == '{"path":"say","data":1}'
            goodbye = await peer.hear()
            assert goodbye.code == 1000
            await peer.say(goodbye.response())
            assert await peer.hear() is None

        async with connect(URL, open_stream=server.open) as client:
            await client.send("say", 1)


async def test_leaving_waits_for_a_silent_server_for_a_while_only(server, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.accept)
        async with connect(URL, open_stream=server.open, close_timeout=3):
            begin = trio.current_time()
        assert trio.current_time() - begin == pytest.approx(3)
