"""Calls an application's functions of any kind, and keeps their errors from the server.

An ``async def`` function is awaited. A ``def`` function runs in a worker thread, so it may block.
If it returns something awaitable (such as a lambda that calls ``socket.send``), that is awaited.
Async generators are returned without being started; the caller iterates over them.

:func:`attempt` returns what a function raises as a value, after :mod:`finch.failures` has judged
it. All of Finch calls application code this way. Only the two most frequent calls (the handler of
a message and of a route) do the same by hand, which is faster.

A thread cannot be stopped. So a cancelled call waits for its thread: the next caller must not find
things half-done. Only a server that must end abandons its threads.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, NamedTuple, TypeVar

import trio

from finch.failures import failure_of

F = TypeVar("F", bound=Callable[..., Any])


class Attempt(NamedTuple):
    """The result of a call of application code: what it returned, or what it raised."""

    value: Any = None
    error: BaseException | None = None


async def attempt(function: Callable[..., Any], /, *args: Any) -> Attempt:
    """Call an application's function. What it raises is returned, not raised.

    Raises:
        BaseException: if :func:`finch.failures.failure_of` raises it again.

    Example::

        _, error = await attempt(callback, socket)
        if error is not None:
            report(_log, "on_connect raised", error=error)
    """
    try:
        return Attempt(await call(function, *args))
    except BaseException as raised:
        return Attempt(error=failure_of(raised))


def never_blocks(function: F) -> F:
    """Mark a ``def`` function of Finch's own: it is called on the event loop, without a thread."""
    _NEVER_BLOCK.add(function)
    return function


def runs_inline(function: Callable[..., Any]) -> bool:
    """Whether the function can be called on the event loop: it is an ``async def`` function or an
    async generator, ``functools.wraps`` marks it as a wrapper of one, or it never blocks."""
    while True:
        while isinstance(function, functools.partial):
            function = function.func
        if inspect.isfunction(function) and function in _NEVER_BLOCK:
            return True
        if not inspect.isroutine(function) and not inspect.isclass(function):
            function = type(function).__call__  # an object with a __call__ method
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            return True
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is None:
            return False
        function = wrapped


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Awaitable[Any]:
    """Call a function, in a thread if it needs one. Await the return value to get its result."""
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

    The tasks of a server find this object in their context. So a server that ends abandons only its
    own threads, not those of another server.
    """

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()

    def adopt(self) -> None:
        """Use this object for the current task and all tasks that it starts."""
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
        await trio.lowlevel.checkpoint_if_cancelled()  # usually raises: the server is ending
        raise RuntimeError("the server ended before the def function did")

    def abandon(self) -> None:
        """Stop waiting for the threads. They end with the process, if not before."""
        for scope in list(self._scopes):
            scope.cancel()


def _between_contexts(function: Callable[[], Any]) -> tuple[Any, Context, Context]:
    before = copy_context()
    return function(), before, copy_context()


_NEVER_BLOCK: Final[set[Callable[..., Any]]] = set()
_NOTHING: Final = object()
_threads: ContextVar[Threads] = ContextVar("finch threads")


async def _in_thread(function: Callable[[], Any]) -> Any:
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        threads = _threads.get()
    except LookupError:  # not in a task of a server: somebody calls a handler directly
        threads = Threads()
    result, before, after = await threads.run(function)
    # the caller sees the context variables that it set, as if it had run in this task
    for variable, value in after.items():
        if before.get(variable, _NOTHING) is not value:
            variable.set(value)
    return result
