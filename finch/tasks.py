"""Nurseries and tasks that keep one task's trouble from the others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

_log = logging.getLogger("finch.server")


@asynccontextmanager
async def plain_nursery() -> AsyncIterator[trio.Nursery]:
    """A nursery whose tasks never raise: what its body raises comes out as it is, ungrouped."""
    raised: BaseException | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except trio.Cancelled:
            raise
        except BaseException as error:
            raised = error
            nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised


async def caught(task: Callable[[], Awaitable[None]]) -> None:
    """Run a task to its end; what it raises is logged and goes no further."""
    try:
        await task()
    except Exception:
        _log.exception("a bug in Finch: %r failed", task)
    except BaseExceptionGroup as group:
        log_and_go_on(group, _log)


def log_and_go_on(group: BaseExceptionGroup[BaseException], log: logging.Logger) -> None:
    """Log the exceptions of a group, and raise only the cancellation that came with them.

    A handler's own nursery raises such a group where a child of it raises while it is cancelled.

    Raises:
        BaseExceptionGroup: what is no ``Exception``.
    """
    failed, others = group.split(Exception)
    if failed is not None:
        log.error("raised while it was cancelled", exc_info=failed)
    if others is not None:
        raise others from None
