"""What the tests share: a server on a real port, and the word on what a machine may lack."""

import os
import shutil
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from finch.http.paths import CONVERTERS
from finch.net.listeners import open_listeners
from finch.server import Server
from tests.transports import KINDS, serving_over


def need(program, how):
    """Where a program is. Skip where it is missing, and say how to get it; fail where all must be
    tested."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is None:
        said = f"{program} is not installed: {how}"
        if os.environ.get("FINCH_TEST_ALL") == "1":
            pytest.fail(said)
        pytest.skip(said)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable():
    """What a process of pytest-xdist reports is sent as UTF-8, which cannot hold half a character.
    Some tests let one be logged."""
    data = yield
    if data is not None:
        for name in ("sections", "longrepr"):
            data[name] = _sendable(data.get(name))
    return data


def _sendable(value):
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_sendable(one) for one in value]
    if isinstance(value, dict):
        return {name: _sendable(one) for name, one in value.items()}
    return value


@pytest.fixture(autouse=True)
def _converters_as_before():
    """A converter that a test registers is known to the whole process."""
    before = dict(CONVERTERS)
    yield
    CONVERTERS.clear()
    CONVERTERS.update(before)


class Serving:
    """A server that runs: its address, and the server itself."""

    def __init__(self, server, port):
        self.server = server
        self.port = port
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"
        self.streams = []

    async def connect(self):
        """A connection of its own, closed at the end."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        return stream


@asynccontextmanager
async def serving(app, *, tls=None, listeners=None, **options):
    """Serve an application on a free port of 127.0.0.1, in the test's own event loop."""
    server = Server(app, **options)
    listeners = listeners or open_listeners("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.run, listeners, tls=tls))
        running = Serving(server, port)
        try:
            yield running
        finally:
            for stream in running.streams:
                await trio.aclose_forcefully(stream)
            server.stop()


@pytest.fixture(params=["hub", "task"])
def serve(request):
    """Serves an application, once with each kind of reader."""
    return partial(serving, hub=request.param == "hub")


@pytest.fixture
def leaping_clock():
    """Time that leaps to the next deadline when nothing has happened for a moment, so that real
    sockets can be waited for; the test takes it, and trio then goes by it. The moment is as long
    as a busy system may take to deliver what was sent."""
    return trio.testing.MockClock(autojump_threshold=0.01)


@pytest.fixture(params=KINDS)
def serve_over(request, tmp_path):
    """Serves an application over plain TCP by both readers, TLS and a unix socket."""
    return partial(serving_over, request.param, tmp_path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """How many processes share the tests: two at least, since many tests wait for others."""
    return max(2, os.cpu_count() or 1)
