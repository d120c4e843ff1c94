"""A Redis Cluster as one connection: where things are, and what happens if they move."""

import re
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from coredis.exceptions import ConnectionError

import finch
from finch import ConfigurationError, History
from finch.cluster import shards
from finch.cluster.backplane import Channel
from finch.cluster.connection import Connection
from finch.cluster.layout import Names
from finch.testing import TestClient
from tests.cluster.nodes import counts, heard, make_app, node, until

HISTORY = History(messages=50, seconds=60)  # as in nodes.make_app


def tags(cluster, command, prefix):
    """The audiences that are subscribed to, by a command of PUBSUB."""
    said = b"".join(one.say("PUBSUB", command, f"{prefix}:*") for one in cluster.servers)
    return set(re.findall(r"\{(.*)\}", said.decode()))


async def test_a_process_subscribes_to_what_its_clients_need_on_the_node_that_has_it(redis_cluster):
    async with node(redis_cluster.url("needs")) as one:
        base = {"everyone", f'node:"{one.backplane.node}"'}
        subscribed = partial(tags, redis_cluster, "SHARDCHANNELS", "needs")
        assert subscribed() == base
        ann = await one.connect("ann")
        rooms = {f"room:plain/{number}" for number in range(8)}
        for room in rooms:
            await ann.join(room.removeprefix("room:"))
        assert subscribed() == base | rooms | {'user:"ann"'}
        assert all(
            server.say("PUBSUB", "SHARDCHANNELS") != b"*0\r\n" for server in redis_cluster.servers
        )
        for room in rooms:
            await ann.leave(room.removeprefix("room:"))
        await one.cut(ann)
        await until(lambda: subscribed() == base, "all is left")
        assert tags(redis_cluster, "CHANNELS", "needs") == set()
        # a channel that was left may be heard again
        await (await one.connect()).join("plain/0")
        assert one.backplane.state == "connected"


async def test_another_program_publishes_to_any_node(redis_cluster):
    url = redis_cluster.url("outside")
    async with node(url) as one:
        ann = await one.connect("ann")
        await ann.join("chat/a")
        for seq, to in enumerate([("room", "chat/a")] * 2, 1):
            publish = partial(finch.publish, url, to, [*to], path="said", history=HISTORY)
            assert await trio.to_thread.run_sync(publish) == seq
            assert (await heard(ann, "said")).seq == seq
        publish = partial(finch.publish, url, ("client", ann.id), 1, path="said")
        await trio.to_thread.run_sync(publish)
        assert (await heard(ann, "said")).data == 1


async def test_it_needs_no_more_than_the_documentation_says(redis_cluster):
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    for rule in re.findall(r"ACL SETUSER shop [^`]*", page):
        for server in redis_cluster.servers:
            assert server.say(*rule.split()) == b"+OK\r\n"
    url = redis_cluster.url("shop").replace("//", "//shop:password@")
    async with node(url) as one, node(url) as two:
        ann = await two.connect("ann")
        for room in ("chat/a", "people/a", "plain/a"):
            await ann.join(room)
            await one.app.room(room).send(room, path="said")
            assert (await heard(ann, "said")).data == room
        await counts(one.app.everyone, 1)


async def test_another_database_than_the_first_is_refused_at_once(redis_cluster):
    url = redis_cluster.url().replace("/0?", "/3?")
    with pytest.raises(ConfigurationError, match="there is no database 3"):
        async with TestClient(make_app(url)):
            pass


async def test_a_slot_moves_with_what_is_in_it(redis_cluster):
    name = Names("moves").channel(Channel("room", "chat/a"))
    url = redis_cluster.url("moves")
    async with node(url, patience=5.0) as one, node(url, patience=5.0) as two:
        ann, bob = await one.connect(), await two.connect()
        for socket in (ann, bob):
            await socket.join("chat/a")
        await one.app.room("chat/a").send("before", path="said")
        for socket in (ann, bob):
            assert (await heard(socket, "said")).data == "before"
        redis_cluster.move(name)
        # its numbers are those of another server now: clients are told
        for socket in (ann, bob):
            assert (await heard(socket, "finch.join")).data["recovered"] is False
        await until(lambda: one.backplane.state == "connected", "it is found again")
        sent = await one.app.room("chat/a").send("after", path="said")
        for socket in (ann, bob):
            message = await heard(socket, "said")
            assert (message.data, message.seq) == ("after", sent.seq)
        assert tags(redis_cluster, "SHARDCHANNELS", "moves") >= {"room:chat/a"}


confirm = Connection._confirm


def unless_it_says_that_it_moves(connection, *push):
    with suppress(ConnectionError):
        confirm(connection, *push)


@pytest.mark.parametrize("noticed_by", ["the node that had it", "a look"])
async def test_a_slot_moves_while_nothing_is_asked(redis_cluster, noticed_by, monkeypatch):
    if noticed_by == "a look":
        monkeypatch.setattr(shards, "_LOOK", 0.05)
        monkeypatch.setattr(Connection, "_confirm", unless_it_says_that_it_moves)
    else:
        monkeypatch.setattr(shards, "_LOOK", 60)
    prefix = f"still {noticed_by}"
    name = Names(prefix).channel(Channel("room", "plain/a"))
    async with node(redis_cluster.url(prefix), patience=5.0, look=60, lease=600) as one:
        ann = await one.connect()
        await ann.join("plain/a")
        old = redis_cluster.owner(name)
        await until(lambda: b":1" in old.say("EXISTS", name + b":c"), "it is counted")
        new = redis_cluster.move(name)
        await until(lambda: name in new.say("PUBSUB", "SHARDCHANNELS"), "it is heard there")
        new.say("SPUBLISH", name, '{"v":1,"path":"said","data":1}')
        assert (await heard(ann, "said")).data == 1


async def test_a_slot_that_nobody_hears_moves_and_is_found(redis_cluster):
    name = Names("quiet").channel(Channel("room", "plain/a"))
    async with node(redis_cluster.url("quiet"), patience=5.0) as one:
        ann = await one.connect()
        new = redis_cluster.move(name)
        await ann.join("plain/a")
        await until(lambda: one.backplane.state == "connected", "it is found again")
        await until(lambda: name in new.say("PUBSUB", "SHARDCHANNELS"), "it is heard there")
        new.say("SPUBLISH", name, '{"v":1,"path":"said","data":1}')
        assert (await heard(ann, "said")).data == 1


async def test_a_node_that_is_gone_is_waited_for(redis_cluster):
    async with node(redis_cluster.url("gone"), patience=5.0, look=0.1) as one:
        ann = await one.connect()
        await ann.join("chat/a")
        await one.app.room("chat/a").send("before", path="said")
        gone = redis_cluster.owner(Names("gone").channel(Channel("room", "chat/a")))
        gone.stop()
        await until(lambda: one.backplane.state == "degraded", "it is noticed")
        await one.app.room("chat/a").send(1, path="moved", volatile=True)
        assert (await heard(ann, "moved")).data == 1
        gone.start()
        await until(lambda: one.backplane.state == "connected", "it is back")
        await one.app.room("chat/a").send("after", path="said")
        assert (await heard(ann, "finch.join")).data["recovered"] is False
        assert (await heard(ann, "said")).data == "after"
