"""The exchanges of ``vectors.json``, in memory and over real sockets with a client of others."""

import json
import re
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import websockets.exceptions
import websockets.sync.client

from finch.testing import HandshakeRefused, SocketClosed, TestClient
from tests.sockets.posting import Refused, stream_of
from tests.wire.vectors import EXCHANGES, HEARD_WITHIN, play
from tests.wire.vectors_app import new_app

LONG = 10**6  # seconds of virtual time


class OneAtATime:
    """A stream that two tasks may send to: one sends messages, the other one answers pings."""

    def __init__(self, stream):
        self._stream = stream
        self._lock = trio.Lock()
        self.receive_some = stream.receive_some

    async def send_all(self, data):
        async with self._lock:
            await self._stream.send_all(data)


class InMemory:
    """A connection of ``finch.testing`` that reads all the time, as clients do."""

    def __init__(self, socket):
        self._socket = socket
        self._socket.stream = OneAtATime(socket.stream)
        self._heard, self._hears = trio.open_memory_channel(1000)
        self._reading = trio.CancelScope()
        self._stopped = trio.Event()

    async def read(self):
        with self._reading, self._heard:
            try:
                while True:
                    self._heard.send_nowait(await self._socket.receive_raw(LONG))
            except SocketClosed as closed:
                self._code = closed.code
        self._stopped.set()

    async def stop(self):
        self._reading.cancel()
        await self._stopped.wait()

    async def send(self, payload):
        await self._socket.send_raw(payload)

    async def receive(self):
        with trio.fail_after(HEARD_WITHIN):
            return await self._hears.receive()

    async def closed(self):
        with trio.fail_after(HEARD_WITHIN):
            async for message in self._hears:
                raise AssertionError(f"it got {message} instead of a Close")
        return self._code

    async def close(self, code):
        await self.stop()
        await self._socket.close(code)


class InMemoryDoor:
    def __init__(self, client, stack, nursery):
        self._client = client
        self._stack = stack
        self._nursery = nursery

    async def open(self, target):
        try:
            socket = await self._stack.enter_async_context(self._client.socket(target))
        except HandshakeRefused as refused:
            return refused.response.status
        client = InMemory(socket)
        self._nursery.start_soon(client.read)
        self._stack.push_async_callback(client.stop)
        return client


@asynccontextmanager
async def in_memory(app):
    async with TestClient(app) as client, trio.open_nursery() as nursery:
        async with AsyncExitStack() as stack:
            yield InMemoryDoor(client, stack, nursery)


@pytest.mark.parametrize("name", EXCHANGES)
async def test_an_exchange_in_memory(name, autojump_clock):
    async with in_memory(new_app()) as door:
        await play(EXCHANGES[name], door, lambda number: number, exact=True)


class Foreign:
    """A connection of the package ``websockets``. It reads in a thread of its own."""

    def __init__(self, socket):
        self._socket = socket

    async def send(self, payload):
        await in_thread(self._socket.send, payload)

    async def receive(self):
        return await in_thread(self._socket.recv, timeout=HEARD_WITHIN)

    async def closed(self):
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            pytest.fail(f"it got {await self.receive()} instead of a Close")
        return closed.value.rcvd.code

    async def close(self, code):
        await in_thread(self._socket.close, code)


class ForeignDoor:
    def __init__(self, url, stack):
        self._url = url
        self._stack = stack

    async def open(self, target):
        try:
            socket = await in_thread(connect, self._url + target)
        except websockets.exceptions.InvalidStatus as refused:
            return refused.response.status_code
        client = Foreign(socket)
        self._stack.push_async_callback(client.close, 1000)
        return client


def connect(url):
    return websockets.sync.client.connect(url).__enter__()  # Foreign.close ends it


def in_thread(function, *args, **options):
    return trio.to_thread.run_sync(partial(function, *args, **options))


@pytest.mark.parametrize("name", EXCHANGES)
async def test_an_exchange_over_a_real_socket(name, serve):
    async with serve(new_app()) as running, AsyncExitStack() as stack:
        await play(EXCHANGES[name], ForeignDoor(running.ws, stack), lambda number: f"q{number}")


class PostingDoor:
    """Connections without a WebSocket."""

    def __init__(self, client):
        self._client = client

    async def open(self, target):
        try:
            return Posting(await stream_of(self._client, target))
        except Refused as refused:
            return refused.status


class Posting:
    """A stream of events, and POSTs."""

    def __init__(self, stream):
        self._stream = stream
        self.closed = stream.closed

    async def send(self, payload):
        await self._stream.send(payload)

    async def receive(self):
        return json.dumps(await self._stream.receive())

    async def close(self, code):
        await self._stream.cut()


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "binary" not in name])
async def test_an_exchange_without_a_websocket(name, autojump_clock):
    async with TestClient(new_app()) as client:
        await play(EXCHANGES[name], PostingDoor(client), lambda number: number)


PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")


def rows(heading):
    """The first cells of the first table under a heading of the page: the names in it."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def said(key):
    """All messages that clients say, or hear."""
    steps = [step for steps in EXCHANGES.values() for step in steps]
    return [step[key] for step in steps if isinstance(step.get(key), dict)]


def test_the_exchanges_have_every_field_of_the_page():
    for heading, key in (("## From the client", "says"), ("## From the server", "hears")):
        names = rows(heading)
        assert len(names) >= 8
        assert names - {name for message in said(key) for name in message} == set()


def test_the_exchanges_have_every_reserved_path_of_the_page():
    paths = rows("## Reserved paths")
    assert paths == {f"finch.{name}" for name in "join leave cancel auth ping presence".split()}
    spoken = {message.get("path") for message in said("says") + said("hears")}
    assert paths - spoken == set()


def test_the_exchanges_have_the_statuses_and_close_codes_of_the_page():
    section = PAGE.split("\n### Errors\n")[1].split("\n## ")[0]
    statuses = {int(status) for status in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert statuses - {message.get("status") for message in said("hears")} == set()
    codes = {step.get("closed") for steps in EXCHANGES.values() for step in steps}
    assert {1008, 4000, 4401, 4500} - codes == set()


@pytest.mark.parametrize("line", re.findall(r"^\{.*\}$", PAGE, re.MULTILINE))
def test_an_example_of_the_page_is_a_message(line):
    message = json.loads(line)
    known = rows("## From the client") | rows("## From the server")
    assert set(message) <= known
