"""An application's time: what runs at its beginning, beside its handlers, and at its end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from finch.calls import attempt
from finch.declaring import check_no_yield, check_takes, shown
from finch.failures import report
from finch.tasks import caught, contain, plain_nursery

_log = logging.getLogger("finch.app")


class Lifespan:
    """The callbacks of startup and shutdown, and the tasks between."""

    def __init__(self) -> None:
        self.startup: list[Callable[[], Any]] = []
        self.shutdown: list[Callable[[], Any]] = []
        self._background: list[Callable[[], Awaitable[None]]] = []
        self._running: list[tuple[trio.Nursery, trio.lowlevel.TrioToken]] = []
        """One for each server of the application, the latest last: it may listen at two places."""
        self._farewells: list[trio.CancelScope] = []  # around the callbacks of shutdown
        self._hurried: float | None = None  # seconds that they may take, if they are in a hurry

    @property
    def has_begun(self) -> bool:
        """Whether the functions of startup have run, and those of shutdown have not."""
        return bool(self._running)

    def start_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function now, or with the application if that does not run. From any thread.

        Raises:
            ConfigurationError: if it is not callable with these arguments.
        """
        check_takes(function, "background_task", f"({', '.join(map(repr, args))})", *args)
        check_no_yield(function, "the background task", "leave out the yield")
        task = partial(_in_background, function, *args)
        if not self._running:
            self._background.append(task)
            return
        nursery, token = self._running[-1]
        start = partial(nursery.start_soon, caught, task)
        if trio.lowlevel.in_trio_run():
            start()
        else:
            trio.from_thread.run_sync(start, trio_token=token)

    @asynccontextmanager
    async def run(self, shutdown_timeout: float) -> AsyncIterator[None]:
        """Startup, background tasks and shutdown around whoever serves the application.

        Parameters:
            shutdown_timeout: seconds for all callbacks of shutdown.

        Raises:
            BaseException: whatever a startup callback raises: the application cannot begin.
        """
        farewell = trio.CancelScope(shield=True)
        async with plain_nursery() as nursery:
            lasting = len(self._background)
            try:
                for callback in self.startup:
                    _, error = await attempt(callback)
                    if error is not None:
                        raise error
                background = self._background[:]
            finally:  # what a startup callback began is for this time only
                del self._background[lasting:]
            running = (nursery, trio.lowlevel.current_trio_token())
            self._running.append(running)
            self._farewells.append(farewell)
            for task in background:
                nursery.start_soon(caught, task)
            try:
                yield
            finally:
                with farewell:
                    seconds = shutdown_timeout
                    if self._hurried is not None:
                        seconds = min(seconds, self._hurried)
                    farewell.deadline = trio.current_time() + seconds
                    for callback in self.shutdown:
                        _, error = await attempt(callback)
                        if error is not None:
                            report(_log, "on_shutdown %r raised", callback, error=error)
                if farewell.cancelled_caught and self._hurried is None:
                    report(_log, "on_shutdown took longer than %g s; it is cut", shutdown_timeout)
                self._running.remove(running)
                self._farewells.remove(farewell)
                self._hurried = None
                nursery.cancel_scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Give the callbacks of shutdown no more than so many seconds."""
        self._hurried = seconds
        for farewell in self._farewells:
            farewell.deadline = min(farewell.deadline, trio.current_time() + seconds)


async def _in_background(function: Callable[..., Any], *args: Any) -> None:
    _, error = await attempt(function, *args)
    if error is not None:
        report(_log, "the background task %s raised", shown(function), error=error)
    await contain(f"the background task {shown(function)}")
