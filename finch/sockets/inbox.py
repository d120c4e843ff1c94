"""Inbox: what waits for a client's handlers, and when they run.

If a client has something to do, it is a job for the worker pool: first its ``on_connect``, then its
messages in order, and after it has left, its ``on_disconnect``. How far a client is, and what moves
it on, is a table in ``finch.sockets.states``.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from contextvars import Context, copy_context
from typing import Any, Final

import trio

from finch.calls import attempt
from finch.errors import HTTPError, Unavailable, Unsendable
from finch.failures import report
from finch.sockets.asks import Asks
from finch.sockets.concurrent import ConcurrentCall
from finch.sockets.event import Handlers
from finch.sockets.members import Members
from finch.sockets.outgoing import epoch_ms, error_envelope
from finch.sockets.outlet import Outlet, Owner
from finch.sockets.refusals import refusal
from finch.sockets.repeating import Repeater
from finch.sockets.states import LIFE, Life, Step
from finch.sockets.table import Table
from finch.sockets.workers import Job, Worker
from finch.tasks import is_same
from finch.turns import HEAVY, TURN, account
from finch.wire.envelope import Envelope
from finch.wire.message import (
    Cancel,
    EnvelopeError,
    Message,
    Ping,
    read_message,
    read_reply,
    read_urgent,
)

_log = logging.getLogger("finch.sockets")

_ASKING: Final = 64  # times as many messages may wait while a handler waits for an answer
_ASKING_SIZE: Final = 1024 * 1024  # characters of these messages

_LOOKED_THROUGH: Final = 64 * 1024  # characters that a finch.cancel may cost; others wait meanwhile

# every message compares these, and ``Life.SERVING`` is a slow expression
_WAITING, _SERVING = Life.WAITING, Life.SERVING


class Inbox(Repeater, Owner, Job):
    """The part of a client that its link and the workers see: its messages, and its life.

    It is a base class of the client, not an object of its own, as :class:`Repeater` is.

    Parameters:
        id: the client's id.
        outlet: what the client is written to through.
        table: which event handles a path.
        members: who is connected; the client leaves it by itself.
    """

    __slots__ = (
        "_active",
        "_asks",
        "_inbox",
        "_life",
        "_lifecycle",
        "_limit",
        "_members",
        "_met",
        "_pool",
        "_queued",
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
        self._session = None
        self._asks: Asks | None = None  # calls that wait for the client's answer
        self._lifecycle = table.lifecycle
        greets = table.greets or self._arrives
        self._life = _WAITING if greets else _SERVING
        # for how many of these on_connect has begun; only these get an on_disconnect
        self._met = 0 if greets else len(self._lifecycle)
        # its handlers see the ContextVars that the route and its middleware have set
        context = copy_context()
        self.context: Context | None = None if is_same(context, self._pool.home) else context
        if greets:
            self._queue()

    def _move(self, step: Step) -> bool:
        """Go where the table says; False if the step changes nothing now."""
        life = LIFE[self._life].get(step)
        if life is None:
            return False
        self._life = life
        return True

    @property
    def load(self) -> tuple[bool, int, Outlet]:
        """For the figures: whether handlers run or wait for their turn, how many messages wait for
        them, and what the client is written to through."""
        return self._queued or self._active > 0, len(self._inbox), self._outlet

    # Called by the link

    def deliver(self, message: str | bytes) -> None:
        if self._asks is not None and self._is_answer(message):
            return
        if self._queued or self._active:
            urgent = read_urgent(message)
            if urgent is not None and self._handle_urgent(urgent):
                return
        self._inbox.append(message)
        if len(self._inbox) + self._active >= self._limit and not self._has_room():
            self._outlet.pause()
        if not self._queued:
            self._queue()

    def peer_left(self) -> None:
        self._move(Step.LEAVE)
        self._members.leave(self.id)
        self._vanish()
        if self._asks is not None:
            self._asks.give_up()
        if not self._queued and not self._active:
            self._queue()

    @property
    @abstractmethod
    def _arrives(self) -> bool:
        """Whether :meth:`_hear_own` or :meth:`_arrive` have anything to do."""

    @abstractmethod
    async def _hear_own(self) -> None:
        """Before ``on_connect``: hear what is sent to the client's user."""

    @abstractmethod
    async def _arrive(self) -> None:
        """After ``on_connect``: send what the client has missed while it was away."""

    @abstractmethod
    def recount(self) -> None:
        """The client has come, or is gone: other processes count it, or no longer."""

    @abstractmethod
    def _vanish(self) -> None:
        """The peer has left: nobody counts it any longer."""

    @abstractmethod
    async def _leave_all(self) -> None:
        """Call every ``on_leave`` that is due."""

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
                self._pool.more = bool(inbox)
                if self._outlet.paused:
                    self._make_room()
                try:
                    handling = self._handle(payload, worker)
                    if handling is not None:
                        await handling
                except Exception as error:
                    report(
                        _log, "a bug in Finch: a message of %r was not handled", self, error=error
                    )
                except BaseException:  # cancelled, perhaps in a group
                    self._say_cancelled(worker)
                    raise
                worker.message = None  # it is too late to cancel it
                account.used += 1 + (len(payload) >> HEAVY)
                if account.used >= TURN:
                    account.used = 0
                    await trio.lowlevel.checkpoint()
        finally:
            # Nothing may wait between the last look at the inbox and this line. A message that
            # arrived while _queued is still True would be handled by nobody.
            self._dismiss(worker)
            worker.message = None
            self._queued = False
            if worker.cancelled and (inbox or self._outlet.left):
                self._queue()  # what follows needs a worker that is not cancelled
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

    # Answers, cancellations and pings do not wait for their turn

    def _is_answer(self, message: str | bytes) -> bool:
        """Take a message that is the answer to a call: a handler waits for it."""
        assert self._asks is not None
        reply = read_reply(message) if self._asks else None
        return reply is not None and self._asks.answer(reply)

    def _has_room(self) -> bool:
        """Whether the inbox may grow beyond its limit: a handler waits for the client's answer,
        which comes behind what the client has sent before."""
        if not self._asks:
            return False
        waiting = len(self._inbox) + self._active
        return waiting < self._limit * _ASKING and sum(map(len, self._inbox)) < _ASKING_SIZE

    def _handle_urgent(self, urgent: Cancel | Ping) -> bool:
        """Handle a message that overtakes the others; False if it must wait for its turn."""
        if urgent.id is None:
            return False
        if isinstance(urgent, Cancel):
            return self._cancel_message(urgent.id)
        if self._outlet.transport.pending:  # whoever does not read its answers has to wait
            return False
        self._send_now(Envelope(None, "finch.ping", 200, epoch_ms(), urgent.id))
        return True

    def _cancel_message(self, id: Any) -> bool:
        """Cancel the handler of the message with this id, or take the message out of the inbox."""
        for worker in self._workers:
            if worker.message is not None and _is(worker.message.id, id):
                worker.unwanted = True
                worker.cancel()
                return True
        looked_at = 0
        for place, payload in enumerate(self._inbox):
            if looked_at + len(payload) > _LOOKED_THROUGH:
                continue
            looked_at += len(payload)
            try:
                message = read_message(payload)
            except EnvelopeError:
                continue
            if _is(message.id, id) and message.path != "finch.cancel":  # that one has its id, too
                del self._inbox[place]
                self._send_now(error_envelope(HTTPError(499, "cancelled"), message))
                return True
        return False

    def _must_be_done(self, message: Message) -> None:
        """From now on, the client cannot cancel a message that is being handled."""
        for worker in self._workers:
            if worker.message is message:
                worker.message = None

    def _say_cancelled(self, worker: Worker) -> None:
        """A worker was cancelled. If the client has asked for that, this is its answer: while a
        message is handled, or while an answer to it waits."""
        if worker.unwanted and worker.message is not None:
            self._send_now(error_envelope(HTTPError(499, "cancelled"), worker.message))

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
            if self._arrives:
                await self._hear_own()
            await self._greet()
            if self._arrives:
                await self._arrive()
        except Unavailable as error:  # it comes back, and perhaps to a server that is better off
            self._inbox.clear()
            self._outlet.close(1013, error.message)
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
            if error is None and value is not None:
                error = refusal(value, f"on_connect of {handlers.named}", self)
            if isinstance(error, HTTPError):
                await self._send_error(error, None)
                self._inbox.clear()
                code = 1013 if isinstance(error, Unavailable) else 1008
                self._outlet.close(code, error.answer()[1])
                return
            if error is not None:
                await self._failed(error, handlers.on_error, "on_connect", None)
            if isinstance(error, Unsendable):
                self._inbox.clear()
                self._outlet.close(1008, "refused")
                return

    async def _say_goodbye(self) -> None:
        if not self._move(Step.DONE):
            return
        self._outlet.finish()
        try:
            await self._leave_all()
            for handlers in self._lifecycle[: self._met]:
                if handlers.on_disconnect is not None:
                    _, error = await attempt(handlers.on_disconnect, self)
                    if error is not None:
                        await self._failed(error, handlers.on_error, "on_disconnect", None)
        finally:
            self._members.remove(self.id)
            self.recount()
            self._outlet.release()

    def _begin_beside(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None = None
    ) -> bool:
        if self._active >= self._limit:
            return False
        self._active += 1
        self._pool.submit(ConcurrentCall(self, handlers, message, wanted))
        return True

    def call_done(self) -> None:
        """A message of a concurrent path is handled."""
        self._active -= 1
        if self._outlet.paused:
            self._make_room()
        if self._life is not _SERVING and not self._queued and not self._active:
            self._queue()


def _is(id: Any, other: Any) -> bool:
    """Whether two ids are the same JSON: for Python, ``True`` equals 1."""
    return type(id) is type(other) and bool(id == other)
