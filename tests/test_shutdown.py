"""The end of a server: closings spread, the deadline, handlers that will not end."""

import os
import signal
import socket
import threading
from functools import partial

import httpx
import pytest
import trio
import trio.testing
import websockets.sync.client

from finch import FinchApp, Limits
from finch import serve as serve_app
from finch.net.listeners import open_listeners
from finch.server import Server
from finch.testing import TestClient
from tests.processes import finch
from tests.transports import HANDSHAKE, app_with


async def closings(count, spread, code=1001, **limits):
    """How long after the stop each of so many clients is closed, in seconds of the test's clock."""
    app = FinchApp(limits=Limits(shutdown_spread=spread, **limits))
    times = []

    @app.socket("echo")
    async def echo(client, data):
        return data

    async def connect(client, task_status):
        async with client.socket() as ws:
            task_status.started()
            gone = await ws.wait_closed(timeout=60)
            times.append(trio.current_time())
            assert gone.code == code

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        for _ in range(count):
            await nursery.start(partial(connect, client))
        begun = trio.current_time()
        client._server.stop(restart=code == 1012)
    return sorted(at - begun for at in times)


async def test_the_closings_of_many_sockets_are_spread(autojump_clock):
    times = await closings(200, spread=1.0)
    # one a millisecond, in crowds of 20
    assert times[0] < 0.05
    assert 0.15 < times[-1] < 0.3
    assert len(set(times)) >= 8


async def test_closings_are_not_spread_further_than_told(autojump_clock):
    assert await closings(50, spread=0) == [0] * 50


async def test_the_time_for_all_closings_grows_with_their_number(autojump_clock):
    few, many = [(await closings(count, None))[-1] for count in (100, 400)]
    assert 0.05 < few < 0.15
    assert 0.35 < many < 0.45
    # but half of the time for everything is not exceeded
    assert (await closings(400, None, shutdown_timeout=0.2))[-1] <= 0.1


async def test_at_a_restart_clients_are_told_to_come_back_at_once(autojump_clock):
    assert len(await closings(3, None, code=1012)) == 3


async def test_at_a_restart_an_idle_connection_is_closed_a_moment_later(serve, leaping_clock):
    async with serve(FinchApp()) as running:
        stream = await running.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await stream.receive_some()
        begun = trio.current_time()
        running.server.stop(restart=True)
        assert await stream.receive_some() == b""
        assert 0.9 < trio.current_time() - begun < 3


async def test_who_upgrades_during_a_restart_is_told_to_come_back(serve):
    app = FinchApp()
    app.on_connect(lambda socket: None)
    async with serve(app) as running:
        stream = await running.connect()
        while not running.server._watched:
            await trio.sleep(0.001)
        running.server.stop(restart=True)
        await stream.send_all(HANDSHAKE % (b"/ws", b""))
        answer = b""
        while b"service restart" not in answer:
            answer += await stream.receive_some()
        assert b"\x03\xf4service restart" in answer


async def test_at_the_deadline_handlers_are_cancelled_and_on_disconnect_still_runs(serve):
    app = FinchApp(limits=Limits(shutdown_timeout=0.4, close_timeout=60))
    story = []

    @app.on_connect
    async def on_connect(client):
        await client.send("in")

    @app.socket("wait")
    async def wait(client, data):
        try:
            await client.send("begun")
            await trio.sleep_forever()
        finally:
            story.append("cancelled")

    @app.on_disconnect
    async def on_disconnect(client):
        story.append("on_disconnect")

    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            # {"path": "wait"}, masked with zeros
            b"\x81\x90\0\0\0\0" + b'{"path": "wait"}'
        )
        data = b""
        while b"begun" not in data:
            data += await stream.receive_some()
        running.server.stop()
        # the client answers no Close
        with trio.fail_after(10):
            while await stream.receive_some():
                pass
    assert story == ["cancelled", "on_disconnect"]


BLOCKING = """
import threading
from finch import FinchApp, Limits
from finch import serve as serve_app

app = FinchApp(limits=Limits(shutdown_timeout={timeout}))

@app.get("/")
def index(request):
    print("in", flush=True)
    threading.Event().wait(120)
"""


@pytest.mark.parametrize(
    ("timeout", "signals"), [(0.2, 1), (60, 2)], ids=["at the deadline", "at a second signal"]
)
def test_a_def_handler_that_blocks_does_not_keep_the_server(tmp_path, timeout, signals):
    (tmp_path / "blocking.py").write_text(BLOCKING.format(timeout=timeout))
    with finch("blocking", "--port", 0, cwd=tmp_path) as process:
        port = httpx.URL(process.url).port
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert process.popen.stdout.readline() == "in\n"
            process.signal(signal.SIGTERM)
            if signals == 2:
                with pytest.raises(httpx.HTTPError):
                    while True:  # until it has heard the first
                        httpx.get(process.url, timeout=1)
                process.signal(signal.SIGTERM)
            code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)


STARTING = """
import trio
from finch import FinchApp

app = FinchApp()

@app.on_startup
async def wait_for_database():
    print("in", flush=True)
    try:
        await trio.sleep_forever()
    finally:
        print("cleaned up")

@app.on_shutdown
async def on_shutdown():
    print("shut down")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_startup_cancels_it(tmp_path, number):
    (tmp_path / "starting.py").write_text(STARTING)
    path = tmp_path / "finch.sock"
    with finch("starting", "--unix", path, cwd=tmp_path, says="in") as process:
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
        process.signal(number)
        code, out = process.wait()
    said = out.splitlines()
    assert code == 0
    assert len(said) == 2
    assert said[0].endswith(
        f"INFO finch.server: {number.name} came during startup; the startup is cancelled"
    )
    assert said[1] == "cleaned up"
    assert not path.exists()


BLOCKED = """
import threading
from finch import FinchApp, Limits
from finch import serve as serve_app

app = FinchApp(limits=Limits(shutdown_timeout={timeout}))

@app.on_startup
def on_startup():
    print("in", flush=True)
    threading.Event().wait(120)
"""


@pytest.mark.parametrize(
    ("timeout", "signals"), [(0.2, 1), (60, 2)], ids=["at the deadline", "at a second signal"]
)
def test_a_def_startup_that_blocks_does_not_keep_the_server(tmp_path, timeout, signals):
    (tmp_path / "blocked.py").write_text(BLOCKED.format(timeout=timeout))
    with finch("blocked", "--port", 0, cwd=tmp_path, says="in") as process:
        process.signal(signal.SIGINT)
        if signals == 2:
            process.wait_for("came during startup")
            process.signal(signal.SIGINT)
        code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)


async def test_serve_ends_in_peace_when_signalled_during_startup():
    app = FinchApp()

    @app.on_startup
    async def on_startup():
        signal.raise_signal(signal.SIGTERM)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(3):  # none of which anybody but the server hears
                    signal.raise_signal(signal.SIGTERM)
                    await trio.sleep(0)
                signal.raise_signal(signal.SIGINT)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            assert await nursery.start(partial(serve_app, app, port=0)) == []


def test_a_second_signal_ends_on_shutdown_too(tmp_path):
    (tmp_path / "last.py").write_text(
        "import trio\nfrom finch import FinchApp, Limits\n"
        "app = FinchApp(limits=Limits(shutdown_timeout=60, leave_grace=0.1))\n"
        "@app.on_shutdown\nasync def on_shutdown():\n    print('in', flush=True)\n"
        "    await trio.sleep_forever()\n"
    )
    with finch("last", "--port", 0, cwd=tmp_path) as process:
        process.signal()
        process.wait_for("in")
        process.signal()
        assert process.wait() == (0, "")


async def test_what_a_failed_startup_began_in_the_background_is_forgotten():
    app = FinchApp()
    begun = []
    failures = [ZeroDivisionError]

    @app.on_startup
    async def on_startup():
        app.background_task(begun.append, "once")
        if failures:
            raise failures.pop()

    with pytest.raises(ZeroDivisionError):
        async with TestClient(app):
            pass
    async with TestClient(app):
        while not begun:
            await trio.sleep(0)
    assert begun == ["once"]


async def test_serve_that_is_cancelled_during_startup_is_cancelled():
    app = FinchApp()
    begun = trio.Event()

    @app.on_startup
    async def on_startup():
        begun.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_app, app, port=0))
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert nursery.cancel_scope.cancelled_caught


async def test_nobody_is_let_in_before_startup_is_done():
    app = FinchApp()
    listeners = open_listeners("127.0.0.1", 0)
    address = listeners[0].getsockname()

    @app.on_startup
    async def on_startup():
        with trio.socket.socket() as client, pytest.raises(ConnectionRefusedError):
            await client.connect(address)

    server = Server(app)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, listeners)
        await (await trio.open_tcp_stream(*address)).aclose()
        server.stop()


def test_nothing_is_left_behind(tmp_path):
    (tmp_path / "plain.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\n@app.socket('echo')\n"
        "async def echo(client, data):\n    return data\n"
    )
    path = tmp_path / "plain.sock"
    with finch("plain", "--unix", path, cwd=tmp_path) as process:
        with websockets.sync.client.unix_connect(str(path), "ws://localhost/ws"):
            process.signal()
        assert process.wait()[0] == 0
    assert not path.exists()


async def test_a_server_leaves_no_task_thread_or_descriptor(tmp_path):
    app = FinchApp()

    @app.get("/")
    def index(request):
        return "from a thread"

    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    async def once():
        server = Server(app)
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(partial(server.run, open_listeners("127.0.0.1", 0)))
            async with httpx.AsyncClient() as client:
                assert (await client.get(urls[0])).text == "from a thread"
            server.stop()

    await once()
    before = descriptors(), trio.lowlevel.current_statistics().tasks_living
    await once()
    assert (descriptors(), trio.lowlevel.current_statistics().tasks_living) == before
    named = [thread.name for thread in threading.enumerate() if "finch" in thread.name.lower()]
    assert named == []


async def test_a_socket_that_opens_when_everybody_was_given_up_is_closed(
    serve_over, leaping_clock, caplog
):
    app = app_with()
    manager = app.socket_manager
    begun = trio.Event()

    @app.socket("anything")
    async def anything(socket, data): ...

    @app.get("/slow")
    async def slow(request):
        begun.set()
        await trio.sleep(app.limits.shutdown_timeout - app.limits.leave_grace / 2)
        return await manager.request_handle(request)

    async with serve_over(app, bystander=False) as reached:
        peer = await reached.connect()
        await peer.say(HANDSHAKE % (b"/slow", b""))
        await begun.wait()
        reached.server.stop()
        assert await peer.hear_the_rest() == b""
        with trio.fail_after(60):
            while reached.server._watched:
                await trio.sleep(0.1)
    assert not caplog.records


async def test_a_child_that_raises_while_it_is_cancelled_does_not_end_the_server(serve, caplog):
    app = FinchApp(limits=Limits(shutdown_timeout=0.2))
    begun = trio.Event()

    @app.get("/")
    async def index(request):
        async def child():
            try:
                begun.set()
                await trio.sleep_forever()
            finally:
                raise ValueError("while it is cancelled")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)

    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
    assert "while it is cancelled" in caplog.text


async def test_what_a_startup_callback_begins_in_the_background_is_begun_once_each_time():
    app = FinchApp()
    begun = []

    async def task(name):
        begun.append(name)

    app.background_task(task, "lasting")

    @app.on_startup
    async def on_startup():
        app.background_task(task, "of this time")

    for _ in range(2):
        async with TestClient(app):
            await trio.testing.wait_all_tasks_blocked()
    assert sorted(begun) == ["lasting", "lasting", "of this time", "of this time"]


async def test_an_application_may_be_served_twice_at_once():
    app = FinchApp()
    told = []

    @app.on_shutdown
    async def down():
        await trio.sleep(0)
        told.append("down")

    @app.get("/begin")
    async def begin(request):
        app.background_task(told.append, "beside")
        return "ok"

    first_ends = trio.Event()

    async def serve_until(end, task_status):
        async with TestClient(app):
            task_status.started()
            await end.wait()
            told.append("ends")

    async with trio.open_nursery() as nursery:
        await nursery.start(serve_until, first_ends)
        async with TestClient(app) as client:
            first_ends.set()
            while told != ["ends", "down"]:
                await trio.sleep(0)
            assert (await client.get("/begin")).text == "ok"
            while told[2:] != ["beside"]:
                await trio.sleep(0)
    assert told[3:] == ["down"]


async def test_both_of_two_may_end_at_once():
    app = FinchApp()
    told = []

    @app.on_shutdown
    async def down():
        await trio.sleep(0.01)
        told.append("down")

    async def serve_for_a_moment():
        async with TestClient(app):
            await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_for_a_moment)
        nursery.start_soon(serve_for_a_moment)
    assert told == ["down", "down"]


@pytest.mark.parametrize("ended", [None, 0, 1])
async def test_a_signal_ends_every_server_of_a_program_that_still_runs(ended):
    told = []

    async def serve_one(name, scope, task_status):
        app = FinchApp()
        app.on_shutdown(lambda: told.append(name))
        with scope:
            await serve_app(app, port=0, task_status=task_status)

    before = signal.getsignal(signal.SIGTERM)
    scopes = [trio.CancelScope(), trio.CancelScope()]
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for name, scope in enumerate(scopes):
                await nursery.start(serve_one, name, scope)
            if ended is not None:
                scopes[ended].cancel()
                while told != [ended]:
                    await trio.sleep(0.001)
                await trio.testing.wait_all_tasks_blocked()
            signal.raise_signal(signal.SIGTERM)
    assert sorted(told) == [0, 1]
    assert signal.getsignal(signal.SIGTERM) is before
