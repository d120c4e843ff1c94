"""What an application's code raised, and what it counts as: the boundary around all of it.

Whatever a handler raises is the trouble of its own client. Much of it is no ``Exception``:
``sys.exit`` in a library, asyncio's ``CancelledError``, a Rust extension's panic, a group with
``GeneratorExit``. Any of them would go through ``except Exception`` into the server's nursery, and
end the server. So wherever application code is called, everything is caught, and
:func:`failure_of` decides. Two things are not a failure and go on:

- the cancellation of the task, if it really is being cancelled;
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

from finch.errors import FinchError, HTTPError

_log = logging.getLogger("finch.app")

# What asyncio, and libraries made for it, say where no loop of theirs runs.
_ASYNCIO: Final = (
    "no running event loop",
    "no current event loop",
    "library written for",  # trio's own, at asyncio.sleep(0)
    "has no attribute 'create_future'",  # a queue or event of asyncio
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What is called otherwise in other frameworks: Dart's Finch, Flask, Starlette, Socket.IO.
_ELSEWHERE: Final = {
    "Request": {
        "args": "query",
        "query_params": "query",
        "params": "query",
        "data": "body",
        "get_json": "json",
        "match_info": "path_params",
        "view_args": "path_params",
        "remote_addr": "client",
        "user": "state",
        "session": "cookies",
    },
    "SocketClient": {
        "rq": "request",
        "emit": "send",
        "send_json": "send",
        "send_text": "send",
        "disconnect": "close",
        "sid": "id",
        "user": "user_id",
        "data": "state",
        "broadcast": "manager.send_to_all",
    },
    "SocketManager": {
        "emit": "send_to_all",
        "broadcast": "send_to_all",
        "clients": "get_all_clients_keys",
    },
    "WebSocket": {
        "send_text": "send",
        "send_bytes": "send",
        "send_json": "send",
        "receive_text": "receive",
        "receive_bytes": "receive",
        "receive_json": "receive",
        "recv": "receive",
    },
    "FinchApp": {
        "head": "route",
        "options": "route",
        "exception_handler": "error_handler",
        "errorhandler": "error_handler",
        "add_middleware": "middleware",
        "before_request": "middleware",
        "on_event": "on_startup",
        "add_url_rule": "add_routes",
        "add_api_route": "add_routes",
        "include_router": "add_routes",
        "event": "socket",
        "on": "socket",
        "emit": "socket_manager.send_to_all",
    },
}
_ASYNCIO_HINT: Final = (
    ". This looks like a library for asyncio; Finch runs on trio. Use a library for trio (httpx "
    "for HTTP), or a def handler, which runs in a thread and may call asyncio.run"
)


def failure_of(error: BaseException) -> BaseException:
    """What application code raised, as the failure of the client that it ran for.

    Parameters:
        error: just caught, in the task that ran the code.

    Returns:
        The error; an error of Finch's that is alone in a group counts as that error, since a
        handler's nursery wraps whatever its tasks raise.

    Raises:
        trio.Cancelled: alone or in a group, where the task is being cancelled. What else was in
            the group is logged.
        KeyboardInterrupt: where a signal raised it.

    Example::

        try:
            await handler(request)
        except BaseException as raised:
            error = failure_of(raised)
    """
    if isinstance(error, BaseExceptionGroup):
        try:
            failure, goes_on = _judge_group(error)
        except BaseException as second:  # a group of its own kind
            return second
        if goes_on:
            raise failure
        return failure
    if isinstance(error, Exception):
        return error
    if isinstance(error, trio.Cancelled):
        if is_cancelled():
            raise error
    elif isinstance(error, KeyboardInterrupt) and _is_from_signal(error):
        raise error
    return error


def _judge_group(group: BaseExceptionGroup[BaseException]) -> tuple[BaseException, bool]:
    """What of a group counts, and whether it goes on."""
    leaf = alone(group)
    if isinstance(leaf, FinchError):
        return leaf, False
    for one in _leaves(group):
        if isinstance(one, KeyboardInterrupt) and _is_from_signal(one):
            return one, True
    cancelled, others = group.split(trio.Cancelled)
    if cancelled is not None and is_cancelled():
        if others is not None:
            report(_log, "raised while it was cancelled", error=others)
        return cancelled, True
    return group, False


def alone(error: BaseException) -> BaseException | None:
    """The only exception of a group, or of the groups in it; the error itself if it is none;
    None where there are several."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) != 1:
            return None
        error = error.exceptions[0]
    return error


def is_cancelled() -> bool:
    """Whether the current task is being cancelled."""
    return trio.current_effective_deadline() == -math.inf


def _is_from_signal(error: BaseException) -> bool:
    """Whether trio raised it for SIGINT. One that is raised by hand ends in another's frame."""
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

    A generator that has a nursery open is closed by a group of ``GeneratorExit``: that is how it
    says that it is closed, and not a failure.

    Raises:
        BaseException: what else the iterator raises.
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
    """Log an error, whatever happens: a log handler that raises is the application's code as well,
    and it is called where nobody is left to catch anything.

    Parameters:
        log: who logs.
        message, arguments: as for ``log.error``.
        error: logged with its traceback; one that comes from using asyncio under trio gets a hint.
    """
    try:
        if error is not None:
            message += _hint(error)
        log.error(message, *arguments, exc_info=error)
    except BaseException:
        try:
            traceback.print_exc(file=sys.__stderr__)
        except BaseException:
            pass  # nobody can be told


def report_no_status(log: logging.Logger, error: BaseException) -> None:
    """Tell the log of an error that is answered with 500 only because nobody gave it a status."""
    if isinstance(error, HTTPError) and error.has_no_status:
        name = type(error).__name__
        report(
            log,
            "%s has no status, so it is answered with 500; its __init__ must call "
            "super().__init__(404, 'why')",
            name,
            error=error,
        )


def _hint(error: BaseException) -> str:
    leaf = alone(error)
    if isinstance(leaf, AttributeError | TypeError) and "coroutine" in str(leaf):
        return ". A coroutine is what an async function returns: write 'await' before the call"
    if isinstance(leaf, RuntimeError | TypeError | AttributeError):
        text = str(leaf)
        if any(sign in text for sign in _ASYNCIO):
            return _ASYNCIO_HINT
        if "must derive from BaseException" in text:
            return ". Only errors are raised: return a response, or raise HTTPError(404, 'why')"
    if isinstance(leaf, AttributeError):
        meant = meant_by(leaf)
        return f". Did you mean {meant!r}?" if meant else ""
    return ""


def meant_by(error: AttributeError) -> str:
    """The attribute of an object of Finch's that was probably meant; an empty text for none.

    Not a ``__getattr__`` of the objects: that slows down every attribute that there is.
    """
    name = error.name
    if name is None or not type(error.obj).__module__.startswith("finch"):
        return ""
    elsewhere = _ELSEWHERE.get(type(error.obj).__name__, {}).get(name)
    if elsewhere is not None:
        return elsewhere
    known = [one for one in dir(error.obj) if not one.startswith("_")]
    meant = _CAMEL.sub("_", name).lower()
    return meant if meant in known else next(iter(difflib.get_close_matches(meant, known, 1)), "")
