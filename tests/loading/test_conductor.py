"""Whole runs against real servers: what they count, and what they call an error."""

import functools

import pytest
import trio

from finch import FinchApp, HTTPError
from finch.loading.conductor import conduct
from finch.loading.connection import Broken
from finch.loading.plan import Plan
from finch.loading.target import read_target
from tests.conftest import serving


@pytest.fixture
def app():
    app = FinchApp()
    chat = app.rooms("chat/{name}")

    @app.get("/")
    async def index(request):
        return "hello" * 30_000

    @app.get("/streamed")
    async def streamed(request):
        yield "a"
        yield "b" * 1000

    @app.get("/closes")
    async def closes(request):
        return "hello", 200, {"connection": "close"}

    @app.get("/secret")
    async def secret(request):
        if request.headers.get("authorization") != "Bearer x" or request.query.get("token") != "t":
            raise HTTPError(401)
        return "secret"

    @app.socket("sum")
    async def add(socket, data):
        await socket.send("beside", path="pushed")
        return sum(data)

    @app.socket("parts")
    async def parts(socket, data):
        yield 1
        yield 2

    @app.socket("never")
    async def never(socket, data):
        await trio.sleep_forever()

    @app.socket("hang_up")
    async def hang_up(socket, data):
        await socket.close(4001, "no")

    @chat.on_join
    async def may_join(socket, name):
        if name == "staff":
            raise HTTPError(403)

    @chat.socket("say")
    async def say(socket, data, room):
        await room.send(data, path="said")

    @chat.socket("whisper")
    async def whisper(socket, data, room):
        await socket.send(data, path="said")

    return app


@pytest.fixture
def load(app):
    """Do a short run on a path of a server: the tally, and what it said meanwhile."""

    async def run(where, /, **options):
        said, found = [], None
        async with serving(app) as running:
            base = running.ws if where.startswith("/ws") else running.http
            target = read_target(base + where, options.pop("token", None))
            options = {"clients": 4, "seconds": 0.3, "warm_up": 0.01, **options}
            with trio.fail_after(30):
                try:
                    found = await conduct(Plan(target=target, **options), said.append)
                except Broken as error:  # raised here, a nursery would put it into a group
                    broken = error
        if found is None:
            raise broken
        return found, said

    return run


@pytest.mark.parametrize("path", ["/", "/streamed", "/closes"])
async def test_get_counts_whole_responses(load, path):
    tally, said = await load(path)
    assert tally.connected == 4
    assert tally.answers == tally.latency.count > 0
    assert not tally.errors
    assert said[0].startswith("4 connected in")
    assert sum(1 for line in said if "p99" in line) == len(tally.series) == 1


async def test_a_status_that_says_no_is_an_error_and_no_answer(load):
    tally, _ = await load("/secret")
    assert (tally.answers, set(tally.errors)) == (0, {"status 401"})


async def test_headers_and_a_token_are_sent(load):
    tally, _ = await load("/secret", token="t", headers=(("Authorization", "Bearer x"),))
    assert tally.answers > 0
    assert not tally.errors


async def test_answers_of_a_call_are_known_by_their_reply_not_their_data(load):
    tally, _ = await load("/ws", path="sum", data=b"[1,2]")
    assert tally.answers == tally.latency.count > 0
    assert tally.deliveries > 0  # what was pushed
    assert not tally.errors


async def test_a_streamed_answer_is_one(load):
    tally, _ = await load("/ws", path="parts")
    assert tally.answers > 0
    assert not tally.errors


async def test_an_answer_that_refuses_is_an_error(load):
    tally, _ = await load("/ws", path="sum", data=b'"no list"')
    assert (tally.answers, set(tally.errors)) == (0, {"status 500"})
    tally, _ = await load("/ws", path="nowhere")
    assert set(tally.errors) == {"status 404"}


async def test_a_rate_is_kept(load):
    tally, _ = await load("/ws", path="parts", rate=100.0, seconds=1.0)
    assert 0 < tally.answers <= 102
    assert not tally.errors


async def test_clients_without_a_path_listen(load):
    tally, _ = await load("/ws")
    assert (tally.connected, tally.answers, tally.errors) == (4, 0, {})


async def test_what_a_room_hears_is_counted_for_each_member(load):
    tally, _ = await load("/ws", room="chat/{n}", rooms=2, path="say", data=b'"hello"')
    assert tally.deliveries >= 4
    assert tally.latency.count > 0
    assert not tally.errors


async def test_a_delivery_that_does_not_come_is_an_error(load):
    tally, _ = await load("/ws", room="chat/a", path="whisper", timeout=0.05, seconds=0.5)
    assert tally.errors["a delivery that did not come"] >= 4


async def test_no_answer_in_time_is_an_error_and_so_is_what_waits(load):
    tally, _ = await load("/ws", path="never", timeout=0.1, seconds=5)
    assert tally.errors == {"no answer within 0.1 s": 4, "unanswered": 4}
    assert tally.seconds < 5  # nobody was left


async def test_a_server_that_closes_is_an_error(load):
    tally, _ = await load("/ws", path="hang_up", seconds=5)
    assert tally.errors["closed with 4001"] == 4


@pytest.mark.parametrize(
    ("path", "options", "says"),
    [
        ("/ws/nowhere", {}, "no upgrade: HTTP/1.1 404"),
        ("/ws", {"room": "nowhere"}, "not let into nowhere: status 404"),
        ("/ws", {"room": "chat/staff"}, "not let into chat/staff: status 403"),
    ],
)
async def test_a_run_in_which_nobody_gets_in_says_why(load, path, options, says):
    with pytest.raises(Broken, match=says):
        await load(path, **options)


async def test_a_server_that_is_not_there_is_said():
    plan = Plan(target=read_target("ws://127.0.0.1:1/ws"), clients=2, seconds=1.0)
    with pytest.raises(Broken, match="cannot connect"):
        await conduct(plan, print)


# Servers that are none


async def answer(data, stream):
    await stream.receive_some()
    await stream.send_all(data)
    try:
        await stream.receive_some()
    except trio.BrokenResourceError:
        pass  # the client has read enough


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "closed by the server"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no upgrade: SSH-2.0-OpenSSH"),
        (b"HTTP/1.1 101 x\r\n" + b"x: y\r\n" * 20_000, "without an end of its head"),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "no upgrade: HTTP/1.1 503 Busy"),
    ],
)
async def test_a_server_of_something_else_is_said(nursery, data, says):
    async def serve(stream):
        if data:
            await answer(data, stream)
        await trio.aclose_forcefully(stream)

    listeners = await nursery.start(functools.partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    port = listeners[0].socket.getsockname()[1]
    plan = Plan(target=read_target(f"ws://127.0.0.1:{port}/"), clients=1, seconds=1.0)
    with pytest.raises(Broken, match=says):
        await conduct(plan, lambda text: None)
