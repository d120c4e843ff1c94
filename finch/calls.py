"""Calling an application's functions, whatever their kind.

``async def`` is awaited; ``def`` runs in a worker thread, so that it may block, and what it returns
is awaited where it can be (a lambda that calls ``socket.send``). Async generators are handed back
unstarted: what is yielded is the caller's business.

A thread cannot be stopped, so a cancelled call waits for it: whoever comes next finds nothing
half-done. Only a server that must end abandons its threads.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import trio

_in_threads: trio.lowlevel.RunVar[set[trio.CancelScope]] = trio.lowlevel.RunVar("finch threads")


def runs_inline(function: Callable[..., Any]) -> bool:
    """Whether calling it can be done on the event loop: an ``async def`` or async generator."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__  # an object that is called
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
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


async def _in_thread(function: Callable[[], Any]) -> Any:
    await trio.lowlevel.checkpoint_if_cancelled()
    scopes = _scopes()
    with trio.CancelScope(shield=True) as scope:
        scopes.add(scope)
        try:
            # in a tuple, since trio takes a thread's result that can be awaited for a mistake
            (result,) = await trio.to_thread.run_sync(lambda: (function(),), abandon_on_cancel=True)
        finally:
            scopes.discard(scope)
    if scope.cancelled_caught:  # abandoned, by somebody who cancels everything else as well
        await trio.sleep_forever()
    return result


def abandon_threads() -> None:
    """Wait no longer for any ``def`` function: they end with the process, if not before."""
    for scope in list(_scopes()):
        scope.cancel()


def _scopes() -> set[trio.CancelScope]:
    try:
        return _in_threads.get()
    except LookupError:
        _in_threads.set(set())
        return _in_threads.get()
