"""Numbered messages that arrive twice, too early, or not at all, are given away in order, once."""

from random import Random

import pytest

from finch.cluster.history import Position
from finch.cluster.sequence import Lost, Next, Sequence


@pytest.fixture
def sequence():
    return Sequence(Position("a", 7))


def test_what_comes_in_order_is_given_away_at_once(sequence):
    assert sequence.offer("a", 8, "x") == [Next(8, "x")]
    assert sequence.offer("a", 9, "y") == [Next(9, "y")]
    assert not sequence.asks
    assert sequence.position == Position("a", 9)


def test_what_comes_again_is_ignored(sequence):
    sequence.offer("a", 8, "x")
    assert sequence.offer("a", 8, "x") == []
    assert sequence.offer("a", 3, "old") == []
    assert not sequence.asks


def test_what_comes_early_waits_for_what_is_missing(sequence):
    assert sequence.offer("a", 10, "z") == []
    assert sequence.asks
    assert sequence.offer("a", 9, "y") == []
    assert sequence.offer("a", 8, "x") == [Next(8, "x"), Next(9, "y"), Next(10, "z")]
    assert not sequence.asks


def test_what_is_missing_is_read(sequence):
    sequence.offer("a", 10, "z")
    events = sequence.read(Position("a", 11), [(8, "x"), (9, "y"), (10, "other"), (11, "!")])
    assert events == [Next(8, "x"), Next(9, "y"), Next(10, "z"), Next(11, "!")]
    assert not sequence.asks


def test_what_is_no_longer_kept_is_lost_and_the_rest_follows(sequence):
    sequence.offer("a", 9, "y")
    events = sequence.read(Position("a", 13), [(12, "a"), (13, "b")])
    assert events == [
        Lost(Position("a", 8)),
        Next(9, "y"),
        Lost(Position("a", 11)),
        Next(12, "a"),
        Next(13, "b"),
    ]
    assert sequence.read(Position("a", 15), []) == [Lost(Position("a", 15))]
    assert not sequence.asks


def test_a_read_that_is_older_than_what_was_given_away_changes_nothing(sequence):
    sequence.offer("a", 8, "x")
    assert sequence.read(Position("a", 7), [(7, "w")]) == []
    assert sequence.position == Position("a", 8)


def test_a_new_epoch_begins_with_what_is_kept_of_it(sequence):
    assert sequence.offer("b", 2, "x") == []
    assert sequence.asks
    events = sequence.read(Position("b", 2), [(1, "w"), (2, "x")])
    assert events == [Lost(Position("b", 0)), Next(1, "w"), Next(2, "x")]
    assert not sequence.asks
    assert sequence.offer("a", 8, "late") == []
    assert not sequence.asks


def test_a_new_epoch_of_which_nothing_is_kept(sequence):
    assert sequence.read(Position("b", 5), []) == [Lost(Position("b", 5))]
    assert sequence.offer("b", 6, "x") == [Next(6, "x")]


def test_a_read_that_crosses_a_new_epoch_is_repeated_and_an_epoch_nobody_knows_forgotten(sequence):
    sequence.offer("b", 1, "x")
    assert sequence.read(Position("a", 7), []) == []
    assert sequence.asks
    assert sequence.read(Position("a", 7), []) == []
    assert not sequence.asks
    assert sequence.offer("b", 2, "y") == []
    assert not sequence.asks


def test_what_waits_is_bounded(sequence):
    for seq in range(9, 30_000):
        assert sequence.offer("a", seq, seq) == []
    assert len(sequence._early) == 10_000
    given = sequence.offer("a", 8, 8)
    assert [one.seq for one in given] == list(range(8, 10_009))
    assert not sequence.asks  # the look at the head finds the others


@pytest.mark.parametrize("seed", range(20))
def test_any_order_any_loss_any_repetition(seed):
    """Offers are lost, repeated and late, and reads are trimmed."""
    random = Random(seed)
    sequence = Sequence(Position("a", 0))
    published, expected, told, offers = [], 0, 0, []
    for _ in range(2000):
        what = random.random()
        events = []
        if what < 0.5:
            published.append(len(published) + 1)
            if random.random() < 0.8:
                offers += [published[-1]] * random.choice((1, 1, 2))
        elif what < 0.95 and offers:
            seq = offers.pop(random.randrange(min(5, len(offers))))
            events = sequence.offer("a", seq, seq)
        elif random.random() < 0.3 or sequence.asks:
            kept = published[-random.randrange(1, 40) :]
            events = sequence.read(Position("a", len(published)), [(seq, seq) for seq in kept])
            assert not sequence.asks
        for event in events:
            if isinstance(event, Lost):
                assert event.position.seq > expected
                expected, told = event.position.seq, told + 1
            else:
                assert event == Next(expected + 1, expected + 1)
                expected += 1
        assert sequence.seq == expected
    assert told
