"""What is special about the backplane over Redis: what a process subscribes to, what it keeps, and
what it makes of what other programs write."""

import re
from functools import partial
from itertools import count

import pytest
import trio

from finch import Unavailable
from finch.cluster.backplane import Channel
from finch.cluster.connection import ENOUGH
from finch.cluster.layout import NUMBER, Names
from finch.testing import HandshakeRefused, Refused, SocketClosed
from tests.cluster.nodes import counts, heard, node, until

_prefixes = (f"alone{number}" for number in count())


class Place:
    """A node, its Redis, and the names there."""

    def __init__(self, server, prefix, running):
        self.server = server
        self.names = Names(prefix)
        self.prefix = prefix
        self.node = running

    def subscribed(self):
        """The audiences that somebody is subscribed to."""
        said = self.server.say("PUBSUB", "CHANNELS", f"{self.prefix}:*").decode()
        return set(re.findall(r"\{(.*)\}", said)) - {f'node:"{self.node.backplane.node}"'}

    def publish(self, channel, text):
        return self.server.say("PUBLISH", self.names.channel(channel), text)

    def number(self, channel, text, *, run=""):
        keys = self.names.keys(channel)
        arguments = (run, "newepoch", 50, 60_000, 120_000, text, self.names.channel(channel))
        return self.server.say("EVAL", NUMBER, 2, *keys, *arguments)


@pytest.fixture
async def place(redis_server):
    prefix = next(_prefixes)
    async with node(redis_server.url(prefix), patience=5.0) as running:
        yield Place(redis_server, prefix, running)


async def test_a_process_subscribes_to_what_its_clients_need_and_to_nothing_else(place):
    assert place.subscribed() == {"everyone"}
    ann = await place.node.connect("ann")
    for room in ("chat/a", "plain/b"):
        await ann.join(room)
    wanted = {"everyone", 'user:"ann"', "room:chat/a", "room:plain/b"}
    assert place.subscribed() == wanted
    bob = await place.node.connect("ann")
    await bob.join("chat/a")
    assert place.subscribed() == wanted
    await ann.leave("chat/a")
    await ann.leave("plain/b")
    await until(lambda: place.subscribed() == wanted - {"room:plain/b"}, "a room is left")
    await place.node.cut(bob)
    await until(lambda: place.subscribed() == {"everyone", 'user:"ann"'}, "another one is left")
    await place.node.cut(ann)
    await until(lambda: place.subscribed() == {"everyone"}, "all is left")


async def test_nothing_is_left_of_clients_that_are_gone(place):
    backplane = place.node.backplane
    for number in range(5):
        ann = await place.node.connect(f"user{number}")
        for room in (f"chat/{number}", f"people/{number}", f"plain/{number}"):
            await ann.join(room)
        await place.node.app.room(f"chat/{number}").send(number, path="said")
        await place.node.cut(ann)
    await counts(place.node.app.everyone, 0)
    attendance = backplane._attendance
    await until(
        lambda: not (attendance._people or attendance._told or attendance._changes), "all is told"
    )
    assert len(backplane._hearing) == 2  # everyone, and the channel of the process
    assert len(attendance._views) == 2
    assert not attendance._asked
    assert not backplane._own
    for key in (place.names.counts, place.names.people):
        for channel in (Channel("room", "people/1"), Channel("user", "user1")):
            exists = partial(place.server.say, "EXISTS", key(channel))
            await until(lambda exists=exists: exists() == b":0\r\n", "nothing is left in Redis")


async def test_another_program_sends_messages(place):
    ann = await place.node.connect("ann")
    for room in ("chat/a", "plain/b"):
        await ann.join(room)
    place.publish(Channel("room", "plain/b"), '{"v":1,"path":"said","data":[1]}')
    message = await heard(ann, "said")
    assert (message.data, message.status, message.room, message.seq) == ([1], 200, "plain/b", None)
    place.number(Channel("room", "chat/a"), '{"v":1,"path":"said","data":[2],"status":201}')
    message = await heard(ann, "said")
    assert (message.data, message.status, message.room, message.seq) == ([2], 201, "chat/a", 1)
    place.number(Channel("user", "ann"), '{"v":1,"path":"said","data":[3],"timestamp":17}')
    message = await heard(ann, "said")
    assert (message.data, message.timestamp, message.room) == ([3], 17, "finch.user")
    place.publish(Channel("everyone"), '{"v":1,"do":"close","code":4401}')
    with pytest.raises(SocketClosed) as closed:
        await heard(ann, "said")
    assert closed.value.code == 4401


async def test_what_is_no_message_is_ignored_and_the_log_says_so(place, caplog):
    ann = await place.node.connect("ann")
    await ann.join("chat/a")
    for text in (b"", b"{", b"nonsense", b"\xff\xfe", b'a:b {"v":1}', b'{"v":1,"path":7}'):
        place.publish(Channel("room", "chat/a"), text)
    place.publish(Channel("room", "chat/a"), '{"v":1,"do":"dance"}')
    place.publish(Channel("room", "chat/a"), '{"v":2,"path":["new"]}')
    place.publish(Channel("room", "chat/a"), 'neverheard:7 {"v":1,"path":"said"}')
    await place.node.app.room("chat/a").send("well", path="said")
    message = await heard(ann, "said")
    assert (message.data, message.seq) == ("well", 1)
    for said in ("is ignored: ", "'dance', which this one does not know", "a newer version"):
        await until(partial(said_in, caplog, said), f"the log has {said!r}")


def said_in(caplog, text):
    return text in caplog.text


@pytest.mark.parametrize("text", ['{"v":2,"path":["new"]}', "nonsense"])
async def test_a_numbered_message_that_cannot_be_read_is_missing_and_the_rest_goes_on(place, text):
    ann, room = await place.node.connect(), place.node.app.room("chat/a")
    joined = await ann.join("chat/a")
    first = await room.send("before", path="said")
    place.number(Channel("room", "chat/a"), text, run=place.node.backplane._line._run_of(b""))
    await room.send("after", path="said")
    assert [(await heard(ann, "said")).seq for _ in "ab"] == [1, 3]
    bob = await place.node.connect()
    assert not (await bob.join("chat/a", since=f"{joined.epoch}:{first.seq}")).recovered
    await bob.leave("chat/a")
    back = await bob.join("chat/a", since=f"{joined.epoch}:2")
    assert (back.recovered, back.missed) == (True, 1)


async def test_a_client_of_a_process_that_is_gone_is_not_reached(place):
    gone = "abcdef" + "x" * 16
    assert not await place.node.manager.send_to_client(gone, "hello")
    assert not await place.node.manager.send_to_client("", "hello")


async def test_a_numbering_outlives_its_messages(redis_server):
    """A quiet room does not begin anew: its clients would be told that they missed something."""
    async with node(redis_server.url(next(_prefixes)), patience=5.0, seconds=0.05) as one:
        ann, room = await one.connect(), one.app.room("chat/a")
        joined = await ann.join("chat/a")
        for number in range(3):
            sent = await room.send(number, path="said")
            assert sent.position == (joined.epoch, number + 1)
            assert (await heard(ann, "said")).seq == number + 1
            await until(lambda: not mirror(one, room).last(9, trio.current_time()), "it is too old")
        assert await room.history() == []


def mirror(place, room):
    return place.backplane._hearing._heard[room.channel].archive


async def test_without_redis_a_room_that_is_heard_can_be_joined_and_others_can_not(own_redis):
    async with node(own_redis.url(), patience=0.3, look=0.1) as one:
        ann, bob = await one.connect("ann"), await one.connect("ann")
        joined = await ann.join("chat/a")
        await one.app.room("chat/a").send("kept", path="said")
        own_redis.stop()
        await until(lambda: one.backplane.state == "degraded", "it is noticed")
        back = await bob.join("chat/a", since=f"{joined.epoch}:0")
        assert (back.recovered, back.missed) == (True, 1)
        assert (await heard(bob, "said")).data == "kept"
        with pytest.raises(Refused) as refused:
            await bob.join("chat/other")
        assert refused.value.status == 503
        await bob.join("plain/other")
        await one.app.room("plain/other").send(1, path="moved", volatile=True)
        assert (await heard(bob, "moved")).data == 1
        # the messages of another user are not known here: it comes back for them
        with pytest.raises((SocketClosed, HandshakeRefused)) as closed:
            await one.connect("other")
        assert closed.value.code == 1013
        own_redis.start()
        await until(lambda: one.backplane.state == "connected", "it is back")
        await bob.join("chat/other")
        other = await one.connect("other")
        await one.app.user("other").send(1, path="said")
        assert (await heard(other, "said")).data == 1


async def test_while_redis_is_paused_volatile_messages_replace_each_other(own_redis):
    url = own_redis.url()
    async with node(url, patience=5.0) as one, node(url, patience=5.0) as two:
        bob = await two.connect()
        await bob.join("plain/a")
        room = one.app.room("plain/a")
        own_redis.pause()
        for number in range(5000):
            await room.send(number, path="moved", volatile=True)
        replaced = one.backplane._posting.replaced
        assert 5000 - replaced <= 1024 + 1
        own_redis.go_on()
        while (await heard(bob, "moved")).data != 4999:
            pass


async def test_while_redis_is_paused_few_bytes_wait_to_be_sent_and_the_rest_follows(own_redis):
    url = own_redis.url()
    async with node(url, patience=5.0) as one, node(url, patience=5.0) as two:
        bob = await two.connect()
        await bob.join("plain/a")
        room, line, long = one.app.room("plain/a"), one.backplane._line, "x" * 200_000
        own_redis.pause()
        for number in range(100):  # more than both sockets take
            await room.send([number, long], path="said")
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert line.is_full
        assert line._connection.pending < ENOUGH + 2 * len(long)
        own_redis.go_on()
        for number in range(100):
            assert (await heard(bob, "said")).data[0] == number


async def test_its_figures_show_who_and_what_it_knows(own_redis):
    url = own_redis.url()
    async with node(url, patience=0.3, look=0.1) as one, node(url, patience=0.3) as two:
        stats = one.manager.stats
        ann = await one.connect()
        before = stats().channels
        await ann.join("chat/a")
        await two.connect()
        await until(lambda: stats().peers == 1, "one knows of two")
        assert (stats().channels, stats().backplane) == (before + 1, "connected")
        own_redis.pause()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send():
                with pytest.raises(Unavailable):
                    await one.app.room("chat/a").send("hello")

            await until(lambda: stats().unsent, "it is on its way")
        own_redis.stop()
        await until(lambda: stats().backplane == "degraded", "it is noticed")
        await until(lambda: stats().lost, "what was on its way is counted")
