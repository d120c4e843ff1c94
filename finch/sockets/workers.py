"""The tasks that run handlers: a few for everybody, more while handlers wait.

A client with messages is a job; jobs queue; a worker takes one and serves it until its messages are
handled. While a worker looks for jobs nobody else needs to, so that a burst of messages costs one
wake-up. A worker about to serve a job has another look for it if jobs are left: a handler that
waits holds up nobody.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

import trio

from finch.tasks import log_and_go_on
from finch.transport import Spawn

_log = logging.getLogger("finch.sockets")

_STANDBY: Final = 8  # workers kept though they have nothing to do
TURN: Final = 64  # messages handled before everybody else has a turn
HEAVY: Final = 12  # bits: every 4 KiB make a message count once more, for it may have been inflated


class Job(ABC):
    """Something for a worker to do."""

    __slots__ = ()

    @abstractmethod
    async def serve(self, worker: Worker) -> None:
        """Do it. An exception that escapes is a bug of Finch's own, and is logged.

        Whoever wants it stopped cancels the worker.
        """


class Worker:
    """One task of the pool, whose current job can be cancelled.

    Attributes:
        cancelled: whether it is. ``cancel_called`` of trio's scopes reads the clock each time.
        handled: messages since everybody else had a turn.
    """

    __slots__ = ("_scope", "cancelled", "handled")

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self.cancelled = False
        self.handled = 0

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
    """

    def __init__(self, spawn: Spawn) -> None:
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
            self._spawn(self._work)

    async def _work(self) -> None:
        worker = Worker()
        self._woken = False
        while True:
            with worker.until_cancelled():
                while not worker.cancelled:
                    if not self._jobs:
                        if len(self._parked) >= _STANDBY:
                            return
                        await self._park()
                        self._woken = False
                        continue
                    job = self._jobs.popleft()
                    if self._jobs:
                        self._wake_one()
                    try:
                        await job.serve(worker)
                    except Exception:
                        _log.exception("a bug in Finch: %r failed", job)
                    except BaseExceptionGroup as group:
                        log_and_go_on(group, _log)

    async def _park(self) -> None:
        task = trio.lowlevel.current_task()
        self._parked.append(task)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked.remove(task)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
