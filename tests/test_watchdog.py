"""With the log level debug, Finch tells which line of a handler holds up everybody."""

import logging
import time
from types import SimpleNamespace

from finch import FinchApp
from finch.testing import TestClient
from finch.watchdog import Watchdog


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


def test_a_loop_that_waits_is_not_held_up_however_long(caplog, monkeypatch):
    """As it does while a plain ``def`` handler runs in a thread. The time is the test's: on a busy
    machine, any turn may last long."""
    clock = SimpleNamespace(now=1.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("finch.watchdog.time", clock)
    watchdog = Watchdog()

    def look_after(seconds):
        clock.now += seconds
        looks = iter([False, False, True])
        watchdog._over = SimpleNamespace(wait=lambda _: next(looks))
        watchdog._watch()
        return caplog.text.count("held up")

    watchdog.before_io_wait(1000)
    assert look_after(1000) == 0
    watchdog.after_io_wait(1000)
    assert look_after(0.09) == 0
    assert look_after(0.02) == 1


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
