"""Who is connected, and as whom."""

from __future__ import annotations

import pytest

from finch.sockets.members import Members


@pytest.fixture
def members() -> Members[str]:
    """Ann twice, Bob once, and someone without a name. A client is its id in upper case."""
    members: Members[str] = Members()
    for key, user in [("a1", "ann"), ("b1", "bob"), ("a2", "ann"), ("x1", None)]:
        members.add(key, key.upper(), user)
    return members


def test_nobody_is_there_at_first():
    members: Members[str] = Members()

    assert (len(members), members.count_users, members.keys(), list(members)) == (0, 0, [], [])
    assert members.get("a1") is None
    assert members.of_user("ann") == []


def test_everyone_who_was_added_is_present_and_reachable_in_order(members):
    assert len(members) == 4
    assert members.keys() == ["a1", "b1", "a2", "x1"]
    assert list(members) == ["A1", "B1", "A2", "X1"]
    assert members.get("a2") == "A2"
    assert members.get("none") is None


def test_a_user_has_every_client_of_that_name(members):
    assert members.count_users == 2
    assert members.of_user("ann") == ["A1", "A2"]
    assert members.of_user("bob") == ["B1"]
    assert members.of_user("eve") == []


def test_who_leaves_counts_but_is_not_reached(members):
    members.leave("a1")

    assert len(members) == 4
    assert members.keys() == ["a1", "b1", "a2", "x1"]
    assert members.count_users == 2
    assert members.get("a1") is None
    assert list(members) == ["B1", "A2", "X1"]
    assert members.of_user("ann") == ["A2"]


def test_a_user_whose_last_client_leaves_still_counts(members):
    members.leave("b1")

    assert members.count_users == 2
    assert members.of_user("bob") == []


def test_who_is_removed_does_not_count(members):
    members.leave("a1")
    members.remove("a1")
    members.remove("b1")

    assert len(members) == 2
    assert members.keys() == ["a2", "x1"]
    assert list(members) == ["A2", "X1"]
    assert members.count_users == 1
    assert members.of_user("ann") == ["A2"]
    assert members.of_user("bob") == []


def test_a_user_counts_until_the_last_client_is_removed(members):
    members.remove("a1")
    assert members.count_users == 2
    members.remove("a2")
    assert members.count_users == 1


def test_leaving_or_being_removed_twice_does_nothing(members):
    for _ in range(2):
        members.leave("a1")
    for _ in range(2):
        members.remove("a1")
    members.leave("none")
    members.remove("none")

    assert len(members) == 3
    assert members.of_user("ann") == ["A2"]


def test_after_everyone_is_removed_nothing_is_kept(members):
    everyone = members.keys()
    for key in everyone:
        members.remove(key)

    assert (len(members), members.count_users, members.keys(), list(members)) == (0, 0, [], [])


def test_clients_may_come_and_go_while_one_goes_through_them(members):
    seen = []
    for client in members:
        seen.append(client)
        members.remove(client.lower())
        members.add(client.lower() + "+", client + "+", "ann")

    assert seen == ["A1", "B1", "A2", "X1"]
    assert len(members) == 4


def test_lists_are_the_callers_own(members):
    members.keys().clear()
    members.of_user("ann").clear()

    assert len(members) == 4
    assert members.of_user("ann") == ["A1", "A2"]


def test_a_user_may_be_a_number_even_zero_or_an_empty_text():
    members: Members[str] = Members()
    members.add("a", "A", 0)
    members.add("b", "B", "")
    members.add("c", "C", "0")

    assert members.count_users == 3
    assert members.of_user(0) == ["A"]
    assert members.of_user("") == ["B"]
    members.remove("a")
    members.remove("b")
    assert members.count_users == 1
