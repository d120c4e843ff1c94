"""What one client's code sets in a ContextVar is for that client alone."""

import contextvars
import threading

import pytest
import trio
import trio.testing

from finch import FinchApp
from finch.testing import TestClient
from tests.transports import Opcode, Peer, masked

user = contextvars.ContextVar("user", default="nobody")


@pytest.fixture
def app():
    app = FinchApp()

    @app.get("/login/{name}")
    async def login(request, name):
        user.set(name)
        return "ok"

    @app.get("/login-in-a-thread/{name}")
    def login_in_a_thread(request, name):
        user.set(name)
        return "ok"

    @app.get("/me")
    async def me(request):
        return user.get()

    @app.socket("login")
    async def socket_login(socket, data: str):
        user.set(data)
        await trio.sleep(0)
        return "ok"

    @app.socket("me")
    async def socket_me(socket, data):
        return user.get()

    @app.socket("me in a thread")
    def socket_me_in_a_thread(socket, data):
        return user.get()

    return app


async def me(socket):
    await socket.send("me")
    return (await socket.receive()).data


async def login(socket, name):
    await socket.send("login", name)
    await socket.receive()


@pytest.mark.parametrize("how", ["login", "login-in-a-thread"])
async def test_a_request_has_a_context_of_its_own(app, how):
    async with TestClient(app) as client:
        stream = client.connect()
        head = b" HTTP/1.1\r\nHost: a\r\n\r\n"
        await stream.send_all(b"GET /" + how.encode() + b"/ada" + head)
        assert (await stream.receive_some()).endswith(b"ok")
        await stream.send_all(b"GET /me" + head)
        assert (await stream.receive_some()).endswith(b"nobody")
        assert (await client.get("/me")).text == "nobody"
        async with client.socket() as socket:
            assert await me(socket) == "nobody"


async def test_what_middleware_sets_is_seen_by_the_handler_and_its_generator_and_socket(app):
    @app.middleware
    async def identify(request, call_next):
        user.set(request.headers.get("x-user", "nobody"))
        return await call_next(request)

    @app.get("/stream")
    async def stream(request):
        yield user.get()
        await trio.sleep(0)
        yield user.get()

    @app.get("/in-a-thread")
    def in_a_thread(request):
        return user.get()

    @app.websocket("/raw")
    async def raw(ws):
        await ws.send(user.get())

    ada = {"x-user": "ada"}
    async with TestClient(app) as client:
        assert (await client.get("/stream", headers=ada)).text == "adaada"
        assert (await client.get("/in-a-thread", headers=ada)).text == "ada"
        async with client.socket("/raw", headers=ada) as socket:
            assert await socket.receive_raw() == "ada"
        async with client.socket(headers=ada) as one, client.socket() as other:
            assert await me(one) == "ada"
            assert await me(other) == "nobody"
            assert await me(one) == "ada"


async def test_what_on_connect_sets_is_seen_by_that_client_alone(app):
    @app.on_connect
    async def greet(socket):
        user.set(socket.request.headers.get("x-user", "nobody"))

    gone = []

    @app.on_disconnect
    async def leave(socket):
        gone.append(user.get())

    async with TestClient(app) as client:
        async with (
            client.socket(headers={"x-user": "ada"}) as ada,
            client.socket(headers={"x-user": "eve"}) as eve,
            client.socket() as nobody,
        ):
            assert [await me(one) for one in (ada, eve, nobody, ada)] == [
                "ada",
                "eve",
                "nobody",
                "ada",
            ]
            await ada.send("me in a thread")
            assert (await ada.receive()).data == "ada"
    assert sorted(gone) == ["ada", "eve", "nobody"]


async def test_what_on_connect_sets_in_a_thread_is_seen_by_its_handlers(app):
    main = threading.get_ident()

    @app.on_connect
    def greet(socket):
        assert threading.get_ident() != main
        user.set("from a thread")

    async with TestClient(app) as client, client.socket() as socket:
        assert await me(socket) == "from a thread"


async def test_none_that_is_set_in_a_thread_is_set(app):
    @app.on_connect
    def greet(socket):
        user.set(None)

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("me", id=1)
        assert (await socket.receive()).data is None


async def test_messages_see_what_earlier_ones_set_and_others_do_not(app):
    async with TestClient(app) as client:
        async with client.socket() as one, client.socket() as other:
            await login(one, "bob")
            assert await me(other) == "nobody"
            assert await me(one) == "bob"
            await login(other, "eve")
            assert await me(one) == "bob"
            assert await me(other) == "eve"
        async with client.socket() as later:
            assert await me(later) == "nobody"
        assert (await client.get("/me")).text == "nobody"


async def test_side_by_side_handlers_of_a_client_share_what_they_set(app):
    both = trio.Event()
    color = contextvars.ContextVar("color", default="none")

    @app.socket("one", concurrent=True)
    async def one(socket, data):
        user.set("set by one")
        await both.wait()
        return "done"

    @app.socket("two", concurrent=True)
    async def two(socket, data):
        color.set("set by two")
        both.set()
        return "done"

    @app.socket("both")
    async def read_both(socket, data):
        return [user.get(), color.get()]

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("one")
        await socket.send("two")
        await socket.receive()
        await socket.receive()
        await trio.testing.wait_all_tasks_blocked()
        await socket.send("both")
        assert (await socket.receive()).data == ["set by one", "set by two"]
        async with client.socket() as other:
            await other.send("both")
            assert (await other.receive()).data == ["nobody", "none"]


async def test_what_a_program_has_set_before_it_serves_is_seen_everywhere(app):
    user.set("the program")
    async with TestClient(app) as client, client.socket() as socket:
        assert (await client.get("/me")).text == "the program"
        assert await me(socket) == "the program"


async def test_a_connection_leaves_nothing_to_the_worker_that_served_it(app, serve):
    @app.on_connect
    async def greet(socket):
        user.set("somebody")

    async with serve(app) as running:
        peer = Peer(await running.connect())
        await peer.upgrade(b"/ws")

        async def ask(*paths):
            stream = await running.connect()
            for path in paths:
                await stream.send_all(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
                answer = await stream.receive_some()
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked(0.01)
            return answer.rpartition(b"\n")[2]

        # the first request sets something, the last one nothing: it has a context of its own
        assert await ask(b"login/ada", b"me") == b"nobody"
        # a client with a context comes and goes in the worker
        await peer.say(masked(Opcode.TEXT, b'{"path":"me"}'))
        await peer.hear(b"somebody")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await ask(b"me") == b"nobody"


class Array:
    """Cannot be compared, as numpy's."""

    def __eq__(self, other):
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None


@pytest.mark.parametrize("make", [list, Array])
async def test_what_is_set_is_known_by_identity(make):
    app = FinchApp()
    common = make()
    kept = contextvars.ContextVar("kept")
    kept.set(common)

    @app.get("/set")
    async def set_it(request):
        kept.set(make())
        return "ok"

    @app.get("/is-common")
    async def is_common(request):
        return str(kept.get() is common)

    @app.socket("set")
    async def socket_set(socket, data):
        kept.set(make())
        return "ok"

    @app.socket("is common")
    async def socket_is_common(socket, data):
        return kept.get() is common

    async def is_common_to(socket):
        await socket.send("is common")
        return (await socket.receive()).data

    async with TestClient(app) as client:
        stream = client.connect()
        for path in (b"set", b"is-common"):
            await stream.send_all(b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            answer = await stream.receive_some()
        assert answer.endswith(b"True")
        async with client.socket() as one, client.socket() as other:
            await one.send("set")
            assert (await one.receive()).data == "ok"
            assert await is_common_to(other)
            assert not await is_common_to(one)


async def test_a_token_of_on_connect_resets_in_on_disconnect(app):
    seen = []

    @app.on_connect
    async def greet(socket):
        socket.state["token"] = user.set("ada")

    @app.on_disconnect
    async def leave(socket):
        user.reset(socket.state["token"])
        seen.append(user.get())

    async with TestClient(app) as client, client.socket() as socket:
        assert await me(socket) == "ada"
    assert seen == ["nobody"]
