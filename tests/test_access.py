"""The access log: a line a request, written when the turn ends; or a record, for who wants one."""

import io
import json
import logging
import os
import re

import pytest
import trio

from finch import FinchApp
from finch.access import AccessLog, LineHandler
from finch.formats import JSON, Access
from tests.conftest import serving


@pytest.fixture
def logger():
    logger = logging.getLogger("finch.access")
    kept = logger.handlers[:], logger.propagate, logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers, logger.propagate = kept[:2]
    logger.setLevel(kept[2])


def lines_of(logger, stream=None, form=None):
    """What the command line's own handler writes. Said in the test: pytest adds its own before."""
    stream = stream or io.StringIO()
    logger.handlers, logger.propagate = [LineHandler(stream, form)], False
    return stream


LINE = r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO finch\.access: 127\.0\.0\.1:\d+ "%s" %d\n'


async def talk(app, request):
    async with serving(app, access_log=True) as running:
        stream = await running.connect()
        await stream.send_all(request)
        while await stream.receive_some():
            pass


async def test_each_request_is_a_line_without_its_query(logger):
    lines = lines_of(logger)
    await talk(
        FinchApp(), b"GET /a%0a?token=secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert re.fullmatch(LINE % (r"GET /a%0a HTTP/1\.1", 404), lines.getvalue())


async def test_what_no_handler_sees_is_a_line_as_well(logger):
    lines = lines_of(logger)
    await talk(FinchApp(), b"nonsense\r\n\r\n")
    assert re.fullmatch(LINE % ("-", 400), lines.getvalue())


async def test_others_get_records(logger, caplog):
    caplog.set_level(logging.INFO)
    await talk(FinchApp(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    [record] = [one for one in caplog.records if one.name == "finch.access"]
    assert '"GET / HTTP/1.1" 404' in record.getMessage()
    assert (record.method, record.path, record.status, record.bytes) == ("GET", "/", 404, 9)
    assert record.duration > 0


async def test_json_says_the_bytes_and_the_duration(logger):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "x" * 200_000

    @app.get("/streamed")
    async def streamed(request):
        yield "abc"
        yield "de"

    lines = lines_of(logger, form=JSON())
    async with serving(app, access_log=True) as running:
        stream = await running.connect()
        for request in (b"GET /", b"HEAD /", b"GET /streamed"):
            end = b"\r\nConnection: close" if b"streamed" in request else b""
            await stream.send_all(request + b" HTTP/1.1\r\nHost: a" + end + b"\r\n\r\n")
        while await stream.receive_some():
            pass
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(one["method"], one["bytes"]) for one in found] == [
        ("GET", 200_000),
        ("HEAD", 0),
        ("GET", 5),
    ]
    assert all(0 < one["duration"] < 30 for one in found)


async def test_a_response_that_breaks_off_is_a_line_as_well(logger):
    app = FinchApp()

    @app.get("/")
    async def broken(request):
        yield "abc"
        raise RuntimeError("no more")

    lines = lines_of(logger, form=JSON())
    await talk(app, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    [found] = map(json.loads, lines.getvalue().splitlines())
    assert (found["status"], found["bytes"]) == (200, 3)


def test_lines_are_written_together_when_the_turn_ends(logger):
    lines = lines_of(logger)
    later = []
    log = AccessLog(later.append)
    for number in range(3):
        log.note("client", "GET", f"/{number}", "1.1", 200)
    assert later == [log]
    assert lines.getvalue() == ""
    log.flush()
    assert lines.getvalue().count("\n") == 3


def test_a_level_above_info_turns_it_off(logger):
    lines_of(logger)
    logger.setLevel(logging.WARNING)
    later = []
    AccessLog(later.append).note("client", "GET", "/", "1.1", 200)
    assert not later


class Broken(io.StringIO):
    def write(self, text):
        raise OSError("the disk is full")


async def test_a_log_that_cannot_be_written_ends_nothing(logger):
    lines_of(logger, Broken())
    with trio.fail_after(5):
        await talk(FinchApp(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


async def test_a_handler_of_the_applications_that_raises_ends_nothing(logger):
    class Bad(logging.Handler):
        def emit(self, record):
            raise RuntimeError("the log server does not answer")

    logger.handlers = [Bad()]
    with trio.fail_after(5):
        await talk(FinchApp(), b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


async def test_a_client_that_leaves_before_its_body_is_complete_is_a_line_as_well(logger):
    app = FinchApp()

    @app.post("/")
    async def upload(request):
        return await request.body()

    lines = lines_of(logger)
    async with serving(app, access_log=True) as running:
        stream = await running.connect()
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        await stream.send_eof()
        while await stream.receive_some():
            pass
    assert re.fullmatch(LINE % (r"POST / HTTP/1\.1", 499), lines.getvalue())


# A log that nobody reads


@pytest.fixture
def pipe():
    """The handler of a pipe, and the end that somebody should read."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stream:
        handler = LineHandler(stream)
        yield handler, ours
        logging.Handler.close(handler)
    os.close(ours)


def entries(count, target="/"):
    return [Access("client", "GET", target, "1.1", 200, 0, 0.0)] * count


def read_all(handler, end):
    """All that the handler has for a reader who reads to the end."""
    os.set_blocking(end, False)
    found = b""
    while True:
        try:
            found += os.read(end, 1 << 20)
        except BlockingIOError:
            if not handler.waiting:
                return found.decode()
            handler.flush()


def test_a_log_that_nobody_reads_stops_nobody_and_no_line_is_lost_at_first(pipe):
    handler, end = pipe
    for _ in range(20):
        handler.write(entries(100), 0.0)  # 140 KB, and a pipe takes 64 KiB
    assert handler.waiting
    lines = read_all(handler, end).splitlines()
    assert len(lines) == 2000
    assert all(line.endswith('"GET / HTTP/1.1" 200') for line in lines)


def test_too_many_lines_that_nobody_reads_are_lost_and_counted(pipe):
    handler, end = pipe
    for _ in range(300):
        handler.write(entries(100), 0.0)
    assert len(handler.waiting) < 1024 * 1024
    record = logging.LogRecord("x", logging.ERROR, "", 0, "one %s", ("more",), None)
    handler.emit(record)  # a record does not wait either
    lines = read_all(handler, end).splitlines()
    [said] = [line for line in lines if "nobody read it" in line]
    lost = int(re.search(r"ERROR finch.server: (\d+) lines of the log are lost", said)[1])
    assert len(lines) - 1 + lost == 300 * 100 + 1


def test_what_waits_is_tried_again_in_the_next_turn(pipe, logger):
    handler, end = pipe
    logger.handlers, logger.propagate = [handler], False
    later = []
    log = AccessLog(later.append)
    for number in range(1000):
        log.note("client", "GET", f"/{number}{'x' * 100}", "1.1", 200)
    log.flush()
    assert later == [log, log]  # once for the lines, once because not all were written
    os.read(end, 65536)
    log.close()
    assert len(read_all(handler, end)) > 40_000


def test_what_is_left_at_the_end_is_written(pipe, logger):
    handler, end = pipe
    logger.handlers, logger.propagate = [handler], False
    log = AccessLog(lambda log: None)
    log.note("client", "GET", "/", "1.1", 200)
    log.close()
    assert os.read(end, 65536).endswith(b'"GET / HTTP/1.1" 200\n')


def test_pieces_of_a_pipe_are_whole_lines(pipe, monkeypatch):
    handler, end = pipe
    pieces = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: pieces.append(bytes(data)) or real(fd, data))
    handler.write(entries(200, "/" + "x" * 50), 0.0)
    assert len(pieces) > 1
    assert all(len(piece) <= 4096 and piece.endswith(b"\n") for piece in pieces)
    read_all(handler, end)


def test_a_pipe_whose_reader_has_left_loses_the_log_and_nothing_else():
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as stream:
        handler = LineHandler(stream)
        handler.write(entries(10), 0.0)
        handler.write(entries(10), 0.0)
        assert not handler.waiting


def test_a_file_gets_all_at_once(tmp_path):
    with open(tmp_path / "log", "w", encoding="ascii") as stream:
        handler = LineHandler(stream)
        handler.write(entries(10_000), 0.0)
        handler.emit(logging.LogRecord("x", logging.ERROR, "", 0, "caf\u00e9", (), None))
        assert not handler.waiting
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 10_001
    assert lines[-1].endswith("caf\\xe9")


async def test_no_line_is_lost_when_the_server_ends(logger, pipe, monkeypatch):
    handler, end = pipe
    logger.handlers, logger.propagate = [handler], False
    settled = []
    monkeypatch.setattr(handler, "settle", lambda: settled.append(True))
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "hello"

    async with serving(app, access_log=True) as running:
        client = await running.connect()
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        seen = b""
        while seen.count(b"hello") < 50:
            seen += await client.receive_some()
    assert settled  # a reader of the log would have had its time
    assert not handler.waiting
    assert os.read(end, 65536).count(b"200\n") == 50
