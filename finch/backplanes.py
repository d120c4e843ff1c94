"""Backplanes: what joins an application's managers to those of other processes, while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

from finch.cluster.backplane import Backplane
from finch.cluster.choice import check_url
from finch.cluster.leader import Leader
from finch.errors import ConfigurationError
from finch.sockets.manager import SocketManager
from finch.tasks import plain_nursery


class Backplanes:
    """The backplanes of an application's managers.

    Parameters:
        url: where the others are found; None for an application of one process.

    Attributes:
        url: the same.

    Raises:
        ConfigurationError: if it is not a URL of a backplane.
    """

    def __init__(self, url: str | None) -> None:
        self.url = check_url(url)
        self._managers: list[SocketManager] = []
        self._runs = False

    def add(self, manager: SocketManager) -> None:
        """The application has another manager."""
        self._managers.append(manager)

    def __iter__(self) -> Iterator[SocketManager]:
        """The managers."""
        return iter(self._managers)

    def use(self, url: str | None) -> None:
        """Take another URL than the one that was given at first.

        Raises:
            ConfigurationError: if it is not a URL of a backplane, or the application runs already.
        """
        if self._runs:
            raise ConfigurationError("the backplane cannot change while the application runs")
        self.url = check_url(url)
        made: dict[int, Backplane] = {}
        for manager in self._managers:
            # a manager that was adopted by another one has the same members and the same backplane
            if id(manager.members) not in made:
                manager.connect_backplane(self.url)
            manager.backplane = made.setdefault(id(manager.members), manager.backplane)

    @asynccontextmanager
    async def run(self, leader: Leader) -> AsyncIterator[Leader]:
        """Run them. The application is served inside the block.

        Parameters:
            leader: says whether this process is the one of its machine that may lead.

        Yields:
            What says whether it leads: among all processes, if a backplane joins them.

        Raises:
            ConfigurationError: if Redis refuses this application.
        """
        running = {id(one.backplane): one for one in self._managers if one.backplane.shared}
        if not running:
            yield leader
            return
        if self._runs:
            raise ConfigurationError(
                "an application with a backplane is served only once in a process; create another "
                "FinchApp"
            )
        self._runs = True
        try:
            async with plain_nursery() as nursery:
                for manager in running.values():
                    await nursery.start(partial(manager.backplane.run, manager.history))
                async with _elected(next(iter(running.values())).backplane, leader) as elected:
                    yield elected
                for manager in running.values():
                    await manager.backplane.farewell()
                nursery.cancel_scope.cancel()
        finally:
            self._runs = False


@asynccontextmanager
async def _elected(backplane: Backplane, leader: Leader) -> AsyncIterator[Leader]:
    """Let the process that leads on this machine be elected among all."""
    elected = Leader(leads=False)
    candidate = backplane.candidate(elected)
    if candidate is None:
        yield leader
        return
    async with plain_nursery() as nursery:
        nursery.start_soon(leader.run, candidate, "the election of a leader")
        yield elected
        nursery.cancel_scope.cancel()
