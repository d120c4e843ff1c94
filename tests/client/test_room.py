"""Rooms of a client: a block is in the room, and comes back to it after every cut."""

import pytest
import trio

from finch import FinchApp, History, HTTPError
from finch.client import CallFailed, ConnectionClosed, FinchError, Gap
from tests.client.world import until, world

pytestmark = pytest.mark.usefixtures("reader")


def new_app():
    app = FinchApp()
    app.banned = False
    chat = app.rooms("chat/{name}", history=History(messages=10), presence=True)
    app.rooms("plain/{name}")
    app.rooms("crowd/{name}", presence="count", grace=0)

    @chat.on_join
    async def on_join(socket, name):
        if name == "staff" or app.banned:
            raise HTTPError(403, "staff only")

    @chat.socket("say")
    async def say(socket, data, room):
        await room.send(data, path="said")
        return "done"

    @chat.socket("count")
    async def count(socket, data, room):
        for number in range(data):
            yield number

    @app.socket("tell")
    async def tell(socket, data):
        await socket.send(data, path="said")

    return app


def room(app):
    return app.room("chat/a")


async def test_a_block_is_in_the_room_until_its_end(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.join("chat/a") as lobby:
            assert (lobby.name, repr(lobby)) == ("chat/a", "Room('chat/a')")
            assert room(app).count == 1
            assert await lobby.call("say", "hello", as_type=str) == "done"
            assert await lobby.send("say", "again")
            said = lobby.messages("said")
            first, second = [await anext(said) for _ in range(2)]
            assert (first.data, first.seq, first.room) == ("hello", 1, "chat/a")
            assert (second.data, second.seq) == ("again", 2)
            assert [number async for number in lobby.stream("count", 3)] == [0, 1, 2]
            assert str(lobby.position) == f"{lobby.position.epoch}:2"
        assert [one async for one in said] == []
        await client.call("tell", "after the leave")
        assert room(app).count == 0
        with pytest.raises(FinchError, match="outside its block"):
            await lobby.send("say", "late")


async def test_the_last_messages_are_there_though_nobody_iterates_yet(autojump_clock):
    app = new_app()
    for number in range(5):
        await room(app).send(number, path="said")
    async with world(app) as there, there.connect() as client:
        async with client.join("chat/a", last=3) as lobby:
            assert (lobby.recovered, lobby.missed) == (False, 3)
            await trio.sleep(1)
            said = lobby.messages("said")
            assert [(await anext(said)).data for _ in range(3)] == [2, 3, 4]


async def test_however_many_messages_a_join_brings_all_wait_for_the_first_iterator(autojump_clock):
    app = FinchApp()
    app.rooms("feed", history=History(messages=1000))
    for number in range(1000):
        await app.room("feed").send(number, path="said")
    async with world(app) as there, there.connect(buffer=10) as client:
        async with client.join("feed", last=900) as feed:
            await trio.sleep(1)
            said = feed.messages("said")
            assert [(await anext(said)).data for _ in range(900)] == list(range(100, 1000))


async def test_a_position_of_another_client_is_gone_on_from(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.join("chat/a") as lobby:
            await lobby.call("say", "one")
            position = lobby.position
        for number in range(2):
            await room(app).send(number, path="said")
        async with client.join("chat/a", since=position) as lobby:
            assert (lobby.recovered, lobby.missed) == (True, 2)
        async with client.join("chat/a", since="other:1") as lobby:
            assert not lobby.recovered
            assert (await anext(lobby.messages())).path == "finch.gap"
        with pytest.raises(ValueError, match="epoch"):
            client.join("chat/a", since="no position")


async def test_a_refused_join_raises(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        for name, status in (("chat/staff", 403), ("nowhere", 404)):
            with pytest.raises(CallFailed) as failed:
                async with client.join(name):
                    pytest.fail("it is in the room")
            assert failed.value.status == status
        with pytest.raises(TypeError, match="room's name is text"):
            client.join(5)
        with pytest.raises(ValueError, match="last is a number"):
            client.join("chat/a", last=-1)
        with pytest.raises(TypeError, match=r"finch\.join"):
            await client.join("chat/a", meta=object()).__aenter__()
        async with client.join("chat/a"):
            pass


async def test_who_is_here_is_known(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as ann, there.connect() as bob:
        async with ann.join("chat/a", meta={"name": "Ann"}) as lobby:
            assert [person.meta for person in lobby.presence] == [{"name": "Ann"}]
            changes = lobby.messages("finch.presence")
            async with bob.join("chat/a", meta={"name": "Bob"}) as his:
                await anext(changes)
                assert [person.meta["name"] for person in lobby.presence] == ["Ann", "Bob"]
                assert lobby.count == his.count == 2
            assert (await anext(changes)).data["count"] == 1
            assert [person.meta["name"] for person in lobby.presence] == ["Ann"]
        async with ann.join("crowd/a") as crowd:
            assert (crowd.count, crowd.presence) == (1, [])
            changes = crowd.messages("finch.presence")
            async with bob.join("crowd/a"):
                await anext(changes)
                assert crowd.count == 2


async def test_two_blocks_share_a_room(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.join("chat/a") as outer:
            said = outer.messages("said")
            async with client.join("chat/a") as inner:
                also = inner.messages("said")
                await inner.call("say", "both")
                assert (await anext(said)).data == (await anext(also)).data == "both"
            await outer.call("say", "one")
            assert (await anext(said)).data == "one"
            assert room(app).count == 1
        async with client.join("chat/a"):
            assert room(app).count == 1


async def test_what_no_iterator_of_the_room_wants_is_for_the_connection(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        everything = client.messages("said", "typing")
        async with client.join("chat/a") as lobby:
            mine = lobby.messages("said")
            await room(app).send("typing", path="typing", volatile=True)
            await room(app).send("said", path="said")
            assert (await anext(mine)).data == "said"
            assert (await anext(everything)).data == "typing"


async def test_after_a_cut_nothing_is_missed_or_heard_twice(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        events = client.events()
        async with client.join("chat/a") as lobby:
            said = lobby.messages()
            for number in range(9):
                if number in (3, 4, 7):
                    there.wires[-1].cut()
                await room(app).send(number, path="said")
            assert [(await anext(said)).data for _ in range(9)] == list(range(9))
            assert lobby.recovered
            await until(events, "open")
            assert room(app).count == 1
    assert [event async for event in events if isinstance(event, Gap)] == []


@pytest.mark.parametrize("name", ["chat/a", "plain/a"])
async def test_after_a_restart_the_gap_is_between_the_messages(name, autojump_clock):
    app, again = new_app(), new_app()
    async with world(app) as there, there.connect() as client:
        events = client.events()
        async with client.join(name, last=1) as lobby:
            said = lobby.messages("said", "finch.gap")
            await app.room(name).send("before", path="said")
            assert (await anext(said)).data == "before"
            await again.room(name).send("meanwhile", path="said")
            async with there.serving(again):
                there.wires[-1].cut()
                gap = await anext(said)
                assert (gap.path, gap.room) == ("finch.gap", name)
                await again.room(name).send("after", path="said")
                rest = ["meanwhile", "after"] if name == "chat/a" else ["after"]
                assert [(await anext(said)).data for _ in rest] == rest
                assert [(await anext(events)) for _ in range(4)][-1] == Gap(name)


async def test_a_room_that_does_not_let_its_member_in_again_ends_its_iterators(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.join("chat/a") as lobby:
            said = lobby.messages("said")
            app.banned = True
            there.wires[-1].cut()
            with pytest.raises(CallFailed, match="staff only"):
                await anext(said)
            with pytest.raises(CallFailed, match="staff only"):
                await lobby.send("say", "hello")
            with pytest.raises(CallFailed, match="staff only"):
                await anext(lobby.messages("other"))
        app.banned = False
        async with client.join("chat/a") as lobby:
            await lobby.call("say", "back")


async def test_a_join_waits_for_a_connection(autojump_clock):
    app = new_app()
    async with world(app) as there:
        there.closed = True
        async with there.connect() as client, trio.open_nursery() as nursery:

            @nursery.start_soon
            async def join():
                async with client.join("chat/a") as lobby:
                    assert await lobby.call("say", "at last") == "done"

            with trio.move_on_after(5):
                async with client.join("chat/b"):
                    pytest.fail("it is in the room")
            there.closed = False
        assert room(app).count == 0


async def test_a_room_ends_with_its_connection(autojump_clock):
    async with world(new_app()) as there:
        async with there.connect() as client:
            lobby = await client.join("chat/a").__aenter__()
            said = lobby.messages("said")
        assert [one async for one in said] == []
        with pytest.raises(ConnectionClosed):
            await lobby.send("say", "late")
        await lobby.__aexit__(None, None, None)
