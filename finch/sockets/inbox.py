"""Inbox: what waits for a client's handlers, and when they run.

If a client has something to do, it is a job for the worker pool: first its ``on_connect``, then its
messages in order, and after it has left, its ``on_disconnect``. How far a client is, and what moves
it on, is a table in ``finch.sockets.states``.
"""

from __future__ import annotations

import logging
from contextvars import Context, copy_context
from typing import Any

import trio

from finch.calls import attempt
from finch.errors import HTTPError, Unsendable
from finch.explain import shown
from finch.failures import report
from finch.sockets.dispatch import Dispatcher
from finch.sockets.event import Handlers
from finch.sockets.members import Members
from finch.sockets.outgoing import means_refusal
from finch.sockets.outlet import Outlet, Owner
from finch.sockets.states import LIFE, Life, Step
from finch.sockets.table import Table
from finch.sockets.workers import Job, Worker
from finch.tasks import is_same
from finch.turns import HEAVY, TURN, account
from finch.wire.envelope import Message

_log = logging.getLogger("finch.sockets")

# every message compares these, and ``Life.SERVING`` is a slow expression
_WAITING, _SERVING = Life.WAITING, Life.SERVING


class Inbox(Dispatcher, Owner, Job):
    """The part of a client that its link and the workers see: its messages, and its life.

    It is a base class of the client, not an object of its own, for the same reason as
    :class:`Dispatcher`.

    Parameters:
        id: the client's id.
        outlet: what the client is written to through.
        table: which event handles a path.
        members: who is connected; the client leaves it by itself.
    """

    __slots__ = (
        "_active",
        "_inbox",
        "_life",
        "_lifecycle",
        "_limit",
        "_members",
        "_met",
        "_outlet",
        "_pool",
        "_queued",
        "_table",
        "_workers",
        "context",
        "id",
    )

    def __init__(self, id: str, outlet: Outlet, table: Table, members: Members[Any]) -> None:
        self.id = id
        self._outlet = outlet
        self._table = table
        self._members = members
        self._pool = outlet.host.workers
        self._limit = outlet.host.limits.inbox
        # a list: few messages wait, and a deque would cost every idle client 600 bytes
        self._inbox: list[str | bytes] = []
        self._active = 0  # messages of concurrent paths that are being handled
        self._workers: tuple[Worker, ...] = ()  # the workers that run this client's callbacks
        self._queued = False  # waits for a worker, or a worker serves it
        self._lifecycle = table.lifecycle
        self._life = _WAITING if table.greets else _SERVING
        # for how many of these on_connect has begun; only these get an on_disconnect
        self._met = 0 if table.greets else len(self._lifecycle)
        # its handlers see the ContextVars that the route and its middleware have set
        context = copy_context()
        self.context: Context | None = None if is_same(context, self._pool.home) else context
        if table.greets:
            self._queue()

    def _move(self, step: Step) -> bool:
        """Go where the table says; False if the step changes nothing now."""
        life = LIFE[self._life].get(step)
        if life is None:
            return False
        self._life = life
        return True

    # Called by the link

    def deliver(self, message: str | bytes) -> None:
        self._inbox.append(message)
        if len(self._inbox) + self._active >= self._limit:
            self._outlet.pause()
        if not self._queued:
            self._queue()

    def leave(self) -> None:
        self._move(Step.LEAVE)
        self._members.leave(self.id)
        if not self._queued and not self._active:
            self._queue()

    def cancel(self) -> None:
        self._move(Step.CANCEL)
        self._inbox.clear()
        for worker in self._workers:
            worker.cancel()

    def _queue(self) -> None:
        self._queued = True
        self._pool.submit(self)

    # Called by a worker

    async def serve(self, worker: Worker) -> None:
        """Handle everything that waits for this client, in order."""
        self._workers += (worker,)
        inbox = self._inbox
        try:
            if self._life is _WAITING:
                await self._run_connect()
            while inbox and not worker.cancelled:
                payload = inbox.pop(0)
                if self._outlet.paused:
                    self._make_room()
                try:
                    handling = self._handle(payload)
                    if handling is not None:
                        await handling
                except Exception as error:
                    report(
                        _log, "a bug in Finch: a message of %r was not handled", self, error=error
                    )
                account.used += 1 + (len(payload) >> HEAVY)
                if account.used >= TURN:
                    account.used = 0
                    await trio.lowlevel.checkpoint()
        finally:
            # Nothing may wait between the last look at the inbox and this line. A message that
            # arrived while _queued is still True would be handled by nobody.
            self._dismiss(worker)
            self._queued = False
            if worker.cancelled and self._outlet.left:
                self._queue()  # on_disconnect needs a worker that is not cancelled
        if self._life is not _SERVING and not self._queued and not self._active:
            await self._say_goodbye()

    def keep(self, context: Context) -> None:
        if self.context is None:
            self.context = context
            return
        # two of its handlers ran at the same time, and both have set something: merge
        home = self._pool.home
        for variable, value in context.items():
            if home.get(variable) is not value:
                self.context.run(variable.set, value)

    def left_open(self) -> None:
        self._outlet.close(1011, "internal error")

    def _dismiss(self, worker: Worker) -> None:
        if len(self._workers) == 1:
            self._workers = ()
        else:
            self._workers = tuple(other for other in self._workers if other is not worker)

    def _make_room(self) -> None:
        if len(self._inbox) + self._active <= self._limit // 2:
            self._outlet.resume()

    async def _run_connect(self) -> None:
        self._move(Step.GREET)
        try:
            await self._greet()
        finally:
            self._move(Step.GREETED)
            if self._outlet.left:
                self._move(Step.LEAVE)  # it has left meanwhile

    async def _greet(self) -> None:
        for handlers in self._lifecycle:
            self._met += 1
            if handlers.on_connect is None:
                continue
            value, error = await attempt(handlers.on_connect, self)
            if error is None and value is not None and means_refusal(value):
                report(
                    _log,
                    "on_connect of %s returned %s for %r, which is refused; to refuse a client, "
                    "write 'raise HTTPError(403, \"why\")'",
                    handlers.named,
                    shown(value),
                    self,
                )
                error = HTTPError(403)
            if isinstance(error, HTTPError):
                await self._send_error(error, None)
                self._inbox.clear()
                self._outlet.close(1008, error.answer()[1])
                return
            if error is not None:
                await self._failed(error, handlers, "on_connect", None)
            if isinstance(error, Unsendable):
                self._inbox.clear()
                self._outlet.close(1008, "refused")
                return

    async def _say_goodbye(self) -> None:
        if not self._move(Step.DONE):
            return
        self._outlet.finish()
        try:
            for handlers in self._lifecycle[: self._met]:
                if handlers.on_disconnect is not None:
                    _, error = await attempt(handlers.on_disconnect, self)
                    if error is not None:
                        await self._failed(error, handlers, "on_disconnect", None)
        finally:
            self._members.remove(self.id)
            self._outlet.release()

    def _begin_beside(self, handlers: Handlers, message: Message) -> bool:
        if self._active >= self._limit:
            return False
        self._active += 1
        self._pool.submit(_ConcurrentCall(self, handlers, message))
        return True

    def call_done(self) -> None:
        """A message of a concurrent path is handled."""
        self._active -= 1
        if self._outlet.paused:
            self._make_room()
        if self._life is not _SERVING and not self._queued and not self._active:
            self._queue()


class _ConcurrentCall(Job):
    """A message of a path that was registered with ``concurrent=True``."""

    __slots__ = ("_client", "_handlers", "_message")

    def __init__(self, client: Inbox, handlers: Handlers, message: Message) -> None:
        self._client = client
        self._handlers = handlers
        self._message = message

    @property
    def context(self) -> Context | None:  # type: ignore[override]  # read only
        return self._client.context

    def keep(self, context: Context) -> None:
        self._client.keep(context)

    def left_open(self) -> None:
        self._client.left_open()

    async def serve(self, worker: Worker) -> None:
        client = self._client
        client._workers += (worker,)
        try:
            if client._life is not Life.CANCELLED:
                await client._run(self._handlers, self._message)
        finally:
            client._dismiss(worker)
            client.call_done()
