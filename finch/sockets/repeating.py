"""Repeating: handles a message that its client may send again, once.

Such a message is handled in a task of its own, which goes on if the connection ends: the client
comes back on another one, sends the message again, and gets the answer of the first time. What is
known of such messages is in :mod:`finch.sockets.repeats`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from math import inf
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

import trio

from finch.calls import call
from finch.errors import HTTPError
from finch.failures import close_iterator, failure_of, report, report_no_status
from finch.sockets.dispatch import Dispatcher
from finch.sockets.event import Handlers
from finch.sockets.members import UserId
from finch.sockets.outgoing import answer_of, error_answer
from finch.sockets.repeats import ALONE, SECONDS, Answer, Call, read_key
from finch.sockets.workers import Worker
from finch.tasks import within
from finch.wire.message import Message

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager

_log = logging.getLogger("finch.sockets")


class Handling:
    """A handler that runs in a task of its own, and who waits for it.

    Attributes:
        scope: cancels it.
        done: set when it has ended.
        answer: then its answer; None if it was cancelled.
        waiting: how many connections wait for its answer.
    """

    __slots__ = ("answer", "done", "scope", "waiting")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.answer: Answer | None = None
        self.waiting = 0


class Repeater(Dispatcher):
    """The part of a client that handles messages with ``once``. A base class of the client, as
    :class:`Dispatcher` is."""

    __slots__ = ("_session",)

    manager: SocketManager
    user_id: UserId | None
    _workers: tuple[Worker, ...]
    _session: str | None
    """The session of the connection: one, so that nobody can push those of others out."""

    async def _run_once(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None
    ) -> None:
        try:
            call = self._find(handlers, message, wanted)
        except HTTPError as error:
            await self._send_error(error, message)
            return
        answer = call.answer
        if answer is None:
            # not call.answer, which is not kept if it is very large
            answer = await self._wait_for(call.handling, message)
        if answer is None:
            await self._send_error(HTTPError(410, "the handler was cancelled"), message)
        elif message.id is not None or answer.data != b"null":
            await self._send_one(answer.to(message.id))

    def _find(self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None) -> Call:
        """The call that this message is or repeats. If it is new, its handler begins."""
        try:
            key = read_key(message.once)
        except ValueError as error:
            raise HTTPError(400, str(error)) from None
        if self._session is None:
            self._session = key.session
        elif self._session != key.session:
            raise HTTPError(400, "once has another session than before on this connection")
        repeats = self.manager.repeats
        who = (self.user_id, key.session)
        now = trio.current_time()
        try:
            found = repeats.find(who, key.number, now)
        except LookupError as error:
            raise HTTPError(410, str(error)) from None
        if found is not None:
            return found
        begun = repeats.begin(who, key.number, now, Handling())
        if begun is None:
            raise HTTPError(429, "too many messages of this session are being handled")
        handle = partial(self._handle_once, begun, handlers, message, wanted)
        self._outlet.host.spawn(handle)
        return begun

    async def _wait_for(self, handling: Handling, message: Message) -> Answer | None:
        """Wait for the answer of the handler. If the client leaves meanwhile, the handler goes on,
        for as long as the answer would be kept; if the client cancels the message, it does not."""
        alone = self.manager.repeats.alone
        handling.waiting += 1
        handling.scope.deadline = inf
        alone.pop(handling, None)
        try:
            await handling.done.wait()
        finally:
            handling.waiting -= 1
            if any(one.unwanted and one.message is message for one in self._workers):
                handling.scope.cancel()
            elif not handling.waiting and not handling.done.is_set():
                handling.scope.deadline = trio.current_time() + SECONDS
                alone[handling] = None
                if len(alone) > ALONE:
                    oldest = next(iter(alone))
                    del alone[oldest]  # at once: it may not end soon, and the next one is another
                    oldest.scope.cancel()
        return handling.answer

    async def _handle_once(
        self, call: Call, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None
    ) -> None:
        handling: Handling = call.handling

        async def handle() -> None:
            try:
                handling.answer = await self._answer(handlers, message, wanted)
            finally:
                # In here: if the handler has left a nursery open, within() does not return.
                repeats = self.manager.repeats
                repeats.alone.pop(handling, None)
                repeats.end(call, handling.answer, trio.current_time())
                handling.done.set()

        await within(handling.scope, handle, self)

    async def _answer(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None
    ) -> Answer:
        """As :meth:`_run`, but what it would send is returned."""
        handler = handlers.on_message
        assert handler is not None
        try:
            argument = handler.convert(message)
            result = await call(handler.function, self, argument, **(wanted or {}))
            if isinstance(result, AsyncGeneratorType):
                await close_iterator(result)
                raise HTTPError(400, "a streamed answer cannot be repeated: leave out once")
            return answer_of(result, message, handler.function)
        except BaseException as raised:
            error = failure_of(raised)  # raises a cancellation again
            if not isinstance(error, HTTPError):
                if not self._is_over(error):
                    what = f"the handler of {message.path!r}"
                    report(_log, "%s raised for %r", what, self, error=error)
                    await self._tell_on_error(error, handlers.on_error)
                error = HTTPError(500, "Internal Server Error")
            report_no_status(_log, error)
            return error_answer(error, message)
