"""The log: nobody but itself begins an entry."""

import io
import logging

from finch.logs import Formatter


def logged(message, *arguments, error=None):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(message)s"))
    record = logging.LogRecord("x", logging.ERROR, "", 0, message, arguments, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    handler.emit(record)
    return stream.getvalue()


def test_a_plain_message_is_as_it_was():
    assert (
        logged("%s connected, %d ü\tin all", "somebody", 3)
        == "ERROR somebody connected, 3 ü\tin all\n"
    )


def test_an_exception_cannot_forge_an_entry():
    error = ValueError("no room 'x\n2026-01-01 ERROR forged\r\x1b[2J\x85\u2028y'")
    assert logged("it raised", error=error) == (
        "ERROR it raised\n"
        "    ValueError: no room 'x\n"
        "    2026-01-01 ERROR forged\\r\\x1b[2J\\x85\\u2028y'\n"
    )


def test_a_message_cannot_forge_an_entry():
    assert logged("%s raised", "a\nERROR b") == "ERROR a\n    ERROR b raised\n"
