"""What a run has found out: seconds are told apart, and the warm-up is forgotten."""

import json

from finch.loading.plan import Plan, Tally
from finch.loading.target import read_target


def test_each_second_has_its_own_latencies():
    tally = Tally()
    for latency in (0.001, 0.001, 0.1):
        tally.note(latency)
        tally.answers += 1
    first = tally.end_second(1.0)
    tally.errors["x"] += 2
    second = tally.end_second(3.0)
    assert (first.rate, first.errors) == (3, 0)
    assert 99_000 < first.longest < 101_000
    assert (second.rate, second.longest, second.errors) == (0, 0, 2)
    assert tally.latency.count == 3


def test_the_warm_up_is_forgotten_but_its_errors_are_not():
    tally = Tally()
    tally.note(1.0)
    tally.answers, tally.deliveries = 5, 5
    tally.errors["x"] += 1
    tally.restart()
    assert (tally.answers, tally.deliveries, tally.latency.count) == (0, 0, 0)
    assert tally.end_second(1.0) == (1.0, 0.0, 0.0, 0.0, 0.0, 0)
    assert tally.errors == {"x": 1}
    assert json.loads(json.dumps(tally.to_json()))["errors"] == {"x": 1}


def test_clients_are_dealt_out_to_rooms():
    target = read_target("ws://a/")
    plan = Plan(target=target, clients=5, seconds=1, room="chat/{n}", rooms=2)
    assert [plan.room_of(number) for number in range(3)] == ["chat/1", "chat/2", "chat/1"]
    assert Plan(target=target, clients=5, seconds=1).room_of(0) is None
