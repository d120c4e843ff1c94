"""Who is in a room: everybody once, and a reload is nothing."""

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from finch.sockets.presence import Change, Entry, Presence


@pytest.fixture(autouse=True)
def reader():
    """Nothing here is read from a socket."""


def told(change):
    """A change in short: ``+ann -bob =3``."""
    if change is None:
        return ""
    name = [f"+{entry.user or entry.client}" for entry in change.joins]
    name += [f"-{entry.user or entry.client}" for entry in change.leaves]
    return " ".join([*name, f"={change.count}"])


# Each story: what happens at which second (+ a client, - a client, ? look), and what is told then.
# Clients are named after their user and a number. The grace is 3 seconds.
STORIES = {
    "one comes": ["0 +ann1", "0 ? +ann =1", "9 ?"],
    "two tabs join once": ["0 +ann1", "0 ? +ann =1", "1 +ann2", "1 ?"],
    "two tabs at a time join once": ["0 +ann1", "0 +ann2", "0 ? +ann =1", "0 ?"],
    "many changes are one": ["0 +ann1", "0 +bob1", "0 +eve1", "1 ? +ann +bob +eve =3"],
    "one goes": ["0 +ann1", "0 ? +ann =1", "5 -ann1", "7.9 ?", "8 ? -ann =0", "9 ?"],
    "one tab of two goes": ["0 +ann1", "0 +ann2", "0 ? +ann =1", "1 -ann1", "9 ?"],
    "two tabs leave once": [
        *("0 +ann1", "0 +ann2", "0 ? +ann =1", "1 -ann1", "2 -ann2"),
        *("4 ?", "5 ? -ann =0", "9 ?"),
    ],
    "a reload": ["0 +ann1", "0 ? +ann =1", "5 -ann1", "6 +ann2", "6 ?", "99 ?"],
    "two reloads": [
        *("0 +ann1", "0 ? +ann =1", "5 -ann1", "6 +ann2", "7 -ann2"),
        *("8 ?", "9 ?", "10 ? -ann =0"),
    ],
    "a reload that nobody noticed was too late": [
        "0 +ann1",
        "0 ? +ann =1",
        "1 -ann1",
        "9 +ann2",
        "9 ?",
    ],
    "back after the grace": [
        *("0 +ann1", "0 ? +ann =1", "1 -ann1", "4 ? -ann =0"),
        *("5 +ann2", "5 ? +ann =1"),
    ],
    "came and went between two looks": ["0 +ann1", "0 -ann1", "9 ?", "10 ?"],
    "came, and is looked at in the grace": ["0 +ann1", "0 -ann1", "1 ? +ann =1", "3 ? -ann =0"],
    "one comes, one goes": [
        *("0 +ann1", "0 ? +ann =1", "1 -ann1", "2 +bob1", "4 ? +bob -ann =1"),
    ],
    "a user who enters twice with one client": ["0 +ann1", "0 +ann1", "0 -ann1", "3 ?", "9 ?"],
    "who is not here cannot leave": ["0 -ann1", "9 ?", "9 +ann1", "9 -ann2", "99 ? +ann =1"],
    "who has left cannot leave again": [
        "0 +ann1",
        "0 ? +ann =1",
        "1 -ann1",
        "3 -ann1",
        "4 ? -ann =0",
    ],
    "they leave in the order in which they went": [
        *("0 +ann1", "0 +bob1", "0 ? +ann +bob =2", "1 -bob1", "2 -ann1", "9 ? -bob -ann =0"),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_story(story):
    presence = Presence(grace=3)
    for line in story:
        when, what, *expected = line.split()
        now, client = float(when), what[1:]
        if what == "?":
            assert told(presence.collect(now)) == " ".join(expected)
        elif what[0] == "+":
            presence.enter(client[:-1], client, None, at=0)
        else:
            presence.exit(client[:-1], client, now)


def test_nobody_is_there_at_first():
    presence = Presence()
    assert (len(presence), bool(presence), presence.entries()) == (0, False, [])
    assert presence.due() is None
    assert presence.collect(0) is None


def test_a_change_says_who_and_how_many():
    presence = Presence()
    presence.enter("ann", "a1", {"name": "Ann"}, at=1000)
    presence.enter(None, "x1", None, at=2000)
    ann = Entry(user="ann", meta={"name": "Ann"}, devices=1, since=1000)
    anonymous = Entry(user=None, meta=None, devices=1, since=2000, client="x1")
    assert presence.entries() == [ann, anonymous]
    assert presence.collect(0) == Change(joins=[ann, anonymous], leaves=[], count=2)
    presence.exit(None, "x1", 0)
    gone = Entry(user=None, meta=None, devices=0, since=2000, client="x1")
    assert presence.collect(3) == Change(joins=[], leaves=[gone], count=1)
    assert presence.entries() == [ann]


def test_only_a_client_without_a_user_shows_its_id():
    presence = Presence()
    presence.enter(7, "a1", None, at=1000)
    presence.enter(None, "x1", None, at=2000)
    assert msgspec.to_builtins(presence.entries()) == [
        {"user": 7, "meta": None, "devices": 1, "since": 1000},
        {"user": None, "meta": None, "devices": 1, "since": 2000, "client": "x1"},
    ]
    assert msgspec.json.encode(presence.collect(0)).startswith(b'{"joins":[{"user":7,"meta":null,')


def test_who_is_here_while_tabs_come_and_go():
    presence = Presence(grace=3)
    presence.enter("ann", "a1", "first", at=1000)
    presence.enter("ann", "a2", "second", at=2000)
    assert presence.entries() == [Entry("ann", "second", devices=2, since=1000)]
    presence.exit("ann", "a2", 1)
    assert presence.entries() == [Entry("ann", "second", devices=1, since=1000)]
    presence.exit("ann", "a1", 2)
    assert presence.entries() == [Entry("ann", "second", devices=0, since=1000)]  # in the grace
    assert len(presence) == 1
    presence.enter("ann", "a3", "third", at=4000)
    assert presence.entries() == [Entry("ann", "third", devices=1, since=1000)]
    presence.exit("ann", "a3", 4)
    presence.collect(7)
    assert (len(presence), bool(presence), presence.entries()) == (0, False, [])
    presence.enter("ann", "a4", "fourth", at=8000)
    assert presence.entries() == [Entry("ann", "fourth", devices=1, since=8000)]


def test_users_and_clients_of_the_same_name_are_not_mixed_up():
    presence = Presence(grace=0)
    whos = [(1, "a"), ("1", "b"), (None, "1"), ("", "c"), (0, "d"), (None, ""), ("None", "e")]
    for user, client in whos:
        assert presence.enter(user, client, None, at=0)
    assert [(entry.user, entry.client) for entry in presence.collect(0).joins] == [
        *((1, None), ("1", None), (None, "1"), ("", None), (0, None), (None, ""), ("None", None))
    ]
    assert not presence.exit(None, "b", 0)
    assert not presence.exit(1, "b", 0)
    assert presence.exit("1", "b", 0)
    [gone] = presence.collect(0).leaves
    assert gone.user == "1"
    assert len(presence) == 6


def test_entering_and_leaving_say_whether_there_is_something_to_do():
    presence = Presence(grace=3)
    assert presence.enter("ann", "a1", None, at=0)
    assert not presence.enter("ann", "a2", None, at=0)
    assert not presence.exit("ann", "a1", 0)
    assert not presence.exit("ann", "a1", 0)
    assert presence.exit("ann", "a2", 0)
    assert not presence.enter("ann", "a3", None, at=0)  # during the grace


def test_the_next_grace_to_end_is_due():
    presence = Presence(grace=3)
    for name in ["ann", "bob", "eve"]:
        presence.enter(name, name, None, at=0)
    assert presence.due() is None
    presence.exit("bob", "bob", 10)
    presence.exit("ann", "ann", 11)
    assert presence.due() == 13
    presence.enter("bob", "bob", None, at=0)
    assert presence.due() == 14
    presence.exit("bob", "bob", 12)
    assert presence.due() == 14
    presence.collect(14)
    assert presence.due() == 15
    presence.collect(15)
    assert presence.due() is None
    assert len(presence) == 1


@pytest.mark.parametrize("look", [Presence.entries, len])
def test_who_was_shown_to_anybody_is_not_kept_secret_when_gone(look):
    """A client that joins in between has bob in its list, or counts him. It must hear that he has
    left, although nobody heard that he came."""
    presence = Presence(grace=0)
    presence.enter("bob", "b1", None, at=0)
    look(presence)
    presence.exit("bob", "b1", 0)
    assert told(presence.collect(0)) == "-bob =0"
    presence.enter("bob", "b2", None, at=0)  # nobody looks this time
    presence.exit("bob", "b2", 0)
    assert presence.collect(0) is None


def test_to_ask_whether_anybody_is_here_shows_nobody():
    presence = Presence(grace=0)
    presence.enter("bob", "b1", None, at=0)
    assert presence
    presence.exit("bob", "b1", 0)
    assert presence.collect(0) is None


def test_what_is_given_is_as_of_then():
    presence = Presence()
    presence.enter("ann", "a1", None, at=0)
    before = presence.entries()
    presence.enter("ann", "a2", "new", at=0)
    before.append("something")
    assert before[0] == Entry("ann", None, devices=1, since=0)
    assert presence.entries() == [Entry("ann", "new", devices=2, since=0)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "exit", "exit", "collect", "look"]),
        st.sampled_from([None, "ann", 1, "1"]),
        st.sampled_from("12"),
        st.sampled_from([0, 0, 0.5, 2]),  # how much later
    ),
    max_size=40,
)


@given(st.sampled_from([0, 1, 3]), STEPS)
def test_presence_is_like_a_plain_list_of_devices(grace, steps):
    presence = Presence(grace)
    devices = set()  # (user, client)
    left = {}  # who: when the last device left
    here = {}  # who: since
    known = {}  # what those know who have heard all changes: who: since
    watchers = [known]  # the same for those who got the list at some time
    clock = 0

    def who(user, client):
        return user, (client if user is None else None)

    for step, user, number, later in steps:
        clock += later
        client = f"{user}{number}"
        one = who(user, client)
        if step == "enter":
            assert presence.enter(user, client, clock, at=clock) == (one not in here)
            devices.add((user, client))
            here.setdefault(one, clock)
            left.pop(one, None)
        elif step == "exit":
            was = (user, client) in devices
            devices.discard((user, client))
            gone = was and all(who(*device) != one for device in devices)
            assert presence.exit(user, client, clock) == gone
            if gone:
                left[one] = clock
        elif step == "look":
            entries = presence.entries()
            assert {(entry.user, entry.client): entry.since for entry in entries} == here
            for entry in entries:
                mine = [d for d in devices if who(*d) == (entry.user, entry.client)]
                assert entry.devices == len(mine)
            watchers.append(dict(here))
        else:
            for absent in [absent for absent, at in left.items() if at + grace <= clock]:
                del left[absent], here[absent]
            change = presence.collect(clock)
            if change is None:
                assert here == known
            else:
                assert change.joins or change.leaves
                assert change.count == len(here)
                joins = {(entry.user, entry.client): entry.since for entry in change.joins}
                assert joins == {one: here[one] for one in here.keys() - known.keys()}
                leaves = [(entry.user, entry.client) for entry in change.leaves]
                assert known.keys() - here.keys() <= set(leaves)
                for watcher in watchers:
                    watcher.update(joins)
                    for one in leaves:
                        watcher.pop(one, None)
            assert all(watcher == here for watcher in watchers)
        assert presence.due() == (min(left.values()) + grace if left else None)
        assert bool(presence) == bool(here)
