"""The hub: descriptors that come back as another's, pauses, floods, turns, who watches, the end."""

import os
import socket
import struct
from contextlib import suppress

import pytest
import trio
import trio.testing
from websockets.frames import Frame, Opcode

from finch import FinchApp, Limits
from finch.net.hub import Hub
from finch.net.listeners import open_listeners
from finch.server import Server
from tests.conftest import serving
from tests.test_server import HANDSHAKE, masked, read_until


def echo_app(**limits):
    app = FinchApp(limits=Limits(**limits))

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    @app.socket("echo")
    async def echo(client, data):
        return data

    return app


async def open_socket(running, path=b"/raw"):
    stream = await running.connect()
    await stream.send_all(HANDSHAKE % (path, b""))
    await read_until(stream, b"\r\n\r\n")
    return stream


async def test_a_descriptor_that_is_used_again_belongs_to_the_newcomer(serve):
    async with serve(echo_app()) as running:
        for number in range(50):
            stream = await open_socket(running)
            message = b"visitor %d" % number
            await stream.send_all(masked(Opcode.TEXT, message))
            await read_until(stream, message)
            if number % 2:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()


async def test_the_hub_forgets_every_link_when_it_is_over():
    async with serving(echo_app()) as running:
        hub = running.server._hub
        streams = [await open_socket(running) for _ in range(5)]
        assert len(hub._links) == 5
        for stream in streams:
            await stream.aclose()
        with trio.fail_after(5):
            while hub._links or hub._resting or running.server._watched:
                await trio.sleep(0.01)


async def test_a_flood_of_pings_is_answered_and_others_are_served_meanwhile(serve):
    async with serve(echo_app()) as running:
        flooder = await open_socket(running)
        other = await open_socket(running)
        pings = Frame(Opcode.PING, b"").serialize(mask=True) * 20_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flooder.send_all, pings)
            for _ in range(20):
                await other.send_all(masked(Opcode.TEXT, b"hi"))
                await read_until(other, b"hi")
            pongs = 0
            with trio.fail_after(20):
                while pongs < 20_000 * 2:
                    pongs += len(await flooder.receive_some())


async def test_a_paused_link_goes_on_where_it_stopped_and_hears_of_control_frames(serve):
    async with serve(echo_app(inbox=2)) as running:
        stream = await open_socket(running)
        frames = b"".join(masked(Opcode.TEXT, b"%03d" % number) for number in range(300))
        pings = Frame(Opcode.PING, b"p").serialize(mask=True) * 600
        await stream.send_all(frames + pings + masked(Opcode.TEXT, b"end"))
        data = await read_until(stream, b"\x81\x03end")
        places = [data.index(b"\x81\x03%03d" % number) for number in range(300)]
        assert places == sorted(places)
        assert data.count(b"\x8a\x01p") == 600


async def test_a_peer_that_closes_its_side_is_let_go(serve):
    async with serve(echo_app()) as running:
        stream = await open_socket(running)
        await stream.send_all(masked(Opcode.TEXT, b"last words"))
        await stream.send_eof()
        with trio.fail_after(5):
            while await stream.receive_some():
                pass


# Turns, and who watches


class Turns(trio.abc.Instrument):
    """Counts the turns of the event loop, and notes which tasks run."""

    def __init__(self):
        self.all = 0
        self.ran = set()

    def before_io_wait(self, timeout):
        self.all += 1

    def before_task_step(self, task):
        self.ran.add(task)


@pytest.fixture
async def turns():
    counted = Turns()
    trio.lowlevel.add_instrument(counted)
    yield counted
    trio.lowlevel.remove_instrument(counted)


@pytest.mark.parametrize(
    ("path", "message"), [(b"/raw", b"hello"), (b"/ws", b'{"path": "echo", "data": "hello"}')]
)
async def test_a_message_is_read_handled_and_answered_in_one_turn(turns, path, message):
    async with serving(echo_app()) as running:
        stream = await open_socket(running, path)
        await trio.testing.wait_all_tasks_blocked()
        with socket.socket(fileno=os.dup(stream.socket.fileno())) as sock:  # needs no task
            sock.setblocking(False)
            before, parked = turns.all, set(running.server.workers._parked)
            turns.ran.clear()
            sock.send(masked(Opcode.TEXT, message))
            answer = b""
            with trio.fail_after(5):
                while not answer:
                    await trio.lowlevel.checkpoint()
                    with suppress(BlockingIOError):
                        answer = sock.recv(1000)
        assert b"hello" in answer
        # the turn that was running, and the one that has seen the message
        assert turns.all - before <= 2
        assert not turns.ran & parked  # whoever watches handles it, too


async def test_while_a_handler_waits_somebody_else_watches():
    app = echo_app()
    asleep = trio.Event()

    @app.socket("sleep")
    async def sleep(client, data):
        asleep.set()
        await trio.sleep_forever()

    async with serving(app) as running:
        hub = running.server._hub
        sleepers = [await open_socket(running, b"/ws") for _ in range(20)]
        other = await open_socket(running)
        for stream in sleepers:
            await stream.send_all(masked(Opcode.TEXT, b'{"path": "sleep"}'))
        await asleep.wait()
        for number in range(5):
            message = b"number %d" % number
            await other.send_all(masked(Opcode.TEXT, message))
            await read_until(other, message)
            await trio.testing.wait_all_tasks_blocked()
            assert hub.watched


async def test_nobody_polls_for_sockets_that_have_nothing_to_say(monkeypatch):
    async with serving(echo_app()) as running:
        await open_socket(running)
        await trio.testing.wait_all_tasks_blocked()
        hub = running.server._hub
        polls = []
        monkeypatch.setattr(hub, "_turn", lambda: polls.append("poll"))
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert polls == []


async def test_trio_clears_what_a_task_sleeps_for_when_it_wakes_it():
    """The hub learns by that whether trio has woken the task that watches."""
    ours, theirs = socket.socketpair()
    tasks = []

    async def watch():
        task = trio.lowlevel.current_task()
        task.custom_sleep_data = "the hub"
        tasks.append(task)
        await trio.lowlevel.wait_readable(ours)

    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            assert tasks[0].custom_sleep_data == "the hub"
            theirs.send(b"x")
        assert tasks[0].custom_sleep_data is None


async def test_a_link_that_fails_is_dropped_and_the_others_are_served(monkeypatch, caplog):
    async with serving(echo_app()) as running:
        broken, other = await open_socket(running), await open_socket(running)
        link = next(iter(running.server._hub._links.values()))
        monkeypatch.setattr(type(link), "pump", fails_for(link, type(link).pump))
        await broken.send_all(masked(Opcode.TEXT, b"hi"))
        with trio.fail_after(5):
            while await receive(broken):
                pass
        await other.send_all(masked(Opcode.TEXT, b"hi"))
        await read_until(other, b"hi")
    assert "a bug in Finch: a link failed" in caplog.text


def fails_for(broken, pump):
    def pump_or_fail(link):
        if link is broken:
            raise LookupError("a bug")
        return pump(link)

    return pump_or_fail


async def receive(stream):
    try:
        return await stream.receive_some()
    except trio.BrokenResourceError:
        return b""


async def test_the_hub_outlives_its_own_bugs(monkeypatch, caplog):
    async with serving(echo_app()) as running:
        stream = await open_socket(running)
        hub = running.server._hub
        turn, faults = hub._turn, iter([LookupError("a bug")])

        def fails_once():
            for fault in faults:
                raise fault
            turn()

        monkeypatch.setattr(hub, "_turn", fails_once)
        await stream.send_all(masked(Opcode.TEXT, b"hi"))
        await read_until(stream, b"hi")
    assert "a bug in Finch: reading failed" in caplog.text


async def test_a_link_that_is_dropped_unfinished_leaves_nothing_to_do():
    """Otherwise, the alarm would wake the watcher again and again, and nobody would read it."""
    async with serving(echo_app()) as running:
        stream = await open_socket(running)
        hub = running.server._hub
        (link,) = hub._links.values()
        pings = Frame(Opcode.PING, b"").serialize(mask=True) * 2000
        await stream.send_all(pings)
        with trio.fail_after(5):
            while not hub._alarmed:
                await trio.lowlevel.checkpoint()
            link.drop()
            assert not hub._unfinished
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert not hub._alarmed


async def test_no_instrument_is_left_if_the_server_cannot_listen():
    listeners = open_listeners("127.0.0.1", 0)
    listeners[0].close()
    server = Server(echo_app())
    with pytest.raises(OSError):
        await server.run(listeners)
    with pytest.raises(KeyError):
        trio.lowlevel.remove_instrument(server._hub)


async def test_the_event_loop_sleeps_while_an_interrupted_server_cleans_up(turns):
    """A KeyboardInterrupt ends all tasks, and a handler may take its time for that."""
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                before.append(turns.all)
                await trio.sleep(0.2)
                after.append(turns.all)

    async def interrupt():
        raise KeyboardInterrupt

    before, after = [], []
    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        async with serving(app) as running:
            await open_socket(running)
            await trio.testing.wait_all_tasks_blocked()
            running.server._nursery.start_soon(interrupt)
            await trio.sleep_forever()
    assert after[-1] - before[0] < 100


async def test_a_worker_with_nothing_to_do_is_not_busy():
    app = echo_app(inbox=8)

    @app.socket("wait")
    async def wait(client, data):
        await trio.sleep_forever()

    async with serving(app) as running:
        waiting = await open_socket(running, b"/ws")
        await waiting.send_all(masked(Opcode.TEXT, b'{"path": "wait"}') * 3)
        other = await open_socket(running)
        await other.send_all(masked(Opcode.TEXT, b"hi"))
        await read_until(other, b"hi")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert not running.server.workers.busy()


async def test_a_worker_is_busy_while_its_client_has_more_messages():
    app, busy = FinchApp(), []

    @app.socket("look")
    async def look(client, data):
        busy.append(running.server.workers.busy())

    async with serving(app) as running:
        stream = await open_socket(running, b"/ws")
        await stream.send_all(masked(Opcode.TEXT, b'{"path": "look"}') * 3)
        with trio.fail_after(5):
            while len(busy) < 3:
                await trio.lowlevel.checkpoint()
    assert busy == [True, True, False]


class Nobody:
    """Stands in for the workers: nobody watches."""

    def wake(self):
        pass

    def woken(self):
        pass


@pytest.fixture
async def hub_and_socket():
    """A hub, and a socket that has nothing to say, with its peer."""
    hub = Hub(Nobody())
    ours, theirs = socket.socketpair()
    hub.start()
    yield hub, ours, theirs
    hub.stop()
    ours.close()
    theirs.close()
    hub.close()


async def test_a_cancelled_wait_does_not_end_the_wait_of_another_task(hub_and_socket, nursery):
    hub, ours, theirs = hub_and_socket
    woken = []

    async def wait():
        woken.append(await hub.readable(ours.fileno()))

    async with trio.open_nursery() as first:
        first.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await hub.readable(ours.fileno())
        first.cancel_scope.cancel()
        nursery.start_soon(wait)  # before the cancelled task has run
    theirs.send(b"x")
    with trio.fail_after(5):
        while not woken:
            await trio.lowlevel.checkpoint()
    assert woken == [True]


# HTTP connections wait here too

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def hello_app(**limits):
    app = FinchApp(limits=Limits(**limits))

    @app.get("/")
    async def index(request):
        return "hello"

    return app


async def test_an_idle_connection_waits_in_the_hub_and_is_forgotten_when_it_ends():
    async with serving(hello_app()) as running:
        hub = running.server._hub
        stream = await running.connect()
        for _ in range(3):
            await stream.send_all(REQUEST)
            await read_until(stream, b"hello")
            await trio.testing.wait_all_tasks_blocked()
            assert len(hub._waiting) == 1
        await stream.aclose()
        with trio.fail_after(5):
            while hub._links or hub._waiting:
                await trio.sleep(0.01)


async def test_a_connection_that_waits_too_long_is_closed():
    async with serving(hello_app(keep_alive_timeout=0.2)) as running:
        stream = await running.connect()
        await stream.send_all(REQUEST)
        await read_until(stream, b"hello")
        with trio.fail_after(5):
            assert await stream.receive_some() == b""
            await stream.aclose()
            while running.server._hub._waiting:
                await trio.sleep(0.01)


async def test_a_request_that_comes_while_its_predecessor_is_handled_rests_until_then():
    app = hello_app()
    begun, go_on = trio.Event(), trio.Event()

    @app.get("/slow")
    async def slow(request):
        begun.set()
        await go_on.wait()
        return "slow"

    async with serving(app) as running:
        stream = await running.connect()
        await stream.send_all(REQUEST)
        await read_until(stream, b"hello")
        await stream.send_all(REQUEST.replace(b"/", b"/slow", 1))
        await begun.wait()
        await stream.send_all(REQUEST)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(running.server._hub._resting) == 1
        go_on.set()
        await read_until(stream, b"hello")
        assert not running.server._hub._resting


@pytest.mark.parametrize("hub", [True, False])
async def test_two_tasks_that_read_one_body_at_a_time_get_an_error(hub, caplog):
    app = hello_app()

    @app.post("/")
    async def upload(request):
        async def read():
            async for _ in body:
                pass

        body = request.stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(read)

    async with serving(app, hub=hub) as running:
        stream = await running.connect()
        await stream.send_all(REQUEST.replace(b"GET", b"POST")[:-2] + b"Content-Length: 9\r\n\r\n")
        with trio.fail_after(5):
            await read_until(stream, b"500 Internal Server Error")
    assert "BusyResourceError" in caplog.text
