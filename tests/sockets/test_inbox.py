"""finch.cancel: a client takes back what it has asked for."""

import pytest
import trio
import trio.testing

from finch import FinchApp
from finch.testing import Refused, TestClient


@pytest.fixture
def app():
    app = FinchApp()
    app.state["log"] = log = []

    async def hang(socket, data):
        log.append(f"{data} begins")
        try:
            await trio.sleep_forever()
        finally:
            log.append(f"{data} ends")

    app.socket("hang")(hang)
    app.socket("beside", concurrent=True)(hang)
    app.rooms("room/{name}").socket("hang")(hang)

    @app.socket("echo")
    async def echo(socket, data):
        log.append(data)
        return data

    @app.socket("ticks")
    async def ticks(socket, data):
        try:
            for number in range(data):
                yield number
                await trio.sleep(1)
        finally:
            log.append("ticks end")

    return app


async def settled():
    await trio.testing.wait_all_tasks_blocked()


async def test_the_running_handler_is_cancelled_and_the_next_message_is_handled(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("hang", "a", id=1)
        await socket.send("echo", "b", id=2)
        await settled()
        assert app.state["log"] == ["a begins"]
        await socket.send("finch.cancel", id=1)
        answer = await socket.receive()
        assert (answer.path, answer.status, answer.reply) == ("error", 499, 1)
        assert (await socket.receive()).data == "b"
        assert app.state["log"] == ["a begins", "a ends", "b"]


async def test_a_message_that_waits_is_never_handled(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("hang", "a", id=1)
        await socket.send("echo", "b", id=2)
        await socket.send("echo", "c", id="three")
        await socket.send("finch.cancel", id=2)
        answer = await socket.receive()
        assert (answer.status, answer.reply) == (499, 2)
        await socket.send("finch.cancel", id=1)
        assert (await socket.receive()).reply == 1
        assert (await socket.receive()).data == "c"
        assert app.state["log"] == ["a begins", "a ends", "c"]


async def test_one_of_several_concurrent_handlers_is_cancelled(app):
    async with TestClient(app) as client, client.socket() as socket:
        for number in range(3):
            await socket.send("beside", number, id=number)
        await settled()
        await socket.send("finch.cancel", id=1)
        answer = await socket.receive()
        assert (answer.status, answer.reply) == (499, 1)
        await settled()
        assert app.state["log"] == ["0 begins", "1 begins", "2 begins", "1 ends"]
        assert await socket.call("echo", "on") == "on"


async def test_a_handler_of_a_room_is_cancelled(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.join("room/1")
        await socket.send("hang", "a", id=1, room="room/1")
        await settled()
        await socket.send("finch.cancel", id=1)
        assert (await socket.receive()).status == 499
        assert app.room("room/1").count == 1


async def test_a_streamed_answer_has_more_until_it_ends(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("ticks", 2, id=5)
        items = [await socket.receive() for _ in range(3)]
        assert [(one.data, one.more, one.reply) for one in items] == [
            (0, True, 5),
            (1, True, 5),
            (None, False, 5),
        ]
        await socket.send("ticks", 1)  # nobody asked for an answer, so nobody waits for the end
        assert (await socket.receive()).more is False
        assert await socket.call("echo", "next") == "next"


async def test_a_streamed_answer_is_cancelled_in_the_middle(app, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        stream = socket.call_stream("ticks", 100)
        assert [await anext(stream), await anext(stream)] == [0, 1]
        await stream.cancel()
        with pytest.raises(Refused) as refused:
            while True:
                await anext(stream)
        assert refused.value.status == 499
        assert app.state["log"] == ["ticks end"]
        assert await socket.call("echo", "next") == "next"


async def test_a_disconnect_cancels_too(app, autojump_clock):
    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send("hang", "a", id=1)
            await settled()
            await trio.aclose_forcefully(socket.stream)
        await trio.sleep(20)
        assert app.state["log"] == ["a begins", "a ends"]


@pytest.mark.parametrize("id", [99, "x", None, [], {"a": 1}])
async def test_to_cancel_what_does_not_run_is_nothing(app, id, autojump_clock):
    async with TestClient(app) as client, client.socket() as socket:
        assert await socket.call("echo", "before") == "before"
        await socket.send("finch.cancel", id=id)
        await socket.send("finch.cancel")
        assert await socket.call("echo", "after") == "after"
        await socket.send("hang", "a", id=7)
        await socket.send("finch.cancel", id=id)
        await socket.send("finch.cancel")
        await settled()
        assert app.state["log"][2:] == ["a begins"]


async def test_a_client_cannot_cancel_what_another_has_asked_for(app):
    async with TestClient(app) as client, client.socket() as ada, client.socket() as eve:
        await ada.send("hang", "a", id=1)
        await settled()
        await eve.send("finch.cancel", id=1)
        await eve.call("echo", "b")
        assert app.state["log"] == ["a begins", "b"]
