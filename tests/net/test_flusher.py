"""The end of a turn: what is written first goes at once if nothing else is known to come."""

import pytest
import trio
import trio.testing

from finch.net.flusher import AtOnce, Flusher
from finch.turns import FLUSHES


class Written:
    """Something with data to send: notes in a list when it sends them."""

    def __init__(self, sent, name):
        self._sent = sent
        self._name = name

    def flush(self):
        self._sent.append(self._name)


@pytest.fixture
def busy():
    """Whether something else waits to be done: set its first item."""
    return [False]


@pytest.fixture
async def flusher(busy):
    flusher = Flusher(lambda: busy[0])
    trio.lowlevel.add_instrument(flusher)
    yield flusher
    trio.lowlevel.remove_instrument(flusher)


async def test_the_first_of_a_turn_is_sent_at_once_and_the_others_at_its_end(flusher):
    sent = []
    for _ in range(2):
        for name in "abc":
            flusher.add(Written(sent, name))
        assert sent == ["a"]
        await trio.lowlevel.checkpoint()
        assert sent == ["a", "b", "c"]
        sent.clear()


async def test_nothing_is_sent_before_the_end_if_something_else_waits(flusher, busy):
    sent = []
    busy[0] = True
    flusher.add(Written(sent, "a"))
    busy[0] = False  # that comes too late: the turn has begun
    flusher.add(Written(sent, "b"))
    assert sent == []
    await trio.lowlevel.checkpoint()
    assert sent == ["a", "b"]


async def test_who_has_begun_a_turn_sends_alone_and_only_once(flusher):
    sent = []
    assert flusher.claim()
    assert not flusher.claim()
    flusher.add(Written(sent, "a"))
    assert sent == []
    await trio.lowlevel.checkpoint()
    assert sent == ["a"]
    flusher.later(Written(sent, "b"))
    assert sent == ["a"]
    assert flusher.claim()


async def test_so_many_are_sent_to_in_a_turn_and_the_others_in_the_next(flusher, busy):
    sent = []
    busy[0] = True
    for number in range(FLUSHES + 1):
        flusher.add(Written(sent, number))
    await trio.lowlevel.checkpoint()
    assert len(sent) == FLUSHES
    await trio.testing.wait_all_tasks_blocked()
    assert sent == [*range(FLUSHES + 1)]


async def test_one_that_fails_does_not_stop_the_others(flusher, busy, caplog):
    sent = []
    busy[0] = True
    flusher.add(Written(None, "broken"))
    flusher.add(Written(sent, "a"))
    await trio.lowlevel.checkpoint()
    assert sent == ["a"]
    assert "a bug in Finch: sending failed" in caplog.text


def test_a_stream_sends_everything_at_once():
    sent = []
    AtOnce().add(Written(sent, "a"))
    assert sent == ["a"]
