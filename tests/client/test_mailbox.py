"""What waits for the tasks that iterate: nothing is thrown away, and what is left is forgotten."""

import gc

import pytest
import trio

from finch.client.events import Gap
from finch.client.mailbox import Events, Mailbox, Mailboxes
from finch.client.said import Message
from finch.errors import ConnectionLost


def nothing():
    pass


async def rest(messages):
    """What is in an iterator that has ended."""
    with trio.fail_after(10):
        return [message.path async for message in messages]


@pytest.fixture
def boxes():
    return Mailboxes(3, nothing)


async def test_values_come_in_order_and_then_the_end():
    box = Mailbox(2, nothing)
    box.put(1)
    box.put(2)
    box.end()
    box.put(3)
    assert [await box.take(), await box.take()] == [1, 2]
    with pytest.raises(StopAsyncIteration):
        await box.take()


async def test_an_error_comes_after_what_is_there_and_once():
    box = Mailbox(2, nothing)
    box.put(1)
    box.end(ConnectionLost("gone"))
    assert await box.take() == 1
    with pytest.raises(ConnectionLost):
        await box.take()
    with pytest.raises(StopAsyncIteration):
        await box.take()


async def test_a_task_that_is_cancelled_takes_nothing():
    box = Mailbox(2, nothing)
    box.put(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.take()
    assert await box.take() == 1


async def test_it_says_when_it_is_no_longer_full():
    said = []
    box = Mailbox(2, lambda: said.append(box.fullness))
    for number in range(4):  # what was read together
        box.put(number)
    assert box.fullness == 2
    for _ in range(4):
        await box.take()
    assert said == [0.5]


async def test_a_waiting_reader_is_woken(autojump_clock):
    box = Mailbox(2, nothing)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read():
            assert await box.take() == "late"
            with pytest.raises(StopAsyncIteration):
                await box.take()

        nursery.cancel_scope.deadline = 10
        await trio.sleep(1)
        box.put("late")
        await trio.sleep(1)
        box.end()
    assert not nursery.cancel_scope.cancelled_caught


async def test_an_iterator_gets_its_paths_and_no_others(boxes):
    one, two, every = boxes.open(("a", "b")), boxes.open(("finch.presence",)), boxes.open(())
    for path in ("a", "c", "finch.presence", "b", "finch.gap", "finch.join"):
        boxes.deliver(Message(path))
    boxes.end(lambda: None)
    assert await rest(one) == ["a", "b"]
    assert await rest(two) == ["finch.presence"]
    assert await rest(every) == ["a", "c", "b", "finch.gap"]


async def test_what_came_before_the_first_iterator_waits_for_it(boxes):
    for path in ("a", "b", "a", "finch.presence", "finch.gap"):
        boxes.keep(Message(path))
    first = boxes.open(("b",))
    boxes.keep(Message("b"))  # its first iterator is there already, or was
    second, third = boxes.open(("b",)), boxes.open(("a", "finch.gap"))
    boxes.end(lambda: None)
    assert await rest(first) == ["b"]
    assert await rest(second) == []
    assert await rest(third) == ["a", "finch.gap"]


async def test_only_the_newest_of_these_are_kept(boxes):
    for number in range(5):
        boxes.keep(Message("a", number))
    early = boxes.open(())
    boxes.end(lambda: None)
    assert [message.data async for message in early] == [2, 3, 4]
    boxes.keep(Message("b"))
    assert await rest(boxes.open(("b",))) == []


async def test_an_iterator_that_was_left_fills_no_more(boxes):
    boxes.deliver(Message("a"))
    kept = boxes.open(("a",))
    boxes.open(("a",))  # nobody holds it
    gc.collect()
    assert boxes.deliver(Message("a"))
    del kept
    gc.collect()
    assert not boxes.deliver(Message("a"))
    assert boxes.fullness == 0


async def test_with_closes_an_iterator(boxes):
    with boxes.open(("a",)) as messages:
        boxes.deliver(Message("a"))
        assert boxes.fullness > 0
    boxes.deliver(Message("a"))
    assert boxes.fullness == 0
    assert await rest(messages) == []


async def test_an_iterator_after_the_end_has_ended_too(boxes):
    boxes.end(lambda: ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        await rest(boxes.open(()))


def test_paths_are_text(boxes):
    with pytest.raises(TypeError, match="messages takes paths, not 5"):
        boxes.open((5,))


async def test_of_events_that_nobody_reads_the_oldest_are_dropped():
    events = Events(2, nothing)
    for number in range(4):
        events.put(Gap(str(number)))
    events.end()
    assert [event.room async for event in events] == ["2", "3"]
