"""What runs when an application starts, while it serves, and when it ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio

from finch.calls import attempt
from finch.declaring import check_takes, shown
from finch.failures import report
from finch.tasks import caught, contain, plain_nursery

_log = logging.getLogger("finch.app")


class Lifespan:
    """The callbacks of startup and shutdown, and the background tasks."""

    def __init__(self) -> None:
        self.startup: list[Callable[[], Any]] = []
        self.shutdown: list[Callable[[], Any]] = []
        self._background: list[Callable[[], Awaitable[None]]] = []
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._farewell = trio.CancelScope(shield=True)  # around the shutdown callbacks
        self._hurried: float | None = None  # seconds for the shutdown callbacks, after hurry()

    def start_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function now, or when the application starts. May be called from any thread.

        Raises:
            ConfigurationError: if the function cannot be called with these arguments.
        """
        check_takes(function, "background_task", f"({', '.join(map(repr, args))})", *args)
        task = partial(_in_background, function, *args)
        if self._nursery is None or self._token is None:
            self._background.append(task)
            return
        start = partial(self._nursery.start_soon, caught, task)
        if trio.lowlevel.in_trio_run():
            start()
        else:
            trio.from_thread.run_sync(start, trio_token=self._token)

    @asynccontextmanager
    async def run(self, shutdown_timeout: float) -> AsyncIterator[None]:
        """Run startup, background tasks and shutdown. The application is served inside the block.

        Parameters:
            shutdown_timeout: seconds for all shutdown callbacks together.

        Raises:
            BaseException: whatever a startup callback raises; the application then does not start.
        """
        self._farewell = trio.CancelScope(shield=True)
        async with plain_nursery() as nursery:
            lasting = len(self._background)
            try:
                for callback in self.startup:
                    _, error = await attempt(callback)
                    if error is not None:
                        raise error
                background = self._background[:]
            finally:  # tasks that a startup callback added are for this run only
                del self._background[lasting:]
            self._nursery = nursery
            self._token = trio.lowlevel.current_trio_token()
            for task in background:
                nursery.start_soon(caught, task)
            try:
                yield
            finally:
                # Shutdown callbacks also run if the server is cancelled: that is what the shield of
                # this scope is for. Background tasks end only after them, so that a callback can
                # still use what such a task serves.
                with self._farewell:
                    self._farewell.deadline = trio.current_time() + shutdown_timeout
                    if self._hurried is not None:
                        self.hurry(self._hurried)
                    for callback in self.shutdown:
                        _, error = await attempt(callback)
                        if error is not None:
                            report(_log, "on_shutdown %r raised", callback, error=error)
                if self._farewell.cancelled_caught and self._hurried is None:
                    report(
                        _log, "on_shutdown took longer than %g s; it is cancelled", shutdown_timeout
                    )
                self._nursery = self._hurried = None
                nursery.cancel_scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Give the shutdown callbacks at most this many seconds."""
        self._hurried = seconds
        self._farewell.deadline = min(self._farewell.deadline, trio.current_time() + seconds)


async def _in_background(function: Callable[..., Any], *args: Any) -> None:
    _, error = await attempt(function, *args)
    if error is not None:
        report(_log, "the background task %s raised", shown(function), error=error)
    await contain(f"the background task {shown(function)}")
