"""Gives a client's message to its handler, and sends what the handler returns as the answer.

An exception of a handler ends here: its client gets an error, and no other client is affected.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from types import AsyncGeneratorType, CoroutineType
from typing import Any

import trio

from finch.calls import attempt, call
from finch.errors import HTTPError
from finch.failures import close_iterator, failure_of, report, report_no_status
from finch.sockets.event import Handlers
from finch.sockets.outgoing import answer_envelope, error_envelope
from finch.sockets.outlet import Outlet
from finch.sockets.table import Table
from finch.turns import account
from finch.wire.envelope import Envelope, EnvelopeError, Message, read_message, unreadable

_log = logging.getLogger("finch.sockets")


class Dispatcher(ABC):
    """The part of a client that handles its messages and answers them.

    It is a base class of the client, not an object of its own. Such an object would cost one more
    call for each message, and memory for each idle client.
    """

    __slots__ = ()

    _outlet: Outlet
    _table: Table

    @abstractmethod
    async def _send_one(self, envelope: Envelope) -> bool:
        """Send an answer. First wait while too much waits for the client."""

    @abstractmethod
    def _send_now(self, envelope: Envelope) -> bool:
        """Send an answer without waiting. Only for a client for whom nothing waits."""

    @abstractmethod
    def _begin_beside(self, handlers: Handlers, message: Message) -> bool:
        """Let another worker handle a message; False if others handle too many already."""

    def _handle(self, payload: str | bytes) -> Coroutine[Any, Any, object] | None:
        """A coroutine that handles a message; None if another worker handles it."""
        try:
            message = read_message(payload)
        except EnvelopeError as error:
            handlers = self._table.handlers_of_unreadable()
            if handlers is None:
                return self._send_error(error, None)
            message = unreadable(payload)
        else:
            handlers = self._table.handlers_of(message.path)
            if handlers is None:
                if "path" in message:
                    text = f"nothing handles the path {message.path!r}"
                    return self._send_error(HTTPError(404, text), message)
                return self._send_error(HTTPError(400, "the message has no path"), message)
        if handlers.concurrent and self._begin_beside(handlers, message):
            return None
        return self._run(handlers, message)

    async def _run(self, handlers: Handlers, message: Message) -> None:
        """Handle one message and answer it. Whatever the handler raises ends here."""
        handler = handlers.on_message
        assert handler is not None
        try:
            argument = handler.convert(message)
            if handler.inline:
                result = handler.function(self, argument)
                if type(result) is CoroutineType:
                    result = await result
            else:
                result = await call(handler.function, self, argument)
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
            error = failure_of(raised)
            if isinstance(error, HTTPError):
                await self._send_error(error, message)
            else:
                await self._failed(error, handlers, f"the handler of {message.path!r}", message)

    async def _stream(self, chunks: Any, message: Message, function: object) -> None:
        answered = False
        try:
            async for chunk in chunks:
                answered = True
                answer = answer_envelope(chunk, message, function)
                if not await self._send_one(answer):
                    return
                if account.spend(answer.size):
                    await trio.lowlevel.checkpoint()
        finally:
            await close_iterator(chunks)
        if not answered and message.id is not None:
            await self._send_one(answer_envelope(None, message, function))

    async def _failed(
        self, error: BaseException, handlers: Handlers, what: str, message: Message | None
    ) -> None:
        """A callback raised: log it, call ``on_error``, and tell the client as little as
        possible."""
        report(_log, "%s raised for %r", what, self, error=error)
        on_error = handlers.on_error or self._table.root.on_error
        if on_error is not None:
            _, failed = await attempt(on_error, self, error)
            if failed is not None:
                report(_log, "on_error raised for %r", self, error=failed)
        await self._send_error(HTTPError(500, "Internal Server Error"), message)

    async def _send_error(self, error: HTTPError, message: Message | None) -> None:
        report_no_status(_log, error)
        await self._send_one(error_envelope(error, message))
