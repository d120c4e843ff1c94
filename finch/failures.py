"""Decides what an exception from application code means. Finch uses it wherever it calls such code.

If a handler raises, only its own client may suffer. But many exceptions are not an ``Exception``:
``sys.exit`` in a library, asyncio's ``CancelledError``, the panic of a Rust extension, a group with
``GeneratorExit``. ``except Exception`` does not catch these, so they would reach the server's
nursery and end the server. So wherever Finch calls application code, it catches everything, and
:func:`failure_of` decides. Two things are not failures and are raised again:

- the cancellation of the task, if the task really is being cancelled;
- ``KeyboardInterrupt``, if a signal raised it.
"""

from __future__ import annotations

import difflib
import logging
import math
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final

import trio

from finch.errors import FinchError

_log = logging.getLogger("finch.app")

# Messages of asyncio and its libraries if no asyncio loop runs.
_ASYNCIO: Final = ("no running event loop", "no current event loop", "library written for asyncio")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DART: Final = {"rq": "request"}  # names in the Dart framework that differ in more than case
_ASYNCIO_HINT: Final = (
    ". This looks like a library for asyncio; Finch runs on trio. Use a library for trio (httpx "
    "for HTTP), or a def handler, which runs in a thread and may call asyncio.run"
)


def failure_of(error: BaseException) -> BaseException:
    """The error that application code raised, if it is a failure for its client.

    Parameters:
        error: just caught, in the task that ran the code.

    Returns:
        The error. If it is a group with a single error of Finch's, then that error: a nursery in a
        handler wraps whatever its tasks raise.

    Raises:
        trio.Cancelled: if the error is one, alone or in a group, and the task is being cancelled.
            The other errors of the group are logged.
        KeyboardInterrupt: if a signal raised it.

    Example::

        try:
            await handler(request)
        except BaseException as raised:
            error = failure_of(raised)
    """
    if isinstance(error, BaseExceptionGroup):
        return _failure_of_group(error)
    if isinstance(error, Exception):
        return error
    if isinstance(error, trio.Cancelled):
        if is_cancelled():
            raise error
    elif isinstance(error, KeyboardInterrupt) and _is_from_signal(error):
        raise error
    return error


def _failure_of_group(group: BaseExceptionGroup[BaseException]) -> BaseException:
    leaf = alone(group)
    if isinstance(leaf, FinchError):
        return leaf
    for one in _leaves(group):
        if isinstance(one, KeyboardInterrupt) and _is_from_signal(one):
            raise one
    cancelled, others = group.split(trio.Cancelled)
    if cancelled is not None and is_cancelled():
        if others is not None:
            report(_log, "raised while it was cancelled", error=others)
        raise cancelled
    return group


def alone(error: BaseException) -> BaseException | None:
    """The only exception in a group, or in the groups inside it; None if there are several. An
    error that is not a group is returned unchanged."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) != 1:
            return None
        error = error.exceptions[0]
    return error


def is_cancelled() -> bool:
    """Whether the current task is being cancelled."""
    return trio.current_effective_deadline() == -math.inf


def _is_from_signal(error: BaseException) -> bool:
    """Whether trio raised it because of SIGINT. If other code raised it, the last frame is not in
    trio."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    name = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__"))
    return name.startswith("trio._core.")


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    waiting: list[BaseException] = [group]
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(error.exceptions)
        else:
            yield error


async def close_iterator(iterator: Any) -> None:
    """Close an application's iterator, if it can be closed.

    A generator with an open nursery raises a group of ``GeneratorExit`` when it is closed. That is
    normal, and not a failure.

    Raises:
        BaseException: if the iterator raises anything else.
    """
    close = getattr(iterator, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except GeneratorExit:
        pass
    except BaseExceptionGroup as group:
        others = group.split(GeneratorExit)[1]
        if others is not None:
            raise others from None


def report(
    log: logging.Logger, message: str, *arguments: object, error: BaseException | None = None
) -> None:
    """Log an error, and never raise. A log handler is application code too and may raise, but the
    callers of this function are the last ones who could catch anything.

    Parameters:
        log: the logger.
        message, arguments: as for ``log.error``.
        error: logged with its traceback, and with a hint if it comes from using asyncio under trio.
    """
    try:
        if error is not None:
            message += _hint(error)
        log.error(message, *arguments, exc_info=error)
    except BaseException:
        try:
            traceback.print_exc(file=sys.__stderr__)
        except BaseException:
            pass  # there is no way left to report it


def _hint(error: BaseException) -> str:
    leaf = alone(error)
    if isinstance(leaf, AttributeError):
        meant = meant_by(leaf)
        return f". Did you mean {meant!r}?" if meant else ""
    if isinstance(leaf, RuntimeError | TypeError):
        text = str(leaf)
        if any(sign in text for sign in _ASYNCIO):
            return _ASYNCIO_HINT
    return ""


def meant_by(error: AttributeError) -> str:
    """The attribute of a Finch object that was probably meant; empty if none is similar.

    The objects have no ``__getattr__`` for this: it would slow down all their attributes.
    """
    name = error.name
    if name is None or not type(error.obj).__module__.startswith("finch"):
        return ""
    known = [one for one in dir(error.obj) if not one.startswith("_")]
    meant = _DART.get(name) or _CAMEL.sub("_", name).lower()
    return meant if meant in known else next(iter(difflib.get_close_matches(meant, known, 1)), "")
