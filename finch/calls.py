"""Calling an application's functions, whatever their kind.

``async def`` is awaited; ``def`` runs in a worker thread, so that it may block, and what it returns
is awaited where it can be (a lambda that calls ``socket.send``). Async generators are handed back
unstarted: what is yielded is the caller's business.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import trio


def runs_inline(function: Callable[..., Any]) -> bool:
    """Whether calling it can be done on the event loop: an ``async def`` or async generator."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__  # an object that is called
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call it the way it wants to be called, and wait for what it returns."""
    if runs_inline(function):
        result = function(*args, **kwargs)
    else:
        # in a tuple, since trio takes a thread's result that can be awaited for a mistake
        (result,) = await trio.to_thread.run_sync(lambda: (function(*args, **kwargs),))
    return await result if inspect.isawaitable(result) else result
