"""Gives a client's message to its handler, and sends what the handler returns as the answer.

An exception of a handler ends here: its client gets an error, and no other client is affected.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from types import AsyncGeneratorType, CoroutineType
from typing import Any, Final

import trio

from finch.calls import call
from finch.errors import ClientGone, HTTPError
from finch.failures import close_iterator, failure_of, report, report_no_status
from finch.sockets.asks import is_call
from finch.sockets.event import RESERVED_PATHS, Handlers
from finch.sockets.outgoing import answer_envelope, error_envelope
from finch.sockets.outlet import Outlet
from finch.sockets.spawned import tell_on_error
from finch.sockets.table import Table
from finch.sockets.workers import Worker
from finch.turns import account
from finch.wire.envelope import Envelope
from finch.wire.message import EnvelopeError, Message, read_message, unreadable

_log = logging.getLogger("finch.sockets")

_MORE: Final = {"more": True}


class Dispatcher(ABC):
    """The part of a client that handles its messages and answers them.

    It is a base class of the client, not an object of its own. Such an object would cost one more
    call for each message, and memory for each idle client.
    """

    __slots__ = ("_outlet", "_table")

    _outlet: Outlet
    _table: Table

    @abstractmethod
    async def _send_one(self, envelope: Envelope) -> bool:
        """Send an answer. First wait while too much waits for the client."""

    @abstractmethod
    def _send_now(self, envelope: Envelope) -> bool:
        """Send an answer without waiting. Only for a client for whom nothing waits."""

    @abstractmethod
    def _begin_beside(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None = None
    ) -> bool:
        """Let another worker handle a message; False if others handle too many already."""

    @abstractmethod
    def _handle_in_room(self, message: Message) -> Coroutine[Any, Any, object] | None:
        """As :meth:`_handle`, for a message that is addressed to a room."""

    @abstractmethod
    def _handle_reserved(self, message: Message) -> Coroutine[Any, Any, object]:
        """As :meth:`_handle`, for a message whose path is Finch's own."""

    @abstractmethod
    async def _run_once(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None
    ) -> None:
        """As :meth:`_run`, for a message that the client may send again."""

    @abstractmethod
    def _drop_answer(self) -> None:
        """An answer has come that nobody waits for."""

    def _handle(self, payload: str | bytes, worker: Worker) -> Coroutine[Any, Any, object] | None:
        """A coroutine that handles a message; None if another worker handles it."""
        self._table.received += 1
        try:
            message = read_message(payload)
        except EnvelopeError as error:
            handlers = self._table.handlers_of_unreadable()
            if handlers is None:
                return self._send_error(error, None)
            message = unreadable(payload)
        else:
            worker.message = message
            if message.reply is not None and is_call(message.reply):
                self._drop_answer()
                return None
            path = message.path
            if path in RESERVED_PATHS:
                return self._handle_reserved(message)
            if message.room is not None and self._table.has_rooms:
                return self._handle_in_room(message)
            handlers = self._table.handlers_of(path)
            if handlers is None:
                if "path" in message:
                    text = f"nothing handles the path {message.path!r}"
                    return self._send_error(HTTPError(404, text), message)
                return self._send_error(HTTPError(400, "the message has no path"), message)
        if handlers.concurrent and self._begin_beside(handlers, message):
            return None
        return self._run(handlers, message)

    async def _run(
        self, handlers: Handlers, message: Message, wanted: Mapping[str, Any] | None = None
    ) -> None:
        """Handle one message and answer it. Whatever the handler raises ends here.

        Parameters:
            wanted: the further arguments that the handler names, such as ``room``.
        """
        if message.once is not None:
            await self._run_once(handlers, message, wanted)
            return
        handler = handlers.on_message
        assert handler is not None
        try:
            argument = handler.convert(message)
            if handler.inline:
                if wanted is None:
                    result = handler.function(self, argument)
                else:
                    result = handler.function(self, argument, **wanted)
                if type(result) is CoroutineType:
                    result = await result
            else:
                result = await call(handler.function, self, argument, **(wanted or {}))
            if result is None and message.id is None:
                return
            if isinstance(result, AsyncGeneratorType):
                await self._stream(result, message, handler.function)
            else:
                answer = answer_envelope(result, message, handler.function)
                if self._outlet.transport.pending:
                    await self._send_one(answer)
                else:  # the usual case: this saves a coroutine
                    self._send_now(answer)
        except BaseException as raised:
            error = failure_of(raised)  # raises a cancellation again
            if isinstance(error, HTTPError):
                await self._send_error(error, message)
            else:
                what = f"the handler of {message.path!r}"
                await self._failed(error, handlers.on_error, what, message)

    async def _stream(self, chunks: Any, message: Message, function: object) -> None:
        more = None if message.id is None else _MORE
        try:
            async for chunk in chunks:
                answer = answer_envelope(chunk, message, function, more)
                if not await self._send_one(answer):
                    return
                if account.spend(answer.size):
                    await trio.lowlevel.checkpoint()
        finally:
            await close_iterator(chunks)
        if message.id is not None:  # the end, which has no "more"
            await self._send_one(answer_envelope(None, message, function))

    async def _failed(
        self,
        error: BaseException,
        on_error: Callable[..., Any] | None,
        what: str,
        message: Message | None,
    ) -> None:
        """A callback raised: log it, call ``on_error``, and tell the client as little as
        possible."""
        if self._is_over(error):
            return
        report(_log, "%s raised for %r", what, self, error=error)
        await self._tell_on_error(error, on_error)
        await self._send_error(HTTPError(500, "Internal Server Error"), message)

    def _is_over(self, error: BaseException) -> bool:
        """Whether a callback has only noticed that its client leaves. That happens every day: it is
        no mistake of the application, and nobody waits for an answer."""
        return isinstance(error, ClientGone) and self._outlet.ending

    async def _tell_on_error(
        self, error: BaseException, on_error: Callable[..., Any] | None
    ) -> None:
        self._table.failed += 1
        on_error = on_error or self._table.root.on_error
        await tell_on_error(on_error, self, repr(self), error)

    async def _send_error(self, error: HTTPError, message: Message | None) -> None:
        report_no_status(_log, error)
        await self._send_one(error_envelope(error, message))
