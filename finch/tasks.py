"""Nurseries and tasks in which an error of one task does not reach the others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from operator import is_
from typing import Any

import trio

from finch.failures import alone, failure_of, report

_log = logging.getLogger("finch.server")


@asynccontextmanager
async def plain_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery for tasks that never raise. What its body raises comes out as it is, not in a
    group."""
    raised: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except trio.Cancelled:
                raise
            except BaseException as error:
                raised = error
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Tasks that contain() has put aside can end only with this error of trio.
        others = group.split(_is_corrupted)[1]
        if others is not None:
            lone = alone(others)
            raise (lone if isinstance(lone, KeyboardInterrupt) else others) from None
    if raised is not None:
        raise raised


async def stopped_by_cancellation(
    task: Callable[[], Awaitable[None]], stop: Callable[[], None]
) -> None:
    """Run a task that shields itself. If the caller is cancelled, the task is told to stop.

    A cancellation would end everything inside at once, without goodbyes. So the task runs in a
    nursery, and the caller only waits: for the task's end, or for its own cancellation.

    Parameters:
        task: what runs to its end in any case.
        stop: called if the caller is cancelled before that.

    Raises:
        BaseException: whatever the task raises.
    """
    raised: list[BaseException] = []
    ended = trio.Event()

    async def inside() -> None:
        try:
            await task()
        except BaseException as error:
            raised.append(error)
        ended.set()

    async with plain_nursery() as nursery:
        nursery.start_soon(inside)
        try:
            await ended.wait()
        finally:
            if not ended.is_set():
                stop()
    if raised and not isinstance(raised[0], trio.Cancelled):
        raise raised[0]


async def caught(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task to its end. What it raises is logged, not raised.

    Every task of the server runs inside this function. Only a KeyboardInterrupt from a signal
    passes through. A cancellation ends here too: a nursery does not need it from its tasks.
    """
    try:
        await task()
    except BaseException as raised:
        if _is_corrupted(raised):
            return  # the server ends, and this task was put aside by contain()
        try:
            report(_log, "a bug in Finch: %r failed", task, error=failure_of(raised))
        except (trio.Cancelled, BaseExceptionGroup):
            pass
    await contain(task)


async def contain(owner: object) -> None:
    """Put the current task aside if application code has left a nursery open in it.

    Such a task must not end or go on: trio's stack of nurseries and cancel scopes would be
    corrupted, and the error would end the server's nursery. So this function cancels the tasks in
    the open nursery, and lets the current task wait for the end of the server.

    Parameters:
        owner: the code that left the nursery open, for the log.
    """
    left = trio.lowlevel.current_task().child_nurseries
    if not left:
        return
    report(
        _log,
        "%s left a nursery open, and its tasks are cancelled. Open and close a nursery (or an "
        "object that has one) with 'async with' in one function; for a task that must go on, write "
        "app.background_task(function)",
        owner,
    )
    for nursery in left:
        nursery.cancel_scope.shield = False
        nursery.cancel_scope.cancel()
    parent = trio.lowlevel.current_task().parent_nursery
    assert parent is not None
    with trio.CancelScope(shield=True) as aside:  # else the cancelled nursery would wake this task
        parent.start_soon(_cancel_at_the_end, aside)
        await trio.sleep_forever()


def close_scopes(owner: object, until: object) -> bool:
    """Close the cancel scopes that application code has left open in the current task. Otherwise
    they could cancel the code that this task runs next.

    Parameters:
        owner: the code that left them open, for the log.
        until: what :func:`innermost_scope` returned before that code ran.

    Returns:
        Whether any were left open.
    """
    task = trio.lowlevel.current_task()
    status: Any = innermost_scope(task)
    if status is until:
        return False
    report(
        _log,
        "%s left a cancel scope open, and Finch has closed it. Open a cancel scope by 'with', in "
        "one function; and let a generator end at GeneratorExit, without another yield",
        owner,
    )
    while status is not None and status is not until:
        status._scope.__exit__(None, None, None)
        status = innermost_scope(task)
    return True


def innermost_scope(task: trio.lowlevel.Task) -> object:
    """An object that identifies the innermost cancel scope of a task. It is a private attribute of
    trio; if trio removes it, ``tests/test_boundary.py`` fails."""
    return task._cancel_status


def is_same(context: Context, before: Context) -> bool:
    """Whether no variable was set in a copy of a context. Values are compared by identity: ``==``
    would run code of the application's values, which may raise (numpy arrays do); and it would
    not notice that a list was replaced by an equal one.

    Parameters:
        context: a copy of ``before``, some time later.
    """
    if len(context) != len(before):
        return False
    # if there is only one variable, it is Finch's own, which no application sets
    return len(before) < 2 or all(map(is_, context.values(), before.values()))


async def change_context(context: Context) -> None:
    """Let the current task continue in another context.

    trio enters a context for a whole step of a task. So the new context is used only from the
    next step on, and this function ends the current step."""
    trio.lowlevel.current_task().context = context
    await trio.lowlevel.cancel_shielded_checkpoint()


async def _cancel_at_the_end(scope: trio.CancelScope) -> None:
    try:
        await trio.sleep_forever()
    finally:
        scope.cancel()


def _is_corrupted(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "stack corrupted" in str(error)
