"""Redis is restarted, paused, wiped, or the connection to it is cut, while messages are sent.

In each story 8 senders in two nodes send numbered messages to a room with clients in both. Each
client gets all messages in order, each once; or it is told that it may have missed some.
"""

import logging
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from finch import Unavailable
from finch.testing import SocketClosed
from tests.cluster.nodes import counts, counts_everywhere, heard, node, present, until
from tests.cluster.proxy import Proxy

ROOM = "chat/a"
SENDERS, CLIENTS = 8, 6


class Listener:
    """A client that judges what it hears."""

    def __init__(self, socket):
        self.socket = socket
        self.told = 0  # how often it was told that it has missed something
        self.heard = set()
        self.epoch = self.seq = None

    async def join(self):
        joined = await self.socket.join(ROOM)
        self.epoch, self.seq = joined.epoch, joined.seq

    async def run(self):
        while True:
            try:
                message = await self.socket.receive(timeout=60)
            except SocketClosed:
                return
            if message.room != ROOM:
                continue
            if message.path == "finch.join":
                assert message.data == {"recovered": False, "missed": 0}
                self.told += 1
                self.epoch, self.seq = message.epoch, message.seq
                continue
            assert message.seq == self.seq + 1, "a hole, or the wrong order"
            self.seq = message.seq
            self.heard.add((self.epoch, message.seq, message.data))

    def has(self, position):
        return (self.epoch, self.seq) == tuple(position)


class Story:
    """Two nodes under load."""

    def __init__(self, nodes, nursery):
        self.nodes = nodes
        self.nursery = nursery
        self.listeners = []
        self.acknowledged = set()
        self.failed = 0
        self.sent = 0
        self._sending = True
        self._senders = 0

    async def begin(self):
        for number in range(CLIENTS):
            listener = Listener(await self.nodes[number % 2].connect())
            await listener.join()
            self.listeners.append(listener)
            self.nursery.start_soon(listener.run)
        for number in range(SENDERS):
            self._senders += 1
            self.nursery.start_soon(self._send, number)
        await self.some_more()

    async def _send(self, sender):
        number = 0
        room = self.nodes[sender % 2].app.room(ROOM)
        while self._sending:
            number += 1
            data = f"{sender}.{number}"
            try:
                sent = await room.send(data, path="said")
            except Unavailable:
                self.failed += 1
            else:
                assert int(sent) == CLIENTS // 2
                self.acknowledged.add((*sent.position, data))
            self.sent += 1
            await trio.sleep(0.001)
        self._senders -= 1

    async def some_more(self, number=200):
        """Wait until so many more messages are acknowledged."""
        before = len(self.acknowledged)
        await until(lambda: len(self.acknowledged) >= before + number, "messages are sent again")

    async def end(self):
        """Stop sending, and wait until every client has heard the last message."""
        self._sending = False
        await until(lambda: self._senders == 0, "all senders have ended")
        last = await self.nodes[0].app.room(ROOM).send("last", path="said")
        for listener in self.listeners:
            await until(partial(listener.has, last.position), "everybody has the last message")

    def all_heard_all(self):
        return all(self.acknowledged <= listener.heard for listener in self.listeners)


@pytest.fixture
async def proxy(own_redis, nursery):
    made = Proxy(own_redis.port)
    await nursery.start(made.run)
    return made


@asynccontextmanager
async def under_load(url, patience=5.0, look=0.2, **options):
    """Two nodes under load; at the end all senders have stopped."""
    async with (
        node(url, patience=patience, look=look, messages=5000, **options) as one,
        node(url, patience=patience, look=look, messages=5000, **options) as two,
        trio.open_nursery() as nursery,
    ):
        story = Story((one, two), nursery)
        await story.begin()
        yield story
        await story.end()
        nursery.cancel_scope.cancel()


async def test_nothing_is_lost_while_all_is_well(own_redis):
    async with under_load(own_redis.url()) as story:
        await story.some_more(1000)
    assert story.all_heard_all()
    assert story.failed == 0
    assert [one.told for one in story.listeners] == [0] * CLIENTS


async def test_nothing_is_lost_if_connections_are_cut(proxy):
    async with under_load(proxy.url("finch")) as story:
        for _ in range(10):
            await proxy.cut()
            await story.some_more()
    assert story.all_heard_all()
    assert [one.told for one in story.listeners] == [0] * CLIENTS


async def test_nothing_is_lost_while_redis_cannot_be_reached_for_a_while(proxy):
    async with under_load(proxy.url("finch")) as story:
        proxy.refuses = True
        await proxy.cut()
        await until(
            lambda: all(one.backplane.state == "degraded" for one in story.nodes), "it is noticed"
        )
        await trio.sleep(0.2)
        proxy.refuses = False
        await story.some_more()
        await until(
            lambda: all(one.backplane.state == "connected" for one in story.nodes), "it is back"
        )
    assert story.all_heard_all()
    assert [one.told for one in story.listeners] == [0] * CLIENTS


async def test_nothing_is_lost_if_redis_is_paused(own_redis):
    async with under_load(own_redis.url()) as story:
        own_redis.pause()
        await until(
            lambda: all(one.backplane.state == "degraded" for one in story.nodes), "it is noticed"
        )
        own_redis.go_on()
        await story.some_more()
        await until(
            lambda: all(one.backplane.state == "connected" for one in story.nodes), "it is back"
        )
    assert story.all_heard_all()
    assert story.failed == 0
    assert [one.told for one in story.listeners] == [0] * CLIENTS


async def test_clients_are_told_if_redis_is_restarted(own_redis):
    async with under_load(own_redis.url()) as story:
        own_redis.stop()
        await until(lambda: story.nodes[0].backplane.state == "degraded", "it is noticed")
        own_redis.start()
        await story.some_more()
    assert all(one.told for one in story.listeners)


async def test_clients_are_told_if_redis_is_wiped(own_redis):
    async with under_load(own_redis.url()) as story:
        own_redis.say("FLUSHALL")
        await story.some_more()
    assert [one.told for one in story.listeners] == [1] * CLIENTS
    assert story.failed == 0


async def test_clients_are_told_of_a_wipe_even_if_nothing_is_sent(own_redis):
    async with under_load(own_redis.url()) as story:
        await story.end()
        own_redis.say("FLUSHALL")
        await until(lambda: all(one.told for one in story.listeners), "they are told")


async def test_clients_are_told_if_more_was_sent_than_is_kept_while_a_node_was_away(
    own_redis, proxy
):
    options = {"patience": 5.0, "messages": 5}
    async with (
        node(own_redis.url(), **options) as one,
        node(proxy.url("finch"), **options) as two,
        trio.open_nursery() as nursery,
    ):
        listener = Listener(await two.connect())
        await listener.join()
        nursery.start_soon(listener.run)
        for keeps in (3, 5, 9):
            proxy.refuses = True
            await proxy.cut()
            await until(lambda: two.backplane.state == "degraded", "it is noticed")
            for number in range(keeps):
                sent = await one.app.room(ROOM).send(number, path="said")
            proxy.refuses = False
            await until(partial(listener.has, sent.position), "it has caught up")
            assert listener.told == (keeps > 5)
        nursery.cancel_scope.cancel()


async def test_a_lost_tail_is_noticed_when_all_is_quiet(own_redis):
    """As if a message had been lost between Redis and a node."""
    url = own_redis.url()
    async with node(url, patience=5.0) as one, node(url, patience=5.0) as two:
        bob = await two.connect()
        await bob.join(ROOM)
        theirs = two.backplane._hearing
        theirs.offer, offer = lambda *_: None, theirs.offer
        await one.app.room(ROOM).send(1, path="said")
        await two.app.everyone.send("after that", path="news")
        theirs.offer = offer
        message = await heard(bob, "said")
        assert (message.data, message.seq) == (1, 1)


async def test_without_redis_senders_are_told_and_all_else_goes_on(own_redis, caplog):
    caplog.set_level(logging.INFO, "finch.cluster")
    async with node(own_redis.url(), patience=0.3, look=0.1) as one:
        ann = await one.connect("ann")
        for room in (ROOM, "plain/a"):
            await ann.join(room)
        own_redis.stop()
        await until(lambda: one.backplane.state == "degraded", "it is noticed")
        # volatile messages go on
        await one.app.room(ROOM).send("tick", path="moved", volatile=True)
        assert (await heard(ann, "moved")).data == "tick"
        # numbered ones fail after a while, and nobody gets them
        with pytest.raises(Unavailable, match="the message was not sent") as failed:
            await one.app.room(ROOM).send("lost", path="said")
        assert failed.value.status == 503
        # others reach the clients of this process, and their sender is told that it was so
        with pytest.raises(Unavailable, match="only the clients of this process"):
            await one.app.room("plain/a").send("here", path="said")
        assert (await heard(ann, "said")).data == "here"
        with pytest.raises(Unavailable, match="only the connections of this process"):
            await one.app.user("ann").close(4401)
        await until(lambda: "has not worked" in caplog.text, "the log says so")
        own_redis.start()
        await until(lambda: one.backplane.state == "connected", "it is noticed")
        await one.app.room(ROOM).send("back", path="said")
        await until(lambda: "is back" in caplog.text, "the log says so")


async def test_a_node_starts_without_redis_and_joins_it_later(own_redis):
    own_redis.stop()
    async with node(own_redis.url(), patience=0.3, look=0.1, kept=False) as one:
        assert one.backplane.state == "connecting"
        ann = await one.connect()
        await ann.join("plain/a")
        own_redis.start()
        await until(lambda: one.backplane.state == "connected", "it is noticed")
        async with node(own_redis.url(), kept=False) as two:
            await two.app.room("plain/a").send("hello", path="said")
            assert (await heard(ann, "said")).data == "hello"


async def test_counts_and_presence_are_right_again_after_each_fault(own_redis, proxy):
    times = {"patience": 5.0, "look": 0.2, "lease": 0.5}
    async with node(own_redis.url(), **times) as one, node(proxy.url("finch"), **times) as two:
        ann, bob = await one.connect("ann"), await two.connect("bob")
        rooms = [place.app.room("people/a") for place in (one, two)]

        async def all_is_right(here):
            for room in rooms:
                await present(room, dict.fromkeys(here, 1))
                await counts(room, len(here))
                await counts_everywhere(room, len(here))

        await ann.join("people/a")
        await bob.join("people/a")
        await all_is_right(("ann", "bob"))
        await proxy.cut()
        cyn = await two.connect("cyn")
        await cyn.join("people/a")
        await all_is_right(("ann", "bob", "cyn"))
        own_redis.say("FLUSHALL")
        await all_is_right(("ann", "bob", "cyn"))
        # away for longer than its lease: nobody has died, but nobody knows that
        proxy.refuses = True
        await proxy.cut()
        await present(rooms[0], {"ann": 1})
        await counts(rooms[0], 1)
        proxy.refuses = False
        await all_is_right(("ann", "bob", "cyn"))
        own_redis.stop()
        await cyn.leave("people/a")
        own_redis.start()
        await all_is_right(("ann", "bob"))


async def test_a_call_ends_if_the_connection_of_the_caller_does(own_redis, proxy):
    async with node(proxy.url("finch"), patience=5.0) as one, node(own_redis.url()) as two:
        silent = await two.connect()
        await silent.join("plain/a")
        await one.connect()
        answers = one.app.room("plain/a").call("?", path="ask")
        assert (await heard(silent, "ask")).data == "?"
        await proxy.cut()
        with pytest.raises(Unavailable, match="answers may be missing"):
            await anext(answers)


async def test_without_redis_a_call_says_that_answers_may_be_missing(own_redis):
    async with node(own_redis.url(), patience=0.3, look=0.1) as one:
        ann = await one.connect("ann")
        own_redis.stop()
        await until(lambda: one.backplane.state == "degraded", "it is noticed")
        found = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer, ann, 7)
            with pytest.raises(Unavailable, match="answers may be missing"):
                async for client, answer in one.app.user("ann").call("?", path="ask"):
                    found.append((client.id, answer))
        assert found == [(ann.id, 7)]


async def _answer(socket, data):
    message = await heard(socket, "ask")
    await socket.send("ask", data, reply=message.id)


async def test_while_redis_is_full_numbered_messages_fail_and_all_else_goes_on(own_redis, caplog):
    async with node(own_redis.url(), patience=5.0, lease=0.5) as one:
        ann = await one.connect("ann")
        for room in (ROOM, "plain/a"):
            await ann.join(room)
        own_redis.say("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(Unavailable, match="maxmemory"):
            await one.app.room(ROOM).send("lost", path="said")
        assert one.backplane.state == "degraded"
        await one.app.room("plain/a").send("here", path="said")
        assert (await heard(ann, "said")).data == "here"
        await one.connect("ann")
        await until(lambda: "maxmemory" in caplog.text, "the log says so")
        own_redis.say("CONFIG", "SET", "maxmemory", 0)
        await one.app.room(ROOM).send("well", path="said")
        assert (await heard(ann, "said")).data == "well"
        assert one.backplane.state == "connected"
        async with node(own_redis.url(), patience=5.0) as two:
            await counts(two.app.everyone, 2)
