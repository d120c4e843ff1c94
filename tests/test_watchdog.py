"""With the log level debug, Finch tells which line of a handler holds up everybody."""

import logging
import time

from finch import FinchApp
from finch.testing import TestClient


async def test_a_handler_that_blocks_is_named_with_its_line(caplog):
    caplog.set_level(logging.DEBUG, logger="finch.server")
    app = FinchApp()

    @app.get("/")
    async def slow(request):
        end = time.monotonic() + 10
        while "held up" not in caplog.text and time.monotonic() < end:
            time.sleep(0.01)  # noqa: ASYNC251  that is the mistake
        return "done"

    async with TestClient(app) as client:
        assert (await client.get("/", timeout=20)).text == "done"
    assert "slow (" in caplog.text
    assert "test_watchdog.py, line " in caplog.text
    assert "plain def" in caplog.text


async def test_a_server_that_waits_is_not_held_up(caplog):
    caplog.set_level(logging.DEBUG, logger="finch.server")
    app = FinchApp()

    @app.get("/")
    def in_a_thread(request):
        time.sleep(0.3)
        return "done"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "done"
    assert "held up" not in caplog.text


async def test_nobody_looks_at_other_levels(caplog):
    caplog.set_level(logging.INFO, logger="finch.server")
    app = FinchApp()

    @app.get("/")
    async def slow(request):
        time.sleep(0.3)  # noqa: ASYNC251  that is the mistake
        return "done"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "done"
    assert "held up" not in caplog.text
