"""Which slot a key has, and which node has it."""

import pytest

from finch.cluster.slots import Node, Slots, slot_of

ASKED = Node("asked", 1)


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        (b"123456789", 12739),  # the example of the specification
        (b"foo", 12182),
        (b"", 0),
    ],
)
def test_the_slot_of_a_name(name, slot):
    assert slot_of(name) == slot


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        (b"{user1000}.following", b"user1000"),
        (b"shop:{room:a}:n", b"room:a"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"}a{b}", b"b"),
    ],
)
def test_of_a_name_with_braces_only_what_is_in_them_counts(name, tag):
    assert slot_of(name) == slot_of(tag)


@pytest.mark.parametrize("name", [b"foo{}{bar}", b"foo{bar", b"}{"])
def test_of_braces_with_nothing_in_them_all_counts(name):
    assert slot_of(name) == slot_of(name.replace(b"{", b"{", 1)) != slot_of(b"bar")


def test_the_main_node_of_a_slot_has_its_names():
    slots = Slots(
        [
            [0, 12181, [b"a", 1, b"id"], [b"replica", 9, b"id"]],
            [12182, 12182, [None, 2, b"id"]],
            [12183, 16383, [b"c", 3, b"id", []]],
        ],
        ASKED,
    )
    assert slots.nodes == (Node("a", 1), Node("asked", 2), Node("c", 3))
    assert [slots.node_of(name).port for name in (b"", b"foo", b"123456789")] == [1, 2, 3]


def test_who_has_which_slot_can_be_compared():
    one, other = ([[0, 16383, [host, 1, b"id"]]] for host in (b"a", b"b"))
    assert Slots(one, ASKED) == Slots(one, ASKED) != Slots(other, ASKED)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        [[0, 16383]],
        [[0, 16382, [b"a", 1, b"id"]]],
        [[0, 16384, [b"a", 1, b"id"]]],
        [[0, 16383, [b"a", b"x", b"id"]]],
        [[0, 16383, b"a"]],
        [["x", 16383, [b"a", 1]]],
    ],
)
def test_an_answer_that_leaves_slots_without_a_node_is_none(answer):
    with pytest.raises(ValueError, match="slot"):
        Slots(answer, ASKED)
