"""The server on real sockets: slow, hostile and vanishing peers, unix sockets, the drain."""

import errno
import gc
import math
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from websockets.frames import Frame, Opcode
from wsproto.frame_protocol import FrameProtocol

from finch import FinchApp, Limits
from finch.http.connection import Connection
from finch.http.sending import Sender
from finch.net.listeners import open_listeners
from finch.server import Server
from finch.sockets.link import Link
from tests.transports import read_until


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(shutdown_timeout=2))

    @app.get("/")
    async def index(request):
        return "hello"

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    return app


HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)


def masked(opcode, payload):
    return Frame(opcode, payload).serialize(mask=True)


async def assert_alive(running, canary):
    """The server serves newcomers, and the client that was there before."""
    await canary.send_all(masked(Opcode.TEXT, b"alive"))
    assert await read_until(canary, b"alive")
    stream = await running.connect()
    await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await read_until(stream, b"hello")).startswith(b"HTTP/1.1 200")


async def open_canary(running):
    canary = await running.connect()
    await canary.send_all(HANDSHAKE % (b"/raw", b""))
    await read_until(canary, b"\r\n\r\n")
    return canary


async def test_an_upgrade_with_trailing_bytes_hands_them_to_the_socket(app, serve):
    async with serve(app) as running:
        canary = await open_canary(running)
        stream = await running.connect()
        await stream.send_all(HANDSHAKE % (b"/raw", b"") + masked(Opcode.TEXT, b"early"))
        assert (await read_until(stream, b"early")).startswith(b"HTTP/1.1 101")
        garbage = await running.connect()
        await garbage.send_all(HANDSHAKE % (b"/raw", b"") + b"\xff" * 100)
        assert await read_until(garbage, b"\x03\xea")  # Close 1002
        await assert_alive(running, canary)


@pytest.mark.parametrize(
    "extra",
    [
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Sec-WebSocket-Protocol: caf\xc3\xa9\r\n",
        b"Sec-WebSocket-Extensions: \xff\r\n",
        b"Origin: \xff\r\n",
    ],
)
async def test_a_wrong_upgrade_is_refused_and_hurts_nobody(app, serve, extra):
    async with serve(app) as running:
        canary = await open_canary(running)
        for path in (b"/ws", b"/raw"):
            stream = await running.connect()
            await stream.send_all(HANDSHAKE % (path, extra) + b"hello")
            answer = await read_until(stream, b"\r\n\r\n")
            assert answer.split()[1] in (b"400", b"403")
        await assert_alive(running, canary)


async def test_a_reset_connection_hurts_nobody(app, serve):
    async with serve(app) as running:
        canary = await open_canary(running)
        for data in (b"", b"GET / HTTP/1.1\r\n", HANDSHAKE % (b"/ws", b"")):
            stream = await running.connect()
            if data:
                await stream.send_all(data)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()
        await assert_alive(running, canary)


async def test_ten_clients_killed_without_a_fin_are_gone_after_the_ping_timeout(
    serve, autojump_clock
):
    app = FinchApp()
    gone = []
    all_gone = trio.Event()

    @app.on_disconnect
    async def on_disconnect(client):
        gone.append(client.id)
        if len(gone) == 10:
            all_gone.set()

    autojump_clock.autojump_threshold = 0.02  # the kernel needs a moment of its own
    async with serve(app) as running:
        for _ in range(10):
            stream = await running.connect()
            await stream.send_all(HANDSHAKE % (b"/ws", b""))
            await read_until(stream, b"\r\n\r\n")
        assert app.socket_manager.count_clients == 10
        begun = trio.current_time()
        # They never answer a ping, and no FIN comes: so looks a client whose machine is gone.
        with trio.fail_after(100):
            await all_gone.wait()
        assert trio.current_time() - begun <= 41
        assert app.socket_manager.count_clients == 0
        assert len(set(gone)) == 10


async def test_a_client_that_never_reads_is_closed_and_the_broadcast_goes_on(serve):
    app = FinchApp(limits=Limits(max_outbox=64 * 1024))
    gone = trio.Event()

    @app.on_disconnect
    async def on_disconnect(client):
        gone.set()

    async with serve(app) as running:
        slow = await running.connect()
        await slow.send_all(HANDSHAKE % (b"/ws", b""))
        await read_until(slow, b"\r\n\r\n")
        quick = await running.connect()
        await quick.send_all(HANDSHAKE % (b"/ws", b""))
        await read_until(quick, b"\r\n\r\n")
        received = 0

        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def read():
                nonlocal received
                while data := await quick.receive_some():
                    received += len(data)

            manager = app.socket_manager
            blob = "x" * 50_000
            sent = 0
            with trio.fail_after(60):
                while await manager.send_to_all(blob, path="blob") == 2:
                    sent += 1
                    await trio.sleep(0)
                for _ in range(3):
                    assert await manager.send_to_all(blob, path="blob") == 1
                    sent += 1
                    await trio.sleep(0.01)
                while received < sent * 50_000:
                    await trio.sleep(0.01)
            await trio.aclose_forcefully(slow)
            with trio.fail_after(20):
                await gone.wait()
            nursery.cancel_scope.cancel()


async def test_send_waits_for_a_slow_client_and_a_peer_that_takes_nothing_is_dropped(
    serve, autojump_clock
):
    app = FinchApp()
    outcome = []
    done = trio.Event()

    @app.socket("flood")
    async def flood(client, data):
        count = 0
        while await client.send("x" * 100_000):
            count += 1
        outcome.append((count, trio.current_time()))
        done.set()

    autojump_clock.autojump_threshold = 0.1  # acknowledgements may be late by 40 ms
    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(HANDSHAKE % (b"/ws", b"") + masked(Opcode.TEXT, b'{"path": "flood"}'))
        begun = trio.current_time()
        with trio.fail_after(100):
            await done.wait()
        [(count, at)] = outcome
        assert 0 < count < 1000  # backpressure, not a megabyte after the other
        assert 19 <= at - begun <= 22
        await stream.aclose()


async def test_a_hang_up_is_noticed_while_a_full_inbox_has_stopped_the_reading(
    serve, autojump_clock
):
    app = FinchApp(limits=Limits(inbox=2))
    cancelled = trio.Event()

    @app.socket("wait")
    async def wait(client, data):
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    autojump_clock.autojump_threshold = 0.02
    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(
            HANDSHAKE % (b"/ws", b"") + masked(Opcode.TEXT, b'{"path": "wait"}') * 20
        )
        await read_until(stream, b"\r\n\r\n")
        await stream.aclose()
        with trio.fail_after(10):
            await cancelled.wait()


async def test_a_unix_socket_is_served_and_removed(app, tmp_path):
    path = tmp_path / "finch.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()  # its file stays behind, as after a crash
    server = Server(app)
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(partial(server.run, open_listeners(unix=str(path))))
        assert urls == [f"unix:{path}"]
        with pytest.raises(OSError, match="in use"):
            open_listeners(unix=str(path))
        stream = await trio.open_unix_socket(path)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await read_until(stream, b"hello")
        await stream.aclose()
        server.stop()
    assert not path.exists()


async def test_shutting_down_closes_sockets_with_1001_and_stops_accepting(app, serve):
    gone = []

    @app.on_disconnect
    async def on_disconnect(client):
        gone.append(client.id)

    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(HANDSHAKE % (b"/ws", b""))
        await read_until(stream, b"\r\n\r\n")
        running.server.stop()
        assert await read_until(stream, b"\x03\xe9")  # Close 1001
        await stream.send_all(masked(Opcode.CLOSE, b"\x03\xe9"))
        with trio.fail_after(5):
            assert await stream.receive_some() == b""
        with pytest.raises(OSError):
            await running.connect()
    assert len(gone) == 1


async def test_what_does_not_end_by_itself_is_cancelled_at_the_deadline(serve, autojump_clock):
    app = FinchApp(limits=Limits(shutdown_timeout=3))
    autojump_clock.autojump_threshold = 0.02

    @app.get("/forever")
    async def forever(request):
        await trio.sleep_forever()

    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(1)
        begun = trio.current_time()
    assert 2 <= trio.current_time() - begun <= 4
    await stream.aclose()


async def test_an_http_client_that_takes_nothing_is_dropped_without_a_word_in_the_log(
    serve, autojump_clock, caplog
):
    app = FinchApp()
    ended = trio.Event()

    @app.get("/")
    async def index(request):
        return "x" * 50_000_000

    @app.get("/stream")
    async def stream(request):
        try:
            while True:
                yield "x" * 100_000
        finally:
            ended.set()

    autojump_clock.autojump_threshold = 0.02
    async with serve(app) as running:
        for path in (b"/", b"/stream"):
            stream = await running.connect()
            await stream.send_all(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        with trio.fail_after(60):
            await ended.wait()
            while running.server._watched:
                await trio.sleep(1)
        assert trio.current_time() < 40
    assert caplog.text == ""


async def test_a_stream_that_raises_resets_a_peer_that_could_not_tell(serve):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        async def chunks():
            yield b"half"
            await trio.lowlevel.checkpoint()
            raise ValueError("no more")

        return chunks()

    async with serve(app) as running:
        stream = await running.connect()
        await stream.send_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(10):
            while await stream.receive_some():
                pass


async def test_what_is_accepted_does_not_wait_to_fill_segments(app, serve):
    seen = []
    create = Server._take

    def take(self, tls, sock, address):
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        create(self, tls, sock, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Server, "_take", take)
        async with serve(app) as running:
            await assert_alive(running, await open_canary(running))
    assert seen
    assert all(seen)


@asynccontextmanager
async def nothing_is_left(running, *kinds):
    """Whatever is opened inside must be gone at the end, without the garbage collector."""

    def living():
        return sum(type(found) in kinds for found in gc.get_objects())

    before = living()
    gc.disable()
    try:
        yield
        with trio.fail_after(10):
            while running.server._watched:
                await trio.sleep(0.01)
        assert living() - before < 10  # a worker and the hub keep the last one they saw
    finally:
        gc.enable()


async def test_a_client_that_has_left_leaves_nothing_for_the_garbage_collector(app, serve):
    async with serve(app) as running, nothing_is_left(running, Link, FrameProtocol):
        for path in (b"/ws", b"/raw") * 10:
            stream = await running.connect()
            await stream.send_all(HANDSHAKE % (path, b"") + masked(Opcode.CLOSE, b"\x03\xe8"))
            await read_until(stream, b"\x88\x02\x03\xe8")
            await stream.aclose()


@pytest.mark.parametrize(
    "request_", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"garbage\r\n\r\n"]
)
async def test_neither_does_a_connection_of_any_other_kind(app, serve, request_):
    async with serve(app) as running, nothing_is_left(running, Connection, Sender):
        for _ in range(20):
            stream = await running.connect()
            await stream.send_all(request_)
            await stream.send_eof()
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            await stream.aclose()


class Overdue:
    """A connection whose time is up in a second."""

    def __init__(self):
        self.transport = self
        self.deadline = trio.current_time() + 1
        self.expired_at = None

    def stalled(self, now, patience):
        return False

    def expire(self, now):
        self.expired_at, self.deadline = now, math.inf

    def shut_down(self, code, reason):
        pass

    def close(self):
        pass


@pytest.mark.parametrize(("held_up_for", "expired_at"), [(0, 0.5), (5, 5.7)])
async def test_a_server_that_was_held_up_gives_nobody_up_at_once(
    app, autojump_clock, held_up_for, expired_at
):
    server = Server(app)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, [])
        begun = trio.current_time()
        item = Overdue()
        server._watch(item)
        await trio.sleep(0.2)
        autojump_clock.jump(held_up_for)  # as a handler that blocks does, or a machine that sleeps
        await trio.sleep(2)
        server._unwatch(item)
        server.stop()
    assert item.expired_at - begun == pytest.approx(expired_at, abs=0.01)


def test_a_server_starts_without_the_parsers_that_the_first_answers_do_without():
    code = "import sys, finch.cli; print({'h11', 'wsproto'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


async def test_parsers_that_cannot_be_read_yet_are_imported_later(
    app, autojump_clock, monkeypatch, caplog
):
    no_file = OSError(errno.EMFILE, "Too many open files")
    outcomes = iter([None, None, no_file, ImportError("of another release"), None, None])
    imported = []

    def import_module(name):
        imported.append(name)
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("finch.deferred.importlib.import_module", import_module)
    server = Server(app)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, [])
        await trio.sleep(10)
        server.stop()
    body, extensions, authority = "finch.wire.body", "finch.wire.extensions", "finch.wire.authority"
    errors, posts = "finch.http.problems", "finch.sockets.posts"
    assert imported == [errors, extensions, body, body, authority, posts]
    assert [record.message for record in caplog.records] == [
        "modules of Finch cannot be read yet: [Errno 24] Too many open files",
        "finch.wire.body cannot be imported; restart the server",
    ]
