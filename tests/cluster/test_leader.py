"""Leader: what runs while a process leads, and ends before another one begins."""

import trio
import trio.testing

from finch.cluster.leader import Leader


class Story:
    """What a task of the leader did."""

    def __init__(self):
        self.told = []
        self.may_end = trio.Event()

    async def task(self):
        self.told.append("begins")
        try:
            await self.may_end.wait()
            self.told.append("is done")
        finally:
            self.told.append("ends")


async def test_a_process_alone_leads_and_runs_a_task_once(nursery):
    story, leader = Story(), Leader()
    nursery.start_soon(leader.run, story.task, "the story")
    await trio.testing.wait_all_tasks_blocked()
    story.may_end.set()
    await leader.wait_idle()
    leader.dismiss()
    leader.appoint()
    await trio.testing.wait_all_tasks_blocked()
    assert story.told == ["begins", "is done", "ends"]


async def test_a_task_begins_with_the_appointment_and_anew_with_the_next(nursery):
    story, leader = Story(), Leader(leads=False)
    nursery.start_soon(leader.run, story.task, "the story")
    await trio.testing.wait_all_tasks_blocked()
    assert (story.told, leader.leads) == ([], False)
    for _ in range(2):
        leader.appoint()
        await trio.testing.wait_all_tasks_blocked()
        leader.dismiss()
        await leader.wait_idle()
    assert story.told == ["begins", "ends"] * 2
    nursery.cancel_scope.cancel()


async def test_it_is_idle_only_when_all_tasks_have_ended(nursery):
    leader = Leader()
    may_end = trio.Event()

    async def slow():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await may_end.wait()

    nursery.start_soon(leader.run, slow, "the slow one")
    nursery.start_soon(leader.run, trio.sleep_forever, "the quick one")
    await trio.testing.wait_all_tasks_blocked()
    leader.dismiss()
    with trio.move_on_after(0.05) as waited:
        await leader.wait_idle()
    assert waited.cancelled_caught
    may_end.set()
    await leader.wait_idle()
    nursery.cancel_scope.cancel()


async def test_a_task_that_leaves_a_scope_open_harms_nobody(nursery, caplog):
    leader = Leader()

    async def careless():
        trio.CancelScope().__enter__()

    nursery.start_soon(leader.run, careless, "the careless one")
    await trio.testing.wait_all_tasks_blocked()
    assert "the careless one left a cancel scope open" in caplog.text
