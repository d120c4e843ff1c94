"""Some seconds of the soak of several processes, and how it judges."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need
from tests.soak.cluster.conductor import Phase, table
from tests.soak.cluster.faults import FAULTS
from tests.soak.cluster.ledger import WRONG, Ledger
from tests.soak.short import short_run

NEED: Any = need
_OPTIONS = (
    "--deliveries 1 --workers 2 --clients 20 --senders 8 --seconds 1 --rate 100 "
    "--faults kill,cut,separate,restart,wipe"
).split()


def hear(ledger: Ledger, *messages: tuple[int, int, int]) -> None:
    """One client hears messages: number, sender, and number of the sender's."""
    for seq, sender, n in messages:
        ledger.hear(0, seq, sender, n, 0.0)


def wrong(ledger: Ledger) -> list[int]:
    return [ledger.counts[what] for what in WRONG]


def test_numbers_that_follow_each_other_are_right() -> None:
    ledger = Ledger(1)
    ledger.join(0, 6, 0.0)
    hear(ledger, (7, 0, 1), (8, 1, 1), (9, 0, 2))
    assert wrong(ledger) == [0, 0, 0]
    assert ledger.delivered == 3


def test_a_hole_is_lost_unless_a_gap_is_told() -> None:
    ledger = Ledger(1)
    hear(ledger, (1, 0, 1), (4, 0, 4))
    assert wrong(ledger) == [2, 0, 0]
    ledger.tell_gap(0)
    hear(ledger, (9, 0, 9))
    assert wrong(ledger) == [2, 0, 0]


def test_what_comes_first_must_follow_the_join() -> None:
    ledger = Ledger(1)
    ledger.join(0, 6, 0.0)
    hear(ledger, (8, 0, 2))
    assert wrong(ledger) == [1, 0, 0]


def test_a_number_twice_is_doubled() -> None:
    ledger = Ledger(1)
    hear(ledger, (1, 0, 1), (2, 0, 2), (2, 0, 2))
    assert ledger.counts["doubled"] == 1
    assert ledger.counts["out of order"] == 1


def test_a_message_with_two_numbers_is_doubled() -> None:
    ledger = Ledger(2)
    ledger.join(1, 1, 0.0)
    ledger.hear(0, 1, 0, 1, 0.0)
    ledger.hear(1, 2, 0, 1, 0.0)
    ledger.acknowledge(0, 1, 1)
    assert wrong(ledger) == [0, 1, 0]


def test_a_gap_excuses_no_wrong_order() -> None:
    ledger = Ledger(1)
    ledger.join(0, 7, 0.0)
    hear(ledger, (8, 0, 8))
    ledger.tell_gap(0)
    hear(ledger, (1, 0, 7))
    assert wrong(ledger) == [0, 0, 1]


def test_a_message_whose_sender_was_told_that_it_failed_may_come_later() -> None:
    ledger = Ledger(1)
    ledger.fail(0, 1)
    hear(ledger, (1, 0, 2), (2, 0, 1))
    assert wrong(ledger) == [0, 0, 0]


def test_everybody_must_have_heard_something_newer() -> None:
    ledger = Ledger(2)
    ledger.hear(0, 1, 0, 5, 0.0)
    assert not ledger.all_heard_after({0: 4})
    ledger.hear(1, 1, 0, 5, 0.0)
    assert ledger.all_heard_after({0: 4})
    assert not ledger.all_heard_after({0: 5})


def test_a_phase_says_what_should_not_be() -> None:
    phase = Phase(FAULTS["kill"], caught_up=None)
    phase.counts.update({"lost": 2, "gaps": 1, "foreign": 3, "cut": 9})
    assert phase.wrong() == [
        "2 lost",
        "3 connections of others were cut",
        "1 gaps, though Redis has forgotten nothing",
        "not everybody came back",
    ]
    told = Phase(FAULTS["wipe"])
    told.counts["gaps"] = 5
    assert told.wrong() == []
    assert "| never | 0.0 s |" in table([phase])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and epoll are Linux's")
def test_some_seconds_of_the_soak(tmp_path: Path) -> None:
    NEED("redis-server", "apt-get install redis-server")
    report = short_run("tests.soak.cluster", _OPTIONS, tmp_path)
    assert report["holds"]
    assert report["delivered"] > 500
    phases = report["phases"]
    assert phases["kill"]["cut"] >= 10
    assert phases["restart"]["gaps"] >= 20
    assert phases["wipe"]["gaps"] >= 20
