"""What waits for a client that is behind: the newest of each path and key, and not too much."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from finch.sockets.conflation import Waiting


@pytest.fixture(autouse=True)
def reader():
    """Nothing here is read from a socket."""


def waiting(*puts, most=100):
    """What waits after messages of 10 bytes each: ``"path key text"``."""
    waiting = Waiting(most)
    for put in puts:
        path, key, text = put.split()
        waiting.put(path, key, text, 10)
    return waiting


def test_nothing_waits_at_first():
    new = waiting()
    assert (len(new), new.size, bool(new), new.take()) == (0, 0, False, [])


@pytest.mark.parametrize(
    ("puts", "taken"),
    [
        (["price a 1"], ["1"]),
        (["price a 1", "price b 2", "cursor a 3"], ["1", "2", "3"]),
        (["price a 1", "price a 2"], ["2"]),
        (["price a 1", "price a 2", "price a 3"], ["3"]),
        # what replaces another one is as new as it is, and does not overtake "price b"
        (["price a 1", "price b 2", "price a 3"], ["2", "3"]),
        (["price a 1", "price b 2", "price b 3"], ["1", "3"]),
    ],
)
def test_the_newest_of_each_path_and_key_waits_in_the_order_of_sending(puts, taken):
    some = waiting(*puts)
    assert (len(some), some.size, bool(some)) == (len(taken), 10 * len(taken), True)
    assert some.take() == taken
    assert (len(some), some.size, bool(some), some.take()) == (0, 0, False, [])


def test_it_says_how_many_were_replaced_or_dropped():
    some = Waiting(30)
    assert some.put("price", "a", "1", 10) == 0
    assert some.put("price", "a", "2", 10) == 1
    assert some.put("price", "b", "3", 10) == 0
    assert some.put("price", "c", "4", 10) == 0
    assert some.put("price", "b", "5", 20) == 2  # "3" is replaced, "2" is dropped
    assert some.take() == ["4", "5"]


def test_after_it_was_taken_nothing_is_replaced():
    some = waiting("price a 1")
    some.take()
    assert some.put("price", "a", "2", 10) == 0
    assert some.take() == ["2"]


@pytest.mark.parametrize(
    ("most", "taken"),
    [(100, "1234"), (40, "1234"), (39, "234"), (20, "34"), (10, "4"), (5, "4"), (0, "4")],
)
def test_the_oldest_are_dropped_if_too_many_bytes_wait(most, taken):
    some = waiting("p a 1", "p b 2", "p c 3", "p d 4", most=most)
    assert some.take() == list(taken)


def test_a_message_larger_than_all_that_may_wait_still_waits_alone():
    some = waiting("p a 1", "p b 2", most=30)
    assert some.put("p", "c", "large", 1000) == 2
    assert (len(some), some.size) == (1, 1000)
    assert some.put("p", "d", "small", 10) == 1
    assert (some.size, some.take()) == (10, ["small"])


def test_a_smaller_message_in_place_of_a_larger_one_makes_room():
    some = waiting("p a 1", "p b 2", most=30)
    some.put("p", "c", "3", 10)
    assert some.put("p", "a", "4", 5) == 1
    assert (some.size, some.take()) == (25, ["2", "3", "4"])


def test_no_key_is_a_key_and_kinds_of_keys_are_not_mixed_up():
    some = Waiting(1000)
    keys = [None, "", "None", 1, "1", ("room", None)]
    assert [some.put("p", key, number, 1) for number, key in enumerate(keys)] == [0] * 6
    assert some.put("p", None, 6, 1) == 1
    assert some.take() == [1, 2, 3, 4, 5, 6]


def test_a_message_may_be_none():
    some = Waiting(10)
    some.put("p", "a", None, 1)
    assert some.put("p", "a", None, 1) == 1
    assert (some.size, some.take()) == (1, [None])


def test_what_was_taken_is_the_callers_own():
    some = waiting("p a 1")
    taken = some.take()
    some.put("p", "a", "2", 10)
    assert taken == ["1"]


PUTS = st.lists(
    st.one_of(
        st.none(),  # take
        st.tuples(st.sampled_from("pq"), st.sampled_from(["a", "b", None]), st.integers(0, 12)),
    ),
    max_size=40,
)


@given(st.integers(0, 30), PUTS)
def test_it_is_like_a_list_that_is_searched(most, puts):
    some = Waiting(most)
    there = []  # (path, key, number, size)
    for number, put in enumerate(puts):
        if put is None:
            assert some.take() == [entry[2] for entry in there]
            there = []
        else:
            path, key, size = put
            before = len(there) + 1
            there = [entry for entry in there if entry[:2] != (path, key)]
            there.append((path, key, number, size))
            while len(there) > 1 and sum(entry[3] for entry in there) > most:
                del there[0]
            assert some.put(path, key, number, size) == before - len(there)
        assert some.size == sum(entry[3] for entry in there)
        assert len(some) == len(there)
        assert bool(some) == bool(there)


def test_what_became_unwanted_waits_no_longer():
    some = Waiting(10)
    for key in (("a", 1), ("b", 1), ("a", 2)):
        some.put("moved", key, key, 3)
    some.drop(lambda key: key[0] == "a")
    assert some.size == 3
    assert some.take() == [("b", 1)]
