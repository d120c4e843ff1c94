"""How things end: a server, a stream, a refused request, a client that was never greeted."""

import logging

import pytest
import trio
from websockets.frames import Opcode

from finch import FinchApp, HTTPError, Limits, SocketEvent, StreamingResponse
from finch.testing import TestClient
from tests.conftest import serving
from tests.transports import Peer, app_with, masked


async def gone(condition):
    """Wait for what the server notices by itself."""
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.1)


# A server that is cancelled


async def test_a_cancelled_server_says_goodbye_to_everyone(serve_over, leaping_clock):
    app = app_with()
    log = []

    @app.on_connect
    async def greet(socket):
        await socket.send("welcome")

    @app.on_disconnect
    async def leave(socket):
        await trio.sleep(0.1)
        log.append(f"left, {app.socket_manager.count_clients} counted")

    @app.on_shutdown
    async def down():
        log.append(f"shutdown, {app.socket_manager.count_clients} counted")

    async with serve_over(app, bystander=False) as server:
        peers = [await server.open(b"/ws") for _ in range(2)]
        for peer in peers:
            await peer.hear(b"welcome")
        server.cancel()
        for peer in peers:
            assert b"\x88\x0c\x03\xe9going away" in await peer.hear_the_rest()
        await gone(lambda: len(log) == 3)
    assert log == ["left, 2 counted", "left, 1 counted", "shutdown, 0 counted"] or log == [
        "left, 2 counted",
        "left, 2 counted",
        "shutdown, 0 counted",
    ]
    assert app.socket_manager.count_clients == 0


async def test_a_cancelled_server_waits_for_no_request(leaping_clock):
    app = FinchApp()

    @app.get("/")
    async def never(request):
        await trio.sleep_forever()

    with trio.CancelScope() as scope:
        async with serving(app) as running:
            peer = Peer(await running.connect())
            await peer.say(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await trio.sleep(1)
            begun = trio.current_time()
            scope.cancel()
    assert trio.current_time() - begun < 1


async def test_a_cancelled_server_does_not_wait_for_goodbyes_without_end(leaping_clock):
    app = FinchApp(limits=Limits(shutdown_timeout=5))

    @app.on_disconnect
    async def hang(socket):
        await trio.sleep_forever()

    with trio.CancelScope() as scope:
        async with serving(app) as running:
            await Peer(await running.connect()).upgrade(b"/ws")
            begun = trio.current_time()
            scope.cancel()
    assert 4 <= trio.current_time() - begun <= 6


async def test_one_servers_end_leaves_the_threads_of_another(leaping_clock):
    import threading

    ended = threading.Event()
    one, other = FinchApp(), FinchApp()

    @other.get("/")
    def slow(request):
        ended.wait(10)
        return "done"

    answers = []
    async with TestClient(other) as client, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask():
            answers.append((await client.get("/", timeout=1000)).text)

        async with TestClient(one):
            await trio.sleep(0.05)
        ended.set()
    assert answers == ["done"]


# A stream whose client has left


@pytest.mark.parametrize("how", ["generator", "response"])
async def test_an_idle_stream_notices_that_its_client_has_left(serve_over, leaping_clock, how):
    app = app_with()
    streams = []

    async def feed():
        streams.append("open")
        try:
            yield "data: hello\n\n"
            await trio.sleep_forever()
        finally:
            streams.append("closed")

    @app.get("/events")
    async def events(request):
        return StreamingResponse(feed(), content_type="text/event-stream")

    @app.get("/generator")
    async def generator(request):
        async for chunk in feed():
            yield chunk

    path = b"/generator" if how == "generator" else b"/events"
    async with serve_over(app) as server:
        peer = await server.connect()
        await peer.say(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        await peer.hear(b"hello")
        await trio.sleep(30)
        assert streams == ["open"]  # nothing happens, and that is no reason to end
        await trio.aclose_forcefully(peer.stream)
        begun = trio.current_time()
        await gone(lambda: "closed" in streams)
        assert trio.current_time() - begun < 5


async def test_an_idle_stream_in_memory_notices_it_too(autojump_clock):
    app = FinchApp()
    closed = trio.Event()

    @app.get("/events")
    async def events(request):
        try:
            yield "hello"
            await trio.sleep_forever()
        finally:
            closed.set()

    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        while b"hello" not in await stream.receive_some():
            pass
        await trio.sleep(10)
        assert not closed.is_set()
        await stream.aclose()
        with trio.fail_after(5):
            await closed.wait()


async def test_a_client_that_has_closed_its_side_only_is_sent_what_is_made(leaping_clock):
    app = FinchApp()

    @app.get("/")
    async def slowly(request):
        for number in range(5):
            yield f"{number},"
            await trio.sleep(0.5)

    async with serving(app) as running:
        peer = Peer(await running.connect())
        await peer.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await peer.stream.send_eof()
        assert (await peer.hear_all()).count(b",\r\n") == 5


async def test_what_comes_behind_the_request_of_a_stream_is_the_next_request(autojump_clock):
    app = FinchApp()

    @app.get("/stream")
    async def stream(request):
        for number in range(5):
            await trio.sleep(10)
            yield f"{number}"

    @app.get("/next")
    async def following(request):
        return "next"

    async with TestClient(app) as client:
        peer = Peer(client.connect())
        await peer.say(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        await peer.hear(b"0")
        await peer.say(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        await peer.hear(b"\r\n\r\nnext")


async def test_a_generator_may_hold_a_cancel_scope_open_behind_a_middleware_that_has_one(
    autojump_clock,
):
    app = FinchApp()

    @app.middleware
    async def in_time(request, call_next):
        with trio.fail_after(5):
            return await call_next(request)

    @app.get("/")
    async def stream(request):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 60)
            for number in range(3):
                yield f"{number}"
                await trio.sleep(10)
            nursery.cancel_scope.cancel()

    async with TestClient(app) as client:
        assert (await client.get("/", timeout=100)).text == "012"
        assert (await client.get("/", timeout=100)).text == "012"


async def test_a_stream_that_a_middleware_replaces_is_closed():
    app = FinchApp()
    closed = []

    @app.middleware
    async def replace(request, call_next):
        await call_next(request)
        return "replaced"

    @app.get("/")
    async def stream(request):
        try:
            yield "never seen"
        finally:
            closed.append(True)

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "replaced"
        assert closed == [True]


async def test_a_middleware_may_wrap_the_chunks():
    app = FinchApp()

    @app.middleware
    async def shout(request, call_next):
        response = await call_next(request)
        chunks = response.chunks

        async def louder():
            async for chunk in chunks:
                yield chunk.upper()

        response.chunks = louder()
        return response

    @app.get("/")
    async def stream(request):
        yield "a"
        yield "b"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "AB"


# A request that is refused


async def test_a_body_that_was_not_asked_for_is_not_waited_for(serve_over, leaping_clock):
    app = app_with()

    @app.post("/refuse")
    async def refuse(request):
        raise HTTPError(403)

    async with serve_over(app) as server:
        peer = await server.connect()
        begun = trio.current_time()
        await peer.say(
            b"POST /refuse HTTP/1.1\r\nHost: a\r\n"
            b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
        )
        answer = await peer.hear_all()
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"connection: close" in answer
        assert trio.current_time() - begun < 2


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5000000\r\n", b"Transfer-Encoding: chunked\r\n"]
)
async def test_a_413_announces_the_end_and_ends_in_time(serve_over, leaping_clock, framing):
    app = app_with(max_body=1000)
    async with serve_over(app) as server:
        peer = await server.connect()
        begun = trio.current_time()
        await peer.say(b"POST /echo HTTP/1.1\r\nHost: a\r\n%b\r\n" % framing)
        if b"chunked" in framing:
            await peer.say(b"7d0\r\n%b\r\n" % bytes(2000))
        answer = await peer.hear(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer
        await peer.hear_the_rest()
        assert trio.current_time() - begun < 7


# A client that was never greeted


async def test_who_was_not_told_of_a_client_is_not_told_that_it_left():
    app = FinchApp()
    log = []

    @app.on_connect
    async def gate(socket):
        raise HTTPError(401)

    @app.on_disconnect
    async def left(socket):
        log.append("root left")

    class Room(SocketEvent):
        async def on_connect(self, socket):
            log.append("room connect")

        async def on_disconnect(self, socket):
            log.append("room left")

    app.add_socket_route("room", Room())
    async with TestClient(app) as client, client.socket() as socket:
        assert (await socket.wait_closed()).code == 1008
    assert log == ["root left"]


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, {"why": "no token"}), (401, b"no token"), ("401", "x"), (200, "x")],
)
async def test_a_refusal_that_is_written_wrongly_is_still_one(status, message, caplog):
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        raise HTTPError(status, message)

    @app.socket("secret")
    async def secret(socket, data):
        return "secret"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("secret")
        assert (await socket.receive()).status == 500
        assert (await socket.wait_closed()).code == 1008
    assert "HTTPError" in caplog.text


async def test_on_connect_that_returns_false_refuses_and_says_how_it_is_written(caplog):
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        return False

    async with TestClient(app) as client, client.socket() as socket:
        assert (await socket.receive()).status == 403
        assert (await socket.wait_closed()).code == 1008
    assert "raise HTTPError(403" in caplog.text


# Application code that leaves something open


@pytest.mark.parametrize("where", ["on_connect", "message", "raw", "background"])
async def test_a_nursery_that_is_left_open_ends_nobody_else(where, caplog, autojump_clock):
    app = FinchApp()
    caplog.set_level(logging.ERROR)

    async def leave_open():
        nursery = await trio.open_nursery().__aenter__()
        nursery.start_soon(trio.sleep_forever)

    @app.on_connect
    async def greet(socket):
        if where == "on_connect" and "x-bad" in socket.request.headers:
            await leave_open()

    @app.socket("message")
    async def message(socket, data):
        await leave_open()

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.websocket("/raw")
    async def raw(ws):
        await leave_open()

    async with TestClient(app) as client, client.socket() as bystander:
        for number in range(12):  # more than stand by
            if where == "background":
                app.background_task(leave_open)
            else:
                path = "/raw" if where == "raw" else "/ws"
                async with client.socket(path, headers={"x-bad": "yes"}) as socket:
                    if where == "message":
                        await socket.send("message")
                    await socket.wait_closed()
            await bystander.send("echo", number)
            assert (await bystander.receive()).data == number
    assert "left a nursery open" in caplog.text


# What is left undone without somebody being told


async def test_what_comes_with_the_handshake_is_dealt_with(serve_over, leaping_clock):
    from tests.transports import HANDSHAKE

    async with serve_over(app_with()) as server:
        for pings in (1, 63, 64, 65, 70, 500):
            peer = await server.connect()
            await peer.say(
                HANDSHAKE % (b"/raw", b"")
                + masked(Opcode.PING, b"") * pings
                + masked(Opcode.TEXT, b"hello")
            )
            with trio.fail_after(5):
                await peer.hear(b"hello")
