"""A room with somebody in it: its task, tasks of its own, and who is present."""

import pytest
import trio
import trio.testing

from finch import ClientGone, FinchApp, Identity
from finch.testing import TestClient


async def settled():
    await trio.testing.wait_all_tasks_blocked(0.001)


async def quiet(socket, seconds):
    """Nothing comes for so long."""
    with trio.move_on_after(seconds) as scope:
        message = await socket.receive(timeout=1000)
        pytest.fail(f"{message} came")
    assert scope.cancelled_caught


def test_two_handles_of_a_room_are_equal():
    app, other = FinchApp(), FinchApp()
    for one in (app, other):
        one.rooms("chat/{name}")
    assert app.room("chat/a") == app.room("chat/a")
    assert len({app.room("chat/a"), app.room("chat/a")}) == 1
    assert app.room("chat/a") != app.room("chat/b")
    assert app.room("chat/a") != other.room("chat/a")
    assert app.room("chat/a") != "chat/a"
    assert app.room("chat/a").params == {"name": "a"}
    assert app.room("chat/a").count == 0
    assert list(app.room("chat/a")) == []
    assert "chat/a" in repr(app.room("chat/a"))
    assert not len(app.socket_manager.halls)  # to ask about a room keeps nothing


async def test_all_members_share_one_handle(app):
    clients = []

    @app.on_connect
    async def come(socket):
        clients.append(socket)
        await socket.join("lobby")

    async with TestClient(app) as client, client.socket() as first, client.socket():
        await settled()
        one, two = clients
        assert one.rooms["lobby"] is two.rooms["lobby"] is app.room("lobby")
        await first.close()
        await settled()
        assert app.room("lobby") is two.rooms["lobby"]


# The room's task


class Tasks:
    """What the tasks of rooms have done."""

    def __init__(self):
        self.log = []

    async def run(self, room, name):
        self.log.append(f"{name} begins with {room.count}")
        try:
            await trio.sleep_forever()
        finally:
            self.log.append(f"{name} ends with {room.count}")


@pytest.fixture
def app():
    return FinchApp()


async def test_the_task_begins_with_the_first_member_and_ends_with_the_last(app, autojump_clock):
    tasks = Tasks()
    app.rooms("game/{name}").task(tasks.run)
    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await settled()
        assert tasks.log == []
        await ada.join("game/1")
        await settled()
        assert tasks.log == ["1 begins with 1"]
        await bob.join("game/1")
        await ada.leave("game/1")
        await settled()
        assert tasks.log == ["1 begins with 1"]
        await bob.join("game/2")
        await bob.close()
        await settled()
        assert tasks.log[1] == "2 begins with 1"
        assert sorted(tasks.log[2:]) == ["1 ends with 0", "2 ends with 0"]
        await ada.join("game/1")
        await settled()
        assert tasks.log[4:] == ["1 begins with 1"]
    assert tasks.log[5:] == ["1 ends with 0"]


async def test_a_room_that_only_the_server_fills_has_its_task_too(app, autojump_clock):
    tasks = Tasks()
    app.rooms("game/{name}").task(tasks.run)

    @app.on_connect
    async def seat(socket):
        await socket.join("game/1")

    async with TestClient(app) as client:
        async with client.socket():
            await settled()
            assert tasks.log == ["1 begins with 1"]
        await settled()
    assert tasks.log == ["1 begins with 1", "1 ends with 0"]


async def test_a_task_that_raises_is_logged_with_its_room_and_told(app, autojump_clock, caplog):
    game = app.rooms("game/{name}")
    told, begun = [], []

    @game.task
    async def run(room):
        begun.append(room.name)
        await trio.sleep(1)
        raise ValueError("a bug in the game")

    @game.on_error
    async def on_error(room, error):
        told.append((room, str(error)))

    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.join("game/1")
        await trio.sleep(2)
        assert "the task of the room 'game/1' raised" in caplog.text
        assert "a bug in the game" in caplog.text
        assert told == [(app.room("game/1"), "a bug in the game")]
        await bob.join("game/1")
        await trio.sleep(2)
        assert begun == ["game/1"]  # it begins with a first member
        await ada.leave("game/1")
        assert app.room("game/1").count == 1  # nobody else has noticed
        await bob.leave("game/1")
        await ada.join("game/1")
        await trio.sleep(2)
        assert begun == ["game/1", "game/1"]
        assert len(told) == 2


async def test_without_an_on_error_of_its_own_the_root_is_told(app, autojump_clock):
    told = []

    @app.on_error
    async def on_error(room, error):
        told.append((room.name, str(error)))
        raise RuntimeError("and again")

    @app.rooms("game/{name}").task
    async def run():
        raise ValueError("a bug")

    async with TestClient(app) as client, client.socket() as ada:
        await ada.join("game/1")
        await settled()
        assert told == [("game/1", "a bug")]
        assert app.room("game/1").count == 1


async def test_a_task_that_returns_is_done(app, autojump_clock):
    begun = []

    @app.rooms("game/{name}").task
    async def run(room):
        begun.append(room.name)

    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.join("game/1")
        await bob.join("game/1")
        await settled()
        assert begun == ["game/1"]


async def test_a_task_speaks_to_its_room(app, autojump_clock):
    @app.rooms("clock/{every:int}").task
    async def run(room, every):
        number = 0
        while True:
            await trio.sleep(every)
            number += 1
            await room.send(number, path="tick")

    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.join("clock/10")
        assert [(await ada.receive(timeout=11)).data for _ in range(2)] == [1, 2]
        await bob.join("clock/10")
        assert (await bob.receive(timeout=11)).data == 3


# Tasks that are spawned


async def test_what_a_room_spawns_ends_with_its_last_member(app, autojump_clock, caplog):
    log = []
    told = []
    game = app.rooms("game/{name}")

    async def beside(what):
        log.append(f"{what} begins")
        if what == "bad":
            raise ValueError("a bug beside")
        try:
            await trio.sleep_forever()
        finally:
            log.append(f"{what} ends")

    @game.socket("begin")
    async def begin(socket, data, room):
        room.spawn(beside, data)

    @game.on_error
    async def on_error(room, error):
        told.append(room.name)

    async with TestClient(app) as client, client.socket() as ada, client.socket() as bob:
        await ada.join("game/1")
        await bob.join("game/1")
        await ada.call("begin", "one", room="game/1")
        await ada.call("begin", "bad", room="game/1")
        await ada.close()
        await settled()
        assert log == ["one begins", "bad begins"]
        assert told == ["game/1"]
        assert "a task of the room 'game/1' raised" in caplog.text
        await bob.leave("game/1")
        await settled()
        assert log[2:] == ["one ends"]
        with pytest.raises(RuntimeError, match="nobody is in the room 'game/1'"):
            app.room("game/1").spawn(beside, "two")


async def test_what_a_client_spawns_ends_with_it(app, autojump_clock, caplog):
    log, met, told = [], [], []

    async def beside(socket, what):
        log.append(f"{what} begins")
        if what == "bad":
            raise ValueError("a bug beside")
        try:
            await trio.sleep_forever()
        finally:
            log.append(f"{what} ends")

    @app.on_connect
    async def greet(socket):
        met.append(socket)
        socket.spawn(beside, socket, "one")
        socket.spawn(beside, socket, "bad")

    @app.on_error
    async def on_error(socket, error):
        told.append((socket, str(error)))

    async with TestClient(app) as client, client.socket():
        async with client.socket() as socket:
            await settled()
            assert sorted(log) == ["bad begins"] * 2 + ["one begins"] * 2
            assert told == [(one, "a bug beside") for one in met]
            assert f"a task of {met[1]!r} raised" in caplog.text
            await trio.aclose_forcefully(socket.stream)
        await settled()
        assert log[4:] == ["one ends"]
        with pytest.raises(ClientGone, match="has left, so no task"):
            met[1].spawn(beside, met[1], "two")


async def test_what_was_spawned_in_a_thread_is_run_there(app):
    done = trio.Event()

    def blocking(number):
        trio.from_thread.run_sync(done.set)

    @app.socket("begin")
    async def begin(socket, data):
        socket.spawn(blocking, data)

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("begin", 5)
        with trio.fail_after(5):
            await done.wait()


# Presence


@pytest.fixture
def present(app):
    app.rooms("chat/{name}", presence=True)
    app.rooms("big/{name}", presence="count")
    app.rooms("hasty/{name}", presence=True, grace=0)

    @app.authorize
    async def authorize(request):
        user = request.query.get("user")
        return Identity(user, meta={"name": user.title()}) if user else None

    return app


async def test_a_joiner_gets_the_list_and_members_hear_of_it(present, autojump_clock):
    async with TestClient(present) as client, client.socket("/ws?user=ada") as ada:
        joined = await ada.join("chat/a")
        assert [(one["user"], one["devices"]) for one in joined.presence] == [("ada", 1)]
        await trio.sleep(1)
        told = await ada.receive()  # of itself
        assert [one["user"] for one in told.data["joins"]] == ["ada"]
        async with client.socket("/ws?user=bob") as bob:
            joined = await bob.join("chat/a")
            assert [one["user"] for one in joined.presence] == ["ada", "bob"]
            assert joined.presence[1]["meta"] == {"name": "Bob"}
            assert joined.count == 2
            told = await ada.receive()
            assert (told.path, told.room, told.seq) == ("finch.presence", "chat/a", None)
            assert [one["user"] for one in told.data["joins"]] == ["bob"]
            assert told.data["leaves"] == []
            assert told.data["count"] == 2
            assert [one.user for one in present.room("chat/a").presence] == ["ada", "bob"]
        await quiet(ada, 2.9)  # the grace
        assert len(present.room("chat/a").presence) == 2
        told = await ada.receive()
        assert [one["user"] for one in told.data["leaves"]] == ["bob"]
        assert (told.data["joins"], told.data["count"]) == ([], 1)


async def test_two_tabs_are_one_user_and_a_reload_is_nothing(present, autojump_clock):
    async with TestClient(present) as client, client.socket("/ws?user=ada") as ada:
        await ada.join("chat/a")
        await ada.receive()
        async with client.socket("/ws?user=bob") as tab:
            await tab.join("chat/a")
            assert (await ada.receive()).data["count"] == 2
            async with client.socket("/ws?user=bob") as other:
                joined = await other.join("chat/a")
                assert [one["devices"] for one in joined.presence] == [1, 2]
                await quiet(ada, 10)
            await quiet(ada, 10)
        await quiet(ada, 2)
        async with client.socket("/ws?user=bob") as again:
            assert (await again.join("chat/a")).count == 2
            await quiet(ada, 10)
            await again.leave("chat/a")
            told = await ada.receive(timeout=3.5)
            assert [one["user"] for one in told.data["leaves"]] == ["bob"]


async def test_a_herd_is_one_message(present, autojump_clock):
    async with TestClient(present) as client, client.socket() as ada:
        await ada.join("chat/a")
        await ada.receive()
        async with trio.open_nursery() as nursery:

            async def come(number, task_status):
                async with client.socket(f"/ws?user={number}") as socket:
                    await socket.join("chat/a")
                    task_status.started()
                    await trio.sleep(1)

            for number in range(40):
                await nursery.start(come, number)
            told = await ada.receive()
            assert len(told.data["joins"]) == 40
            assert told.data["count"] == 41
        told = await ada.receive(timeout=10)
        assert len(told.data["leaves"]) == 40
        await quiet(ada, 10)


async def test_clients_without_a_user_are_told_apart(present, autojump_clock):
    async with TestClient(present) as client, client.socket() as one, client.socket() as two:
        await one.join("chat/a")
        joined = await two.join("chat/a")
        assert [who.get("user") for who in joined.presence] == [None, None]
        assert len({who["client"] for who in joined.presence}) == 2


async def test_counts_only(present, autojump_clock):
    async with TestClient(present) as client, client.socket("/ws?user=ada") as ada:
        joined = await ada.join("big/a")
        assert (joined.count, joined.presence) == (1, None)
        assert (await ada.receive()).data == {"count": 1}
        async with client.socket() as other:
            assert (await other.join("big/a")).count == 2
            told = await ada.receive()
            assert (told.path, told.data) == ("finch.presence", {"count": 2})
        assert (await ada.receive()).data == {"count": 1}


async def test_without_a_grace_a_leave_is_told_at_once(present, autojump_clock):
    async with TestClient(present) as client, client.socket() as ada:
        await ada.join("hasty/a")
        await ada.receive()
        async with client.socket() as other:
            await other.join("hasty/a")
            await ada.receive()
        assert (await ada.receive(timeout=0.2)).data["count"] == 1


async def test_nothing_is_kept_for_a_room_when_the_last_grace_is_over(present, autojump_clock):
    async with TestClient(present) as client:
        async with client.socket("/ws?user=ada") as ada:
            await ada.join("chat/a")
        await settled()
        assert [one.devices for one in present.room("chat/a").presence] == [0]
        assert present.room("chat/a").count == 0
        await trio.sleep(4)
        assert present.room("chat/a").presence == []
        assert not len(present.socket_manager.halls)


async def test_a_server_ends_with_somebody_in_a_grace(present, autojump_clock):
    for _ in range(2):
        async with TestClient(present) as client:
            async with client.socket("/ws?user=ada") as ada:
                joined = await ada.join("chat/a")
                assert joined.count == 1
            await settled()
    assert not len(present.socket_manager.halls)


async def test_a_slow_member_gets_the_whole_list_when_it_has_caught_up(present, autojump_clock):
    """A change replaces one that still waits; so what it gets at last is everything."""
    async with TestClient(present) as client, client.socket("/ws?user=slow") as slow:
        await slow.join("chat/a")
        await trio.sleep(1)  # the ping behind the first change is unanswered
        for number in range(3):
            async with client.socket(f"/ws?user={number}") as socket:
                await socket.join("chat/a")
                await trio.sleep(1)
        assert (await slow.receive()).data["count"] == 1
        told = await slow.receive()
        assert told.path == "finch.presence"
        assert [one["user"] for one in told.data["presence"]] == ["slow", "0", "1", "2"]
        assert told.data["count"] == 4
