"""A wait that costs as little as trio allows: a task waits for its owner, who wakes it.

``trio.Event`` and ``trio.lowlevel.wait_task_rescheduled`` make several objects for each wait. What
a waiting task gives to trio is always the same, so here it is made only once. Every message of a
raw socket and every request on an open connection waits like this.
"""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any, Final

import trio
from outcome import Outcome, Value
from trio.lowlevel import Task, current_task, reschedule

UNTIL_WOKEN: Final = trio.lowlevel.wait_task_rescheduled(  # noqa: ASYNC105  # not to be awaited
    lambda _: trio.lowlevel.Abort.SUCCEEDED
).send(None)
"""What a task yields to wait until :func:`wake`. It first sets its ``custom_sleep_data`` to its
owner. Only for the busiest waits: :func:`until_woken` does the same, with one more generator."""

YES: Final = Value(True)
NO: Final = Value(False)


@types.coroutine
def until_woken(owner: object) -> Generator[Any, Any, bool]:
    """Wait until :func:`wake` is called for this task with the same owner.

    Returns:
        Whether it was woken with ``YES``.

    Example::

        self.waiting = current_task()
        await until_woken(self)
    """
    current_task().custom_sleep_data = owner
    answer = yield UNTIL_WOKEN
    return is_yes(answer)


def is_yes(answer: Outcome[bool]) -> bool:
    """Whether a task was woken with ``YES``.

    Parameters:
        answer: what the task got for ``UNTIL_WOKEN``.

    Raises:
        Cancelled: if the task was cancelled instead.
    """
    if answer is YES or answer is NO:  # these two cannot be unwrapped: that can be done only once
        return answer is YES
    return answer.unwrap()


def wake(task: Task, owner: object, answer: Value[bool] = YES) -> None:
    """Wake a task, unless it no longer waits for this owner.

    Parameters:
        task: a task that has called :func:`until_woken`.
        answer: ``YES`` or ``NO``, for the task.
    """
    # trio clears the sleep data of a task when it is woken or cancelled. Waking a task twice would
    # break trio.
    if task.custom_sleep_data is owner:
        reschedule(task, answer)
