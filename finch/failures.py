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

# The messages of asyncio, and of libraries made for it, if no loop of asyncio runs.
_ASYNCIO: Final = (
    "no running event loop",
    "no current event loop",
    "library written for",  # trio's own, at asyncio.sleep(0)
    "has no attribute 'create_future'",  # a queue or event of asyncio
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Names in other frameworks (Dart's Finch, Flask, Starlette, Socket.IO), and the names in Finch.
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
        "files": "form",
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
        "join_room": "join",
        "enter_room": "join",
        "leave_room": "leave",
        "to": "manager.room",
    },
    "SocketManager": {
        "emit": "send_to_all",
        "broadcast": "send_to_all",
        "clients": "get_all_clients_keys",
        "to": "room",
        "in_": "room",
        "get_room": "room",
        "get_user": "user",
    },
    "Room": {
        "emit": "send",
        "broadcast": "send",
        "members": "count",
        "clients": "count",
        "people": "presence",
        "messages": "history",
        "id": "name",
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
        "include_router": "group",
        "register_blueprint": "group",
        "mount": "static",
        "url_for": "path_for",
        "url_path_for": "path_for",
        "config": "state",
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
    """The error that application code raised, if it is a failure for its client.

    Parameters:
        error: just caught, in the task that ran the code.

    Returns:
        The error. If it is a group with only one error, which is one of Finch's, then that one: a
        nursery in a handler puts whatever its tasks raise into a group.

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
        try:
            failure, goes_on = _judge_group(error)
        except BaseException as second:  # an application's own group class raised
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
    """Which error of a group counts, and whether it must be raised again."""
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


def report_no_status(log: logging.Logger, error: BaseException) -> None:
    """Log an HTTPError that is answered with 500 only because it has no status of its own."""
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
        return (
            ". A coroutine is what an async function returns: write 'await' before the call; a def "
            "cannot await, but its parameters can be marked with Body, Form or File"
        )
    if isinstance(leaf, TypeError) and "'method' object is not subscriptable" in str(leaf):
        return ". A method is called before its result is used: (await request.form())['name']"
    if isinstance(leaf, RuntimeError | TypeError | AttributeError):
        text = str(leaf)
        if any(sign in text for sign in _ASYNCIO):
            return _ASYNCIO_HINT
        if "must derive from BaseException" in text:
            return ". Only errors are raised: return a response, or raise HTTPError(404, 'why')"
    if isinstance(leaf, AttributeError) and str(leaf).startswith("'dict' object has no"):
        return f". The state, the session and JSON are dicts: write state[{leaf.name or 'name'!r}]"
    if isinstance(leaf, AttributeError):
        meant = meant_by(leaf)
        return f". Did you mean {meant!r}?" if meant else ""
    return ""


def meant_by(error: AttributeError) -> str:
    """The attribute of a Finch object that was probably meant; empty if none is similar.

    The objects have no ``__getattr__`` for this: it would slow down all their attributes.
    """
    name = error.name
    if name is None or not type(error.obj).__module__.startswith("finch"):
        return ""
    elsewhere = _ELSEWHERE.get(type(error.obj).__name__, {}).get(name)
    if elsewhere is not None:
        return elsewhere
    import difflib  # only a mistake needs it

    known = [one for one in dir(error.obj) if not one.startswith("_")]
    meant = _CAMEL.sub("_", name).lower()
    return meant if meant in known else next(iter(difflib.get_close_matches(meant, known, 1)), "")
