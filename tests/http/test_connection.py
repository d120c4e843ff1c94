"""One connection's HTTP life, over in-memory streams: bytes in, bytes out."""

import pytest
import trio

from finch import FinchApp, HTTPError, Limits
from finch.testing import TestClient
from tests.transports import app_with


@pytest.fixture
def app():
    app = app_with()

    @app.post("/ignore")
    async def ignore(request):
        return "ignored"

    @app.post("/stream")
    async def stream(request):
        return str(sum([len(piece) async for piece in request.stream()]))

    return app


async def read_all(stream):
    """Everything until the server closes."""
    pieces = []
    with trio.fail_after(300):
        while data := await stream.receive_some():
            pieces.append(bytes(data))
    return b"".join(pieces)


async def talk(app, *pieces):
    """What the server says to these bytes, up to its closing."""
    async with TestClient(app) as client:
        stream = client.connect()
        for piece in pieces:
            await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()
        await stream.send_eof()
        return await read_all(stream)


def statuses(answer):
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


async def test_keep_alive_serves_one_request_after_another(app):
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await talk(app, request, request, request)
    assert statuses(answer) == [200, 200, 200]


async def test_pipelined_requests_are_answered_in_order(app):
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await talk(app, post + b"one" + get + post + b"two" + get)
    bodies = [part.split(b"\r\n\r\n")[1] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"one", b"hello", b"two", b"hello"]


async def test_a_chunked_body_arrives_whole(app):
    answer = await talk(
        app,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
        b"4\r\n two\r\n0\r\n\r\n",
    )
    assert answer.endswith(b"one two")


async def test_connection_close_and_http_1_0_end_the_connection(app):
    async with TestClient(app) as client:
        for request in (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
        ):
            stream = client.connect()
            await stream.send_all(request)
            answer = await read_all(stream)
            assert b"connection: close" in answer.lower()
            assert answer.endswith(b"hello")


async def test_100_continue_is_sent_when_the_body_is_wanted(app):
    head = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert statuses(await talk(app, head % b"echo", b"ok")) == [100, 200]
    answer = await talk(app, head % b"ignore")
    assert statuses(answer) == [200]
    assert b"connection: close" in answer.lower()


async def test_a_body_that_nobody_read_is_discarded_and_the_next_request_served(app):
    post = b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert statuses(await talk(app, post, b"x" * 1000 + get)) == [200, 200]


async def test_a_large_body_that_nobody_read_ends_the_connection(app):
    post = b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert statuses(await talk(app, post + b"x" * 1_000_000 + get)) == [200]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 9000), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"x" * 17000), 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"X: y\r\n" * 101), 431),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_a_bad_request_is_answered_and_nobody_else_notices(app, request_bytes, status):
    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(request_bytes)
        await stream.send_eof()
        assert statuses(await read_all(stream)) == [status]
        assert (await client.get("/")).text == "hello"


async def test_a_chunked_body_beyond_the_limit_is_413():
    app = FinchApp(limits=Limits(max_body=10))

    @app.post("/")
    async def index(request):
        return await request.body()

    answer = await talk(
        app,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n",
    )
    assert statuses(answer) == [413]


async def test_a_head_that_does_not_come_is_408_after_ten_seconds(app, autojump_clock):
    async with TestClient(app) as client:
        stream = client.connect()
        begun = trio.current_time()
        await stream.send_all(b"GET / HTT")
        assert statuses(await read_all(stream)) == [408]
        assert 9 <= trio.current_time() - begun <= 10


async def test_a_head_of_a_byte_a_second_is_408_all_the_same(app, autojump_clock):
    async with TestClient(app) as client, trio.open_nursery() as nursery:
        stream = client.connect()
        begun = trio.current_time()

        @nursery.start_soon
        async def drip():
            for byte in b"GET / HTTP/1.1\r\nHost: abcdefgh\r\n":
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)

        assert statuses(await read_all(stream)) == [408]
        assert trio.current_time() - begun <= 10
        nursery.cancel_scope.cancel()


async def test_a_connection_that_says_nothing_is_closed_without_an_answer(app, autojump_clock):
    async with TestClient(app) as client:
        assert await read_all(client.connect()) == b""
        assert trio.current_time() <= 11


async def test_an_idle_connection_is_closed_after_fifteen_seconds(app, autojump_clock):
    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        begun = trio.current_time()
        assert statuses(await read_all(stream)) == [200]
        assert 14 <= trio.current_time() - begun <= 16


async def test_a_body_that_stops_is_408_after_twenty_seconds(app, autojump_clock):
    async with TestClient(app) as client:
        stream = client.connect()
        begun = trio.current_time()
        await stream.send_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        assert statuses(await read_all(stream)) == [408]
        assert 19 <= trio.current_time() - begun <= 21


async def test_a_body_faster_than_a_kilobyte_a_second_may_take_its_time(app, autojump_clock):
    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(100):
            await stream.send_all(b"x" * 2000)
            await trio.sleep(1)
        await stream.send_eof()
        assert (await read_all(stream)).endswith(b"200000")


async def test_a_slow_handler_is_no_slow_client(autojump_clock):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        await trio.sleep(1000)
        return "at last"

    async with TestClient(app) as client:
        assert (await client.get("/", timeout=2000)).text == "at last"


async def test_a_handler_sees_that_the_client_left_in_the_middle_of_a_body(caplog):
    app = FinchApp()
    cleaned = []

    @app.post("/")
    async def index(request):
        try:
            await request.body()
        finally:
            cleaned.append(True)

    answer = await talk(app, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
    assert answer == b""
    assert cleaned == [True]
    assert caplog.text == ""


async def test_a_stream_that_raises_has_no_end(caplog):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        yield "begun"
        raise RuntimeError("in the middle")

    answer = await talk(app, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"begun" in answer
    assert b"0\r\n\r\n" not in answer
    assert "in the middle" in caplog.text


async def test_a_streams_generator_is_closed_when_the_client_leaves(autojump_clock):
    app = FinchApp()
    closed = trio.Event()

    @app.get("/")
    async def index(request):
        try:
            while True:
                yield "tick"
                await trio.sleep(1)
        finally:
            closed.set()

    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await stream.receive_some()
        await trio.aclose_forcefully(stream)
        with trio.fail_after(60):
            await closed.wait()


async def test_shutting_down_finishes_the_request_and_closes_idle_connections(autojump_clock):
    app = FinchApp()

    @app.get("/slow")
    async def slow(request):
        await trio.sleep(3)
        return "done"

    @app.get("/fast")
    async def fast(request):
        return "fast"

    async with TestClient(app) as client:
        busy, idle = client.connect(), client.connect()
        await idle.send_all(b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
        await busy.send_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(1)
        client._server.stop()
        assert (await read_all(idle)).endswith(b"fast")
        assert trio.current_time() < 2
        answer = await read_all(busy)
        assert answer.endswith(b"done")
        assert b"connection: close" in answer.lower()


async def test_a_late_read_of_the_body_never_reads_the_next_request():
    app = FinchApp()
    kept = []
    errors = []

    @app.post("/keep")
    async def keep(request):
        kept.append(request)
        return "kept"

    @app.post("/peek")
    async def peek(request):
        try:
            await kept[0].body()
        except RuntimeError as error:
            errors.append(str(error))
        return await request.body()

    post = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret"
    answer = await talk(app, post % b"keep" + post % b"peek")
    assert answer.endswith(b"secret")
    assert "is already answered" in errors[0]


async def test_an_http_error_carries_its_headers():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise HTTPError(429, headers={"retry-after": "3"})

    async with TestClient(app) as client:
        assert (await client.get("/")).headers["retry-after"] == "3"


async def test_the_absolute_form_of_a_target_is_accepted(app):
    assert statuses(await talk(app, b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")) == [200]
    assert statuses(await talk(app, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")) == [204]


async def test_a_large_response_waits_as_little_and_arrives_whole(serve_over, leaping_clock):
    size = 8 * 1024 * 1024
    app = app_with()

    @app.get("/large")
    async def large(request):
        return bytes(size)

    @app.get("/streamed")
    async def streamed(request):
        yield bytes(size)

    async with serve_over(app) as server:
        for path in (b"/large", b"/streamed"):
            peer = await server.connect()
            await peer.say(b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path)
            await peer.hear(b"\r\n\r\n")
            await trio.sleep(5)
            waiting = [item.transport.pending for item in server.server._watched]
            assert max(waiting) <= 256 * 1024  # backpressure, a slice, and what TLS has in hand
            assert (await peer.hear_all()).count(b"\0") >= size
