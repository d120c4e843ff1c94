"""What runs in one process of all: who leads, and what happens when it dies or Redis does."""

import signal

import pytest
import trio

from finch.cluster.connection import Refused
from finch.cluster.election import Election
from finch.cluster.layout import ELECT, RESIGN, Names
from finch.cluster.leader import Leader
from finch.cluster.line import Broken
from finch.testing import TestClient
from tests.cluster.nodes import make_app, until, with_times
from tests.cluster.test_processes import Client, process

LEASE = 15.0


class ScriptedLine:
    """A line to a Redis that answers as the test says."""

    def __init__(self):
        self.up = True
        self.answer = 1
        self.asked = []

    def script(self, text, keys, *arguments):
        return (text, keys, *arguments)

    def ask(self, text, keys, *arguments):
        self.asked.append((text, *arguments))
        return self._answer(self.answer if text == ELECT else None)

    async def _answer(self, answer):
        if isinstance(answer, Exception):
            raise answer
        if answer == "never":
            await trio.sleep_forever()
        return answer


@pytest.fixture
async def candidate(nursery):
    line, leader = ScriptedLine(), Leader(leads=False)
    election = Election(line, Names("test"), "node", LEASE, leader)
    scope = trio.CancelScope()

    @nursery.start_soon
    async def run():
        with scope:
            await election.run()

    yield line, leader, scope
    scope.cancel()


async def test_who_gets_the_lease_leads_and_renews_it(candidate, autojump_clock):
    line, leader, _ = candidate
    await trio.sleep(1)
    assert leader.leads
    assert line.asked == [(ELECT, "node", 15_000, 0)]
    await trio.sleep(6)
    assert line.asked[1:] == [(ELECT, "node", 15_000, 1)] * 2


async def test_who_does_not_get_it_asks_again(candidate, autojump_clock):
    line, leader, _ = candidate
    line.answer = 0
    await trio.sleep(10)
    assert not leader.leads
    line.answer = 1
    await trio.sleep(3)
    assert leader.leads


@pytest.mark.parametrize("answer", [Broken("cut"), Refused("no"), "never", "down"])
async def test_who_cannot_renew_it_stops_before_it_ends(candidate, autojump_clock, answer, caplog):
    line, leader, _ = candidate
    await trio.sleep(4)  # renewed at 3
    began = 3
    line.up, line.answer = answer != "down", answer
    await trio.sleep_until(began + LEASE * 4 / 5 - 0.1)
    assert leader.leads
    await trio.sleep(0.2)
    assert not leader.leads
    assert "it has lost its lease" in caplog.text
    line.up, line.answer = True, 1
    await trio.sleep(6)
    assert leader.leads


async def test_who_lost_it_to_another_stops_at_once(candidate, autojump_clock):
    line, leader, _ = candidate
    await trio.sleep(1)
    line.answer = 0
    await trio.sleep(3)
    assert not leader.leads


async def test_who_ends_gives_it_up_when_nothing_runs_any_longer(
    candidate, autojump_clock, nursery
):
    line, leader, scope = candidate
    order = []

    async def task():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            order.append(line.asked[-1][0] == ELECT)

    nursery.start_soon(leader.run, task, "task")
    await trio.sleep(1)
    scope.cancel()
    await trio.sleep(2)
    assert order == [True]
    assert line.asked[-1] == (RESIGN, "node")


async def test_whose_task_does_not_end_does_not_give_it_up(candidate, autojump_clock, nursery):
    line, leader, scope = candidate
    may_end = trio.Event()

    async def task():
        with trio.CancelScope(shield=True):
            await may_end.wait()

    nursery.start_soon(leader.run, task, "task")
    await trio.sleep(1)
    scope.cancel()
    await trio.sleep(10)
    assert line.asked[-1][0] == ELECT
    may_end.set()


# With a real Redis

SHORT = 0.5  # seconds


class Story:
    """Who runs what runs once."""

    def __init__(self):
        self.running = set()
        self.most = 0
        self.begun = []

    async def take_part(self, nursery, url, name):
        """Run an application. Returns what ends it."""
        app = make_app(url)
        with_times(app, url, lease=SHORT, look=0.05)

        @app.background_task(once=True)
        async def alone():
            self.running.add(name)
            self.most = max(self.most, len(self.running))
            self.begun.append(name)
            try:
                await trio.sleep_forever()
            finally:
                self.running.discard(name)

        async def serve(*, task_status):
            with trio.CancelScope() as scope:
                async with TestClient(app):
                    task_status.started(scope.cancel)
                    await trio.sleep_forever()

        return await nursery.start(serve)

    async def is_run(self, *names):
        await until(lambda: self.running and self.running <= set(names), f"one of {names} runs it")


@pytest.fixture
def story():
    story = Story()
    yield story
    assert story.most == 1


async def test_one_of_all_runs_it_and_the_next_when_that_one_ends(url, story, nursery):
    end_first = await story.take_part(nursery, url, "first")
    await story.is_run("first")
    for name in ("second", "third"):
        await story.take_part(nursery, url, name)
    end_first()
    await story.is_run("second", "third")
    nursery.cancel_scope.cancel()


async def test_if_redis_is_away_nobody_runs_it_and_later_one_does(own_redis, story, nursery):
    for name in "ab":
        await story.take_part(nursery, own_redis.url(), name)
    await story.is_run("a", "b")
    own_redis.stop()
    await until(lambda: not story.running, "it has ended")
    own_redis.start()
    await story.is_run("a", "b")
    nursery.cancel_scope.cancel()


async def test_if_redis_is_wiped_the_leader_goes_on(own_redis, story, nursery):
    await story.take_part(nursery, own_redis.url(), "first")
    await story.is_run("first")
    await story.take_part(nursery, own_redis.url(), "second")
    for _ in range(6):  # the other one asks between them
        own_redis.say("FLUSHALL")
        await trio.sleep(SHORT / 5)
    assert story.begun == ["first"]
    nursery.cancel_scope.cancel()


async def test_a_leader_that_is_killed_is_replaced(redis_server):
    url = redis_server.url("killed")
    with process(url, lease=SHORT) as one, process(url, lease=SHORT) as two:
        clients = {each: Client(each, "ann") for each in (one, two)}

        def leaders():
            return [each for each, client in clients.items() if client.ask("leads")]

        await until(leaders, "one leads")
        [first] = leaders()
        first.signal(signal.SIGKILL)
        del clients[first]
        await until(leaders, "the other one leads")
        for client in clients.values():
            client.leave()
