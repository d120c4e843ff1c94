"""The world of one process: what it forgets, and what it still knows after that."""

import pytest
import trio

from finch.cluster.backplane import Channel, Draft, Local
from finch.cluster.history import History, Position
from finch.cluster.inprocess import InProcess
from finch.encoding import encode

HISTORY = History(messages=3, seconds=10)
ANN, BOB = Channel("user", "ann"), Channel("user", "bob")


class Nobody(Local):
    """The clients of a process that has none."""

    def deliver(self, channel, envelope, draft):
        return 0

    def count(self, channel):
        return 0

    async def close(self, channel, code, reason, skip):
        return 0

    def label(self, channel):
        return None

    def ask(self, channel, path, data, asking):
        return [], lambda: None

    def attended(self, channel):
        pass

    def lost(self, channel, position):
        pass

    async def rest(self):
        pass


@pytest.fixture
def world(autojump_clock):
    return InProcess(Nobody())


async def publish(world, channel, text="hello"):
    return await world.publish(channel, Draft(encode(text), "said", 200, 0, "a"), HISTORY)


async def missed(world, channel, since=None):
    return await world.missed(channel, HISTORY, since, 0)


async def test_who_left_before_the_first_message_gets_it_though_others_came_meanwhile(world):
    ann = (await missed(world, ANN)).position
    assert ann.seq == 0
    for number in range(5):
        await missed(world, Channel("user", number))
    await publish(world, BOB)
    await publish(world, ANN)
    position, recovered, messages = await missed(world, ANN, ann)
    assert (position, recovered) == (Position(ann.epoch, 1), True)
    assert [(seq, '"hello"' in envelope.text("en", b"")) for seq, envelope in messages] == [
        (1, True)
    ]


async def test_a_numbering_that_is_forgotten_begins_anew_with_another_epoch(world, autojump_clock):
    before = (await publish(world, ANN)).position
    await trio.sleep(11)
    await publish(world, BOB)  # looks for what may be forgotten
    assert (await publish(world, ANN)).position.seq == 1
    position, recovered, messages = await missed(world, ANN, before)
    assert (position.epoch != before.epoch, recovered, messages) == (True, False, [])
    assert not (await missed(world, ANN, Position(before.epoch, 0))).recovered


@pytest.mark.parametrize(
    "other", [BOB, Channel("room", "ann"), Channel("everyone"), Channel("user", 1)]
)
async def test_a_position_is_of_one_audience_only(world, autojump_clock, other):
    """A page that logs in as somebody else may still say the position of who was there before."""
    await publish(world, ANN)
    position = (await publish(world, ANN)).position
    for _ in range(3):
        await publish(world, other)
    assert (await missed(world, ANN, position)).recovered
    assert not (await missed(world, other, position)).recovered


async def test_names_that_nothing_is_sent_to_are_not_kept(world, autojump_clock):
    for number in range(1000):
        await missed(world, Channel("room", f"chat/{number}"))
    await trio.sleep(11)
    await publish(world, ANN)  # is kept, and would be in front of those that come after it
    for number in range(1000):
        await missed(world, Channel("room", f"chat/{number}"))
    assert len(world._archives) + len(world._unwritten) < 5
