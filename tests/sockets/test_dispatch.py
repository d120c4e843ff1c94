"""What a handler gets, what its answer becomes, and what happens to bad input."""

import threading
from dataclasses import dataclass
from typing import TypedDict

import msgspec
import pytest
import trio

from finch import ConfigurationError, FinchApp, HTTPError, Message, SocketEvent, SocketManager
from finch.testing import TestClient


class Move(msgspec.Struct):
    x: int
    y: int


@dataclass
class Jump:
    height: int


class Named(TypedDict):
    name: str


async def ask(app, path, data=None, **fields):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send(path, data, **fields)
        return await socket.receive()


@pytest.mark.parametrize(
    ("kind", "sent", "got"),
    [
        (Move, {"x": 1, "y": 2}, "Move(x=1, y=2)"),
        (Jump, {"height": 3}, "Jump(height=3)"),
        (Named, {"name": "ann"}, "{'name': 'ann'}"),
        (list[int], [1, 2], "[1, 2]"),
        (int | None, None, "None"),
    ],
)
async def test_data_is_converted_to_the_annotation(kind, sent, got):
    app = FinchApp()

    async def handler(socket, data):
        return repr(data)

    handler.__annotations__["data"] = kind
    app.socket("it")(handler)
    assert (await ask(app, "it", sent)).data == got


async def test_without_annotation_data_is_parsed_json_and_none_where_absent():
    app = FinchApp()

    @app.socket("it")
    async def handler(socket, data):
        return [data]

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("it", {"a": [1.5, None]})
        assert (await socket.receive()).data == [{"a": [1.5, None]}]
        await socket.send("it")
        assert (await socket.receive()).data == [None]


async def test_what_does_not_fit_is_422_names_the_field_and_the_handler_does_not_run():
    app = FinchApp()
    ran = []

    @app.socket("move")
    async def move(socket, data: Move):
        ran.append(data)

    answer = await ask(app, "move", {"x": 1, "y": "far"}, id="q")
    assert (answer.path, answer.status, answer.reply) == ("error", 422, "q")
    assert "$.y" in answer.data["message"]
    assert answer.data["path"] == "move"
    assert ran == []


async def test_a_message_annotation_gives_the_whole_message():
    app = FinchApp()

    @app.socket("it")
    async def handler(socket, message: Message):
        return [message.path, message.data, message.id, message["extra"], message.get("no", 0)]

    answer = await ask(app, "it", 5, id=9, extra=[True])
    assert answer.data == ["it", 5, 9, [True], 0]
    assert answer.reply == 9


async def test_none_sends_nothing_but_an_id_still_gets_an_empty_reply():
    app = FinchApp()

    @app.socket("quiet")
    async def quiet(socket, data):
        return None

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("quiet")
        await socket.send("quiet", id=0)
        answer = await socket.receive()
        assert (answer.path, answer.data, answer.reply) == ("quiet", None, 0)


async def test_an_async_generator_streams_one_message_a_yield():
    app = FinchApp()

    @app.socket("count")
    async def count(socket, data: int):
        for number in range(data):
            yield number

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("count", 3, id="c")
        answers = [await socket.receive() for _ in range(3)]
        assert [(answer.data, answer.reply) for answer in answers] == [(0, "c"), (1, "c"), (2, "c")]
        end = await socket.receive()
        assert (end.data, end.reply) == (None, "c")
        await socket.send("count", 0, id="none")
        answer = await socket.receive()
        assert (answer.data, answer.reply) == (None, "none")


async def test_an_async_generator_is_closed_when_the_client_leaves(autojump_clock):
    app = FinchApp()
    closed = trio.Event()

    @app.socket("forever")
    async def forever(socket, data):
        try:
            while True:
                yield "tick"
                await trio.sleep(1)
        finally:
            closed.set()

    async with TestClient(app) as client:
        async with client.socket() as socket:
            await socket.send("forever")
            await socket.receive()
        await closed.wait()


async def test_an_http_error_is_answered_with_its_status():
    app = FinchApp()

    @app.socket("room")
    async def room(socket, data):
        raise HTTPError(404, "no such room")

    answer = await ask(app, "room", "x", id=1)
    assert (answer.path, answer.status, answer.reply) == ("error", 404, 1)
    assert answer.data == {"message": "no such room", "path": "room"}


async def test_any_other_exception_is_500_without_internals_and_the_connection_goes_on(caplog):
    app = FinchApp()
    told = []

    @app.socket("fail")
    async def fail(socket, data):
        raise RuntimeError("secret")

    @app.socket("ok")
    async def ok(socket, data):
        return "ok"

    @app.on_error
    async def on_error(socket, error):
        told.append(str(error))
        raise ValueError("even this one fails")

    async with TestClient(app) as client, client.socket() as socket, client.socket() as other:
        await socket.send("fail", id=3)
        answer = await socket.receive()
        assert (answer.status, answer.reply) == (500, 3)
        assert "secret" not in str(answer.data)
        for either in (socket, other):
            await either.send("ok")
            assert (await either.receive()).data == "ok"
    assert told == ["secret"]
    assert "RuntimeError: secret" in caplog.text


async def test_a_named_events_on_error_goes_before_the_roots():
    told = []

    async def fail(socket, data):
        raise RuntimeError

    async def own(socket, error):
        told.append("own")

    async def root(socket, error):
        told.append("root")

    app = FinchApp()
    SocketManager(
        app,
        event=SocketEvent(on_error=root),
        routes={"fail": SocketEvent(on_message=fail, on_error=own)},
    )
    await ask(app, "fail")
    assert told == ["own"]


async def test_a_value_without_json_form_is_the_handlers_error():
    app = FinchApp()

    @app.socket("odd")
    async def odd(socket, data):
        return object()

    assert (await ask(app, "odd")).status == 500


@pytest.mark.parametrize(
    ("raw", "status", "says"),
    [
        ("{", 400, "not JSON"),
        ("", 400, "not JSON"),
        ("[1]", 400, "not a JSON object"),
        ('"text"', 400, "not a JSON object"),
        ('{"path": 5}', 400, "path is not text"),
        ('{"data": 5}', 400, "no path"),
        ('{"path": "nowhere"}', 404, "'nowhere'"),
        (b'{"path": "it"}', 400, "binary"),
        ("[" * 100_000, 400, "not JSON"),
    ],
)
async def test_bad_input_is_answered(raw, status, says):
    app = FinchApp()

    @app.socket("it")
    async def it(socket, data):
        return "fine"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send_raw(raw)
        answer = await socket.receive()
        assert (answer.path, answer.status) == ("error", status)
        assert says in answer.data["message"]
        await socket.send("it")
        assert (await socket.receive()).data == "fine"


async def test_the_root_on_message_may_ask_for_the_whole_message():
    app = FinchApp()

    @app.on_message
    async def rest(socket, message: Message):
        return {"you sent to": message.path}

    answer = await ask(app, "anything")
    assert (answer.path, answer.data) == ("anything", {"you sent to": "anything"})


async def test_a_def_handler_runs_in_a_thread_and_may_call_back():
    app = FinchApp()
    threads = []

    @app.socket("blocking")
    def blocking(socket, data):
        threads.append(threading.current_thread())
        trio.from_thread.run(socket.send, "from the thread", "progress")
        return data * 2

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("blocking", 21)
        assert (await socket.receive()).path == "progress"
        assert (await socket.receive()).data == 42
    assert threads[0] is not threading.main_thread()


async def test_a_lambda_that_sends_is_a_handler():
    app = FinchApp()
    app.add_socket_route(
        "it", SocketEvent(on_message=lambda socket, data: socket.send("sent", "p"))
    )
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("it")
        assert (await socket.receive()).data == "sent"


async def test_languages_are_matched_and_a_broadcast_is_in_each_ones_own():
    app = FinchApp(languages=("en", "de", "fa"))
    app.on_message(lambda socket, data: None)
    async with (
        TestClient(app) as client,
        client.socket(headers={"accept-language": "de-CH, fa;q=0.5"}) as german,
        client.socket(headers={"cookie": "language=fa", "accept-language": "de"}) as persian,
        client.socket() as other,
    ):
        await app.socket_manager.send_to_all("hello")
        heard = [await socket.receive() for socket in (german, persian, other)]
        assert [message.language for message in heard] == ["de", "fa", "en"]


async def test_sending_from_a_background_task_reaches_everybody():
    app = FinchApp()
    go = trio.Event()

    @app.background_task
    async def ticker():
        await go.wait()
        await app.socket_manager.send_to_all("tick", path="tick")

    app.on_message(lambda socket, data: None)
    async with TestClient(app) as client, client.socket() as socket:
        go.set()
        assert (await socket.receive()).path == "tick"


@pytest.mark.parametrize(
    ("register", "says"),
    [
        (lambda app: app.socket("a")(lambda socket: None), "called with (socket, data)"),
        (lambda app: app.on_connect(lambda: None), "called with (socket)"),
        (lambda app: app.socket("a")("no function"), "not callable"),
        (lambda app: app.add_socket_route("a", lambda s, d: None), "SocketEvent(on_message=...)"),
        (lambda app: app.add_socket_route(5, SocketEvent()), "is text"),
        (
            lambda app: [app.socket("a")(lambda socket, data: None) for _ in range(2)],
            "already has a handler",
        ),
        (
            lambda app: [app.on_connect(lambda socket: None) for _ in range(2)],
            "already has an on_connect",
        ),
        (lambda app: [SocketManager(app), SocketManager(app)], "give this one a path"),
        (
            lambda app: SocketManager(app, path="/a", allowed_origins=["example.org"]),
            "not an origin",
        ),
    ],
)
def test_a_mistake_in_registering_is_told_at_once(register, says):
    with pytest.raises(ConfigurationError) as error:
        register(FinchApp())
    assert says in str(error.value)


async def test_a_client_that_leaves_before_it_answers_is_no_error(autojump_clock, caplog):
    app = FinchApp()
    told = []

    @app.on_error
    async def on_error(socket, error):
        told.append(error)

    @app.socket("ask")
    async def ask(socket, data):
        socket.spawn(socket.call, "and you?")
        await socket.call("are you sure?")

    @app.rooms("chat/{name}").on_join
    async def on_join(socket):
        await socket.call("may I?")

    async with TestClient(app) as client:
        for message in ({"path": "ask"}, {"path": "finch.join", "room": "chat/a"}):
            async with client.socket() as socket:
                await socket.send(**message)
                assert "id" in await socket.receive_raw()
    assert not told
    assert not caplog.records
