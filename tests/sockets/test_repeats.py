"""What is known of messages that were handled, and for how long."""

import pytest

from finch.sockets import repeats
from finch.sockets.repeats import Answer, Repeats, read_key

ANN = ("ann", "k3Jd_9xAq2Lw71Zz")
BOB = ("bob", "k3Jd_9xAq2Lw71Zz")


def an_answer(size=4):
    return Answer("path", 200, b"x" * size, 1700000000000)


def done(known, who, number, now=0.0, size=4):
    known.end(known.begin(who, number, now, "a handler"), an_answer(size), now)


def test_a_key_is_a_session_and_a_number():
    assert read_key("k3Jd_9xAq2Lw71Z-:17") == ("k3Jd_9xAq2Lw71Z-", 17)


@pytest.mark.parametrize(
    "once",
    [
        None, 7, "", "17", ":17", "short:17", "k3Jd_9xAq2Lw71Zz:0", "k3Jd_9xAq2Lw71Zz:01",
        "k3Jd_9xAq2Lw71Zz:-1", "k3Jd_9xAq2Lw71Zz:1.5", "k3Jd_9xAq2Lw71Zz", "k3Jd 9xAq2Lw71Zz:1",
        "k3Jd_9xAq2Lw71Zz:1\n", "k3Jd_9xAq2Lw71Zz:\u0661", "x" * 65 + ":1",
        "k3Jd_9xAq2Lw71Zz:1234567890123456", ["k3Jd_9xAq2Lw71Zz:1"],
    ],
)  # fmt: skip
def test_anything_else_is_refused(once):
    with pytest.raises(ValueError, match="SESSION:NUMBER"):
        read_key(once)


def test_a_call_is_found_while_it_is_handled_and_after():
    known = Repeats()
    assert known.find(ANN, 1, 0.0) is None
    call = known.begin(ANN, 1, 0.0, "a handler")
    assert known.find(ANN, 1, 100.0) is call
    assert call.handling == "a handler"
    known.end(call, an_answer(), 100.0)
    assert known.find(ANN, 1, 159.9).answer == an_answer()
    assert call.handling is None


def test_the_sessions_of_users_are_apart():
    known = Repeats()
    done(known, ANN, 1)
    assert known.find(BOB, 1, 0.0) is None


def test_after_a_minute_only_that_it_was_handled_is_known():
    known = Repeats()
    done(known, ANN, 2)
    assert known.find(ANN, 2, 59.9) is not None
    with pytest.raises(LookupError):
        known.find(ANN, 2, 60.0)
    with pytest.raises(LookupError):
        known.find(ANN, 1, 60.0)
    assert known.find(ANN, 3, 60.0) is None
    assert len(known) == 0


def test_a_session_in_use_forgets_its_old_answers_too():
    known = Repeats()
    done(known, ANN, 1, now=0.0)
    done(known, ANN, 2, now=50.0)
    with pytest.raises(LookupError):
        known.find(ANN, 1, 70.0)
    assert known.find(ANN, 2, 70.0) is not None


def test_a_session_that_comes_back_late_goes_on():
    known = Repeats()
    done(known, ANN, 5)
    known.find(ANN, 6, 100.0)
    done(known, ANN, 6, now=200.0)
    with pytest.raises(LookupError):
        known.find(ANN, 5, 200.0)
    assert known.find(ANN, 6, 200.0) is not None


def test_after_ten_minutes_nothing_is_known():
    known = Repeats()
    done(known, ANN, 1, now=0.0)
    known.find(BOB, 1, 60.0)
    assert known.find(ANN, 1, 660.0) is None


def test_a_cancelled_call_is_not_begun_again():
    known = Repeats()
    known.end(known.begin(ANN, 1, 0.0, None), None, 0.0)
    with pytest.raises(LookupError):
        known.find(ANN, 1, 0.0)


def test_a_session_keeps_so_many_answers():
    known = Repeats()
    for number in range(1, repeats.ANSWERS + 2):
        done(known, ANN, number)
    assert len(known) == repeats.ANSWERS
    with pytest.raises(LookupError):
        known.find(ANN, 1, 0.0)
    assert known.find(ANN, 2, 0.0) is not None


def test_a_session_keeps_so_many_bytes_of_answers():
    known = Repeats()
    done(known, ANN, 1)
    done(known, ANN, 2, size=repeats.SESSION_SIZE - 3)
    with pytest.raises(LookupError):
        known.find(ANN, 1, 0.0)
    assert known.find(ANN, 2, 0.0) is not None
    done(known, ANN, 3, size=repeats.SESSION_SIZE + 1)
    for number in (2, 3):
        with pytest.raises(LookupError):
            known.find(ANN, number, 0.0)


def test_a_session_has_so_many_calls_under_way():
    known = Repeats()
    calls = [known.begin(ANN, number, 0.0, None) for number in range(1, repeats.ANSWERS + 1)]
    assert known.begin(ANN, 100, 0.0, None) is None
    known.end(calls[0], an_answer(), 0.0)
    assert known.begin(ANN, 100, 0.0, None) is not None


def test_all_sessions_together_keep_so_many_bytes(monkeypatch):
    monkeypatch.setattr(repeats, "TOTAL_SIZE", 100)
    monkeypatch.setattr(repeats, "OVERHEAD", 0)
    known = Repeats()
    for number in range(1, 4):
        done(known, ANN, number, size=20)
    done(known, BOB, 1, size=20)
    assert len(known) == 4
    done(known, BOB, 2, size=30)  # that of the session used longest ago goes first
    with pytest.raises(LookupError):
        known.find(ANN, 3, 0.0)
    assert known.find(BOB, 1, 0.0) is not None
    assert known.find(BOB, 2, 0.0) is not None


def test_empty_answers_have_a_size_too(monkeypatch):
    monkeypatch.setattr(repeats, "TOTAL_SIZE", 4 * repeats.OVERHEAD)
    known = Repeats()
    for session in range(100):
        done(known, session, 1, size=0)
    assert len(known) == 4
    for session in range(96, 100):
        assert known.find(session, 1, 0.0) is not None


def test_what_is_being_handled_stays():
    known = Repeats()
    call = known.begin(ANN, 1, 0.0, None)
    assert known.find(ANN, 1, 10_000.0) is call
    assert known.find(ANN, 1, 20_000.0) is call


def test_so_many_sessions_are_known(monkeypatch):
    monkeypatch.setattr(repeats, "SESSIONS", 2)
    known = Repeats()
    for number in range(4):
        done(known, number, 1)
    assert known.find("none", 1, 60.0) is None
    assert known.find(0, 1, 60.0) is None
    assert known.find(1, 1, 60.0) is None
    for number in (2, 3):
        with pytest.raises(LookupError):
            known.find(number, 1, 60.0)
