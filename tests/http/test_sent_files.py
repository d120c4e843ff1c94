"""Files on their way, over every kind of connection: all bytes come, and no descriptor is left."""

import gzip
import os
import threading
from contextlib import asynccontextmanager

import pytest
import trio

from finch import FileResponse
from finch.http import opened
from finch.http.disk import THREADS
from finch.http.opened import SLICE
from finch.testing import TestClient
from tests.http.test_connection import talk
from tests.linting import findings
from tests.transports import app_with, serving_over

SIZE = 3_000_000  # more than the kernel takes for a peer that reads nothing
HUGE = 16_000_000
LONG_AGO = 1_700_000_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(os.urandom(SIZE))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def huge(tmp_path):
    """A file that is mostly a hole: it takes no room."""
    path = tmp_path / "huge.bin"
    with path.open("wb") as out:
        out.truncate(HUGE)
    return path


def app_for(path, **limits):
    app = app_with(**limits)

    @app.get("/file")
    async def send(request):
        return FileResponse(path)

    return app


def is_open(path):
    """Whether this process has the file open."""
    return os.path.realpath(path) in {
        os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")
    }


async def closed(path):
    """Wait until the file is closed: by the task that sends it, when it has noticed."""
    with trio.fail_after(60):
        while is_open(path):
            await trio.sleep(0.05)


GET = b"GET /file HTTP/1.1\r\nHost: a\r\n%b\r\n"


async def response_to(peer, request, size):
    """The head and the body of a response whose body has this length."""
    await peer.say(request)
    head = await peer.hear(b"\r\n\r\n")
    body = b""
    with trio.fail_after(60):
        while len(body) < size:
            peer._heard, piece = b"", peer._heard or await peer.stream.receive_some()
            assert piece, "closed too early"
            body += piece
    return head, body


async def test_a_large_file_arrives_whole_one_request_after_another(serve_over, file):
    content = file.read_bytes()
    async with serve_over(app_for(file)) as reached:
        peer = await reached.connect()
        for _ in range(2):
            head, body = await response_to(peer, GET % b"", SIZE)
            assert b"content-length: 3000000" in head
            assert body == content
            head, body = await response_to(peer, GET % b"Range: bytes=500000-999999\r\n", 500_000)
            assert b" 206 " in head
            assert body == content[500_000:1_000_000]
        await peer.say(GET.replace(b"1.1", b"1.0") % b"")
        answer = await peer.hear_all()
        assert b"connection: close" in answer
        assert answer.endswith(content)
        await closed(file)


async def test_requests_in_a_row_are_answered_in_order(serve_over, file):
    content = file.read_bytes()
    async with serve_over(app_for(file)) as reached:
        peer = await reached.connect()
        small = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        await peer.say(small + GET % b"" + small + GET % b"Connection: close\r\n")
        answer = await peer.hear_all()
        bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"hello", content, b"hello", content]


@pytest.mark.parametrize(("kind", "by_kernel"), [("hub", True), ("unix", True), ("tls", False)])
async def test_the_kernel_sends_files_to_plain_sockets(
    tmp_path, file, monkeypatch, kind, by_kernel
):
    probe = opened.Descriptor(os.open(file, os.O_RDONLY))
    told = probe.is_cached(0, SLICE)
    probe.close()
    if not told:
        pytest.skip("this file system does not tell what is in memory")
    sent = []
    sendfile = os.sendfile

    def count(*arguments):
        number = sendfile(*arguments)
        sent.append(number)
        return number

    monkeypatch.setattr(os, "sendfile", count)
    async with serving_over(kind, tmp_path, app_for(file)) as reached:
        peer = await reached.connect()
        _, body = await response_to(peer, GET % b"", SIZE)
        assert body == file.read_bytes()
    assert sum(sent) == (SIZE if by_kernel else 0)


async def test_what_is_not_in_memory_is_read_in_a_thread(tmp_path, file, monkeypatch):
    monkeypatch.setattr(opened.Descriptor, "is_cached", lambda self, offset, count: False)
    threads = set()
    pread = os.pread

    def note(*arguments):
        threads.add(threading.current_thread())
        return pread(*arguments)

    monkeypatch.setattr(os, "pread", note)
    async with serving_over("hub", tmp_path, app_for(file)) as reached:
        peer = await reached.connect()
        _, body = await response_to(peer, GET % b"", SIZE)
        assert body == file.read_bytes()
    assert threads
    assert threading.main_thread() not in threads


async def test_a_file_that_becomes_shorter_breaks_the_connection_off(
    serve_over, leaping_clock, huge, caplog
):
    async with serve_over(app_for(huge)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        os.truncate(huge, HUGE - 1)
        assert len(await peer.hear_the_rest()) < HUGE
        await closed(huge)
    assert "huge.bin became shorter while it was sent" in caplog.text
    assert "a bug in Finch" not in caplog.text


async def test_a_file_that_grows_or_vanishes_is_sent_as_it_was(serve_over, file):
    content = file.read_bytes()
    async with serve_over(app_for(file)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        with file.open("ab") as out:
            out.write(b"more" * 100_000)
        file.unlink()
        await peer.say(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        body, _, rest = (await peer.hear_all()).partition(b"HTTP/1.1 200 OK")
        assert body == content
        assert rest.endswith(b"hello")


async def test_a_peer_that_takes_nothing_of_a_file_is_dropped(
    serve_over, leaping_clock, huge, caplog
):
    async with serve_over(app_for(huge, write_timeout=1)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        assert is_open(huge)
        await trio.sleep(4)
        assert not is_open(huge)
        assert len(await peer.hear_the_rest()) < HUGE
    assert caplog.text == ""


async def test_a_peer_that_takes_a_file_slowly_gets_it_all(serve_over, leaping_clock, huge):
    async with serve_over(app_for(huge, write_timeout=1, keep_alive_timeout=1)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        received = len(peer._heard)
        peer._heard = b""
        for _ in range(8):
            await trio.sleep(0.5)
            taken = 0
            while taken < HUGE // 10:
                taken += len(await peer.stream.receive_some())
            received += taken
        assert received + len(await peer.hear_all()) == HUGE


async def test_a_peer_that_has_sent_its_last_still_gets_a_file_slowly(
    tmp_path, leaping_clock, huge
):
    async with serving_over("hub", tmp_path, app_for(huge, leave_grace=0.2)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.stream.send_eof()
        await trio.sleep(3)
        assert len((await peer.hear_all()).partition(b"\r\n\r\n")[2]) == HUGE


async def test_when_the_client_leaves_the_file_is_closed(serve_over, huge, caplog):
    async with serve_over(app_for(huge)) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        assert is_open(huge)
        await trio.aclose_forcefully(peer.stream)
        await closed(huge)
    assert caplog.text == ""


async def test_when_the_server_ends_the_file_is_closed(serve_over, leaping_clock, huge):
    async with serve_over(app_for(huge, shutdown_timeout=1), bystander=False) as reached:
        peer = await reached.connect()
        await peer.say(GET % b"")
        await peer.hear(b"\r\n\r\n")
        reached.server.stop()
        await trio.sleep(5)
        assert not is_open(huge)


@pytest.mark.parametrize("method", [b"HEAD", b"GET"])
@pytest.mark.parametrize(
    "header", [b"If-None-Match: *", b"If-Match: W/x", b"Range: bytes=9999999-"]
)
async def test_what_is_not_sent_is_closed_at_once(file, method, header):
    request = b"%b /file HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (method, header)
    async with TestClient(app_for(file)) as client:
        stream = client.connect()
        await stream.send_all(request)
        assert b"\r\n\r\n" in await stream.receive_some()
        assert not is_open(file)


async def test_a_file_that_a_middleware_replaces_is_closed(file):
    app = app_for(file)

    @app.middleware
    async def instead(request, call_next):
        await call_next(request)
        assert is_open(file)
        return "another"

    async with TestClient(app) as client:
        assert (await client.get("/file")).text == "another"
        await closed(file)


async def test_a_file_of_a_middleware_that_raises_is_closed(file):
    app = app_for(file)

    @app.middleware
    async def fail(request, call_next):
        await call_next(request)
        raise ValueError

    async with TestClient(app) as client:
        assert (await client.get("/file")).status == 500
        await closed(file)


async def test_a_response_that_is_kept_beyond_its_request_is_an_error(file, caplog):
    app = app_for(file)
    kept = []

    @app.middleware
    async def keep(request, call_next):
        if not kept:
            kept.append(await call_next(request))
        return kept[0]

    async with TestClient(app) as client:
        assert len((await client.get("/file")).body) == SIZE
        assert (await client.get("/file")).status == 500
    assert "was returned before" in caplog.text


# A disk that hangs


@asynccontextmanager
async def hanging(monkeypatch, module, name):
    """Nobody comes back from a function, as from a dead network disk, until the block ends."""
    real = getattr(module, name)
    entered, over = threading.Semaphore(0), threading.Event()

    def hang(*arguments, **options):
        entered.release()
        over.wait(60)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, hang)
    try:
        yield entered
    finally:
        over.set()


async def test_a_disk_that_hangs_holds_up_nobody_else(tmp_path, file, monkeypatch):
    app = app_for(file)

    @app.get("/in-a-thread")
    def in_a_thread(request):
        return "from a thread"

    async with (
        serving_over("hub", tmp_path, app) as reached,
        hanging(monkeypatch, os, "fstat") as entered,
    ):
        for _ in range(THREADS + 40):  # more than there are threads of both kinds
            await (await reached.connect()).say(GET % b"")
        for _ in range(THREADS):
            while not entered.acquire(blocking=False):
                await trio.sleep(0.01)
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        peer = await reached.connect()
        await peer.say(b"GET /in-a-thread HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with trio.fail_after(10):  # the disk hangs for longer
            assert (await peer.hear_all()).endswith(b"from a thread")


async def test_a_request_that_is_cancelled_while_the_disk_hangs_leaves_no_file_open(
    file, monkeypatch
):
    app = app_for(file)
    cancel = trio.CancelScope()

    @app.middleware
    async def give_up(request, call_next):
        with cancel:
            return await call_next(request)
        return "gave up"

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        async with hanging(monkeypatch, os, "fstat") as entered:

            async def ask():
                assert (await client.get("/file", timeout=20)).text == "gave up"

            nursery.start_soon(ask)
            await trio.to_thread.run_sync(entered.acquire)
            assert is_open(file)
            cancel.cancel()
        await closed(file)


async def test_a_file_is_not_closed_while_a_thread_reads_from_it(file, monkeypatch):
    descriptor = opened.Descriptor(os.open(file, os.O_RDONLY))
    async with trio.open_nursery() as nursery:
        async with hanging(monkeypatch, os, "pread") as entered:

            async def read():
                got = await opened.in_thread(lambda: descriptor.read(10, 0))
                assert got == file.read_bytes()[:10]

            nursery.start_soon(read)
            await trio.to_thread.run_sync(entered.acquire)
            descriptor.close()
            assert is_open(file)
        await closed(file)
    assert descriptor.read(10, 0) == b""
    descriptor.close()


# httplint


REQUESTS = [
    b"",
    b"Range: bytes=0-9\r\n",
    b"Range: bytes=-10\r\n",
    b"Range: bytes=99999999-\r\n",
    b"If-None-Match: *\r\n",
    b"If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT\r\n",
    b'If-Match: "x"\r\n',
    b"Accept-Encoding: gzip\r\n",
]
PATHS = ["a.js", "app.3f9a1c2b.css", "sub", "sub/", "none", "../x", "large.bin"]


@pytest.fixture
def linted(tmp_path):
    """An application with each kind of file, and the bytes that it answers."""
    root = tmp_path / "s"
    (root / "sub").mkdir(parents=True)
    script = b"let a = 1;\n" * 99
    for name, content in {
        "a.js": script,
        "a.js.gz": gzip.compress(script),
        "app.3f9a1c2b.css": b"a { }\n",
        "sub/index.html": b"<!doctype html><title>a</title>",
        "large.bin": bytes(100_000),
    }.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (LONG_AGO, LONG_AGO))
    app = app_with()
    app.static("/s", root)

    @app.get("/saved")
    async def saved(request):
        return FileResponse(root / "large.bin", filename="Müll.bin", max_age=60)

    return app


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("path", [*(f"/s/{path}" for path in PATHS), "/saved"])
async def test_httplint_finds_nothing_bad(linted, path, method):
    for extra in REQUESTS:
        head = b"%b %b HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % (method, path.encode(), extra)
        assert findings(head, await talk(linted, head)) == [], extra


def test_httplint_would_find_something():
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    response = (
        b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nLast-Modified: never\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\nthis is not gzip at "
    )
    assert len(findings(request, response)) >= 3
