"""When a client comes back: varied, growing pauses, and the codes that say whether at all."""

import pytest

from finch.client.backoff import (
    LONGEST_ASKED,
    LONGEST_PAUSE,
    Backoff,
    asks_again,
    comes_back,
    retry_after,
)


def test_the_longest_possible_pauses_double_up_to_half_a_minute():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.pause() for _ in range(7)] == [2, 4, 8, 16, 30, 30, 30]
    assert [backoff.pause() for _ in range(2000)] == [LONGEST_PAUSE] * 2000


def test_a_pause_is_anything_between_nothing_and_that():
    chances = iter([0.0, 0.5, 0.25])
    backoff = Backoff(lambda: next(chances))
    assert [backoff.pause() for _ in range(3)] == [0, 2, 2]


def test_only_a_connection_that_lasted_begins_anew():
    backoff = Backoff(lambda: 1.0)
    backoff.pause()
    backoff.lasted(4.9)
    assert backoff.pause() == 4
    backoff.lasted(5)
    assert backoff.pause() == 2


def test_what_a_server_asks_for_comes_on_top():
    assert Backoff(lambda: 0.5).pause(asked=10) == 11


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1012, 1013, 4000, 4401, 4499])
def test_these_codes_come_back(code):
    assert comes_back(code)


@pytest.mark.parametrize("code", [1000, 1002, 1005, 1008, 1009, 3000, 3999, 4500, 4999])
def test_these_codes_stay_away(code):
    assert not comes_back(code)


@pytest.mark.parametrize("status", [103, 200, 301, 408, 425, 429, 500, 503])
def test_after_these_statuses_a_client_tries_again(status):
    assert asks_again(status, has_token=False)


@pytest.mark.parametrize("status", [400, 403, 404, 426])
def test_these_statuses_would_come_again(status):
    assert not asks_again(status, has_token=True)


def test_a_new_token_may_help_after_a_401():
    assert asks_again(401, has_token=True)
    assert not asks_again(401, has_token=False)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("5", 5),
        ("0", 0),
        ("Fri, 27 Nov 2026 10:00:00 GMT", 0),
        ("-1", 0),
        ("²", 0),
        ("9" * 5000, LONGEST_ASKED),
    ],
)
def test_retry_after_is_believed_within_reason(value, seconds):
    assert retry_after(value) == seconds
