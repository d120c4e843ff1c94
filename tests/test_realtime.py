"""docs/realtime.md says what is so: every program on the page runs, and does what the page says."""

import json
import logging
import re
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
import websockets.exceptions
import websockets.sync.client

from finch import FinchApp, History, SocketManager
from finch.testing import HandshakeRefused, TestClient
from tests.conftest import serving

PAGE = (Path(__file__).parent.parent / "docs" / "realtime.md").read_text(encoding="utf-8")


def programs():
    """The programs of each section, by the section's title."""
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL)):
            yield f"{title} {number}", code


CODE = dict(programs())
QUIET = logging.Logger("the client's own", logging.CRITICAL)
FORMAT = logging.Formatter("%(message)s")  # with the tracebacks


def example(name):
    namespace = {}
    exec(compile(CODE[name], name, "exec"), namespace)
    return namespace["app"]


async def hear(socket, path):
    """The next message with this path."""
    while True:
        message = json.loads(await socket.receive_raw())
        if message["path"] == path:
            return message


async def ask(socket, path, *data, **fields):
    await socket.send(path, *data, id=7, **fields)
    while True:
        message = json.loads(await socket.receive_raw())
        if message.get("reply") == 7:
            return message


async def join(socket, room, **fields):
    answer = await ask(socket, "finch.join", room=room, **fields)
    assert answer["status"] == 200, answer
    return answer


def test_every_section_has_a_program():
    sections = {name.rpartition(" ")[0] for name in CODE}
    titles = set(re.findall(r"^## (.*)", PAGE, re.MULTILINE))
    assert titles - sections == {"What you can rely on"}
    assert all(isinstance(example(name), FinchApp) for name in CODE)


async def test_audiences(autojump_clock):
    async with TestClient(example("Audiences 0")) as client:
        async with client.socket("/ws") as a, client.socket("/ws") as b:
            await a.send("say", "hello")
            assert (await b.receive()).data == "hello"
            assert (await client.post("/announce", content="noon")).json() == {
                "reached": 2,
                "connected": 2,
            }
            assert (await a.receive()).data == "noon"
            assert (await client.post("/close")).json() == {"closed": 2}
            assert (await a.wait_closed()).code == 4000


async def test_rooms(autojump_clock):
    async with TestClient(example("Rooms 0")) as client:
        async with client.socket("/ws") as a, client.socket("/ws") as b:
            await join(a, "chat/lobby")
            await join(b, "chat/lobby")
            assert (await ask(a, "finch.join", room="chat/staff"))["status"] == 403
            await a.send("say", "hello", room="chat/lobby")
            assert (await hear(b, "said"))["data"]["text"] == "hello"
            await a.send("finch.leave", room="chat/lobby")
            await hear(b, "left")


async def test_rooms_as_classes(autojump_clock):
    async with TestClient(example("Rooms 1")) as client, client.socket("/ws") as socket:
        answer = await join(socket, "chat/lobby")
        assert answer["data"]["presence"][0]["meta"] == {"room": "lobby"}
        await socket.send("anything", "hello", room="chat/lobby")
        assert (await hear(socket, "said"))["seq"] == 1


async def test_missed_messages(autojump_clock):
    async with TestClient(example("Missed messages 0")) as client:
        async with client.socket("/ws") as a:
            joined = await join(a, "chat/lobby")
            async with client.socket("/ws") as b:
                await join(b, "chat/lobby")
                assert (await ask(b, "say", "hello", room="chat/lobby"))["data"] == {"seq": 1}
        assert (await client.get("/chat/lobby")).json() == ["hello"]
        async with client.socket("/ws") as a:
            since = f"{joined['epoch']}:0"
            assert (await join(a, "chat/lobby", since=since))["data"]["recovered"]
            assert (await hear(a, "said"))["data"] == "hello"


async def test_missed_messages_of_a_user(autojump_clock):
    ann = {"cookie": "user=ann"}
    async with TestClient(example("Missed messages 1")) as client:
        async with client.socket("/ws", headers=ann) as socket:
            everyone, user = [json.loads(await socket.receive_raw()) for _ in range(2)]
            assert (everyone["room"], user["room"]) == ("finch.everyone", "finch.user")
        sent = (await client.post("/notify/ann", content="a letter")).json()
        assert sent == {"devices": 0, "position": f"{user['epoch']}:1"}
        target = f"/ws?since=user:{user['epoch']}:0"
        async with client.socket(target, headers=ann) as socket:
            assert (await hear(socket, "notice"))["data"] == "a letter"


async def test_volatile(autojump_clock):
    async with TestClient(example("Durable or volatile 0")) as client:
        async with client.socket("/ws") as a, client.socket("/ws") as b:
            await join(a, "board/x")
            await join(b, "board/x")
            for number in range(20):  # b reads nothing meanwhile
                await ask(a, "move", [number, 0], room="board/x")
            lags = (await client.get("/behind")).json()
            assert sorted(replaced for _, replaced in lags.values()) == [0, 18]
            assert [(await hear(b, "cursor"))["data"]["at"][0] for _ in range(2)] == [0, 19]


async def test_presence(autojump_clock):
    async with TestClient(example("Presence 0")) as client, client.socket("/ws") as socket:
        answer = await join(socket, "lobby/main", data={"name": "Ann"})
        assert (answer["data"]["count"], answer["data"]["presence"][0]["meta"]) == (
            1,
            {"name": "Ann"},
        )
        assert (await client.get("/lobby/main")).json() == ["Ann"]
        assert len((await hear(socket, "finch.presence"))["data"]["joins"]) == 1
        assert "presence" not in (await join(socket, "stadium/main"))["data"]


async def test_users(autojump_clock):
    ann = {"cookie": "session=c2VjcmV0"}
    async with TestClient(example("Users 0")) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/ws"):
                pass
        assert refused.value.response.status == 401
        async with client.socket("/ws", headers=ann) as first:
            assert (await ask(first, "finch.auth", "wrong"))["status"] == 401
            assert (await ask(first, "finch.auth", "c2VjcmV0"))["status"] == 200
            async with client.socket("/ws", headers=ann) as second:
                await client.post("/logout", headers=ann)
                assert [(await one.wait_closed()).code for one in (first, second)] == [4401, 4401]


async def test_tokens(autojump_clock):
    async with TestClient(example("Users 1")) as client:
        ways = [
            partial(client.socket, "/ws?token=YW5u"),
            partial(client.socket, "/ws", subprotocols=["finch", "YW5u"]),
        ]
        for way in ways:
            async with way() as socket:
                assert (await ask(socket, "who"))["data"] == "ann"
        assert socket.subprotocol == "finch"
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws?token=stolen"):
                pass


async def test_requests_both_ways(autojump_clock):
    async with TestClient(example("Requests both ways 0")) as client:
        async with client.socket("/ws") as a, client.socket("/ws") as b:
            await a.send("delete", "the file", id=7)
            call = await hear(a, "confirm")
            await a.send("confirm", True, reply=call["id"])
            assert (await hear(a, "delete"))["data"] == "deleted"

            await join(a, "game/x")
            await join(b, "game/x")
            await a.send("vote", "again?", id=7, room="game/x")
            for one, answer in ((a, True), (b, False)):
                await one.send("vote", answer, reply=(await hear(one, "vote"))["id"])
            assert (await hear(a, "vote"))["data"] == 1

            await a.send("count", 100, id=7)
            assert (await hear(a, "count"))["more"]
            await a.send("finch.cancel", id=7)
            assert (await hear(a, "error"))["status"] == 499


async def test_tasks(autojump_clock):
    async with TestClient(example("Tasks 0")) as client, client.socket("/ws") as socket:
        await join(socket, "race/monza")
        assert [(await hear(socket, "lap"))["data"]["lap"] for _ in range(3)] == [1, 2, 3]
        await ask(socket, "finch.leave", room="race/monza")
        with trio.fail_after(100):
            while json.loads(await socket.receive_raw(100))["path"] != "notice":
                pass
        await join(socket, "race/monza")
        assert (await hear(socket, "lap"))["data"]["lap"] == 1


async def test_an_application_whose_clients_only_listen_is_served(autojump_clock):
    authorized, kept = FinchApp(), FinchApp()

    @authorized.authorize
    async def authorize(request):
        return "ann"

    SocketManager(kept, history=History())
    for app in (authorized, kept):
        async with TestClient(app) as client, client.socket("/ws") as socket:
            await app.everyone.send("hello", path="news")
            assert (await hear(socket, "news"))["data"] == "hello"


# -- "Finch writes the query of a request to no log" --


def failing():
    app = FinchApp(languages=["en"])

    @app.authorize
    async def authorize(request):
        how = request.query.get("how")
        if how == "raises":
            raise RuntimeError("the session store does not answer")
        return {"wrong": object(), "refused": False}.get(how, "ann")

    @app.on_connect
    async def on_connect(socket):
        if socket.request.query.get("how") == "late":
            raise RuntimeError(f"{socket!r} of {socket.request!r} fails")

    @app.socket("fail")
    async def fail(socket, data):
        raise RuntimeError(f"a handler of {socket!r} fails")

    @app.get("/fail")
    async def fail_too(request):
        raise RuntimeError(f"{request!r} fails")

    @app.get("/stream")
    async def stream(request):
        yield "begun"
        raise RuntimeError("a stream fails")

    @app.websocket("/raw")
    async def raw(ws):
        raise RuntimeError(f"{ws!r} fails")

    return app


async def test_a_token_in_a_query_is_in_no_log(caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(failing(), access_log=True) as running:

        def connect(how, path="/ws", **options):
            target = f"{running.ws}{path}?token=SECRET&how={how}"
            with suppress(websockets.exceptions.WebSocketException, EOFError):
                with websockets.sync.client.connect(target, logger=QUIET, **options) as socket:
                    socket.send(json.dumps({"path": "fail"}))
                    socket.recv(timeout=5)

        def get(target, more=b""):
            with socket.create_connection(("127.0.0.1", running.port)) as connection:
                connection.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (target, more))
                connection.settimeout(5)
                with suppress(OSError):
                    while connection.recv(1000):
                        pass

        for how in ("well", "raises", "wrong", "refused", "late"):
            await trio.to_thread.run_sync(connect, how)
        await trio.to_thread.run_sync(partial(connect, "raw", "/raw"))
        await trio.to_thread.run_sync(partial(connect, "foreign", origin="https://evil.example"))
        await trio.to_thread.run_sync(partial(connect, "lost", "/nowhere"))
        await trio.to_thread.run_sync(partial(connect, "since=wrong&since=x"))
        for target in (b"/fail?token=SECRET", b"/stream?token=SECRET", b"/%ff?token=SECRET"):
            await trio.to_thread.run_sync(get, target, b"Connection: close\r\n")
        await trio.to_thread.run_sync(get, b"/x?token=SECRET", b"Host: b\r\n")  # malformed
        await trio.to_thread.run_sync(get, b"/x y?token=SECRET")
    said = "\n".join(FORMAT.format(record) for record in caplog.records)
    assert said.count("raised") >= 5
    assert 'GET /ws HTTP/1.1" 101' in said
    assert "SECRET" not in said
