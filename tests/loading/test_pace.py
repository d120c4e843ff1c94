"""Pace: messages are due at fixed times, and who is held up is charged for it."""

import pytest
import trio

from finch.loading.pace import Pace


async def test_messages_of_all_clients_are_due_in_turn(autojump_clock):
    start = trio.current_time()
    dues = []
    for number in range(4):
        pace = Pace(2.0, 4, number, start)
        await pace.wait()
        dues.append(trio.current_time() - start)
    assert dues == pytest.approx([0, 0.5, 1, 1.5])
    await pace.wait()
    assert trio.current_time() - start == pytest.approx(3.5)


async def test_who_is_late_is_charged_from_when_it_was_due(autojump_clock):
    start = trio.current_time()
    pace = Pace(1.0, 1, 0, start)
    assert await pace.wait() == start
    await trio.sleep(5)
    assert await pace.wait() == start + 1
    assert await pace.wait() == start + 2


async def test_without_a_rate_it_is_always_due(autojump_clock):
    pace = Pace(None, 1, 0, 0.0)
    assert await pace.wait() == await pace.wait() == trio.current_time()
