"""The handle of a client, against a real application in memory."""

import msgspec
import pytest
import trio
import trio.testing

import finch
from finch import FinchApp
from finch.client import (
    CallFailed,
    ConnectionClosed,
    HTTPError,
    State,
    StateChanged,
)
from tests.client.world import until, world

pytestmark = pytest.mark.usefixtures("reader")


class Point(msgspec.Struct):
    x: int


def new_app():
    app = FinchApp()
    app.gone = trio.Event()
    app.heard = []

    @app.on_connect
    async def greet(socket):
        await socket.send("welcome", path="greeting")

    @app.socket("sum")
    async def add(socket, data: list[int]):
        return sum(data)

    @app.socket("hear")
    async def hear(socket, data):
        app.heard.append(data)

    @app.socket("many")
    async def many(socket, data):
        for number in range(data):
            await socket.send(number, path="number")

    @app.socket("count")
    async def count(socket, data):
        for number in range(data):
            yield number

    @app.socket("endless")
    async def endless(socket, data):
        try:
            await trio.sleep_forever()
        finally:
            app.gone.set()

    @app.socket("ask")
    async def ask(socket, data):
        try:
            return {"answer": await socket.call(data, path="confirm")}
        except finch.CallFailed as failed:
            return {"status": failed.status, "data": failed.data}

    @app.socket("close")
    async def close(socket, data):
        await socket.close(data, "the end")

    return app


async def test_a_call_gives_the_data_of_its_answer(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        assert client.state == "open"
        assert repr(client) == "<Finch open>"
        assert await client.call("sum", [1, 2]) == 3
        assert await client.call("sum", [1, 2], as_type=float) == 3.0
        assert await client.call("count", 3) == [0, 1, 2]
        assert await client.call("count", 0) is None
        assert await client.call("hear") is None
    assert client.state is State.CLOSED


async def test_an_error_raises_with_its_status(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        with pytest.raises(CallFailed, match=r"status 404: .*nowhere") as failed:
            await client.call("nowhere")
        assert failed.value.status == 404
        with pytest.raises(CallFailed, match="Expected `array`"):
            await client.call("sum", 5)
        with pytest.raises(CallFailed, match="the answer does not fit") as failed:
            await client.call("sum", [1], as_type=Point)
        assert failed.value.status == 422
        with pytest.raises(CallFailed, match="does not fit"):
            await client.call("count", 2, as_type=str)


async def test_mistakes_raise_before_anything_is_sent(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        for mistake in (
            lambda: client.send(5),
            lambda: client.call(None),
            lambda: client.call("hear", as_type=5),
            lambda: client.send("hear", object()),
            lambda: client.call("hear", {"a": object()}),
        ):
            with pytest.raises(TypeError):
                await mistake()
        with pytest.raises(TypeError, match="path"):
            client.stream(5)
        with pytest.raises(TypeError, match="answer takes a function"):
            client.answer("confirm", 5)
        assert await client.call("sum", []) == 0
    assert app.heard == []


async def test_a_cancelled_call_ends_its_handler(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        with trio.move_on_after(1) as scope:
            await client.call("endless")
        assert scope.cancelled_caught
        await app.gone.wait()
        assert await client.call("sum", [1]) == 1


async def test_messages_come_in_order_also_those_from_before(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        numbers = client.messages("number")
        await client.call("many", 3)
        greetings = client.messages("greeting")
        [welcome] = [await anext(greetings)]
        assert (welcome.path, welcome.data, welcome.room) == ("greeting", "welcome", None)
        assert welcome.timestamp > 1_600_000_000_000
        assert [(await anext(numbers)).data for _ in range(3)] == [0, 1, 2]
    with trio.fail_after(10):
        assert [one async for one in numbers] == []


async def test_what_the_block_registers_at_its_beginning_is_registered_in_time(autojump_clock):
    app = FinchApp()
    answers = []

    @app.on_connect
    async def on_connect(socket):
        await socket.send("welcome", path="greeting")
        socket.spawn(ask, socket)

    async def ask(socket):
        answers.append(await socket.call("who are you?", path="who"))

    for _ in range(20):  # trio runs tasks in any order
        async with world(app) as there, there.connect() as client:
            greetings = client.messages("greeting", "other")

            @client.answer("who")
            async def who(question):
                return "a test"

            assert (await anext(greetings)).data == "welcome"
            await client.send("nothing")
            await trio.sleep(1)
    assert answers == ["a test"] * 20


async def test_what_was_sent_before_the_end_of_the_block_arrives(autojump_clock):
    app = new_app()
    async with world(app) as there:
        async with there.connect() as client:
            for number in range(100):
                assert await client.send("hear", number)
        await trio.testing.wait_all_tasks_blocked()
        assert app.heard == list(range(100))
        assert app.everyone.count == 0


async def test_the_end_of_the_block_does_not_wait_for_who_reads_nothing(autojump_clock):
    async with world(new_app()) as there:
        async with there.connect(buffer=4) as client:
            numbers = client.messages("number")
            await client.send("many", 100_000)
            await trio.sleep(1)
            began = trio.current_time()
        assert trio.current_time() == pytest.approx(began, abs=0.5)  # the server's Close came
        del numbers


async def test_the_server_is_answered(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        failed = await client.call("ask", "sure?")
        assert failed["status"] == 404

        @client.answer("confirm")
        async def confirm(question):
            if question == "teapot":
                raise HTTPError(418, "I am a teapot")
            if question == "bug":
                raise ValueError
            if question == "object":
                return object()
            return await client.call("sum", [question])

        assert confirm is not None
        client.answer("other", lambda data: data)
        failed = await client.call("ask", "teapot")
        assert failed == {"status": 418, "data": {"message": "I am a teapot"}}
        assert (await client.call("ask", "bug"))["status"] == 500
        assert (await client.call("ask", "object"))["status"] == 500


async def test_an_exception_of_the_block_comes_out_as_it_is(autojump_clock):
    async with world(new_app()) as there:
        with pytest.raises(KeyError):
            async with there.connect():
                raise KeyError
        with trio.move_on_after(1) as scope:
            async with there.connect():
                await trio.sleep_forever()
        assert scope.cancelled_caught


@pytest.mark.parametrize("code", [1000, 1008, 4500])
async def test_a_server_that_closes_for_good_ends_everything(code, autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        events, messages = client.events(), client.messages("number")
        with pytest.raises(ConnectionClosed) as closed:
            await client.call("close", code)
        assert (closed.value.code, closed.value.reason) == (code, "the end")
        assert client.state == "closed"
        assert await anext(events) == StateChanged(State.CLOSED, code, "the end")
        assert [event async for event in events] == []
        assert [event async for event in client.events()] == []
        for late in (client.send, client.call):
            with pytest.raises(ConnectionClosed):
                await late("hear")
        with pytest.raises(ConnectionClosed):
            await client.join("lobby").__aenter__()
        if code == 1000:
            assert [message async for message in messages] == []
        else:
            with pytest.raises(ConnectionClosed):
                await anext(messages)
        assert len(there.wires) == 1


async def test_an_error_that_answers_nothing_is_a_message_or_a_line_in_the_log(
    autojump_clock, caplog
):
    async with world(new_app()) as there, there.connect() as client:
        await client.send("nowhere")
        await client.call("sum", [])
        assert "nothing handles the path 'nowhere'" in caplog.text
        caplog.clear()
        errors = client.messages("error")
        await client.send("elsewhere")
        assert (await anext(errors)).status == 404
        assert not caplog.text


async def test_an_identity_is_renewed(autojump_clock):
    app = new_app()

    @app.authorize
    async def authorize(request):
        return "ann"

    @app.renew
    async def renew(socket, data):
        return finch.Identity(data, expires_at=4102444800.0)

    async with world(app) as there, there.connect() as client:
        assert await client.auth("ann") == {"expires_at": 4102444800.0}
        events = client.events()
        with pytest.raises(CallFailed, match="status 403"):
            await client.auth("bob")
        assert (await until(events, "closed")).code == 4500


async def test_a_token_is_sent_in_the_query(autojump_clock):
    app = new_app()

    @app.socket("token")
    async def token(socket, data):
        return socket.request.query.get("token")

    async with world(app) as there:
        for given in ("a b&c", None):

            async def ask(given=given):
                await trio.sleep(1)
                return given

            async with there.connect(token=ask) as client:
                assert await client.call("token") == given


async def test_a_token_function_may_block():
    app = new_app()

    @app.socket("token")
    async def token(socket, data):
        return socket.request.query.get("token")

    async with world(app) as there, there.connect(token=lambda: "secret") as client:
        assert await client.call("token") == "secret"


async def test_compression_is_offered_if_it_is_wanted(autojump_clock):
    app = FinchApp(compression=True)

    @app.socket("echo")
    async def echo(socket, data):
        return data, socket.request.headers.get("sec-websocket-extensions")

    async with world(app) as there:
        async with there.connect(compression=True) as client:
            data, offered = await client.call("echo", "x" * 100_000)
            assert len(data) == 100_000
            assert "permessage-deflate" in offered
        async with there.connect(headers={"X-Name": "Ann"}) as client:
            assert await client.call("echo", 1) == [1, None]
