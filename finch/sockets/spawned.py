"""Spawned: the tasks that end with a client or with a room, and whom their exceptions are told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from finch.calls import attempt
from finch.failures import report
from finch.sockets.outlet import Host
from finch.tasks import within

_log = logging.getLogger("finch.sockets")

OnError = Callable[..., Any] | None
Failed = Callable[[BaseException, str], Awaitable[None]]


class Spawned:
    """Tasks of application code that are cancelled together."""

    __slots__ = ("_scopes",)

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()

    def start(self, host: Host, function: Callable[[], Any], named: str, failed: Failed) -> None:
        """Run a function as a task.

        Parameters:
            host: the server in which it runs.
            function: the application's function, with its arguments.
            named: what the log calls the task.
            failed: called with an exception that the function raises, and with ``named``.
        """
        scope = trio.CancelScope()
        self._scopes.add(scope)
        host.spawn(partial(self._run, function, named, failed, scope))

    def end(self) -> None:
        """Cancel all tasks."""
        scopes, self._scopes = self._scopes, set()
        for scope in scopes:
            scope.cancel()

    async def _run(
        self, function: Callable[[], Any], named: str, failed: Failed, scope: trio.CancelScope
    ) -> None:
        await within(scope, partial(self._attempt, function, named, failed), named)
        self._scopes.discard(scope)

    async def _attempt(self, function: Callable[[], Any], named: str, failed: Failed) -> None:
        _, error = await attempt(function)
        if error is not None:
            await failed(error, named)


async def tell_on_error(on_error: OnError, who: object, named: str, error: BaseException) -> None:
    """Call an application's ``on_error``, if there is one.

    Parameters:
        who: its first argument: a client, or the room whose task has failed.
        named: what the log calls that.
        error: its second argument.
    """
    if on_error is None:
        return
    _, failed = await attempt(on_error, who, error)
    if failed is not None:
        report(_log, "on_error raised for %s", named, error=failed)
