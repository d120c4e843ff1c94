"""Leader: whether this process runs what must run in one of several processes only.

This is the seam for elections. A process alone leads from the beginning. A supervisor elects one of
its workers (``finch.cluster.control``). Whoever elects among several machines calls the same two
methods, :meth:`Leader.appoint` and :meth:`Leader.dismiss`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from finch.tasks import within


class Leader:
    """Runs tasks while this process leads.

    Parameters:
        leads: whether it leads from the beginning.

    Example::

        leader = Leader(leads=False)
        nursery.start_soon(leader.run, tick, "the ticker")
        leader.appoint()
    """

    def __init__(self, leads: bool = True) -> None:
        self._appointed = trio.Event()
        if leads:
            self._appointed.set()
        self._scopes: set[trio.CancelScope] = set()
        self._idle = trio.Event()

    @property
    def leads(self) -> bool:
        """Whether this process leads."""
        return self._appointed.is_set()

    def appoint(self) -> None:
        """From now on, this process leads."""
        self._appointed.set()

    def dismiss(self) -> None:
        """From now on, this process does not lead. What runs because it led is cancelled;
        :meth:`wait_idle` tells when that has ended, and another process may begin."""
        if self.leads:
            self._appointed = trio.Event()
        for scope in self._scopes:
            scope.cancel()

    async def run(self, task: Callable[[], Awaitable[None]], name: object) -> None:
        """Run a task as soon as this process leads, until the task ends. If the process is
        dismissed before, the task is cancelled, and begins anew at the next appointment.

        Parameters:
            task: application code, which may be cancelled.
            name: what it is, for the log.
        """
        while True:
            await self._appointed.wait()
            scope = trio.CancelScope()
            self._scopes.add(scope)
            try:
                await within(scope, task, name)
            finally:
                self._scopes.discard(scope)
                if not self._scopes:
                    self._idle.set()
            if not scope.cancel_called:
                return

    async def wait_idle(self) -> None:
        """Wait until nothing runs here because this process led."""
        while self._scopes:
            self._idle = trio.Event()
            await self._idle.wait()
