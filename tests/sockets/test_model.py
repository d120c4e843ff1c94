"""Any story of rooms, users, histories, presence, volatile messages and calls: the model says how.

``FINCH_STORIES`` is how many stories there are, of 80 steps each. Without it, they are the same
each time. With it, they differ: ``FINCH_STORIES=5000 make test ARGS=tests/sockets/test_model.py``.
"""

import os
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from finch.cluster.history import Archive
from finch.sockets.asks import Asks
from finch.sockets.client import SocketClient
from finch.sockets.conflation import Waiting
from finch.sockets.members import Groups
from finch.sockets.membership import Member
from finch.sockets.presence import Presence
from finch.sockets.room import Hall
from tests.sockets.world import ROOMS, VERBS, WHO, Step, a_step, live_through

STORIES = int(os.environ.get("FINCH_STORIES", "0"))
SETTINGS = settings(
    max_examples=STORIES or 125,  # with both readers, 20,000 steps
    stateful_step_count=80,
    derandomize=not STORIES,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def stories(reader):
    """Stories that hypothesis writes. A story is written first, and then lived through."""

    class Story(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.steps = []

        @rule(
            verb=st.sampled_from(VERBS),
            who=st.sampled_from(WHO),
            what=st.integers(0, len(ROOMS) - 1),
            how=st.integers(0, 7),
            rest=st.sampled_from((True, True, False)),
        )
        def step(self, verb, who, what, how, rest):
            self.steps.append(Step(verb, who, what, how, rest))

        def teardown(self):
            live_through(self.steps, reader)

    return Story


def test_any_story_goes_as_the_model_says(reader):
    run_state_machine_as_test(stories(reader), settings=SETTINGS)


# What went wrong once


def step(verb, who=0, what=0, how=0, rest=True):
    return Step(verb, who, what, how, rest)


PLAIN, STAFF, HIDDEN = map(ROOMS.index, ("plain/e", "chat/staff", "hidden"))
CONNECT = step("connect", what=2)
WENT_WRONG = {
    "a volatile message comes behind the answer to a leave": [
        CONNECT,
        step("join", what=PLAIN),
        step("freeze"),
        step("tick", what=PLAIN),
        step("tick", what=PLAIN),
        step("leave"),
        step("thaw"),
    ],
    "a message is lost while the answer waits with which the server lets a client in": [
        CONNECT,
        step("swamp", how=2),
        step("let_in", what=STAFF),
        step("publish", what=STAFF, how=3),
        step("thaw"),
    ],
    "a message whose refusal waits is cancelled, and gets no answer": [
        CONNECT,
        step("swamp", how=2),
        step("say", what=HIDDEN),
        step("cancel"),
        step("thaw"),
    ],
    "a join whose refusal waits is cancelled, and gets no answer": [
        CONNECT,
        step("swamp", how=2),
        step("join", what=STAFF),
        step("cancel"),
        step("say", what=HIDDEN),
        step("thaw"),
    ],
    "a client that the server has let in is told that it has missed nothing": [
        CONNECT,
        step("join"),
        step("cut"),
        step("publish", how=3),
        CONNECT,
        step("let_in"),
        step("join", how=7),
    ],
    "a second join is answered with a position that is older than what was heard": [
        CONNECT,
        step("join"),
        step("swamp", how=2),
        step("join"),
        step("publish", how=3),
        step("thaw"),
    ],
    "what was answered already is cancelled twice, and gets a second answer": [
        CONNECT,
        step("freeze"),
        step("say", what=HIDDEN),
        step("slow"),
        step("cancel"),
        step("cancel"),
        step("wait", how=4),
        step("thaw"),
    ],
    "a client leaves before it answers, and that is logged as an error": [
        CONNECT,
        step("ask", how=3),
        step("log_out"),
    ],
}


@pytest.mark.parametrize("steps", WENT_WRONG.values(), ids=WENT_WRONG)
def test_what_went_wrong_once_does_not_again(steps, reader):
    live_through(steps, reader)


# Whether it would notice


def loses_the_oldest(monkeypatch):
    since = Archive.since
    monkeypatch.setattr(Archive, "since", lambda *a: (since(*a) or [])[1:] or since(*a))


def says_recovered_too_often(monkeypatch):
    since = Archive.since
    monkeypatch.setattr(Archive, "since", lambda *a: since(*a) or [])


def keeps_one_too_few(monkeypatch):
    append = Archive.append

    def add(self, message, now):
        seq = append(self, message, now)
        if len(self._kept) == self._history.messages:
            self._kept.popleft()
        return seq

    monkeypatch.setattr(Archive, "append", add)


def replaces_nothing_in_order(monkeypatch):
    take = Waiting.take
    monkeypatch.setattr(Waiting, "take", lambda self: take(self)[::-1])


def loses_the_newest(monkeypatch):
    take = Waiting.take
    monkeypatch.setattr(Waiting, "take", lambda self: take(self)[:-1])


def forgets_to_remove(monkeypatch):
    monkeypatch.setattr(Groups, "remove", lambda self, group, key: False)


def leaves_without_goodbye(monkeypatch):
    async def leave_all(self):
        self._rooms = ()

    monkeypatch.setattr(Member, "_leave_all", leave_all)


def enters_before_it_has_caught_up(monkeypatch):
    catch_up = Member._catch_up

    async def hears_already(self, audience, *args):
        if audience.label != "finch.everyone":
            self.manager.members.rooms.add(audience.label, self.id, self)
        return await catch_up(self, audience, *args)

    monkeypatch.setattr(Member, "_catch_up", hears_already)


def nobody_ever_goes(monkeypatch):
    monkeypatch.setattr(Presence, "exit", lambda *args: False)


def tells_only_who_comes(monkeypatch):
    collect = Presence.collect

    def collects(self, now):
        change = collect(self, now)
        return change and type(change)(change.joins, [], change.count)

    monkeypatch.setattr(Presence, "collect", collects)


def begins_two_tasks(monkeypatch):
    begin = Hall.begin

    def begins(self):
        begin(self)
        begin(self)

    monkeypatch.setattr(Hall, "begin", begins)


def mixes_up_answers(monkeypatch):
    monkeypatch.setattr(Asks, "give_up", lambda self: None)


def is_never_behind(monkeypatch):
    monkeypatch.setattr(SocketClient, "_is_behind", lambda self: False)


FAULTS = [
    loses_the_oldest,
    says_recovered_too_often,
    keeps_one_too_few,
    replaces_nothing_in_order,
    loses_the_newest,
    forgets_to_remove,
    leaves_without_goodbye,
    enters_before_it_has_caught_up,
    nobody_ever_goes,
    tells_only_who_comes,
    begins_two_tasks,
    mixes_up_answers,
    is_never_behind,
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_noticed(fault, reader, monkeypatch):
    fault(monkeypatch)
    random = Random(fault.__name__)
    with pytest.raises((AssertionError, LookupError, ValueError)):
        for _ in range(60):
            live_through([a_step(random) for _ in range(80)], reader)
