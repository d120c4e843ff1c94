"""What was sent a short time ago, in order and without holes, or not at all."""

import datetime
import math
import re
from contextlib import suppress
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from finch.cluster.history import Archive, History, Position, epoch_of, new_epoch, read_position
from finch.errors import ConfigurationError


@pytest.fixture(autouse=True)
def reader():
    """Nothing here is read from a socket."""


def archive(*, messages=3, seconds=10.0, sent=()):
    """An archive in which a message was appended at each of these times."""
    archive = Archive(History(messages, seconds), "epoch")
    for now in sent:
        archive.append(f"at {now}", now)
    return archive


# -- the option --


def test_the_defaults_are_a_hundred_messages_and_an_hour():
    assert History() == History(messages=100, seconds=3600.0)
    assert History(1, 1) == History(messages=1, seconds=1.0)


def test_an_option_does_not_change():
    with pytest.raises(AttributeError):
        History().messages = 5


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (0, "None as the history keeps nothing"),
        (None, "None as the history keeps nothing"),
        (False, "None as the history keeps nothing"),
        (-1, "the default is 100"),
        (True, "the default is 100"),
        (50.0, "write 50"),
        (50.5, "the default is 100"),
        (math.nan, "the default is 100"),
        (math.inf, "the default is 100"),
        ("50", "write 50, without quotes"),
        ("many", "the default is 100"),
        ([50], "the default is 100"),
    ],
)
def test_messages_that_are_no_number_get_advice(value, advice):
    with pytest.raises(ConfigurationError, match=r"messages is a whole number, 1 or more") as info:
        History(messages=value)
    assert str(info.value).endswith(f"; {advice}")
    assert str(info.value).startswith("History(messages=")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (0, "None as the history keeps nothing"),
        (None, "None as the history keeps nothing"),
        (-0.5, "the default is 3600.0"),
        (math.inf, "the default is 3600.0"),
        (math.nan, "the default is 3600.0"),
        (10**400, "the default is 3600.0"),
        (True, "the default is 3600.0"),
        (Fraction(1, 2), "the default is 3600.0"),
        ("60", "write 60, without quotes"),
        (datetime.timedelta(minutes=1), "write .total_seconds() after it"),
    ],
)
def test_seconds_that_are_no_number_get_advice(value, advice):
    with pytest.raises(ConfigurationError, match=r"seconds is a number, more than 0") as info:
        History(seconds=value)
    assert str(info.value).endswith(f"; {advice}")


# -- positions --


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("k3Jd_9xA:17", ("k3Jd_9xA", 17)),
        ("-:0", ("-", 0)),
        ("a:007", ("a", 7)),
        (f"{'x' * 32}:{2**53}", ("x" * 32, 2**53)),
    ],
)
def test_a_position_is_an_epoch_and_a_number(text, position):
    assert read_position(text) == Position(*position)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "text such as 'k3Jd_9xA:17', not None"),
        (17, "text such as 'k3Jd_9xA:17', not an int"),
        (["a", 1], "not a list"),
        (b"a:1", "not a bytes"),
        ("", "'epoch:seq', such as 'k3Jd_9xA:17', not ''"),
        ("abc", "not 'abc'"),
        (":1", "the epoch of a position is 1 to 32 characters"),
        (f"{'x' * 33}:1", "the epoch"),
        ("a b:1", "the epoch"),
        ("\u00e4:1", "the epoch"),
        ("a\n:1", "the epoch"),
        ("a.b:1", "the epoch"),
        ("a:", "the seq of a position is a number from 0 to 9007199254740992, not ''"),
        ("a:-1", "the seq"),
        ("a:+1", "the seq"),
        ("a: 1", "the seq"),
        ("a:1\n", "the seq"),
        ("a:1_0", "the seq"),
        ("a:1.0", "the seq"),
        ("a:\u0661", "the seq"),  # a digit, but not of ASCII
        ("a:\u00b2", "the seq"),
        ("a:1:2", "the seq"),
        (f"a:{2**53 + 1}", "the seq"),
        (f"a:{'9' * 100_000}", "the seq"),
    ],
)
def test_a_malformed_position_is_refused_with_a_short_reason(text, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)) as info:
        read_position(text)
    assert len(str(info.value)) < 250


@given(st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True), st.integers(0, 2**53))
def test_a_position_is_read_as_it_was_written(epoch, seq):
    assert read_position(str(Position(epoch, seq))) == (epoch, seq)


@given(st.text())
def test_any_text_is_a_position_or_a_value_error(text):
    with suppress(ValueError):
        assert read_position(text).epoch == text.partition(":")[0]


def test_the_epochs_of_audiences_differ_and_fit_into_a_position():
    epoch = new_epoch()
    names = ["", "a", "b", "ü", "\ud800", "x" * 1000]
    epochs = {epoch_of(epoch, name) for name in names}
    assert len(epochs) == len(names)
    for one in epochs:
        assert read_position(f"{one}:1") == (one, 1)
    assert epoch_of(epoch, "a") == epoch_of(epoch, "a")
    assert epoch_of(new_epoch(), "a") != epoch_of(epoch, "a")


def test_every_epoch_is_new_and_fits_into_a_position():
    epochs = {new_epoch() for _ in range(1000)}
    assert len(epochs) == 1000
    for epoch in epochs:
        assert len(epoch) == 8
        assert read_position(f"{epoch}:1") == (epoch, 1)


# -- the archive --


def test_a_new_archive_has_no_messages_and_begins_with_1():
    new = archive()
    assert (new.epoch, new.seq, new.next_seq) == ("epoch", 0, 1)
    assert new.last(10, 0) == []
    assert new.since(Position("epoch", 0), 0) == []
    assert new.expired(0)


def test_messages_are_numbered_without_holes_and_know_their_number_beforehand():
    kept = archive()
    for number in range(1, 10):
        assert kept.next_seq == number
        assert kept.append("message", 0) == number
        assert kept.seq == number


# Four messages were sent at 1, 2, 3 and 4. Three are kept, for 10 seconds.
@pytest.mark.parametrize(
    ("position", "now", "missed"),
    [
        ("epoch:4", 4, []),
        ("epoch:3", 4, [4]),
        ("epoch:1", 4, [2, 3, 4]),
        ("epoch:0", 4, None),  # the first one is one too many
        ("epoch:5", 4, None),  # was never given
        ("other:4", 4, None),
        ("other:0", 4, None),
        ("epoch:1", 12, [2, 3, 4]),  # ten seconds old, but no older
        ("epoch:1", 12.1, None),
        ("epoch:2", 12.1, [3, 4]),
        ("epoch:3", 14.1, None),
        ("epoch:4", 14.1, []),  # nothing is kept, but this client has seen all
        ("epoch:4", 1e9, []),
    ],
)
def test_a_client_gets_all_that_it_has_missed_or_is_told_that_something_is_missing(
    position, now, missed
):
    kept = archive(sent=[1, 2, 3, 4])
    found = kept.since(read_position(position), now)
    assert found == (missed if missed is None else [(seq, f"at {seq}") for seq in missed])


def test_a_negative_number_is_no_position_of_ours():
    assert archive(sent=[1]).since(Position("epoch", -1), 1) is None


@pytest.mark.parametrize(
    ("n", "now", "seqs"),
    [
        (0, 4, []),
        (-1, 4, []),
        (1, 4, [4]),
        (2, 4, [3, 4]),
        (3, 4, [2, 3, 4]),
        (100, 4, [2, 3, 4]),
        (100, 13.5, [4]),
        (100, 15, []),
    ],
)
def test_the_last_messages_are_given_in_order(n, now, seqs):
    kept = archive(sent=[1, 2, 3, 4])
    assert kept.last(n, now) == [(seq, f"at {seq}") for seq in seqs]


def test_an_archive_is_expired_when_its_newest_message_is_too_old():
    kept = archive(sent=[1, 5])
    assert not kept.expired(15)
    assert kept.expired(15.1)
    assert kept.seq == 2  # whether it is forgotten is for others to decide
    kept.append("again", 20)
    assert not kept.expired(20)


def test_what_is_too_old_or_too_much_is_freed():
    class Big:
        count = 0

        def __init__(self):
            Big.count += 1

        def __del__(self):
            Big.count -= 1

    kept = Archive(History(messages=3, seconds=10), "epoch")
    for now in range(5):
        kept.append(Big(), now)
    assert Big.count == 3
    kept.last(0, 13.5)
    assert Big.count == 1
    assert kept.expired(100)
    assert Big.count == 0


def test_what_is_given_is_the_callers_own():
    kept = archive(sent=[1, 2])
    kept.last(5, 2).clear()
    kept.since(Position("epoch", 0), 2).clear()
    assert len(kept.last(5, 2)) == 2


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "since", "last", "expired"]),
        st.sampled_from([0, 0, 0.5, 1, 3]),  # how much later
        st.integers(-1, 12),
    ),
    max_size=40,
)


@given(st.integers(1, 5), st.sampled_from([0.5, 2, 4]), STEPS)
def test_an_archive_is_like_a_list_of_all_that_was_ever_sent(messages, seconds, steps):
    kept = Archive(History(messages, seconds), "epoch")
    sent = []  # (seq, time)
    now = 100.0
    for step, later, number in steps:
        now += later
        # a message is pushed out by newer ones even before its time
        there = [(seq, seq) for seq, at in sent[-messages:] if now - at <= seconds]
        if step == "append":
            assert kept.append(kept.next_seq, now) == len(sent) + 1
            sent.append((len(sent) + 1, now))
        elif step == "since":
            missed = [(seq, seq) for seq, _ in sent if seq > number]
            complete = 0 <= number <= len(sent) and set(missed) <= set(there)
            assert kept.since(Position("epoch", number), now) == (missed if complete else None)
        elif step == "last":
            assert kept.last(number, now) == there[-number:] * (number > 0)
        else:
            assert kept.expired(now) == (not there)
