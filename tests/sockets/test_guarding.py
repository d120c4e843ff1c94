"""Guards of messages: who may send, who may join, and what stands around a handler."""

import msgspec
import pytest

from finch import ConfigurationError, FinchApp, HTTPError, SocketEvent, SocketManager, SocketRooms
from finch.testing import TestClient


def admin(socket):
    return socket.user_id == "admin"


def noted(name, said):
    async def middleware(socket, data, call_next):
        said.append(f"{name} {data}")
        answer = await call_next(socket, data + 1)
        return None if answer is None else f"{answer} {name}"

    return middleware


async def told(client, user, *messages):
    """What a client is answered."""
    answers = []
    async with client.socket(f"/ws?user={user}") as socket:
        for number, message in enumerate(messages):
            await socket.send_raw(msgspec.json.encode({**message, "id": str(number)}).decode())
            got = await socket.receive()
            answers.append((got.status, got.data))
    return answers


def app_of_users():
    app = FinchApp()
    app.authorize(lambda request: request.query.get("user"))
    return app


async def test_auth_decides_who_may_send_to_a_path():
    app = app_of_users()

    @app.socket("stop", auth=admin)
    async def stop(socket, data):
        return "stopped"

    @app.socket("bad", auth=lambda socket: 1 / 0)
    async def bad(socket, data): ...

    async def why(socket):
        raise HTTPError(402, "pay first")

    app.socket("paid", auth=why)(lambda socket, data: 1)

    async with TestClient(app) as client:
        assert await told(client, "admin", {"path": "stop"}) == [(200, "stopped")]
        got = await told(client, "bob", {"path": "stop"}, {"path": "bad"}, {"path": "paid"})
    assert [(status, data["message"]) for status, data in got] == [
        (403, "Forbidden"),
        (500, "Internal Server Error"),
        (402, "pay first"),
    ]


@pytest.mark.parametrize("answer", [None, False, 0, ""])
async def test_what_is_false_is_a_refusal(answer):
    app = app_of_users()
    app.socket("x", auth=lambda socket: answer)(lambda socket, data: 1)

    async with TestClient(app) as client:
        [(status, _)] = await told(client, "bob", {"path": "x"})
    assert status == 403


async def test_middleware_stands_around_a_handler_and_may_change_data_and_answer():
    said = []
    app = app_of_users()

    @app.socket("add", middleware=[noted("a", said), noted("b", said)])
    async def add(socket, data: int):
        return data

    @app.socket("thread", middleware=[noted("a", said)])
    def thread(socket, data: int):
        return data

    async def stops(socket, data, call_next):
        return "never got there"

    app.socket("stop", middleware=[stops])(lambda socket, data: 1 / 0)

    async with TestClient(app) as client:
        got = await told(
            client,
            "bob",
            {"path": "add", "data": 1},
            {"path": "thread", "data": 1},
            {"path": "stop"},
            {"path": "add", "data": "x"},
        )
    assert got[:3] == [(200, "3 b a"), (200, "2 a"), (200, "never got there")]
    assert got[3][0] == 422
    assert said == ["a 1", "b 2", "a 1"]


async def test_a_stream_passes_through_middleware():
    app = app_of_users()

    async def around(socket, data, call_next):
        return await call_next(socket, data)

    @app.socket("count", middleware=[around])
    async def count(socket, data):
        for number in range(2):
            yield number

    async with TestClient(app) as client, client.socket("/ws") as socket:
        await socket.send("count", id="1")
        assert [(await socket.receive()).data for _ in range(3)] == [0, 1, None]


async def test_auth_of_rooms_is_asked_at_each_join_and_knows_the_room():
    said = []
    app = app_of_users()

    async def may(socket, name, room):
        said.append((socket.user_id, name, room.name))
        return socket.user_id == name

    rooms = app.rooms("diary/{name}", auth=may, middleware=[noted("all", said)])

    @rooms.socket("write", middleware=[noted("own", said)])
    async def write(socket, data, room):
        return f"{room.name} {data}"

    @rooms.socket("erase", auth=lambda socket: False)
    async def erase(socket, data): ...

    join = {"path": "finch.join", "room": "diary/bob"}
    async with TestClient(app) as client:
        [(status, data)] = await told(client, "eve", join)
        assert (status, data["message"]) == (403, "Forbidden")
        got = await told(
            client,
            "bob",
            join,
            {"path": "write", "room": "diary/bob", "data": 1},
            {"path": "erase", "room": "diary/bob", "data": 1},
        )
    assert got[1] == (200, "diary/bob 3 own all")
    assert got[2][0] == 403
    assert said == [
        ("eve", "bob", "diary/bob"),
        ("bob", "bob", "diary/bob"),
        "all 1",
        "own 2",
        "all 1",
    ]


@pytest.mark.parametrize("error", [ValueError("a bug"), HTTPError(404, "no such diary")])
async def test_what_auth_of_a_room_raises_is_told_to_its_client_alone(error, caplog):
    app = app_of_users()

    async def may(socket):
        raise error

    app.rooms("diary/{name}", auth=may)
    async with TestClient(app) as client:
        [(status, _)] = await told(client, "bob", {"path": "finch.join", "room": "diary/x"})
    is_refusal = isinstance(error, HTTPError)
    assert status == (404 if is_refusal else 500)
    assert ("auth of the room 'diary/x' raised" in caplog.text) is not is_refusal


async def test_classes_have_guards_as_attributes():
    said = []

    class Add(SocketEvent):
        auth = staticmethod(admin)
        middleware = (noted("class", said),)

        async def on_message(self, socket, data: int):
            return data

    class Diary(SocketRooms):
        auth = staticmethod(admin)

        async def on_message(self, socket, data):
            return data

    app = FinchApp()
    SocketManager(
        app,
        routes={"add": Add()},
        rooms={"diary/{name}": Diary},
        authorize=lambda request: request.query.get("user"),
    )
    join = {"path": "finch.join", "room": "diary/x"}
    async with TestClient(app) as client:
        assert await told(client, "admin", {"path": "add", "data": 1}) == [(200, "2 class")]
        got = await told(client, "bob", {"path": "add", "data": 1}, join)
        assert [status for status, _ in got] == [403, 403]


def plain(socket, data, call_next): ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"auth": 5}, "auth of the socket path 'x' is a function that takes (socket), not 5"),
        ({"auth": lambda: 1}, "is called with (socket), but is written"),
        ({"middleware": plain}, "middleware of the socket path 'x' is a list: write middleware="),
        ({"middleware": [plain]}, "the middleware plain of the socket path 'x' is a plain def"),
        ({"middleware": [5]}, "is a function that takes (socket, data, call_next), not 5"),
    ],
)
def test_what_is_no_guard_is_refused(options, said):
    with pytest.raises(ConfigurationError) as caught:
        FinchApp().socket("x", **options)(lambda socket, data: 1)
    assert said in str(caught.value)
