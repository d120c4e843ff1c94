"""The ledger sees what is lost, doubled and overtaken, and holds it against nobody else."""

import pytest

from tests.soak.ledger import EVERYBODY, Ledger


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(patience=30)
    for name in ("ann", "bob"):
        ledger.join(name, 1, EVERYBODY)
    return ledger


def verdict(ledger: Ledger) -> tuple[int, int, int]:
    return ledger.lost, ledger.duplicated, ledger.reordered


def test_a_message_is_due_to_everybody_in_the_room(ledger: Ledger) -> None:
    ledger.join("eve", 2, EVERYBODY)
    number = ledger.send("ann", 1, 0)
    assert ledger.outstanding == 2
    ledger.receive("ann", "ann", number, 1)
    ledger.receive("bob", "ann", number, 3)
    assert (ledger.outstanding, ledger.delivered, ledger.slowest) == (0, 2, 3)
    ledger.close()
    assert verdict(ledger) == (0, 0, 0)


def test_what_has_not_come_at_the_end_is_lost(ledger: Ledger) -> None:
    ledger.send("ann", 1, 0)
    ledger.close()
    assert verdict(ledger) == (2, 0, 0)


def test_a_message_that_comes_twice_is_doubled(ledger: Ledger) -> None:
    number = ledger.send("ann", 1, 0)
    ledger.receive("bob", "ann", number, 1)
    ledger.receive("bob", "ann", number, 1)
    assert verdict(ledger) == (0, 1, 0)


def test_a_message_that_comes_after_a_later_one_is_reordered(ledger: Ledger) -> None:
    first, second = ledger.send("ann", 1, 0), ledger.send("ann", 1, 0)
    ledger.receive("bob", "ann", second, 1)
    ledger.receive("bob", "ann", first, 1)
    assert verdict(ledger) == (0, 0, 1)


def test_a_gap_in_another_process_s_stream_is_a_loss(ledger: Ledger) -> None:
    ledger.receive("bob", "stranger", 7, 1)
    ledger.receive("bob", "stranger", 8, 1)
    ledger.receive("bob", "stranger", 11, 1)
    assert verdict(ledger) == (2, 0, 0)


def test_who_comes_later_may_hear_what_was_sent_before_or_not(ledger: Ledger) -> None:
    first, second = ledger.send("ann", 1, 0), ledger.send("ann", 1, 0)
    ledger.join("eve", 1)
    ledger.receive("eve", "ann", second, 1)
    for name in ("ann", "bob"):
        ledger.receive(name, "ann", first, 1)
        ledger.receive(name, "ann", second, 1)
    ledger.close()
    assert verdict(ledger) == (0, 0, 0)


def test_nothing_is_due_to_who_has_left_but_what_should_long_have_come(ledger: Ledger) -> None:
    ledger.send("ann", 1, 0)
    ledger.send("ann", 1, 35)
    ledger.leave("bob", 40)
    assert verdict(ledger) == (1, 0, 0)


def test_who_leaves_without_a_word_is_not_heard_for_certain(ledger: Ledger) -> None:
    ledger.send("ann", 1, 0)
    ledger.leave("ann", 0)
    ledger.forgive("ann", 1)
    ledger.close()
    assert verdict(ledger) == (0, 0, 0)


def test_who_says_goodbye_is_heard_to_the_end(ledger: Ledger) -> None:
    ledger.send("ann", 1, 0)
    ledger.leave("ann", 0)
    ledger.say_goodbye("ann")
    ledger.close()
    assert ledger.lost_at_goodbye == 1
    assert verdict(ledger) == (0, 0, 0)
