"""What waits for Redis waits in order, volatile messages replace each other, and all is bounded."""

import pytest

from finch.cluster.unsent import Unsent


def taken(unsent):
    return [unsent.take() for _ in range(len(unsent))]


def test_it_is_sent_in_order_and_the_newest_takes_the_last_place():
    unsent = Unsent(10)
    unsent.put_newest("price", 1)
    unsent.put("a")
    unsent.put_newest("price", 2)
    unsent.put("b")
    unsent.put_newest("other", 3)
    assert unsent.first() == "a"
    assert taken(unsent) == ["a", 2, "b", 3]
    assert unsent.replaced == 1
    with pytest.raises(KeyError):
        unsent.take()


def test_too_many_durable_messages_are_refused():
    unsent = Unsent(2)
    unsent.put_newest("price", 1)
    assert [unsent.put(letter) for letter in "abc"] == [True, True, False]
    assert unsent.take() == 1
    assert not unsent.put("c")
    assert unsent.take() == "a"
    assert unsent.put("c")
    assert taken(unsent) == ["b", "c"]


def test_of_too_many_volatile_messages_the_oldest_are_dropped():
    unsent = Unsent(2)
    unsent.put("a")
    for number in range(5):
        unsent.put_newest(number, number)
    assert taken(unsent) == ["a", 3, 4]
    assert unsent.replaced == 3
