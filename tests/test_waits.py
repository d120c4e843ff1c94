"""A wait without objects: who is woken, with what, and what a cancellation does."""

import trio
import trio.testing

from finch.waits import NO, YES, until_woken, wake


async def waiting(nursery, owner, answers):
    """A task that waits for an owner, over and over."""
    tasks = []

    async def wait():
        tasks.append(trio.lowlevel.current_task())
        while True:
            answers.append(await until_woken(owner))

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    return tasks[0]


async def test_a_task_is_woken_again_and_again_with_an_answer(nursery):
    owner, answers = object(), []
    task = await waiting(nursery, owner, answers)
    for answer in (YES, NO, YES):
        wake(task, owner, answer)
        await trio.testing.wait_all_tasks_blocked()
    assert answers == [True, False, True]


async def test_only_its_owner_wakes_a_task_and_only_once(nursery):
    owner, answers = object(), []
    task = await waiting(nursery, owner, answers)
    wake(task, object())
    await trio.testing.wait_all_tasks_blocked()
    assert answers == []
    wake(task, owner)
    wake(task, owner, NO)
    await trio.testing.wait_all_tasks_blocked()
    assert answers == [True]


async def test_a_task_that_is_cancelled_is_not_woken():
    owner, answers = object(), []
    async with trio.open_nursery() as nursery:
        task = await waiting(nursery, owner, answers)
        nursery.cancel_scope.cancel()
        wake(task, owner)
    assert answers == []
