"""Calling an application's functions, whatever their kind, and whatever they do.

``async def`` is awaited; ``def`` runs in a worker thread, so that it may block, and what it returns
is awaited where it can be (a lambda that calls ``socket.send``). Async generators are handed back
unstarted: what is yielded is the caller's business.

What a function raises comes back from :func:`attempt` as a value, judged by
:mod:`finch.failures`: everybody who calls application code calls it so. Only the two hottest
places (a message's handler, a route's) do the same by hand.

A thread cannot be stopped, so a cancelled call waits for it: whoever comes next finds nothing
half-done. Only a server that must end abandons its threads.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, NamedTuple

import trio

from finch.failures import failure_of


class Attempt(NamedTuple):
    """How a call of application code ended: what it returned, or what it raised."""

    value: Any = None
    error: BaseException | None = None


async def attempt(function: Callable[..., Any], /, *args: Any) -> Attempt:
    """Call an application's function; whatever it raises is returned.

    Raises:
        BaseException: what :func:`finch.failures.failure_of` lets go on.

    Example::

        _, error = await attempt(callback, socket)
        if error is not None:
            report(_log, "on_connect raised", error=error)
    """
    try:
        return Attempt(await call(function, *args))
    except BaseException as raised:
        return Attempt(error=failure_of(raised))


def runs_inline(function: Callable[..., Any]) -> bool:
    """Whether calling it can be done on the event loop: an ``async def`` or async generator, or
    what ``functools.wraps`` says is a wrapper of one."""
    while True:
        while isinstance(function, functools.partial):
            function = function.func
        if not inspect.isroutine(function) and not inspect.isclass(function):
            function = type(function).__call__  # an object that is called
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return True
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is None:
            return False
        function = wrapped


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
    """Call it the way it wants to be called; what is returned waits for its result."""
    if not runs_inline(function):
        return _call_in_thread(functools.partial(function, *args, **kwargs))
    result = function(*args, **kwargs)
    return result if inspect.isawaitable(result) else _at_once(result)


async def _call_in_thread(function: Callable[[], Any]) -> Any:
    result = await _in_thread(function)
    return await result if inspect.isawaitable(result) else result


async def _at_once(result: Any) -> Any:
    return result


class Threads:
    """The threads that run one server's ``def`` functions.

    Every task of a server finds its own in its context, so that the end of one server leaves
    another's alone.
    """

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()

    def adopt(self) -> None:
        """Have the current task, and those that it starts, run their threads here."""
        _threads.set(self)

    async def run(self, function: Callable[[], Any]) -> tuple[Any, Context, Context]:
        """Run a function in a thread; what it returns, and the context before and after it."""
        with trio.CancelScope(shield=True) as scope:
            self._scopes.add(scope)
            try:
                return await trio.to_thread.run_sync(
                    lambda: _between_contexts(function), abandon_on_cancel=True
                )
            finally:
                self._scopes.discard(scope)
        await trio.lowlevel.checkpoint_if_cancelled()  # as everything is when a server ends
        raise RuntimeError("the server ended before the def function did")

    def abandon(self) -> None:
        """Wait no longer for any of them: they end with the process, if not before."""
        for scope in list(self._scopes):
            scope.cancel()


def _between_contexts(function: Callable[[], Any]) -> tuple[Any, Context, Context]:
    before = copy_context()
    return function(), before, copy_context()


_NOTHING: Final = object()
_threads: ContextVar[Threads] = ContextVar("finch threads")


async def _in_thread(function: Callable[[], Any]) -> Any:
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        threads = _threads.get()
    except LookupError:  # not in a server's task: somebody calls a handler by hand
        threads = Threads()
    result, before, after = await threads.run(function)
    # what it set is seen behind it, as if it had run here
    for variable, value in after.items():
        if before.get(variable, _NOTHING) is not value:
            variable.set(value)
    return result
