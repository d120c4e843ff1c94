"""Beside: what an application runs beside its handlers: at startup, meanwhile, and at the end.

It is a part of :class:`finch.FinchApp`; how it runs is in ``finch.lifespan``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar, overload

from finch.cluster.leader import Leader
from finch.config import Limits
from finch.declaring import Guarded, bare
from finch.lifespan import Lifespan, Time, check_seconds

F = TypeVar("F", bound=Callable[..., Any])


def _none() -> None:
    """Stands for a function that was not given."""


class Beside(Guarded):
    """The part of a :class:`finch.FinchApp` that runs beside the handlers."""

    limits: Limits
    _lifespan: Lifespan

    @bare
    def on_startup(self, callback: F) -> F:
        """Register a function without arguments that runs before the first connection is
        accepted."""
        self._lifespan.add_startup(callback)
        return callback

    @bare
    def on_shutdown(self, callback: F) -> F:
        """Register a function without arguments that runs after the last connection is closed."""
        self._lifespan.add_shutdown(callback)
        return callback

    @overload
    def background_task(self, function: F, *args: Any, once: bool = ...) -> F: ...
    @overload
    def background_task(self, *, once: bool = ...) -> Callable[[F], F]: ...
    def background_task(
        self, function: Callable[..., Any] = _none, *args: Any, once: bool = False
    ) -> Any:
        """Run a function beside the handlers, in the app's nursery, until it ends or the app does.

        Used as a decorator, the function starts when the app starts. Called while the app runs, it
        starts at once; a ``def`` handler may call it from its thread. If the function raises, that
        is logged, and everything else goes on.

        Parameters:
            function: the function; a decorator with options leaves it out.
            args: its arguments.
            once: whether it runs in one process only, if there are several: workers of this
                machine, or all processes that a backplane joins. If that one ends, the function
                runs from its beginning in another one: see ``docs/cluster.md``.

        Raises:
            ConfigurationError: if it is not a function (a coroutine, for example).

        Example::

            @app.background_task(once=True)
            async def tick():
                while True:
                    await app.socket_manager.send_to_all(time(), path="tick")
                    await trio.sleep(1)
        """
        if function is _none:
            return partial(self.background_task, once=once)
        self._lifespan.start_soon(function, *args, once=once)
        return function

    def every(self, seconds: float, *, once: bool = True) -> Callable[[F], F]:
        """Register a function without arguments that is called again and again while the app runs.

        The first call is after the first interval. Calls do not overlap: after one that takes
        longer than the interval, the next one follows at once. If the function raises, that is
        logged, and it is called again at the next time.

        Parameters:
            seconds: from the beginning of one call to the beginning of the next.
            once: whether it is called in one process only, as in :meth:`background_task`: with
                several, a ticker is to send once. False for
                what each process must do for itself, such as a cache.

        Raises:
            ConfigurationError: if ``seconds`` is not a number above 0, or if the function takes
                arguments or yields.

        Example::

            @app.every(60)
            async def clean_up():
                await delete_old_messages()
        """
        check_seconds(seconds)

        def register(function: F) -> F:
            self._lifespan.every(seconds, function, once)
            return function

        return register

    @property
    def leader(self) -> Leader:
        """Whether this process runs what runs only once; set it before the application starts if
        something else than the command line elects: see :class:`finch.cluster.leader.Leader`."""
        return self._lifespan.leader

    @leader.setter
    def leader(self, leader: Leader) -> None:
        self._lifespan.leader = leader

    def hurry(self, seconds: float) -> None:
        """Give the ``on_shutdown`` functions at most this many seconds. Called when a
        second signal arrives."""
        self._lifespan.hurry(seconds)

    def lifespan(self) -> AbstractAsyncContextManager[Time]:
        """A context manager that runs startup, background tasks and shutdown. The app is served
        inside it.

        Raises:
            BaseException: whatever a startup callback raises.
        """
        return self._lifespan.run(self.limits.shutdown_timeout)
