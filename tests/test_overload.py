"""Too much: more connections than allowed, no descriptors, messages without end."""

import errno
import logging
import os
import socket
import time
from contextlib import contextmanager, suppress

import httpx
import pytest
import trio
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from finch import FinchApp, Limits
from finch.logs import Seldom
from finch.net.acceptor import Acceptor
from finch.testing import TestClient
from tests.processes import finch

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(max_connections=2))

    @app.get("/")
    async def index(request):
        return "hello"

    return app


async def answer(stream):
    """Everything until the server closes."""
    data = b""
    with trio.fail_after(10):
        with suppress(trio.BrokenResourceError):
            while piece := await stream.receive_some():
                data += piece
    return data


async def until_served(running):
    """A connection that gets a place, as soon as there is one."""
    with trio.fail_after(10):
        while True:
            stream = await running.connect()
            await stream.send_all(REQUEST)
            if (await stream.receive_some()).startswith(b"HTTP/1.1 200"):
                return stream
            await trio.sleep(0.01)


async def test_connections_beyond_the_limit_get_503_until_a_place_is_free(app, serve, caplog):
    async with serve(app) as running:
        inside = [await until_served(running) for _ in range(2)]
        for _ in range(3):
            turned_away = await running.connect()
            await turned_away.send_all(REQUEST)
            said = await answer(turned_away)
            assert said.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1\r\n" in said
            assert b"connection: close\r\n" in said
        await inside[0].send_all(REQUEST)  # those who are inside notice nothing
        assert (await inside[0].receive_some()).startswith(b"HTTP/1.1 200")
        await inside[1].aclose()
        await until_served(running)
    assert [record.message for record in caplog.records if "refused" in record.message] == [
        "connections are refused: there are 2, which is Limits.max_connections"
    ]


async def test_those_who_are_refused_are_told_so_in_limited_numbers(app, serve):
    async with serve(app) as running:
        for _ in range(2):
            await until_served(running)
        crowd = [await running.connect() for _ in range(100)]
        for stream in crowd:
            with suppress(trio.BrokenResourceError):  # closed already
                await stream.send_all(REQUEST)
        told = [await answer(stream) for stream in crowd]
    assert 1 <= sum(said.startswith(b"HTTP/1.1 503 ") for said in told) <= 64
    assert set(map(bool, told)) == {True, False}


class Listener:
    """Accepts what it is told to: sockets, or errors to raise."""

    family = socket.AF_UNIX

    def __init__(self, *results):
        self.results = list(results)
        self.readable, self.writable = socket.socketpair()
        self.writable.send(b"x")

    def fileno(self):
        return self.readable.fileno()

    def setblocking(self, flag):
        pass

    def accept(self):
        if not self.results:
            self.readable.recv(1)  # from now on nobody is waiting
            raise BlockingIOError
        result = self.results.pop(0)
        if isinstance(result, OSError):
            raise result
        return result, None

    def close(self):
        self.readable.close()
        self.writable.close()


class Sock:
    closed = False

    def close(self):
        self.closed = True


@contextmanager
def acceptor():
    taken = []
    one = Acceptor(lambda sock, address: taken.append(sock))
    try:
        yield one, taken
    finally:
        one.close()


async def accept_for_a_while(one, listener):
    with trio.move_on_after(1):
        await one.run(listener)
    listener.close()


FULL = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


async def test_without_descriptors_those_who_wait_are_closed_and_accepting_goes_on(
    autojump_clock, monkeypatch
):
    turned_away = [Sock(), Sock()]
    welcome = Sock()
    listener = Listener(FULL, *turned_away, BlockingIOError(), welcome)
    with acceptor() as (one, taken):
        await accept_for_a_while(one, listener)
        assert [sock.closed for sock in turned_away] == [True, True]
        assert taken == [welcome]
        assert not welcome.closed
        assert one._reserve is not None  # for the next time


async def test_a_connection_that_is_gone_before_it_is_accepted_stops_nothing(autojump_clock):
    welcome = Sock()
    with acceptor() as (one, taken):
        await accept_for_a_while(one, Listener(ConnectionAbortedError(), welcome))
        assert taken == [welcome]


def test_a_message_is_logged_once_a_minute_with_the_number_left_out(caplog, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("finch.logs.time.monotonic", lambda: now)
    log = Seldom(logging.getLogger("finch.test"))
    for _ in range(5):
        log.error("full: %s", "files")
    log.error("another")
    now += 61
    log.error("full: %s", "files")
    assert [record.message for record in caplog.records] == [
        "full: files",
        "another",
        "full: files (and 4 more times since this was last logged)",
    ]


def test_a_server_out_of_descriptors_serves_on_when_they_return(tmp_path):
    (tmp_path / "few.py").write_text(
        "import resource\n"
        "from finch import FinchApp\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "app = FinchApp()\n"
        "@app.get('/')\n"
        "async def index(request):\n"
        "    return 'hello'\n"
    )
    with finch("few:app", "--port", 0, "--no-access-log", cwd=tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        before = httpx.get(server.url).text
        crowd = []
        for _ in range(200):
            sock = socket.create_connection(("127.0.0.1", port), timeout=10)
            crowd.append(sock)
        turned_away = 0
        for sock in crowd[100:]:
            try:
                turned_away += sock.recv(1) == b""
            except ConnectionResetError:
                turned_away += 1
        assert turned_away == 100  # nobody is left without a word
        for sock in crowd:
            sock.close()
        assert _patiently(lambda: httpx.get(server.url).text) == before == "hello"
        server.signal()
        code, log = server.wait()
    assert code == 0
    assert log.count("connections are turned away") == 1


def _patiently(ask, seconds=10):
    for _ in range(int(seconds * 20)):
        try:
            return ask()
        except httpx.HTTPError:
            time.sleep(0.05)
    return ask()


async def test_a_handshake_beyond_the_limit_is_refused_with_503(app, serve):
    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    def refused(url):
        with pytest.raises(InvalidStatus) as caught, connect(url):
            pass
        return caught.value.response.status_code

    async with serve(app) as running:
        for _ in range(2):
            await until_served(running)
        assert await trio.to_thread.run_sync(refused, f"{running.ws}/raw") == 503


async def test_a_burst_of_broadcasts_lets_others_have_a_turn():
    app = FinchApp()
    sent = 0
    seen = set()

    @app.background_task
    async def other():
        while True:
            seen.add(sent)
            await trio.lowlevel.checkpoint()

    @app.socket("burst")
    async def burst(client, data):
        nonlocal sent
        for sent in range(5000):  # noqa: B007  # seen from beside
            await client.manager.send_to_all("news")
        return "done"

    async with TestClient(app) as client, client.socket() as ws:
        await ws.send("burst")
        while (await ws.receive()).data != "done":
            pass
    assert len(seen) >= 4
