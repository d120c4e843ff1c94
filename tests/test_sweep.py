"""The sweep looks at everything in turn, and what fails of it ends nothing else."""

import logging
import math

import pytest
import trio

from finch import Limits
from finch.sweep import sweep
from finch.turns import TURN


class Transport:
    def stalled(self, now, patience):
        return False


class Item:
    """A connection whose deadline has come, or a prober; it raises as often as it is told to."""

    transport = Transport()
    deadline = 0.0

    def __init__(self, *, fails):
        self.fails = fails
        self.looks = 0

    def expire(self, now):
        self.probe()

    def probe(self):
        self.looks += 1
        if self.fails:
            raise ValueError("a bug")
        return True


async def test_what_fails_is_logged_and_the_rest_is_looked_at_each_time(autojump_clock, caplog):
    connections = [Item(fails=True), Item(fails=False)]
    bad, good = Item(fails=True), Item(fails=False)
    lagging = {bad: None, good: None}
    with caplog.at_level(logging.ERROR, "finch.server"), trio.move_on_after(1.75):
        await sweep(connections, lagging, Limits())
    assert [item.looks for item in connections] == [3, 3]
    assert (bad.looks, good.looks) == (1, 3)  # what cannot be probed is not asked again
    assert list(lagging) == [good]
    assert caplog.text.count("a bug in Finch") == 4


@pytest.mark.parametrize("what", ["probed", "told that their time has come"])
async def test_others_have_their_turn_while_many_are(what, autojump_clock):
    """A ping costs as much as a message; a thousand of them in one go would hold up everybody."""
    begun = trio.Event()
    told = []

    class Pinged(Item):
        def __init__(self):
            super().__init__(fails=False)

        def probe(self):
            begun.set()
            told.append(self)
            self.deadline = math.inf
            return False

    async def other():
        await begun.wait()
        told.append("other")

    items = [Pinged() for _ in range(4 * TURN)]
    connections, lagging = ([], items) if what == "probed" else (items, [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        with trio.move_on_after(0.75):
            await sweep(connections, dict.fromkeys(lagging), Limits())
    assert len(told) == 4 * TURN + 1
    assert told.index("other") <= 2 * TURN  # trio may let the sweep go first once more


async def test_a_connection_that_ends_while_others_have_their_turn_is_left_alone(autojump_clock):
    items = [Item(fails=False) for _ in range(4 * TURN)]
    watched = dict.fromkeys(items)

    def expire(now):
        for item in items[1:]:
            watched.pop(item, None)

    items[0].expire = expire
    with trio.move_on_after(0.75):
        await sweep(watched, {}, Limits())
    assert [item.looks for item in items[1:]] == [0] * (4 * TURN - 1)
