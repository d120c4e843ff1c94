"""What runs when an application starts, while it serves, and when it ends."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import trio

from finch.calls import attempt
from finch.cluster.leader import Leader
from finch.declaring import check_no_yield, check_takes, shown
from finch.errors import ConfigurationError
from finch.explain import kind, where
from finch.failures import report
from finch.tasks import caught, contain, plain_nursery

_log = logging.getLogger("finch.app")

_TWO_HALVES: Final = (
    "write what is before the yield as an @app.on_startup function, and what is after it as an "
    "@app.on_shutdown function"
)


class Lifespan:
    """The callbacks of startup and shutdown, and the background tasks."""

    def __init__(self) -> None:
        self._startup: list[Callable[[], Any]] = []
        self._shutdown: list[Callable[[], Any]] = []
        self._background: list[Callable[[], Awaitable[None]]] = []
        self._times: list[Time] = []  # an application may be served several times at once
        self.leader = Leader()
        """Whether this process runs what must run in one process only."""

    @property
    def serving(self) -> bool:
        """Whether the application has started, and does not end."""
        return any(not time.draining for time in self._times)

    def add_startup(self, callback: Callable[[], Any]) -> None:
        """Call a function before the first connection is accepted.

        Raises:
            ConfigurationError: if it takes arguments or yields, or if the application runs already.
        """
        check_takes(callback, "on_startup", "()")
        check_no_yield(callback, "the on_startup function", _TWO_HALVES)
        if self._times:
            raise ConfigurationError(
                f"on_startup got {where(callback)} while the application runs, which is too late: "
                "it would not be called; register it before, or write app.background_task(function)"
            )
        self._startup.append(callback)

    def add_shutdown(self, callback: Callable[[], Any]) -> None:
        """Call a function after the last connection is closed.

        Raises:
            ConfigurationError: if it takes arguments or yields.
        """
        check_takes(callback, "on_shutdown", "()")
        check_no_yield(callback, "the on_shutdown function", _TWO_HALVES)
        self._shutdown.append(callback)

    def start_soon(self, function: Callable[..., Any], *args: Any, once: bool = False) -> None:
        """Run a function now, or when the application starts. May be called from any thread.

        Parameters:
            once: whether it runs only in the process that leads.

        Raises:
            ConfigurationError: if the function cannot be called with these arguments.
        """
        check_takes(function, "background_task", f"({', '.join(map(repr, args))})", *args)
        check_no_yield(function, "the background task", "leave out the yield")
        self._begin(partial(_in_background, function, *args), once, function)

    def every(self, seconds: float, function: Callable[[], Any], once: bool) -> None:
        """Call a function again and again while the application runs.

        Parameters:
            seconds: from the beginning of a call to that of the next.
            once: whether it is called only in the process that leads.

        Raises:
            ConfigurationError: if the function takes arguments or yields.
        """
        check_takes(function, "every", "()")
        check_no_yield(function, "the function of every", "leave out the yield")
        self._begin(partial(_tick, seconds, function), once, function)

    def _begin(
        self, task: Callable[[], Awaitable[None]], once: bool, function: Callable[..., Any]
    ) -> None:
        if once:
            task = partial(self._while_leading, task, f"the background task {shown(function)}")
        if not self._times:
            self._background.append(task)
            return
        time = self._times[-1]
        start = partial(time.nursery.start_soon, caught, task)
        if not trio.lowlevel.in_trio_run():
            trio.from_thread.run_sync(start, trio_token=time.token)
        elif trio.lowlevel.current_trio_token() is time.token:
            start()
        else:  # a thread with an event loop of its own, which must not wait
            time.token.run_sync_soon(_start_from_outside, start)

    async def _while_leading(self, task: Callable[[], Awaitable[None]], name: str) -> None:
        await self.leader.run(task, name)  # the leader of this moment, not that of the declaration

    @asynccontextmanager
    async def run(self, shutdown_timeout: float) -> AsyncIterator[Time]:
        """Run startup, background tasks and shutdown. The application is served inside the block.

        Parameters:
            shutdown_timeout: seconds for all shutdown callbacks together.

        Raises:
            BaseException: whatever a startup callback raises; the application then does not start.
        """
        async with plain_nursery() as nursery:
            time = Time(nursery)
            lasting = len(self._background)
            try:
                for callback in self._startup:
                    _, error = await attempt(callback)
                    if error is not None:
                        raise error
                background = self._background[:]
            finally:  # tasks that a startup callback added are for this run only
                del self._background[lasting:]
            self._times.append(time)
            for task in background:
                nursery.start_soon(caught, task)
            try:
                yield time
            finally:
                with time.farewell:
                    seconds = shutdown_timeout
                    if time.hurried is not None:
                        seconds = min(seconds, time.hurried)
                    time.farewell.deadline = trio.current_time() + seconds
                    for callback in self._shutdown:
                        _, error = await attempt(callback)
                        if error is not None:
                            report(_log, "on_shutdown %r raised", callback, error=error)
                if time.farewell.cancelled_caught and time.hurried is None:
                    report(_log, "on_shutdown was cancelled after %g s", shutdown_timeout)
                self._times.remove(time)
                nursery.cancel_scope.cancel()

    def hurry(self, seconds: float) -> None:
        """Give the callbacks of shutdown at most this many seconds."""
        for time in self._times:
            time.hurried = seconds
            hurried = trio.current_time() + seconds
            time.farewell.deadline = min(time.farewell.deadline, hurried)


class Time:
    """One time that an application is served.

    Attributes:
        draining: whether its server takes no more connections.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.token = trio.lowlevel.current_trio_token()
        self.farewell = trio.CancelScope(shield=True)  # around the callbacks of shutdown
        self.draining = False
        self.hurried: float | None = None  # seconds that they may take, if they are in a hurry


def _start_from_outside(start: Callable[[], Any]) -> None:
    """Start a task on behalf of another thread. If the application has ended in the meantime, the
    task is not started, and that is logged."""
    try:
        start()
    except RuntimeError as error:
        report(_log, "a background task was not started: the application has ended", error=error)


def check_seconds(seconds: object) -> None:
    """Refuse what is no time between two calls.

    Raises:
        ConfigurationError: if it is not a number above 0.
    """
    if callable(seconds):
        raise ConfigurationError(f"write @app.every(5) above {shown(seconds)}, with the seconds")
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:  # type: ignore[operator]
        what = repr(seconds) if number else kind(seconds)
        raise ConfigurationError(f"every takes seconds, a number above 0, not {what}")


async def _tick(seconds: float, function: Callable[[], Any]) -> None:
    due = trio.current_time() + seconds
    while True:
        await trio.sleep_until(due)
        await _in_background(function)
        # after a call that took too long, the next one is now, and none is made up for
        due = max(due + seconds, trio.current_time())


async def _in_background(function: Callable[..., Any], *args: Any) -> None:
    _, error = await attempt(function, *args)
    if error is not None:
        report(_log, "the background task %s raised", shown(function), error=error)
    await contain(f"the background task {shown(function)}")
