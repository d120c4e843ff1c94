"""What runs beside the handlers: in one process only, and again and again."""

import pytest
import trio

from finch import ConfigurationError, FinchApp
from finch.cluster.leader import Leader
from finch.testing import TestClient


async def test_a_process_alone_runs_what_runs_once():
    app = FinchApp()
    begun = []

    @app.background_task(once=True)
    async def alone():
        begun.append("once")

    @app.background_task()
    def everywhere():
        begun.append("everywhere")

    async with TestClient(app):
        app.background_task(begun.append, "now", once=True)
        while len(begun) < 3:
            await trio.sleep(0.001)
    assert sorted(begun) == ["everywhere", "now", "once"]


async def test_a_process_that_does_not_lead_waits_for_its_appointment(autojump_clock):
    app = FinchApp()
    app.leader = Leader(leads=False)
    told = []

    @app.background_task(once=True)
    async def alone():
        told.append("begins")
        try:
            await trio.sleep_forever()
        finally:
            told.append("ends")

    @app.every(1)
    async def tick():
        told.append("tick")

    @app.every(1, once=False)
    async def everywhere():
        told.append("everywhere")

    async with TestClient(app):
        await trio.sleep(1.5)
        assert told == ["everywhere"]
        app.leader.appoint()
        await trio.sleep(1.25)
        assert told == ["everywhere", "begins", "everywhere", "tick"]
        app.leader.dismiss()
        await app.leader.wait_idle()
        await trio.sleep(1)
    assert told[4:] == ["ends", "everywhere"]


async def test_every_counts_from_beginning_to_beginning_and_does_not_overlap(autojump_clock):
    app = FinchApp()
    times = []
    pauses = [0.5, 0.5, 2.5, 0.0, 0.0]

    @app.every(1)
    async def tick():
        times.append(trio.current_time() - begun)
        await trio.sleep(pauses[len(times) - 1])

    async with TestClient(app):
        begun = trio.current_time()
        while len(times) < 5:
            await trio.sleep(0.1)
    assert [round(time, 1) for time in times] == [1, 2, 3, 5.5, 6.5]


async def test_a_tick_that_raises_is_logged_and_the_next_one_comes(autojump_clock, caplog):
    app = FinchApp()
    ticks = []

    @app.every(5)
    async def tick():
        ticks.append(1 / len(ticks) if ticks else ticks.append(1) or 1 / 0)

    async with TestClient(app):
        await trio.sleep(11)
    assert ticks == [1, 1]
    assert "the background task tick raised" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, "a number above 0, not 0"),
        (-1, "not -1"),
        (float("inf"), "not inf"),
        (float("nan"), "not nan"),
        (True, "every takes seconds"),
        ("5", "every takes seconds"),
        (None, "every takes seconds"),
        (print, "write @app.every\\(5\\) above print"),
    ],
)
def test_what_is_no_interval_is_refused(seconds, says):
    with pytest.raises(ConfigurationError, match=says):
        FinchApp().every(seconds)


def test_what_takes_arguments_or_yields_cannot_tick():
    async def yields():
        yield

    for function in (lambda argument: None, yields, None):
        with pytest.raises(ConfigurationError):
            FinchApp().every(5)(function)
