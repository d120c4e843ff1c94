"""Session: a dict that is read late, knows whether it has changed, and takes only JSON."""

import pytest

from finch.sessions.codec import Codec
from finch.sessions.session import Session

CODEC = Codec("k" * 32, "session", 100)


def a_session(**values):
    cookie = f"session={CODEC.sign(values)}" if values else "theme=dark"
    return Session(CODEC, "session", [(b"host", b"a"), (b"cookie", cookie.encode())])


def test_it_is_a_dict():
    session = a_session(a=1)
    assert session["a"] == 1
    assert session.get("b") is None
    session["b"] = 2
    session.update(c=3)
    session.setdefault("d", []).append(4)
    assert session.pop("a") == 1
    assert dict(session) == {"b": 2, "c": 3, "d": [4]}
    assert len(session) == 3
    assert "b" in session
    assert repr(session) == "<Session with 'b', 'c', 'd'>"  # no values: it may be in a log
    session.clear()
    assert not session
    assert repr(session) == "<Session with nothing>"


def test_it_is_read_when_it_is_used():
    session = a_session(a=1)
    assert (session.used, session.changed, session.stale) == (False, False, False)
    assert session["a"] == 1
    assert (session.used, session.changed) == (True, False)


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update(a=2),
        lambda session: session.pop("a"),
        lambda session: session["list"].append(1),
        lambda session: session["dict"].update(x=1),
        lambda session: session.clear(),
    ],
)
def test_it_knows_whether_it_has_changed(change):
    session = a_session(a=1, list=[], dict={})
    change(session)
    assert session.changed


def test_what_was_undone_is_no_change():
    session = a_session(a=1)
    session["a"] = 2
    session["a"] = 1
    assert not session.changed
    empty = a_session()
    empty["a"] = 1
    del empty["a"]
    assert not empty.changed


@pytest.mark.parametrize("value", [object(), {1, 2, object()}, {"a": object()}, b"\xff", "\ud800"])
def test_what_is_no_json_is_refused_where_it_is_written(value):
    session = a_session()
    if isinstance(value, bytes):
        session["a"] = value  # msgspec writes base64
        return
    with pytest.raises(TypeError, match=r"session\['a'\]: a session holds what JSON can hold"):
        session["a"] = value
    assert not session.changed


def test_what_becomes_no_json_later_is_named_when_it_is_signed():
    session = a_session(list=[])
    session["list"].append(object())
    with pytest.raises(TypeError, match="a session holds what JSON can hold"):
        _ = session.changed


def test_a_key_is_text():
    with pytest.raises(TypeError, match="a key of a session is text, not an int"):
        a_session()[1] = 2


def test_when_it_is_closed_it_keeps_no_more_of_the_request_than_its_cookie():
    session = a_session(a=1)
    session.close("too late")
    assert [name for name, _ in session._headers] == [b"cookie"]
    assert session["a"] == 1
    assert session._headers == []


def test_when_it_is_closed_it_can_only_be_read():
    session = a_session(a=1)
    session.close("too late")
    assert session["a"] == 1
    for change in (
        lambda: session.update(a=2),
        lambda: session.pop("a"),
        session.clear,
        lambda: session.setdefault("b", 1),
    ):
        with pytest.raises(RuntimeError, match="too late"):
            change()
    assert dict(session) == {"a": 1}
