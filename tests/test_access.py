"""The access log: a line a request, written when the turn ends; or a record, for who wants one."""

import io
import logging
import re

import pytest
import trio

from finch import FinchApp
from finch.access import AccessLog, LineHandler
from tests.conftest import serving


@pytest.fixture
def logger():
    logger = logging.getLogger("finch.access")
    kept = logger.handlers[:], logger.propagate, logger.level
    logger.setLevel(logging.INFO)
    yield logger
    logger.handlers, logger.propagate = kept[:2]
    logger.setLevel(kept[2])


def lines_of(logger, stream=None):
    """What the command line's own handler writes. Said in the test: pytest adds its own before."""
    stream = stream or io.StringIO()
    logger.handlers, logger.propagate = [LineHandler(stream)], False
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


def test_lines_are_written_together_when_the_turn_ends(logger):
    lines = lines_of(logger)
    later = []
    log = AccessLog(later.append)
    for number in range(3):
        log.note("client", f"GET /{number} HTTP/1.1", 200)
    assert later == [log]
    assert lines.getvalue() == ""
    log.flush()
    assert lines.getvalue().count("\n") == 3


def test_a_level_above_info_turns_it_off(logger):
    lines_of(logger)
    logger.setLevel(logging.WARNING)
    later = []
    AccessLog(later.append).note("client", "GET / HTTP/1.1", 200)
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
