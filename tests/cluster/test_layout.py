"""What is kept in Redis: names that are never the same for two, and messages of other versions."""

import msgspec
import pytest

from finch.cluster.backplane import Channel, Draft
from finch.cluster.history import History
from finch.cluster.layout import (
    Names,
    lifetimes,
    packed,
    packed_close,
    read_note,
    read_numbered,
)

CHANNELS = [
    Channel("everyone"),
    Channel("room", "everyone"),
    Channel("room", "a"),
    Channel("room", "a}:n"),
    Channel("room", ""),
    Channel("user", "a"),
    Channel("user", "7"),
    Channel("user", 7),
    Channel("node", "7"),
]


def test_every_audience_has_names_of_its_own():
    names = [
        name
        for made in (Names("shop"), Names("shop", 3), Names("shop", 0, "/admin"), Names("other"))
        for channel in CHANNELS
        for name in (made.channel(channel), *made.keys(channel))
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("channel", CHANNELS)
def test_all_names_of_an_audience_are_in_one_slot_of_a_cluster(channel):
    def tag(name):
        begin = name.index(b"{") + 1
        return name[begin : name.index(b"}", begin)]

    names = Names("shop")
    tags = {tag(name) for name in (names.channel(channel), *names.keys(channel))}
    assert len(tags) == 1
    assert tags != {b""}


@pytest.mark.parametrize("key", [None, "a", 7, 1.5, True, ("a", 1), ("a", ("b", None))])
def test_a_message_is_the_same_in_another_process(key):
    draft = Draft(b'{"x":[1,"\xc3\xbc"]}', "said", 201, 17, "a", True, ("a", key), "client")
    note = read_note(packed(draft, "node12", 5))
    assert (note.node, note.ref, note.do) == ("node12", 5, "")
    assert note.draft("a", 0) == draft
    assert note.draft("a", 0).make(3).text("en", b"id") == draft.make(3).text("en", b"id")


def test_a_key_that_others_cannot_compare_is_refused():
    with pytest.raises(TypeError, match="text, a number or a tuple"):
        packed(Draft(b"1", "said", 200, 17, "a", True, ("a", object())), "node12")


def test_a_message_from_elsewhere_needs_only_a_version_and_a_path():
    draft = read_note(b'{"v":1,"path":"said","data":[1]}').draft(None, now=17)
    assert draft == Draft(b"[1]", "said", 200, 17, None, False, (None, None), None)


def test_new_fields_are_passed_over_and_newer_versions_ignored():
    note = read_note(b'{"v":1,"path":"said","new":1}')
    assert (note.path, note.new if hasattr(note, "new") else None) == ("said", None)
    assert read_note(b'{"v":2,"path":["anything"]}') is None


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"{}", b'{"v":"1"}', b'{"v":1,"path":7}', b'{"v":1,"status":"x"}', b"\xff"],
)
def test_what_is_no_message_is_refused(text):
    with pytest.raises(ValueError, match="no message of Finch's"):
        read_note(text)


def test_a_close_is_read():
    note = read_note(packed_close(4401, "gone", "node12", skip="x"))
    assert (note.do, note.code, note.reason, note.skip) == ("close", 4401, "gone", "x")


def test_a_numbered_message_has_its_number_before_it():
    assert read_numbered(b'k3Jd_9xA:17 {"v":1} ') == ("k3Jd_9xA", 17, b'{"v":1} ')
    for wrong in (b"", b"x", b"a:b {}", b"\xff:1 {}"):
        with pytest.raises(ValueError):
            read_numbered(wrong)


@pytest.mark.parametrize("seconds", [0.0001, 1, 3600.0, 1e300])
def test_lifetimes_are_what_redis_takes(seconds):
    messages, numbering = lifetimes(History(seconds=seconds))
    assert 1 <= messages < numbering < 2**53
    assert msgspec.json.encode([messages, numbering])
