"""What is signed comes back; what is forged, cut off, too old or of another key is nothing."""

import base64
import time
import zlib

import hypothesis.strategies as st
import itsdangerous
import pytest
from hypothesis import example, given, settings

from finch import ConfigurationError
from finch.sessions.codec import Codec, encode_session

KEY = "k" * 32
NOTHING = ({}, b"{}", False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def codec(*keys, name="session", max_age=100):
    return Codec(list(keys) or KEY, name, max_age)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
@example({"long": "x" * 5000})
def test_what_is_signed_comes_back(values):
    kept = codec().read(codec().sign(values))
    assert kept == (values, encode_session(values), False)


@given(st.text() | st.text(st.sampled_from("abc._-.=")))
def test_any_text_is_nothing(text):
    assert codec().read(text) == NOTHING


GOOD = codec().sign({"user_id": 1})
PAYLOAD, TIME, SIGNATURE = GOOD.split(".")


def other(payload):
    """A payload with a signature of this key that was made for something else."""
    return itsdangerous.URLSafeTimedSerializer(KEY, salt="finch.session.session").dumps(payload)


def signed_like_us(payload):
    """Any bytes, signed as a session is: as somebody can who has the key."""
    return codec()._newest.dumps(payload)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


OTHER_USER, NO_ALGORITHM = b64(b'{"user_id":2}'), b64(b'{"alg":"none"}')
PICKLE = b64(b"cos\nsystem\n(S'true'\ntR.")
FORGED = {
    "nothing": "",
    "dots": "..",
    "no signature": PAYLOAD,
    "no time": f"{PAYLOAD}.{SIGNATURE}",
    "an empty signature": f"{PAYLOAD}.{TIME}.",
    "another payload": f"{b64(b'{}')}.{TIME}.{SIGNATURE}",
    "another user": f"{OTHER_USER}.{TIME}.{SIGNATURE}",
    "another time": f"{PAYLOAD}.{b64(int(time.time() + 9).to_bytes(4))}.{SIGNATURE}",
    "cut off": GOOD[:-1],
    "cut off at the beginning": GOOD[1:],
    "one letter": GOOD[:-2] + ("A" if GOOD[-2] != "A" else "B") + GOOD[-1],
    "twice": GOOD + GOOD,
    "lower case": GOOD.lower(),
    "with spaces": f" {GOOD}",
    "not ASCII": f"ä{GOOD}",
    "half of a character": GOOD + "\ud800",
    "very long": GOOD + "A" * 100_000,
    "plain JSON": '{"user_id":1}',
    "unsigned, compressed": "." + b64(zlib.compress(b'{"user_id":1}')),
    "of another key": codec("o" * 32).sign({"user_id": 1}),
    "of another cookie": codec(name="other").sign({"user_id": 1}),
    "of another algorithm": other({"user_id": 1}),
    "the algorithm none": f"{NO_ALGORITHM}.{PAYLOAD}.",
    "signed, but a list": signed_like_us(b"[1]"),
    "signed, but text": signed_like_us(b'"x"'),
    "signed, but not JSON": signed_like_us(b"{"),
    "signed, but not UTF-8": signed_like_us(b'{"\xff":1}'),
    "signed, but nested without end": signed_like_us(b"[" * 100_000),
    "Flask's": itsdangerous.URLSafeTimedSerializer(
        KEY, salt="cookie-session", signer_kwargs={"key_derivation": "hmac"}
    ).dumps({"user_id": 1}),
    "pickle": f"{PICKLE}.{TIME}.{SIGNATURE}",
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_forged_is_nothing(what):
    assert codec().read(FORGED[what]) == NOTHING
    assert codec("n" * 32, KEY).read(FORGED[what]) == NOTHING


def test_it_expires(monkeypatch):
    text = codec().sign({"a": 1})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 49)
    assert codec().read(text).stale is False
    monkeypatch.setattr(time, "time", lambda: now + 52)
    assert codec().read(text).stale is True
    monkeypatch.setattr(time, "time", lambda: now + 102)
    assert codec().read(text) == NOTHING
    monkeypatch.setattr(time, "time", lambda: now - 60)  # of the future: not ours
    assert codec().read(text) == NOTHING


def test_keys_are_replaced_one_after_another():
    old, new, newest = "o" * 32, "n" * 32, "m" * 32
    text = codec(old).sign({"a": 1})
    assert codec(new, old).read(text) == ({"a": 1}, b'{"a":1}', True)
    assert codec(newest, new, old).read(text).values == {"a": 1}
    assert codec(new).read(text) == NOTHING  # replayed after the old key was removed
    renewed = codec(new, old).sign({"a": 1})
    assert codec(new).read(renewed) == ({"a": 1}, b'{"a":1}', False)
    assert codec(old).read(renewed) == NOTHING


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (None, "is None: is the environment variable set"),
        ("", "has 0 characters"),
        ("short", "has 5 characters, and needs 32"),
        (b"x" * 31, "has 31 characters"),
        ([KEY, "short"], "has 5 characters"),
        ([], "at least one secret"),
        (7, "is text, not an int"),
        ([None], "is text, not None"),
    ],
)
def test_a_key_that_could_be_guessed_is_refused_with_how_to_make_one(secret, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        Codec(secret, "session", 100)
    assert "secrets.token_urlsafe(32)" in str(caught.value)
    assert "short" not in str(caught.value).replace("too short", "")


def test_a_key_is_never_shown():
    assert KEY not in repr(codec())
    assert KEY not in repr(vars(codec()))


def test_without_the_extra_the_error_names_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'finch-trio\[sessions\]'"):
        codec()
