"""How many hear an audience, and who is present, out of what each process says."""

from random import Random

import pytest

from finch.cluster.views import Change, Counts, Entry, People, Seen

ANN, BOB = ("ann", None), ("bob", None)


def seen(user="ann", devices=1, since=10, at=None, meta=None):
    return Seen(Entry(user, meta, devices, since), at or since)


@pytest.fixture
def people():
    return People()


def test_counts_add_up():
    counts = Counts()
    counts.set("a", 3)
    counts.set("b", 4)
    counts.set("a", 2)
    assert (counts.total, counts.of("a"), counts.of("c")) == (6, 2, 0)
    counts.set("b", 0)
    assert (counts.total, counts.nodes) == (2, ["a"])


def test_a_user_in_two_processes_is_one_with_the_devices_of_both(people):
    people.set("a", ANN, seen(since=10, at=30, meta="newer"))
    people.set("b", ANN, seen(since=20, devices=2, meta="older"))
    whole = Entry("ann", "newer", 3, 10)
    assert people.entries() == [whole]
    assert people.collect() == Change([whole], [], 1)


def test_who_moves_to_another_process_neither_comes_nor_goes(people):
    people.set("a", ANN, seen())
    people.collect()
    people.set("b", ANN, seen())
    people.set("a", ANN, None)
    assert people.collect() is None
    assert len(people) == 1


def test_who_is_gone_everywhere_leaves(people):
    people.set("a", ANN, seen())
    people.set("b", ANN, seen())
    people.collect()
    people.set("a", ANN, None)
    assert people.collect() is None
    people.set("b", ANN, None)
    assert people.collect() == Change([], [Entry("ann", None, 0, 10)], 0)
    people.set("b", ANN, None)
    assert people.collect() is None


def test_who_comes_and_goes_unseen_is_left_out(people):
    people.set("a", ANN, seen())
    people.set("a", ANN, None)
    assert people.collect() is None


def test_who_goes_and_comes_again_is_left_out(people):
    people.set("a", ANN, seen())
    people.collect()
    people.set("a", ANN, None)
    people.set("b", ANN, seen(since=20))
    assert people.collect() is None


def test_who_was_in_a_list_and_is_gone_again_leaves(people):
    people.set("a", ANN, seen())
    people.entries()
    people.set("a", ANN, None)
    assert people.collect() == Change([], [Entry("ann", None, 0, 10)], 0)


def test_who_was_in_a_list_left_and_came_again_joins(people):
    people.set("a", ANN, seen())
    people.entries()
    people.set("a", ANN, None)
    people.set("a", ANN, seen())
    assert people.collect() == Change([seen().entry], [], 1)


def test_a_process_that_is_gone_takes_its_people_along(people):
    people.set("a", ANN, seen())
    people.set("b", ANN, seen())
    people.set("b", BOB, seen("bob", since=11))
    people.collect()
    assert people.nodes == {"a", "b"}
    people.replace("b", {})
    assert people.collect() == Change([], [Entry("bob", None, 0, 11)], 1)
    assert people.of("b") == []
    people.replace("a", {BOB: seen("bob", since=12)})
    change = people.collect()
    assert [one.user for one in change.joins] == ["bob"]
    assert [one.user for one in change.leaves] == ["ann"]


def test_clients_without_users_are_told_apart(people):
    for client in ("x", "y"):
        people.set("a", (None, client), Seen(Entry(None, None, 1, 10, client), 10))
    assert [one.client for one in people.entries()] == ["x", "y"]


@pytest.mark.parametrize("seed", range(20))
def test_whoever_applies_all_changes_has_the_list(seed):
    random = Random(seed)
    people, listed = People(), {}
    here = set()
    for _ in range(1000):
        node, user = random.choice("abc"), random.choice(("ann", "bob", "cyn"))
        if random.random() < 0.5:
            here.add((node, user))
            people.set(node, (user, None), seen(user, since=random.randrange(99)))
        else:
            here.discard((node, user))
            people.set(node, (user, None), None)
        if random.random() < 0.1:
            assert {one.user for one in people.entries()} == {user for _, user in here}
        if random.random() < 0.2 and (change := people.collect()) is not None:
            for entry in change.joins:
                assert entry.user not in listed
                listed[entry.user] = entry
            for entry in change.leaves:
                listed.pop(entry.user, None)
            assert change.count == len(listed) == len({user for _, user in here})
        assert len(people) == len({user for _, user in here})
