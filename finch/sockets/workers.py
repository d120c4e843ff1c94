"""The tasks that run handlers: a few for everybody, more while handlers wait.

A client with messages is a job; jobs queue; a worker takes one and serves it until its messages are
handled. While a worker looks for jobs nobody else needs to, so that a burst of messages costs one
wake-up. A worker about to serve a job has another look for it if jobs are left: a handler that
waits holds up nobody.

A worker serves many clients, and each must find the worker as if it were new. So what a job set in
a ``ContextVar`` is given to that job, and the worker goes on in the context that it began with;
a cancel scope that it left open is closed; and a worker in which it left a nursery open is put
aside.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from contextvars import Context, copy_context
from typing import Final

import trio

from finch.failures import failure_of, report
from finch.net.transport import Spawn
from finch.tasks import change_context, close_scopes, contain, innermost_scope, is_same
from finch.turns import account

_log = logging.getLogger("finch.sockets")

_STANDBY: Final = 8  # workers kept though they have nothing to do


class Job(ABC):
    """Something for a worker to do."""

    __slots__ = ()

    context: Context | None = None
    """What its code has set so far; None for nothing."""

    @abstractmethod
    async def serve(self, worker: Worker) -> None:
        """Do it. An exception that escapes is a bug of Finch's own, and is logged.

        Whoever wants it stopped cancels the worker.
        """

    @abstractmethod
    def keep(self, context: Context) -> None:
        """Its code has set something, for itself alone."""

    @abstractmethod
    def left_open(self) -> None:
        """Its code has left a nursery or a cancel scope open: its messages may be lost."""


class Worker:
    """One task of the pool, whose current job can be cancelled.

    Attributes:
        cancelled: whether it is. ``cancel_called`` of trio's scopes reads the clock each time.
    """

    __slots__ = ("_scope", "cancelled")

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self.cancelled = False

    def cancel(self) -> None:
        """Stop the current job, wherever it waits."""
        self.cancelled = True
        self._scope.cancel()

    def until_cancelled(self) -> trio.CancelScope:
        """The scope to do jobs in, one after the other, until one of them is cancelled."""
        if self.cancelled:
            self._scope = trio.CancelScope()
            self.cancelled = False
        return self._scope


class WorkerPool:
    """Serves jobs in the order in which they are submitted.

    Parameters:
        spawn: starts a task in the server's nursery.

    Attributes:
        home: the context that workers begin with.
    """

    def __init__(self, spawn: Spawn) -> None:
        self.home = copy_context()
        self._spawn = spawn
        self._jobs: deque[Job] = deque()
        self._parked: list[trio.lowlevel.Task] = []
        self._woken = False  # whether a worker was woken that has not looked yet

    def submit(self, job: Job) -> None:
        """Have a job served."""
        self._jobs.append(job)
        self._wake_one()

    def _wake_one(self) -> None:
        if self._woken:
            return
        self._woken = True
        if self._parked:
            trio.lowlevel.reschedule(self._parked.pop())
        else:
            self.home.run(self._spawn, self._work)

    async def _work(self) -> None:
        worker = Worker()
        task = trio.lowlevel.current_task()
        mine, home = task.context, self.home
        self._woken = False
        while True:
            with worker.until_cancelled():
                scope = innermost_scope(task)
                while not worker.cancelled:
                    if not self._jobs:
                        if len(self._parked) >= _STANDBY:
                            return
                        await self._park(task)
                        account.used = 0  # the others have just had their turn
                        self._woken = False
                        continue
                    job = self._jobs.popleft()
                    if self._jobs:
                        self._wake_one()
                    context = job.context
                    if context is not None:
                        await change_context(context)
                    failed = None
                    try:
                        await job.serve(worker)
                    except BaseException as raised:
                        failed = raised
                    if innermost_scope(task) is not scope:
                        # if that was cancelled, so was the job: what is told is what was left open
                        job.left_open()
                        await contain(job)
                        if close_scopes(job, scope):
                            failed = None
                    if context is not None:
                        await change_context(mine)
                    elif is_same(task.context, home):
                        mine = task.context  # a connection may have gone on in another
                    else:
                        job.keep(task.context)
                        mine = home.copy()
                        await change_context(mine)
                    if failed is not None:
                        error, failed = failure_of(failed), None
                        report(_log, "a bug in Finch: %r failed", job, error=error)

    async def _park(self, task: trio.lowlevel.Task) -> None:
        self._parked.append(task)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
