"""A message with ``once`` is handled once, however often it comes."""

import pytest
import trio
import trio.testing

from finch import FinchApp, HTTPError, Identity
from finch.testing import TestClient

SESSION = "k3Jd_9xAq2Lw71Zz"


@pytest.fixture
def app():
    app = FinchApp()
    app.state["log"] = log = []
    app.state["go"] = trio.Event()

    @app.socket("count")
    async def count(socket, data):
        log.append(data)
        return len(log)

    @app.socket("slow")
    async def slow(socket, data):
        log.append("begins")
        await app.state["go"].wait()
        log.append("ends")
        await socket.send("also", path="extra")
        return data

    app.socket("beside", concurrent=True)(slow)

    @app.socket("refuse")
    async def refuse(socket, data):
        log.append("refuses")
        raise HTTPError(409, "no")

    @app.socket("fail")
    async def fail(socket, data):
        log.append("fails")
        raise ValueError("secret")

    @app.socket("ticks")
    async def ticks(socket, data):
        log.append("ticks")
        yield 1

    @app.socket("nothing")
    def nothing(socket, data):
        log.append("in a thread")

    rooms = app.rooms("room/{name}")

    @rooms.socket("count")
    async def count_in_room(socket, data, room, name):
        log.append(name)
        return len(log)

    return app


async def say(socket, path, number, data=None, id="?", **more):
    await socket.send(path, data, id=id, once=f"{SESSION}:{number}", **more)


async def ask(socket, path, number, data=None, id="?", **more):
    await say(socket, path, number, data, id, **more)
    message = await socket.receive()
    assert message.reply == id
    return message


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def test_it_runs_once_and_the_answer_is_sent_again(app):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            first = await ask(socket, "count", 1, "a", id=1)
            again = await ask(socket, "count", 1, "a", id=2)
            assert first.data == again.data == 1
            assert first.timestamp == again.timestamp
        async with client.socket() as socket:
            assert (await ask(socket, "count", 1, "a", id=1)).data == 1
            assert (await ask(socket, "count", 2, "b")).data == 2
    assert app.state["log"] == ["a", "b"]


async def test_a_handler_goes_on_when_its_client_has_gone(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await say(socket, "slow", 1, "x")
            await settled()
        await trio.sleep(30)
        async with client.socket() as socket:
            await say(socket, "slow", 1, "x", id="later")
            await settled()
            assert app.state["log"] == ["begins"]
            app.state["go"].set()
            answer = await socket.receive()
            assert (answer.data, answer.reply) == ("x", "later")
    assert app.state["log"] == ["begins", "ends"]


async def test_a_cut_connection_does_not_end_it_either(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await say(socket, "beside", 1, "x")
            await settled()
            await socket.stream.aclose()
            await trio.sleep(10)
        app.state["go"].set()
        await settled()
        async with client.socket() as socket:
            assert (await ask(socket, "beside", 1)).data == "x"
    assert app.state["log"] == ["begins", "ends"]


async def test_two_connections_wait_for_the_same_answer(app):
    async with TestClient(app) as client, client.socket() as a, client.socket() as b:
        await say(a, "slow", 1, "x", id="a")
        await settled()
        await say(b, "slow", 1, "x", id="b")
        await settled()
        app.state["go"].set()
        assert (await a.receive()).data == "also"
        assert (await a.receive()).reply == "a"
        assert (await b.receive()).reply == "b"
    assert app.state["log"] == ["begins", "ends"]


async def test_who_does_not_come_back_in_a_minute_is_given_up(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await say(socket, "slow", 1)
            await settled()
        await trio.sleep(70)
        app.state["go"].set()
        async with client.socket() as socket:
            answer = await ask(socket, "slow", 1)
            assert (answer.path, answer.status) == ("error", 410)
    assert app.state["log"] == ["begins"]


async def test_a_client_cancels_it(app):
    async with TestClient(app) as client, client.socket() as socket:
        await say(socket, "slow", 1, id=1)
        await settled()
        await socket.send("finch.cancel", id=1)
        answer = await socket.receive()
        assert (answer.status, answer.reply) == (499, 1)
        assert (await ask(socket, "slow", 1, id=2)).status == 410
        assert (await ask(socket, "count", 2)).data == 2
    assert app.state["log"] == ["begins", None]


async def test_errors_are_answers(app):
    async with TestClient(app) as client, client.socket() as socket:
        for _ in range(2):
            answer = await ask(socket, "refuse", 1)
            assert (answer.path, answer.status) == ("error", 409)
            assert answer.data == {"message": "no", "path": "refuse"}
        for _ in range(2):
            assert (await ask(socket, "fail", 2)).status == 500
    assert app.state["log"] == ["refuses", "fails"]


async def test_a_handler_that_leaves_a_nursery_open_has_answered(app, caplog):
    @app.socket("leave open")
    async def leave_open(socket, data):
        await trio.open_nursery().__aenter__()
        return "here"

    async with TestClient(app) as client, client.socket() as socket:
        assert (await ask(socket, "leave open", 1)).data == "here"
        assert (await ask(socket, "leave open", 1)).data == "here"
        assert (await ask(socket, "count", 2)).data == 1
    assert "left a nursery open" in caplog.text


async def test_a_streamed_answer_cannot_be_repeated(app):
    async with TestClient(app) as client, client.socket() as socket:
        assert (await ask(socket, "ticks", 1)).status == 400
    assert app.state["log"] == []


async def test_without_an_id_it_is_only_not_handled_twice(app):
    async with TestClient(app) as client, client.socket() as socket:
        for _ in range(2):
            await socket.send("nothing", None, once=f"{SESSION}:1")
        assert (await ask(socket, "nothing", 2)).data is None
    assert app.state["log"] == ["in a thread"] * 2


async def test_in_a_room(app):
    async with TestClient(app) as client:
        for _ in range(2):
            async with client.socket() as socket:
                assert (await ask(socket, "count", 1, room="room/a")).status == 403
                await socket.join("room/a")
                assert (await ask(socket, "count", 1, room="room/a")).data == 1
    assert app.state["log"] == ["a"]


async def test_another_user_with_the_same_session_is_somebody_else(app):
    @app.authorize
    async def authorize(request):
        return Identity(request.query["user"])

    async with TestClient(app) as client:
        for number, user in enumerate(["ann", "bob", "ann"]):
            async with client.socket(f"/ws?user={user}") as socket:
                assert (await ask(socket, "count", 1)).data == [1, 2, 1][number]


@pytest.mark.parametrize("once", ["x", 7, "k3Jd_9xAq2Lw71Zz:0", ["a"]])
async def test_a_malformed_key_is_400(app, once):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("count", id=1, once=once)
        assert (await socket.receive()).status == 400
    assert app.state["log"] == []


async def test_a_connection_has_one_session(app):
    async with TestClient(app) as client, client.socket() as socket:
        assert (await ask(socket, "count", 1)).data == 1
        await socket.send("count", id=1, once=f"{SESSION[::-1]}:1")
        assert (await socket.receive()).status == 400
    assert app.state["log"] == [None]


async def test_too_many_at_once_are_429(app, autojump_clock):
    async with TestClient(app) as client:
        for batch in range(8):  # a connection whose inbox is full is not read
            async with client.socket() as socket:
                for number in range(8 * batch, 8 * (batch + 1)):
                    await say(socket, "beside", number + 1)
                await settled()
        async with client.socket() as socket:
            assert (await ask(socket, "beside", 65)).status == 429
            assert (await ask(socket, "beside", 66)).status == 429
        app.state["go"].set()
        await settled()
        async with client.socket() as socket:
            assert (await ask(socket, "count", 67)).status == 200


async def test_handlers_without_a_client_are_bounded(app, monkeypatch, autojump_clock):
    monkeypatch.setattr("finch.sockets.repeating.ALONE", 2)
    async with TestClient(app) as client:
        for number in (1, 2, 3):
            async with client.socket() as socket:
                await say(socket, "slow", number)
                await settled()
        await settled()
        app.state["go"].set()
        await settled()
        async with client.socket() as socket:
            assert (await ask(socket, "slow", 1)).status == 410  # the one that was alone longest
            assert (await ask(socket, "slow", 2, id=2)).reply == 2
            assert (await ask(socket, "slow", 3, id=3)).reply == 3


async def test_one_that_does_not_end_does_not_save_the_others(app, monkeypatch, autojump_clock):
    monkeypatch.setattr("finch.sockets.repeating.ALONE", 1)

    @app.socket("shielded")
    async def shielded(socket, data):
        with trio.CancelScope(shield=True):
            await app.state["go"].wait()

    async with TestClient(app) as client:
        for number, path in enumerate(("shielded", "slow", "slow"), 1):
            async with client.socket() as socket:
                await say(socket, path, number)
                await settled()
        await settled()
        assert len(app.socket_manager.repeats.alone) == 1
        app.state["go"].set()
        await settled()
        async with client.socket() as socket:
            assert (await ask(socket, "slow", 2)).status == 410
            assert (await ask(socket, "slow", 3, id=3)).reply == 3


async def test_an_answer_too_large_to_be_kept_is_sent_once(app):
    @app.socket("large")
    async def large(socket, data):
        return "x" * 300_000

    async with TestClient(app) as client, client.socket() as socket:
        assert len((await ask(socket, "large", 1)).data) == 300_000
        assert (await ask(socket, "large", 1)).status == 410


async def test_nothing_is_left_of_those_who_run(app):
    async with TestClient(app) as client, client.socket() as socket:
        for number in range(1, 4):
            await ask(socket, "count", number)
        repeats = app.socket_manager.repeats
        assert (len(repeats), len(repeats.alone)) == (3, 0)


async def test_a_ping_is_answered_while_a_handler_runs(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("slow", "x", id=1)
        await settled()
        await socket.send("finch.ping", id="alive?")
        answer = await socket.receive()
        assert (answer.path, answer.status, answer.data) == ("finch.ping", 200, None)
        assert answer.reply == "alive?"
        await socket.send("finch.ping")
        app.state["go"].set()
        assert (await socket.receive()).data == "also"
