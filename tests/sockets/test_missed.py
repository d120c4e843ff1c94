"""What a client missed while it was away: in order, each message once, or the word that it cannot
be told."""

import pytest
import trio
import trio.testing

from finch import FinchApp, History, Limits, SocketManager
from finch.testing import TestClient


@pytest.fixture
def app():
    app = FinchApp()
    app.rooms("chat/{name}", history=History(messages=100, seconds=60))
    return app


async def read(socket, n):
    return [await socket.receive() for _ in range(n)]


async def quiet(socket):
    with trio.move_on_after(1):
        pytest.fail(f"{await socket.receive(timeout=9)} came")


async def test_a_member_that_comes_back_gets_what_it_missed(app, autojump_clock):
    async with TestClient(app) as client:
        room = app.room("chat/a")
        async with client.socket() as socket:
            joined = await socket.join("chat/a")
            assert (joined.seq, joined.recovered) == (0, False)
            sent = await room.send("one", path="said")
            assert (sent, sent.seq, str(sent.position)) == (1, 1, f"{joined.epoch}:1")
            assert (await socket.receive()).seq == 1
        for text in ("two", "three"):
            assert await room.send(text, path="said") == 0
        async with client.socket() as socket:
            again = await socket.join("chat/a", since=str(sent.position))
            assert again.recovered
            assert (again.epoch, again.seq) == (joined.epoch, 3)
            missed = await read(socket, 2)
            assert [(one.path, one.data, one.seq) for one in missed] == [
                ("said", "two", 2),
                ("said", "three", 3),
            ]
            assert {one.room for one in missed} == {"chat/a"}
            await room.send("four")
            assert (await socket.receive()).seq == 4
            await quiet(socket)


async def test_nothing_missed_is_recovered_too(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await app.room("chat/a").send("one")
        sent = await app.room("chat/a").send("two")
        assert (await socket.join("chat/a", since=str(sent.position), last=5)).recovered
        await quiet(socket)


@pytest.mark.parametrize("since", ["other:1", "{epoch}:3", "{epoch}:99"])
async def test_a_position_of_another_numbering_is_not_recovered(app, since, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        sent = await app.room("chat/a").send("one")
        await app.room("chat/a").send("two")
        since = since.format(epoch=sent.position.epoch)
        joined = await socket.join("chat/a", since=since)
        assert (joined.recovered, joined.seq) == (False, 2)
        await quiet(socket)  # nothing partial
        await socket.leave("chat/a")
        assert not (await socket.join("chat/a", since=since, last=1)).recovered
        assert [one.data for one in await read(socket, 1)] == ["two"]
        await quiet(socket)


async def test_what_was_trimmed_is_not_recovered(autojump_clock):
    app = FinchApp()
    app.rooms("chat", history=History(messages=3, seconds=60))
    room = app.room("chat")
    async with TestClient(app) as client:
        positions = [str((await room.send(number)).position) for number in range(5)]
        for place, recovered in enumerate([False, True, True, True, True]):
            async with client.socket() as socket:
                assert (await socket.join("chat", since=positions[place])).recovered is recovered
                rest = list(range(place + 1, 5)) if recovered else []
                assert [one.data for one in await read(socket, len(rest))] == rest
                await quiet(socket)
        await trio.sleep(61)
        async with client.socket() as socket:
            assert not (await socket.join("chat", since=positions[3], last=9)).recovered
            await quiet(socket)


async def test_the_last_of_a_room_are_for_a_newcomer(app, autojump_clock):
    async with TestClient(app) as client:
        for number in range(8):
            await app.room("chat/a").send(number)
        for last, numbers in [(0, []), (3, [5, 6, 7]), (50, list(range(8)))]:
            async with client.socket() as socket:
                joined = await socket.join("chat/a", last=last)
                assert not joined.recovered
                assert [one.data for one in await read(socket, len(numbers))] == numbers
                await quiet(socket)


async def test_volatile_messages_are_neither_numbered_nor_kept(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("chat/a")
        sent = await app.room("chat/a").send("typing", volatile=True)
        assert (sent, sent.seq, sent.position) == (1, None, None)
        assert (await app.room("chat/a").send("one")).seq == 1
        assert [(one.data, one.seq) for one in await read(socket, 2)] == [
            ("typing", None),
            ("one", 1),
        ]
        assert [kept.data for kept in await app.room("chat/a").history()] == ["one"]


async def test_a_handler_reads_the_history(app, autojump_clock):
    async with TestClient(app) as client, client.socket():
        room = app.room("chat/a")
        for number in range(4):
            await room.send({"number": number}, path="said", status=201)
        assert [kept.seq for kept in await room.history()] == [1, 2, 3, 4]
        [newest] = await room.history(last=1)
        assert (newest.seq, newest.path, newest.status) == (4, "said", 201)
        assert newest.data == {"number": 3}
        assert await room.history(last=0) == []
        assert await app.everyone.history() == []
        with pytest.raises(ValueError, match="last is how many"):
            await room.history(last=-1)


@pytest.mark.parametrize("how", ["since", "last"])
async def test_sends_during_a_slow_replay_come_behind_it_each_once(how, autojump_clock):
    """The client reads slowly; meanwhile the room goes on, from several tasks."""
    app = FinchApp(limits=Limits(max_outbox=256 * 1024))
    app.rooms("chat", history=History(messages=1000))
    room = app.room("chat")
    text = "x" * 2000
    async with TestClient(app) as client, client.socket() as socket, client.socket() as other:
        first = await room.send("first")
        for _ in range(200):
            await room.send(text)
        asked = {"since": str(first.position)} if how == "since" else {"last": 200}
        await socket.send("finch.join", id=1, room="chat", **asked)
        async with trio.open_nursery() as nursery:

            async def go_on():
                for _ in range(20):
                    await room.send(text)
                    await trio.sleep(0.01)

            for _ in range(3):
                nursery.start_soon(go_on)
            answer = await socket.receive()
            assert (answer.path, answer.data["recovered"]) == ("finch.join", how == "since")
            begin = 2 if how == "since" else answer.seq - 199
            numbers = [begin - 1]
            while numbers[-1] < 261:
                numbers.append((await socket.receive()).seq)
                await trio.sleep(0.005)
        assert numbers[1:] == list(range(begin, 262))
        await quiet(socket)
        await quiet(other)


async def test_no_message_of_the_room_comes_before_the_answer(autojump_clock):
    app = FinchApp()
    chat = app.rooms("chat", history=History())
    asked = trio.Event()

    @chat.on_join
    async def joins(socket, room):
        await room.send("while it is asked")
        asked.set()
        await trio.sleep(1)
        await room.send("and once more")

    async with TestClient(app) as client, client.socket() as socket:
        position = await app.room("chat").send("before")
        await socket.send("finch.join", id=1, room="chat", since=str(position.position))
        await asked.wait()
        await app.room("chat").send("by somebody else")
        messages = await read(socket, 4)
        assert messages[0].path == "finch.join"
        assert [one.seq for one in messages[1:]] == [2, 3, 4]
        await quiet(socket)


async def test_who_falls_behind_what_is_kept_is_closed_and_comes_back(reader, autojump_clock):
    app = FinchApp(limits=Limits(max_outbox=64 * 1024))
    app.rooms("chat", history=History(messages=50))
    room = app.room("chat")
    async with TestClient(app) as client:
        first = await room.send("first")
        async with client.socket() as slow:
            for _ in range(40):
                await room.send("x" * 20_000)
            await slow.send("finch.join", id=1, room="chat", since=str(first.position))
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(100):
                await room.send("y" * 100)
            if reader == "task":  # in memory there is room for all of it
                assert (await slow.receive()).data == {"recovered": True}
                assert [one.seq for one in await read(slow, 140)] == list(range(2, 142))
                return
            assert (await slow.wait_closed()).code == 1013
        await trio.sleep(1)
        assert room.count == 0


# Everyone and users


@pytest.fixture
def manager():
    app = FinchApp()
    manager = SocketManager(app, history=History(messages=5), user_history=History(messages=5))
    app.socket("x")(lambda socket, data: data)

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    return manager


async def test_everyone_and_the_user_are_joined_at_the_handshake(manager, autojump_clock):
    async with TestClient(manager._app) as client:
        async with client.socket("/ws?user=ada") as socket:
            joined = await read(socket, 2)
            assert [(one.path, one.room, one.seq) for one in joined] == [
                ("finch.join", "finch.everyone", 0),
                ("finch.join", "finch.user", 0),
            ]
            assert [one.data for one in joined] == [{"recovered": False}] * 2
            assert await manager.everyone.send("all") == 1
            assert await manager.user("ada").send("you") == 1
            assert [(one.data, one.room, one.seq) for one in await read(socket, 2)] == [
                ("all", "finch.everyone", 1),
                ("you", "finch.user", 1),
            ]
        epochs = [one.epoch for one in joined]
        await manager.send_to_all("all again")
        await manager.send_to_user("ada", "you again")
        await manager.send_to_user("bob", "not you")
        since = f"since=everyone:{epochs[0]}:1&since=user:{epochs[1]}:1"
        async with client.socket(f"/ws?user=ada&{since}") as socket:
            messages = await read(socket, 4)
            assert [(one.path, one.room, one.seq, one.data) for one in messages] == [
                ("finch.join", "finch.everyone", 2, {"recovered": True}),
                ("", "finch.everyone", 2, "all again"),
                ("finch.join", "finch.user", 2, {"recovered": True}),
                ("", "finch.user", 2, "you again"),
            ]
            await quiet(socket)
        async with client.socket(f"/ws?user=ada&since=user:{epochs[1]}:9") as socket:
            messages = await read(socket, 2)
            assert [one.data["recovered"] for one in messages] == [False, False]
            await quiet(socket)


async def test_a_client_without_a_user_is_joined_to_everyone_only(manager, autojump_clock):
    async with TestClient(manager._app) as client, client.socket() as socket:
        assert (await socket.receive()).room == "finch.everyone"
        await quiet(socket)
    assert not len(manager.members.rooms)


async def test_on_connect_speaks_before_the_positions(manager, autojump_clock):
    @manager.on_connect
    async def greet(socket):
        await socket.send("welcome")
        await manager.everyone.send("somebody is here")

    async with TestClient(manager._app) as client, client.socket() as socket:
        welcome, joined = await read(socket, 2)
        assert welcome.data == "welcome"
        assert (joined.path, joined.seq) == ("finch.join", 1)
        await quiet(socket)


async def test_a_server_that_starts_anew_numbers_anew(autojump_clock):
    epochs = []
    for _ in range(2):
        app = FinchApp()
        app.rooms("chat", history=History())
        async with TestClient(app) as client, client.socket() as socket:
            await app.room("chat").send("one")
            since = f"{epochs[0]}:1" if epochs else None
            joined = await socket.join("chat", since=since)
            assert not joined.recovered
            epochs.append(joined.epoch)
    assert epochs[0] != epochs[1]
