"""Who is connected, and as whom."""

from __future__ import annotations

import pytest

from finch.sockets.registry import Registry


@pytest.fixture
def registry() -> Registry[str]:
    """Ann twice, Bob once, and someone without a name. A client is its id in upper case."""
    registry: Registry[str] = Registry()
    for key, user in [("a1", "ann"), ("b1", "bob"), ("a2", "ann"), ("x1", None)]:
        registry.add(key, key.upper(), user)
    return registry


def test_nobody_is_there_at_first():
    registry: Registry[str] = Registry()

    assert (len(registry), registry.count_users, registry.keys(), list(registry)) == (0, 0, [], [])
    assert registry.get("a1") is None
    assert registry.of_user("ann") == []


def test_everyone_who_was_added_is_present_and_reachable_in_order(registry):
    assert len(registry) == 4
    assert registry.keys() == ["a1", "b1", "a2", "x1"]
    assert list(registry) == ["A1", "B1", "A2", "X1"]
    assert registry.get("a2") == "A2"
    assert registry.get("none") is None


def test_a_user_has_every_client_of_that_name(registry):
    assert registry.count_users == 2
    assert registry.of_user("ann") == ["A1", "A2"]
    assert registry.of_user("bob") == ["B1"]
    assert registry.of_user("eve") == []


def test_who_leaves_counts_but_is_not_reached(registry):
    registry.leave("a1")

    assert len(registry) == 4
    assert registry.keys() == ["a1", "b1", "a2", "x1"]
    assert registry.count_users == 2
    assert registry.get("a1") is None
    assert list(registry) == ["B1", "A2", "X1"]
    assert registry.of_user("ann") == ["A2"]


def test_a_user_whose_last_client_leaves_still_counts(registry):
    registry.leave("b1")

    assert registry.count_users == 2
    assert registry.of_user("bob") == []


def test_who_is_removed_does_not_count(registry):
    registry.leave("a1")
    registry.remove("a1")
    registry.remove("b1")

    assert len(registry) == 2
    assert registry.keys() == ["a2", "x1"]
    assert list(registry) == ["A2", "X1"]
    assert registry.count_users == 1
    assert registry.of_user("ann") == ["A2"]
    assert registry.of_user("bob") == []


def test_a_user_counts_until_the_last_client_is_removed(registry):
    registry.remove("a1")
    assert registry.count_users == 2
    registry.remove("a2")
    assert registry.count_users == 1


def test_leaving_or_being_removed_twice_does_nothing(registry):
    for _ in range(2):
        registry.leave("a1")
    for _ in range(2):
        registry.remove("a1")
    registry.leave("none")
    registry.remove("none")

    assert len(registry) == 3
    assert registry.of_user("ann") == ["A2"]


def test_after_everyone_is_removed_nothing_is_kept(registry):
    everyone = registry.keys()
    for key in everyone:
        registry.remove(key)

    assert (len(registry), registry.count_users, registry.keys(), list(registry)) == (0, 0, [], [])


def test_clients_may_come_and_go_while_one_goes_through_them(registry):
    seen = []
    for client in registry:
        seen.append(client)
        registry.remove(client.lower())
        registry.add(client.lower() + "+", client + "+", "ann")

    assert seen == ["A1", "B1", "A2", "X1"]
    assert len(registry) == 4


def test_lists_are_the_callers_own(registry):
    registry.keys().clear()
    registry.of_user("ann").clear()

    assert len(registry) == 4
    assert registry.of_user("ann") == ["A1", "A2"]


def test_a_user_may_be_a_number_even_zero_or_an_empty_text():
    registry: Registry[str] = Registry()
    registry.add("a", "A", 0)
    registry.add("b", "B", "")
    registry.add("c", "C", "0")

    assert registry.count_users == 3
    assert registry.of_user(0) == ["A"]
    assert registry.of_user("") == ["B"]
    registry.remove("a")
    registry.remove("b")
    assert registry.count_users == 1
