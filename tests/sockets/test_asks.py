"""Calls of the server to its clients: answers that come, that fail, and that nobody waits for."""

from contextlib import AsyncExitStack

import msgspec
import pytest
import trio
import trio.testing

from finch import CallFailed, ClientGone, FinchApp, HTTPError, Limits
from finch.sockets.asks import Asks
from finch.testing import Refused, TestClient
from finch.wire.message import Reply


def test_an_answer_goes_to_its_call_and_to_no_other():
    asks, heard = Asks(), []
    first = asks.begin(lambda reply: heard.append(("first", reply)))
    second = asks.begin(lambda reply: heard.append(("second", reply)))
    assert first != second
    reply = Reply(second, data=msgspec.Raw(b"1"))
    assert asks.answer(reply)
    assert not asks.answer(reply)  # twice
    assert not asks.answer(Reply("s99"))
    assert heard == [("second", reply)]
    asks.end(first)
    asks.end(first)
    assert not asks.answer(Reply(first))
    assert (len(asks), list(asks)) == (0, [])


def test_who_leaves_answers_nothing():
    asks, heard = Asks(), []
    asks.begin(heard.append)
    asks.begin(heard.append)
    asks.give_up()
    assert heard == [None, None]
    assert not asks


async def settled():
    await trio.testing.wait_all_tasks_blocked()


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(inbox=4))
    app.state["handled"] = handled = []

    @app.socket("ask")
    async def ask(socket, data):
        try:
            return await socket.call(data, path="confirm", as_type=bool)
        except CallFailed as failed:
            return [failed.status, failed.data]

    @app.socket("wait")
    async def wait(socket, data):
        with trio.move_on_after(data):
            return await socket.call("?", path="confirm")
        return "nothing came"

    @app.socket("note")
    async def note(socket, data):
        handled.append(data)

    @app.rooms("poll/{name}").socket("vote")
    async def vote(socket, data, room):
        votes = []
        with trio.move_on_after(10):
            async for client, answer in room.call(data, path="vote", as_type=bool):
                votes.append([client.user_id, answer])
        return sorted(votes)

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    @app.on_connect
    async def greet(socket):
        app.state["socket"] = socket

    return app


async def test_a_handler_asks_its_own_client_and_gets_the_answer(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("ask", "sure?", id=1)
        call = await socket.receive()
        assert (call.path, call.data, call.status, call.reply) == ("confirm", "sure?", 200, None)
        assert isinstance(call.id, str)
        await socket.send("confirm", True, reply=call.id)
        answer = await socket.receive()
        assert (answer.data, answer.reply) == (True, 1)
        assert app.socket_manager.dropped_answers == 0


async def test_an_answer_overtakes_a_full_inbox(app):
    """The other messages wait, in their order; the answer is behind all of them."""
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("ask", "sure?", id=1)
        call = await socket.receive()
        for number in range(50):
            await socket.send("note", number)
        await settled()
        assert app.state["handled"] == []
        await socket.send("confirm", True, reply=call.id)
        assert (await socket.receive()).data is True
        await socket.call("wait", 0)
        assert app.state["handled"] == list(range(50))


async def test_an_inbox_that_was_full_before_does_not_hold_up_an_answer(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("ask", "sure?", id=1)
        for number in range(20):
            await socket.send("note", number)
        call = await socket.receive()
        await settled()
        await socket.send("confirm", False, reply=call.id)
        assert (await socket.receive()).data is False


@pytest.mark.parametrize(
    ("fields", "failed"),
    [
        ({"data": {"message": "no"}, "status": 409}, [409, {"message": "no"}]),
        ({"data": None, "status": 500}, [500, None]),
        ({"data": "text"}, [422, None]),
        ({}, [422, None]),
    ],
)
async def test_an_answer_that_is_an_error_is_a_failed_call(app, fields, failed):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("ask", "sure?", id=1)
        call = await socket.receive()
        await socket.send("confirm", **{"data": msgspec.UNSET, **fields}, reply=call.id)
        status, data = (await socket.receive()).data
        assert status == failed[0]
        assert status == 422 or data == failed[1]


async def test_who_leaves_ends_the_calls_to_it(app, autojump_clock):
    ended = []

    async def ask(socket):
        with pytest.raises(ClientGone, match="has left before it answered"):
            await socket.call("?")
        ended.append(socket)

    async with TestClient(app) as client, client.socket() as socket:
        await settled()
        at_the_server = app.state["socket"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, at_the_server)
            nursery.start_soon(ask, at_the_server)
            await socket.receive()
            await trio.aclose_forcefully(socket.stream)
        assert ended == [at_the_server] * 2
        with pytest.raises(ClientGone, match="has left"):
            await at_the_server.call("?")


async def test_a_call_ends_with_the_scope_of_its_caller(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("wait", 5, id=1)
        call = await socket.receive()
        assert (await socket.receive(timeout=6)).data == "nothing came"
        await socket.send("confirm", "too late", reply=call.id)
        assert await socket.call("wait", 0) == "nothing came"
        assert app.socket_manager.dropped_answers == 1


async def test_an_answer_to_nothing_twice_or_from_another_is_dropped_and_counted(
    app, autojump_clock
):
    @app.socket("confirm")
    async def confirm(socket, data):
        raise AssertionError("an answer is no message")

    async with TestClient(app) as client, client.socket() as ada, client.socket() as eve:
        await eve.send("confirm", True, reply="s1")
        await ada.send("ask", "sure?", id=1)
        call = await ada.receive()
        await eve.send("confirm", False, reply=call.id)
        await eve.send("ask", "sure?", id=1)
        await eve.receive()
        await eve.send("confirm", False, reply="s77")
        await settled()
        await ada.send("confirm", True, reply=call.id)
        await ada.send("confirm", False, reply=call.id)
        assert (await ada.receive()).data is True
        await eve.send("confirm", True, reply="s1")  # its own
        assert (await eve.receive()).data is True
        await settled()
        assert app.socket_manager.dropped_answers == 4


async def test_the_data_of_a_call_is_checked_before_it_is_sent(app, autojump_clock):
    async with TestClient(app) as client, client.socket():
        await settled()
        socket = app.state["socket"]
        with pytest.raises(TypeError, match="cannot be sent"):
            await socket.call(object())
        with pytest.raises(TypeError, match="path of a message is text"):
            await socket.call(1, path=5)
        assert not socket._asks


# Rooms and users


async def test_a_room_is_asked_and_answers_as_it_comes(app, autojump_clock):
    def refuse(question):
        raise HTTPError(409, "no")

    async with (
        TestClient(app) as client,
        AsyncExitStack() as opened,
        trio.open_nursery() as nursery,
    ):
        for user, answer in [("a", True), ("b", False), ("c", refuse), ("d", 5), ("e", None)]:
            socket = await opened.enter_async_context(client.socket(f"/ws?user={user}"))
            await socket.join("poll/1")
            if answer is not None:  # the last one says nothing
                socket.answer("vote", answer)
                nursery.start_soon(listen, socket)
        async with client.socket("/ws?user=z") as caller:
            await caller.join("poll/1")
            caller.answer("vote", True)
            votes = await caller.call("vote", "shall we?", room="poll/1", timeout=20)
        assert votes == [["a", True], ["b", False], ["z", True]]
        nursery.cancel_scope.cancel()


async def listen(socket):
    while True:
        await socket.receive(timeout=1000)


async def test_an_empty_room_has_no_answers(app, autojump_clock):
    async with TestClient(app):
        assert [answer async for answer in app.room("poll/1").call("?")] == []


async def test_who_stops_asking_a_user_leaves_nothing_behind(app, autojump_clock):
    async with TestClient(app) as client, client.socket("/ws?user=ada") as socket:
        await settled()
        with trio.move_on_after(5):
            async for _ in app.user("ada").call("?"):
                pytest.fail("an answer came")
        await settled()
        assert not app.state["socket"]._asks
        socket.answer("?", 1)
        with pytest.raises(Refused) as refused:
            await socket.call("nothing")
        assert refused.value.status == 404


async def test_a_loop_over_answers_that_is_left_early_waits_for_nobody(autojump_clock):
    app = FinchApp()
    heard = []

    @app.socket("vote")
    async def vote(socket, data):
        async for _, answer in app.everyone.call("yes?", path="yes", as_type=bool):
            heard.append(answer)
            break
        return "enough"

    async with TestClient(app) as client, client.socket() as one, client.socket() as other:
        await one.send("vote", id=1)
        asked = await other.receive()
        await other.send("yes", True, reply=asked.id)
        while (message := await one.receive()).path != "vote":
            pass
        assert (message.data, heard) == ("enough", [True])
        await trio.testing.wait_all_tasks_blocked()
        assert not any(socket._asks for socket in app.everyone)
