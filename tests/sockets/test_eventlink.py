"""Sockets without WebSockets: the same clients, handlers and limits over events and POSTs."""

import json
import socket

import msgspec
import pytest
import trio

from finch import ClientGone, FinchApp, History, HTTPError, Limits, SocketManager
from finch.testing import TestClient
from tests.sockets.doors import narrow
from tests.sockets.posting import Refused, Stream, stream_of


def app_with(limits=None, **options):
    """An application whose handlers note what happens."""
    app = FinchApp(limits=limits, **options)
    app.seen = []
    app.gate = trio.Event()

    @app.on_connect
    async def on_connect(socket):
        app.seen.append("connect")

    @app.on_disconnect
    async def on_disconnect(socket):
        app.seen.append("disconnect")

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.socket("note")
    async def note(socket, data):
        app.seen.append(data)

    @app.socket("wait")
    async def wait(socket, data):
        await app.gate.wait()
        app.seen.append(data)

    @app.socket("ask")
    async def ask(socket, data):
        return await socket.call("Sure?", path="confirm")

    return app


async def gone(app):
    """Wait until ``on_disconnect`` has run, and nothing is left."""
    with trio.fail_after(30):
        while "disconnect" not in app.seen:
            await trio.sleep(0.01)
        while app.socket_manager.count_clients:
            await trio.sleep(0.01)
    assert app.seen.count("disconnect") == 1


# Both ways


async def test_a_message_is_answered():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send({"path": "echo", "data": "hello", "id": 7})
        message = await stream.receive()
        assert list(message) == [
            "path",
            "status",
            "timestamp",
            "language",
            "client",
            "data",
            "reply",
        ]
        assert (message["client"], message["data"], message["reply"]) == (stream.id, "hello", 7)
        assert app.socket_manager.count_clients == 1
        await stream.cut()
        await gone(app)


async def test_the_head_says_that_nobody_may_keep_it_or_hold_it_back():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        head = stream.head.lower()
        assert "content-type: text/event-stream; charset=utf-8\r\n" in head
        assert "cache-control: no-store, no-transform\r\n" in head
        assert "x-accel-buffering: no\r\n" in head
        assert "connection: close\r\n" in head
        assert "transfer-encoding" not in head
        assert "content-length" not in head


async def test_the_socket_has_the_request_of_the_stream_and_its_query():
    app = app_with()

    @app.authorize
    async def authorize(request):
        return request.query["token"]

    @app.socket("who")
    async def who(socket, data):
        request = socket.request
        return [socket.user_id, request.method, request.headers["x-mine"], request.http_version]

    async with TestClient(app) as client:
        stream = await stream_of(client, "/ws?token=ann", more="X-Mine: 1\r\n")
        assert await stream.call("who") == ["ann", "GET", "1", "1.1"]
        assert await client.app.user("ann").send("news", path="p") == 1
        assert (await stream.receive())["data"] == "news"


async def test_many_messages_in_one_post_are_handled_in_order():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send(*[{"path": "note", "data": number} for number in range(500)])
        await stream.send({"path": "echo", "id": 1})
        await stream.receive()
        assert app.seen == ["connect", *range(500)]


async def test_empty_lines_say_nothing():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send("", *[" "] * 300, {"path": "note", "data": 1}, *["\r"] * 300, "")
        assert await stream.call("echo", "x") == "x"
        assert app.seen == ["connect", 1]


async def test_what_is_no_message_is_answered_as_on_a_websocket():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        await stream.send("not JSON", {"path": "nowhere"})
        assert [(await stream.receive())["status"] for _ in range(2)] == [400, 404]


async def test_the_server_asks_and_the_client_answers():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        await stream.send({"path": "ask", "id": 1})
        question = await stream.receive()
        await stream.send({"path": "confirm", "data": True, "reply": question["id"]})
        assert (await stream.receive())["data"] is True


async def test_json_that_others_have_written_in_several_lines_is_one_message():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        await client.app.everyone.send(msgspec.Raw(b'{\n  "a": [\r\n1,\r2]\n}'), path="p")
        assert (await stream.receive())["data"] == {"a": [1, 2]}


async def test_a_websocket_and_a_stream_are_in_one_room():
    app = app_with()
    app.rooms("chat/{name}", history=History(messages=5), presence=True)
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send({"path": "finch.join", "room": "chat/a", "id": 1})
        await stream.receive()
        async with client.socket("/ws") as other:
            await other.join("chat/a")
            assert (await stream.receive())["path"] == "finch.presence"
            assert await app.room("chat/a").send("hello", path="said") == 2
            while (message := await other.receive()).path != "said":
                pass
            assert message.data == "hello"
        assert (await stream.receive())["data"] == "hello"


# How it begins


async def refused(client, target="/ws", more=""):
    with pytest.raises(Refused) as raised:
        await stream_of(client, target, more)
    return raised.value


async def test_it_is_refused_as_a_websocket_is():
    app = app_with()

    @app.authorize
    async def authorize(request):
        raise HTTPError(401, "log in first")

    async with TestClient(app) as client:
        assert (await refused(client)).status == 401
        assert (await refused(client, more="Content-Length: 1\r\n")).status in (400, 401)
        assert app.seen == []


async def test_on_connect_refuses_with_an_error_and_1008():
    app = FinchApp()

    @app.on_connect
    async def on_connect(socket):
        raise HTTPError(403, "banned")

    async with TestClient(app) as client:
        stream = await stream_of(client)
        assert (await stream.receive())["status"] == 403
        assert await stream.closed() == 1008


async def test_a_wrong_position_is_refused():
    app = app_with()
    SocketManager(app, history=History(messages=3))
    async with TestClient(app) as client:
        assert (await refused(client, "/ws?since=nobody:a:1")).status == 400
        stream = await stream_of(client, "/ws?since=everyone:none:1")
        assert (await stream.receive())["path"] == "finch.join"


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("text/html, Text/Event-Stream ;q=0.5", True),
        ("text/event-stream;q=0", False),
        ("text/event-stream; q=0.000", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
    ],
)
async def test_only_who_asks_for_events_gets_a_stream(accept, is_stream):
    async with TestClient(app_with()) as client:
        stream = client.connect()
        await stream.send_all(f"GET /ws HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n".encode())
        status = bytes(await stream.receive_some())[9:12]
        assert status == (b"200" if is_stream else b"426")


async def test_http_1_0_will_do():
    """nginx without settings speaks it to the servers behind it."""
    app = app_with()
    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET /ws HTTP/1.0\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        data = b""
        while b"event: open" not in data:
            data += await stream.receive_some()
        assert data.startswith(b"HTTP/1.1 200")
        [socket] = app.socket_manager.members
        assert socket.request.http_version == "1.0"


async def test_it_can_be_turned_off():
    app = app_with(sse=False)
    manager = SocketManager(app, path="/other", sse=True)
    manager.on_message(lambda socket, data: None)
    async with TestClient(app) as client:
        assert (await refused(client)).status == 426
        posted = await client.post("/ws", headers={"finch-stream": "x"})
        assert posted.status == 405
        await stream_of(client, "/other")


async def test_a_route_of_the_applications_own_takes_the_posts_as_well():
    app = FinchApp(socket_path=None)

    @app.route("/live", methods=("GET", "POST"))
    async def live(request):
        await app.socket_manager.request_handle(request, user_id=5)
        return request.render_socket()

    @app.socket("who")
    async def who(socket, data):
        return socket.user_id

    async with TestClient(app) as client:
        stream = await stream_of(client, "/live")
        assert await stream.call("who") == 5


async def test_what_comes_behind_the_request_is_ignored():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        await stream.stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        assert await stream.call("echo", 1) == 1


# POSTs


async def test_a_post_needs_the_secret_of_its_stream():
    app = app_with()
    async with TestClient(app) as client:
        ann, bob = await stream_of(client), await stream_of(client)
        secret = ann.secret.partition(".")[2]
        assert len(secret) == 22
        assert secret != ann.id
        mixed = f"{ann.id}.{bob.secret.partition('.')[2]}"
        unknown = f"{'x' * 22}.{secret}"
        message = json.dumps({"path": "note", "data": "forged"})
        for secret in (mixed, unknown):
            assert (await ann.post(message, secret=secret)).status == 410
        for wrong in (ann.id, "x.y", f"{ann.secret}\t1", f"{ann.secret}é"):
            headers = {"finch-stream": f"{wrong} 1".encode().decode("latin-1")}
            response = await client.post("/ws", headers=headers, content=message)
            assert response.status == 400
        for number in (0, -1, "01", 10**15):
            headers = {"finch-stream": f"{ann.secret} {number}"}
            assert (await client.post("/ws", headers=headers)).status == 400
        assert (await client.post("/ws", content=message)).status == 426
        async with client.socket("/ws") as other:
            id = await other.call("echo", "x") and app.socket_manager.get_all_clients_keys()[-1]
            assert (await ann.post(message, secret=f"{id}.{'y' * 22}")).status == 410
        assert await ann.call("echo", 1) == 1
        assert "forged" not in app.seen


async def test_a_post_that_comes_again_is_handled_once():
    """Browsers send a request again if a connection that was used before is cut under it."""
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        message = json.dumps({"path": "note", "data": 1})
        await stream.send(message)
        assert (await stream.post(message, number=1)).status == 204
        assert (await stream.post(message, number=3)).status == 409
        assert await stream.call("echo", 2) == 2
        assert (await stream.post(message, number=1)).status == 409
        assert app.seen == ["connect", 1]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_post_is_bounded(chunked):
    app = app_with(Limits(max_message_size=1000))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        fits = json.dumps({"path": "echo", "data": "x", "id": 1})
        fits = fits.replace("x", "x" * (1001 - len(fits)))
        await stream.send(fits)
        assert (await stream.receive())["reply"] == 1
        if chunked:
            headers = {**stream.belongs(), "transfer-encoding": "chunked"}
            response = await client.post("/ws", headers=headers, content=fits + "\n")
        else:
            response = await stream.post(fits + "\n")
        assert response.status == 413
        assert await stream.call("echo", 1) == 1


async def test_a_post_that_is_not_utf_8_says_nothing():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        response = await stream.post(b'{"path": "note"}\n\xff')
        assert response.status == 400
        assert await stream.call("echo", 1) == 1
        assert app.seen == ["connect"]


async def test_a_post_after_the_end_is_gone():
    async with TestClient(app_with()) as client:
        stream = await stream_of(client)
        await client.app.everyone.close(4000, "enough")
        assert await stream.closed() == 4000
        assert (await stream.post('{"path": "note"}')).status == 410


async def test_a_client_whose_handler_is_slow_must_wait(autojump_clock):
    """What is posted waits in the inbox, then in one POST; the next one waits, and comes again."""
    app = app_with(Limits(inbox=4))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send(*[{"path": "wait", "data": number} for number in range(50)])
        begun = trio.current_time()
        response = await stream.post(json.dumps({"path": "wait", "data": 50}))
        assert response.status == 429
        assert response.headers["retry-after"] == "1"
        assert trio.current_time() - begun == pytest.approx(10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send, {"path": "wait", "data": 50})
            await trio.sleep(1)
            other = await stream.post(json.dumps({"path": "wait", "data": 50}))
            assert other.status == 429  # only one may wait
            app.gate.set()
        assert await stream.call("echo", "x") == "x"
        assert app.seen == ["connect", *range(51)]


async def test_a_large_inbox_takes_all_of_a_post(autojump_clock):
    """More than one turn's worth, before and after it was full."""
    app = app_with(Limits(inbox=200))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send(*[{"path": "wait", "data": number} for number in range(1000)])
        app.gate.set()
        with trio.fail_after(5):
            while len(app.seen) < 1001:
                await trio.sleep(0.01)
        assert app.seen == ["connect", *range(1000)]


async def test_a_post_that_waits_is_told_if_the_stream_ends(autojump_clock):
    app = app_with(Limits(inbox=4))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send(*[{"path": "wait", "data": number} for number in range(50)])
        responses = []

        async def post():
            responses.append(await stream.post('{"path": "note"}'))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post)
            await trio.sleep(1)
            await stream.cut()
        assert responses[0].status == 410
        await gone(app)


async def test_a_ping_and_a_cancellation_overtake_what_waits():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send({"path": "wait", "data": 1, "id": 1})
        await stream.send({"path": "finch.ping", "id": 2}, {"path": "finch.cancel", "id": 1})
        assert [(await stream.receive())["reply"] for _ in range(2)] == [2, 1]


# How it ends


async def test_a_client_that_leaves_is_noticed_at_once_and_its_messages_are_handled():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send(*[{"path": "note", "data": number} for number in range(10)])
        await stream.cut()
        await gone(app)
        assert app.seen == ["connect", *range(10), "disconnect"]


async def test_a_handler_is_cancelled_when_its_client_leaves(autojump_clock):
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await stream.send({"path": "ask", "id": 1}, {"path": "wait"})
        await stream.receive()
        await stream.cut()
        await gone(app)
        assert app.seen == ["connect", "disconnect"]


async def test_the_server_says_why_it_closes():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        [socket] = app.socket_manager.members
        await socket.send("last", path="p")
        await socket.close(4401, "log in é")
        assert (await stream.receive())["data"] == "last"
        assert await stream.event() == ("close", {"code": 4401, "reason": "log in é"})
        await stream.cut()
        await gone(app)
        with pytest.raises(ClientGone):
            await socket.call("x")


@pytest.mark.parametrize("who", ["server", "client"])
async def test_it_ends_over_real_connections(serve_over, reader, who):
    """Over TLS there is no end of one side only."""
    if reader == "hub":
        return  # serve_over has both readers
    app = app_with()
    async with serve_over(app, bystander=False) as reached:
        peer = await reached.connect()
        stream = await Stream(peer.stream, "/ws", None).begin("/ws")
        await app.everyone.send("x" * 100_000, path="p")
        if who == "server":
            await app.everyone.close(4000, "enough")
        assert len((await stream.receive())["data"]) == 100_000
        if who == "server":
            assert await stream.closed() == 4000
        await peer.stream.aclose()
        await gone(app)


async def test_a_client_that_ignores_the_end_is_dropped(autojump_clock):
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        await app.everyone.close(1000)
        assert await stream.closed() == 1000
        begun = trio.current_time()
        await gone(app)
        assert trio.current_time() - begun <= 10


async def test_a_server_that_stops_says_so():
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        client._server.stop()
        assert await stream.closed() == 1001
    assert app.seen == ["connect", "disconnect"]


async def test_a_silent_stream_is_kept_alive_by_comments(autojump_clock):
    """Also while a handler that is slow has stopped the client."""
    app = app_with(Limits(inbox=4))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        with pytest.raises(trio.TooSlowError):
            await stream.event(within=65)
        assert stream.comments == 3
        await stream.send(*[{"path": "wait"}] * 20)
        with pytest.raises(trio.TooSlowError):
            await stream.event(within=60)
        assert stream.comments in (5, 6)
        app.gate.set()
        assert await stream.call("echo", 1) == 1


async def test_a_busy_client_to_whom_nothing_is_said_is_kept_alive_too(autojump_clock):
    app = app_with(Limits(inbox=2))
    async with TestClient(app) as client:
        stream = await stream_of(client)
        for number in range(13):
            await stream.send(*[{"path": "note", "data": number}] * 8)
            await trio.sleep(5)
        await stream.call("echo", 1)
        assert stream.comments == 3


# Slow clients


async def test_a_slow_client_is_closed_and_costs_others_nothing(reader, autojump_clock):
    app = app_with(Limits(max_outbox=64 * 1024))
    async with TestClient(app) as client:
        slow = await stream_of(client, stream=narrow(client, reader))
        fast = await stream_of(client)
        for number in range(100):
            await app.everyone.send("x" * 10_000, path="p")
            assert (await fast.receive())["data"] == "x" * 10_000, number
        assert await fast.call("echo", 1) == 1
        with trio.fail_after(30):
            while app.socket_manager.count_clients > 1:
                await trio.sleep(0.01)
        assert app.seen == ["connect", "connect", "disconnect"]
        received = 0
        with pytest.raises(EOFError):  # it was given 5 s to read the rest, and was dropped
            while True:
                await slow.receive()
                received += 1
        assert received < 100


async def test_a_slow_client_gets_the_newest_of_what_is_volatile(reader, autojump_clock):
    app = app_with()
    async with TestClient(app) as client:
        slow = await stream_of(client, stream=narrow(client, reader))
        for number in range(300):
            await app.everyone.send([number, "x" * 1000], path="price", volatile=True)
            await trio.sleep(0.01)
        heard = []
        begun = trio.current_time()
        while not heard or heard[-1] != 299:
            heard.append((await slow.receive())["data"][0])
        assert trio.current_time() - begun < 0.1
        assert heard == sorted(set(heard))
        assert len(heard) < 200
        assert await slow.call("echo", 1) == 1


async def test_sending_waits_for_a_slow_client(reader, autojump_clock):
    app = app_with(Limits(max_outbox=64 * 1024, backpressure=1024, write_timeout=1000))
    sent = []

    @app.socket("flood")
    async def flood(socket, data):
        for number in range(100):
            await socket.send([number, "x" * 10_000], path="p")
            sent.append(number)

    async with TestClient(app) as client:
        stream = await stream_of(client, stream=narrow(client, reader))
        await stream.send({"path": "flood"})
        await trio.sleep(5)
        assert len(sent) < 50
        assert [(await stream.receive())["data"][0] for _ in range(100)] == list(range(100))


async def test_the_lag_of_a_client_that_reads_is_nothing(autojump_clock):
    app = app_with()
    async with TestClient(app) as client:
        stream = await stream_of(client)
        [socket] = app.socket_manager.members
        await app.everyone.send("x", path="p")
        await trio.sleep(5)
        assert socket.lag == 0
        await stream.receive()


async def test_the_kernel_cuts_a_peer_that_confirms_nothing(serve):
    app = app_with()
    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        await stream.receive_some()
        [client] = app.socket_manager.members
        sock = client._outlet.transport.socket
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 40_000
