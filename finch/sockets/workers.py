"""The tasks that run handlers: a few for all clients, and more while handlers wait.

A client with messages is a job. Jobs wait in a queue. A worker takes one, and serves it until all
its messages are handled. Only one worker is woken at a time, so a burst of messages costs one
wake-up. Before a worker serves a job, it wakes another one if more jobs wait: so a handler that
waits does not hold up other clients.

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
from finch.net.hub import Hub
from finch.net.transport import Spawn
from finch.tasks import change_context, close_scopes, contain, innermost_scope, is_same
from finch.turns import account
from finch.waits import until_woken, wake
from finch.wire.message import Message

_log = logging.getLogger("finch.sockets")

_STANDBY: Final = 8  # workers that are kept while they have nothing to do


class Job(ABC):
    """Something for a worker to do."""

    __slots__ = ()

    context: Context | None = None
    """The ContextVars that its code has set so far; None if it has set none."""

    @abstractmethod
    async def serve(self, worker: Worker) -> None:
        """Do the job. If an exception escapes, that is a bug in Finch, and is logged.

        To stop the job, cancel the worker.
        """

    @abstractmethod
    def keep(self, context: Context) -> None:
        """Its code has set a ContextVar: keep this context for the job's next run."""

    @abstractmethod
    def left_open(self) -> None:
        """Its code has left a nursery or a cancel scope open: its messages may be lost."""


class Worker:
    """One task of the pool, whose current job can be cancelled.

    Attributes:
        cancelled: whether the current job is cancelled. (A trio scope has ``cancel_called``, but
            that reads the clock each time.)
        message: the message that it handles now, or None.
        unwanted: whether the client itself has cancelled this message.
    """

    __slots__ = ("_scope", "cancelled", "message", "unwanted")

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self.cancelled = False
        self.message: Message | None = None
        self.unwanted = False

    def cancel(self) -> None:
        """Stop the current job, whatever it waits for."""
        self.cancelled = True
        self._scope.cancel()

    def until_cancelled(self) -> trio.CancelScope:
        """The scope for all jobs, one after the other, until one of them is cancelled. A cancelled
        scope stays cancelled, so the next job gets a new one."""
        if self.cancelled:
            self._scope = trio.CancelScope()
            self.cancelled = self.unwanted = False
        return self._scope


class WorkerPool:
    """Serves jobs in the order in which they are submitted.

    Parameters:
        spawn: starts a task in the server's nursery.

    Attributes:
        home: the context that workers begin with.
        hub: a worker that has nothing to do watches it, so that the messages that come next are
            handled without waking another task.
        more: whether the client that is served has more messages. The client says so; it is False
            again when a worker has nothing to do.
    """

    def __init__(self, spawn: Spawn) -> None:
        self.home = copy_context()
        self.hub: Hub | None = None
        self.more = False
        self._spawn = spawn
        self._jobs: deque[Job] = deque()
        self._parked: list[trio.lowlevel.Task] = []
        self._woken = False  # whether a worker was woken and has not looked for jobs yet

    def busy(self) -> bool:
        """Whether more is waiting to be done than what a worker does now."""
        return self.more or bool(self._jobs)

    def submit(self, job: Job) -> None:
        """Add a job to the queue."""
        self._jobs.append(job)
        self.wake()

    def wake(self) -> None:
        """Let a worker look for something to do."""
        if self._woken:
            return
        self._woken = True
        if self._parked:
            wake(self._parked.pop(), self)
        else:
            self.home.run(self._spawn, self._work)

    def woken(self) -> None:
        """The worker that watches the hub is woken: it looks for something to do in this turn."""
        self._woken = True

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
                        self.more = False
                        if not await self._rest(task):
                            return
                        account.used = 0  # the other tasks have just had their turn
                        self._woken = False  # nothing waits before the queue is looked at again
                        continue
                    job = self._jobs.popleft()
                    if self._jobs:
                        # Before serve(): the handler may wait for long, and no submit() may follow
                        # that would wake a worker for the jobs that are queued already.
                        self.wake()
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

    async def _rest(self, task: trio.lowlevel.Task) -> bool:
        """Wait until there may be something to do. False if this worker is not needed."""
        try:
            if self.hub is not None and not self.hub.watched:
                await self.hub.watch()
                return True
            if len(self._parked) >= _STANDBY:
                return False
            self._parked.append(task)
            await until_woken(self)
        except trio.Cancelled:  # the server ends, and nobody will watch
            if self.hub is not None:
                self.hub.stop()
            raise
        return True
