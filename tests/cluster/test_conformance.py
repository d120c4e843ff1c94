"""What every backplane must do: the same stories in one process, and in two that Redis joins, or a
Redis Cluster.

``one`` and ``two`` are the places where clients are connected. In one process both are the same.
"""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from finch import CallFailed, ClientGone
from finch.cluster.history import Position
from finch.testing import SocketClosed
from tests.cluster.nodes import counts, counts_everywhere, heard, node, present, until


@pytest.fixture(params=[None, "url", "cluster_url"], ids=["in_process", "redis", "cluster"])
def world(request):
    """Opens a world: two places, in which everything is heard."""
    backplane = None if request.param is None else request.getfixturevalue(request.param)

    @asynccontextmanager
    async def opened(**options):
        async with node(backplane, **options) as one:
            if backplane is None:
                yield one, one
                return
            async with node(backplane, **options) as two:
                yield one, two

    return opened


@pytest.mark.parametrize("kept", [True, False])
async def test_everyone_hears_what_is_sent_to_everyone(world, kept):
    async with world(kept=kept) as (one, two):
        ann, bob = await one.connect(), await two.connect()
        for place in (one, two):
            await place.app.everyone.send("hello", path="news")
            for socket in (ann, bob):
                assert (await heard(socket, "news")).data == "hello"


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("user", ["ann", "7"])
async def test_a_user_hears_everywhere_and_nobody_else_does(world, kept, user):
    async with world(kept=kept) as (one, two):
        phone, laptop, other = [
            await one.connect(user),
            await two.connect(user),
            await two.connect("other"),
        ]
        for number, place in enumerate((one, two)):
            await place.app.user(user).send(number, path="for you")
            for socket in (phone, laptop):
                assert (await heard(socket, "for you")).data == number
        await one.app.user("other").send(3, path="for you")
        assert (await heard(other, "for you")).data == 3


async def test_users_whose_ids_look_alike_are_two(world):
    async with world() as (one, two):
        text = await two.connect("7")
        await one.app.user(7).send("to the number", path="for you")
        await one.app.user("7").send("to the text", path="for you")
        assert (await heard(text, "for you")).data == "to the text"


@pytest.mark.parametrize("room", ["chat/a", "plain/b", "chat/{odd}", "plain/ü"])
async def test_a_room_hears_what_is_sent_to_it_from_anywhere(world, room):
    async with world() as (one, two):
        ann, bob, outsider = await one.connect(), await two.connect(), await two.connect()
        for socket in (ann, bob):
            await socket.join(room)
        for place in (one, two):
            await place.app.room(room).send({"x": [1, "ü"]}, path="said", status=201)
            for socket in (ann, bob):
                message = await heard(socket, "said")
                assert (message.data, message.status, message.room) == ({"x": [1, "ü"]}, 201, room)
        await two.app.everyone.send(None, path="end")
        assert (await heard(outsider, "end")).data is None
        await bob.leave(room)
        await one.app.room(room).send("after", path="said")
        await one.app.everyone.send(None, path="end")
        assert (await heard(ann, "said")).data == "after"
        assert (await bob.receive()).path == "end"


async def test_numbers_are_the_same_everywhere_and_without_holes(world):
    async with world() as (one, two):
        ann, bob = await one.connect(), await two.connect()
        first = await ann.join("chat/a")
        await bob.join("chat/a")
        sent = []
        for number in range(10):
            place = (one, two)[number % 2]
            sent.append(await place.app.room("chat/a").send(number, path="said"))
        assert [one.position for one in sent] == [
            Position(first.epoch, seq) for seq in range(1, 11)
        ]
        for socket in (ann, bob):
            messages = [await heard(socket, "said") for _ in range(10)]
            assert [(one.seq, one.data) for one in messages] == [(n + 1, n) for n in range(10)]


async def test_who_comes_back_elsewhere_gets_what_was_missed_and_then_what_follows(world):
    async with world() as (one, two):
        ann = await one.connect()
        joined = await ann.join("chat/a")
        await one.app.room("chat/a").send(0, path="said")
        assert (await heard(ann, "said")).seq == 1
        await one.cut(ann)
        for number in range(1, 4):
            await one.app.room("chat/a").send(number, path="said")
        again = await two.connect()
        back = await again.join("chat/a", since=f"{joined.epoch}:1")
        assert (back.recovered, back.missed, back.seq) == (True, 3, 4)
        await one.app.room("chat/a").send(4, path="said")
        assert [(await heard(again, "said")).data for _ in range(4)] == [1, 2, 3, 4]


async def test_a_newcomer_elsewhere_gets_the_last_messages(world):
    async with world(messages=5) as (one, two):
        for number in range(9):
            await one.app.room("chat/a").send(number, path="said")
        joined = await (bob := await two.connect()).join("chat/a", last=3)
        assert (joined.recovered, joined.missed, joined.seq) == (False, 3, 9)
        assert [(await heard(bob, "said")).data for _ in range(3)] == [6, 7, 8]
        kept = await two.app.room("chat/a").history(last=50)
        assert [(one.seq, one.data) for one in kept] == [(seq, seq - 1) for seq in range(5, 10)]
        late = await (await one.connect()).join("chat/a", since=f"{joined.epoch}:3")
        assert not late.recovered


async def test_the_history_of_a_room_that_nobody_is_in_can_be_read(world):
    async with world() as (one, two):
        await one.app.room("chat/a").send("hello", path="said", status=202)
        [kept] = await two.app.room("chat/a").history()
        assert (kept.seq, kept.path, kept.status, kept.data) == (1, "said", 202, "hello")
        assert await two.app.room("chat/empty").history() == []


async def test_everyone_and_users_come_back_elsewhere(world):
    async with world() as (one, two):
        ann = await one.connect("ann")
        await one.app.everyone.send("a", path="news")
        await two.app.user("ann").send("b", path="for you")
        epochs = {}
        async for message in _until_both(ann):
            if message.path == "finch.join":
                epochs[message.room] = message.epoch
        await one.cut(ann)
        await two.app.everyone.send("c", path="news")
        await one.app.user("ann").send("d", path="for you")
        since = {
            "everyone": f"{epochs['finch.everyone']}:1",
            "user": f"{epochs['finch.user']}:1",
        }
        back = await two.connect("ann", since)
        messages = [await back.receive() for _ in range(4)]
        told = {one.room: one.data["recovered"] for one in messages if one.path == "finch.join"}
        assert told == {"finch.everyone": True, "finch.user": True}
        missed = {(one.path, one.data, one.seq) for one in messages if one.path != "finch.join"}
        assert missed == {("news", "c", 2), ("for you", "d", 2)}


async def _until_both(socket):
    missing = {"news", "for you"}
    while missing:
        message = await socket.receive()
        missing.discard(message.path)
        yield message


@pytest.mark.parametrize("room", ["chat/a", "plain/b"])
async def test_volatile_messages_reach_everybody_and_have_no_number(world, room):
    async with world() as (one, two):
        ann, bob = await one.connect(), await two.connect()
        for socket in (ann, bob):
            await socket.join(room)
        await one.app.room(room).send([1, 2], path="moved", volatile=True, key=("ann", 1))
        for socket in (ann, bob):
            message = await heard(socket, "moved")
            assert (message.data, message.seq, message.room) == ([1, 2], None, room)


@pytest.mark.parametrize("room", ["chat/a", "plain/b"])
async def test_who_is_skipped_gets_nothing_wherever_it_is(world, room):
    async with world() as (one, two):
        ann, bob = await one.connect(), await two.connect()
        for socket in (ann, bob):
            await socket.join(room)
        socket = one.manager.get_client(ann.id)
        await one.app.room(room).send("to others", path="said", skip=socket)
        await one.app.room(room).send("to all", path="said")
        assert (await heard(ann, "said")).data == "to all"
        assert [(await heard(bob, "said")).data for _ in "ab"] == ["to others", "to all"]


async def test_one_client_is_reached_by_its_id_from_anywhere(world):
    async with world() as (one, two):
        ann, bob = await one.connect(), await two.connect()
        assert len(ann.id) == 22
        assert await one.manager.send_to_client(bob.id, 1, path="psst")
        assert (await heard(bob, "psst")).data == 1
        assert await two.manager.send_to_client(bob.id, 2, path="psst")
        assert not await one.manager.send_to_client("nobody", 3, path="psst")
        assert (await heard(bob, "psst")).data == 2
        await one.app.everyone.send(None, path="end")
        assert (await heard(ann, "end")).path == "end"


@pytest.mark.parametrize("who", ["user", "room", "everyone"])
async def test_connections_are_closed_everywhere(world, who):
    async with world() as (one, two):
        ann, bob = await one.connect("ann"), await two.connect("ann")
        other = await two.connect("other")
        for socket in (ann, bob):
            await socket.join("plain/a")
        audience = {
            "user": one.app.user("ann"),
            "room": one.app.room("plain/a"),
            "everyone": one.app.everyone,
        }[who]
        skip = two.manager.get_client(other.id) if who == "everyone" else None
        await audience.close(4401, "logged out", skip=skip)
        for socket in (ann, bob):
            with pytest.raises(SocketClosed) as closed:
                await heard(socket, "nothing")
            assert (closed.value.code, closed.value.reason) == (4401, "logged out")
        assert await other.call("who") == other.id


async def test_what_one_sender_sends_arrives_in_order(world, request):
    async with world() as (one, two):
        bob = await two.connect()
        rooms = ("chat/a", "plain/a")
        for room in rooms:
            await bob.join(room)
        for number in range(60):
            await one.app.room(rooms[number % 2]).send(number, path="said")
        messages = [await heard(bob, "said") for _ in range(60)]
        for at, room in enumerate(rooms):
            said = [message.data for message in messages if message.room == room]
            assert said == list(range(at, 60, 2))
        if request.node.callspec.params["world"] != "cluster_url":  # there, rooms are on two nodes
            assert [message.data for message in messages] == list(range(60))


@pytest.mark.parametrize("room", ["chat/a", "plain/b"])
async def test_clients_are_counted_everywhere(world, room):
    async with world() as (one, two):
        ann, bob, other = [
            await one.connect("ann"),
            await two.connect("ann"),
            await two.connect("other"),
        ]
        for socket in (ann, bob):
            await socket.join(room)
        for place in (one, two):
            await counts(place.app.everyone, 3)
            await counts(place.app.room(room), 2)
            await counts(place.app.user("ann"), 2)
            assert await place.app.user("other").count_everywhere() == 1
            assert await place.app.user("nobody").count_everywhere() == 0
            assert await place.app.room(room).count_everywhere() == 2
        await bob.leave(room)
        await two.cut(other)
        for place in (one, two):
            await counts(place.app.everyone, 2)
            await counts_everywhere(place.app.room(room), 1)
            assert await place.app.user("other").count_everywhere() == 0


async def test_a_joiner_is_told_who_is_present_everywhere(world):
    async with world() as (one, two):
        ann, bob, again = [
            await one.connect("ann"),
            await two.connect("bob"),
            await two.connect("ann"),
        ]
        joined = await ann.join("people/a", {"name": "Ann"})
        assert _devices(joined.presence) == {"ann": 1}
        await counts_everywhere(two.app.room("people/a"), 1)
        joined = await bob.join("people/a")
        assert _devices(joined.presence) == {"ann": 1, "bob": 1}
        joined = await again.join("people/a", {"name": "Ann again"})
        assert _devices(joined.presence) == {"ann": 2, "bob": 1}
        assert joined.presence[0]["meta"] == {"name": "Ann again"}
        assert joined.count == 2
        for place in (one, two):
            await present(place.app.room("people/a"), {"ann": 2, "bob": 1})


def _devices(presence):
    return {entry["user"]: entry["devices"] for entry in presence}


async def test_members_are_told_who_comes_and_goes_elsewhere(world):
    async with world() as (one, two):
        ann = await one.connect("ann")
        await ann.join("people/a")
        assert (await heard(ann, "finch.presence")).data["count"] == 1
        bob, again = await two.connect("bob"), await two.connect("ann")
        await bob.join("people/a", "hi")
        change = (await heard(ann, "finch.presence")).data
        assert [(who["user"], who["meta"]) for who in change["joins"]] == [("bob", "hi")]
        assert (change["leaves"], change["count"]) == ([], 2)
        await again.join("people/a")  # the same user: nobody is told
        await one.cut(ann)
        await heard(bob, "finch.presence")
        await bob.leave("people/a")
        change = (await heard(again, "finch.presence")).data
        while not change["leaves"]:
            change = (await heard(again, "finch.presence")).data
        assert [(who["user"], who["devices"]) for who in change["leaves"]] == [("bob", 0)]
        assert change["count"] == 1


async def test_a_crowd_is_counted_everywhere(world):
    async with world() as (one, two):
        ann, bob = await one.connect("ann"), await two.connect("bob")
        await ann.join("crowd/a")
        assert (await heard(ann, "finch.presence")).data == {"count": 1}
        joined = await bob.join("crowd/a")
        assert joined.count in (1, 2)  # it may not be known there yet that ann is here
        assert (await heard(ann, "finch.presence")).data == {"count": 2}
        await two.cut(bob)
        assert (await heard(ann, "finch.presence")).data == {"count": 1}


async def _answers(socket, *, status=200, data=None):
    """Answer calls, as long as it is connected."""
    while True:
        try:
            message = await socket.receive(timeout=60)
        except SocketClosed:
            return
        if message.id is not None:
            await socket.send(message.path, data, reply=message.id, status=status)


@asynccontextmanager
async def _answering(*sockets):
    async with trio.open_nursery() as nursery:
        for socket, options in sockets:
            nursery.start_soon(partial(_answers, socket, **options))
        yield
        nursery.cancel_scope.cancel()


async def test_a_room_is_asked_everywhere(world):
    async with world() as (one, two):
        clients = [
            *[await one.connect("ann") for _ in range(2)],
            *[await two.connect("bob") for _ in range(2)],
            await two.connect("refuses"),
        ]
        for socket in clients:
            await socket.join("plain/a")
        answering = [(socket, {"data": number}) for number, socket in enumerate(clients[:4])]
        async with _answering(*answering, (clients[4], {"status": 404})):
            for place in (one, two):
                room = place.app.room("plain/a")
                found = {}
                async for client, answer in room.call("how many?", path="ask", as_type=int):
                    found[client.id] = (client.user_id, answer)
                wanted = {
                    socket.id: (("ann", "ann", "bob", "bob")[number], number)
                    for number, socket in enumerate(clients[:4])
                }
                assert found == wanted
            assert [pair async for pair in one.app.room("plain/nobody").call("?")] == []
            found = [answer async for _, answer in one.app.user("bob").call("?", path="ask")]
            assert sorted(found) == [2, 3]


async def test_a_client_is_asked_from_anywhere(world):
    async with world() as (one, two):
        bob, refuses, leaves = [await two.connect("bob") for _ in "abc"]
        async with _answering((bob, {"data": 7}), (refuses, {"status": 403, "data": "no"})):
            for place in (one, two):
                manager = place.manager
                assert await manager.call_client(bob.id, "?", "ask", as_type=int) == 7
                with pytest.raises(CallFailed, match="403"):
                    await manager.call_client(refuses.id, "?", "ask")
                with pytest.raises(CallFailed, match="does not fit"):
                    await manager.call_client(bob.id, "?", "ask", as_type=str)
                for nobody in ("nobody", "x" * 22):
                    with pytest.raises(ClientGone):
                        await manager.call_client(nobody, "?", "ask")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cut_when_asked, two, leaves)
                with pytest.raises(ClientGone):
                    await one.manager.call_client(leaves.id, "?", "ask")


async def _cut_when_asked(place, socket):
    await heard(socket, "ask")
    await place.cut(socket)


async def test_a_call_that_nobody_waits_for_any_longer_ends_everywhere(world):
    async with world() as (one, two):
        silent = await two.connect("silent")
        await silent.join("plain/a")
        client = two.manager.get_client(silent.id)
        with trio.move_on_after(0.2):
            async for _ in one.app.room("plain/a").call("?", path="ask"):
                raise AssertionError
        assert (await heard(silent, "ask")).data == "?"
        await until(lambda: not client._asks, "nobody waits for the answer")
