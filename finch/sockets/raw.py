"""WebSocket: one connection without envelopes, for any other protocol.

Each connection has one task, which runs its handler.
"""

from __future__ import annotations

import logging
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from functools import partial
from typing import Any

import trio
from trio.lowlevel import current_task

from finch.calls import attempt
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConnectionClosed
from finch.explain import kind, not_text, where
from finch.failures import report
from finch.http.request import Request
from finch.sockets.link import MESSAGE, Link
from finch.sockets.options import SocketOptions
from finch.sockets.outlet import Owner
from finch.sockets.upgrade import Upgrade, accept
from finch.tasks import contain
from finch.turns import HEAVY, TURN, account
from finch.waits import UNTIL_WOKEN, is_yes, wake
from finch.wire.websocket import check_close

_log = logging.getLogger("finch.sockets")


class WebSocket(Owner):
    """An open WebSocket: receives and sends text and bytes.

    Attributes:
        request: the request that was upgraded.
        subprotocol: the agreed subprotocol, or None.

    Example::

        @app.websocket("/echo")
        async def echo(ws):
            async for message in ws:
                await ws.send(message)
    """

    __slots__ = (
        "_inbox",
        "_leaving",
        "_limit",
        "_link",
        "_noticed",
        "_scope",
        "_waiting",
        "request",
        "subprotocol",
    )

    def __init__(self, link: Link, request: Request, subprotocol: str | None) -> None:
        self.request = request
        self.subprotocol = subprotocol
        self._link = link
        self._limit = link.host.limits.inbox
        self._inbox: list[str | bytes] = []  # a deque would cost every idle client 600 bytes
        self._waiting: trio.lowlevel.Task | None = None  # the task that waits for a message
        self._scope = trio.CancelScope()
        self._leaving = False
        self._noticed = False  # whether the handler knows that the peer has left

    async def receive(self) -> str | bytes:
        """The next message: ``str`` for text, ``bytes`` for binary.

        Raises:
            ConnectionClosed: if the peer has left, and all its messages were received.
        """
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise self._closed_error() from None

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    # A plain generator is faster than a coroutine that waits for a trio.Event, and every raw
    # message goes through here.
    @types.coroutine
    def __anext__(self) -> Generator[Any, Any, str | bytes]:
        inbox = self._inbox
        if inbox:
            if account.spend(len(inbox[0])):  # many messages came at once: let others go first
                yield from trio.lowlevel.checkpoint()  # noqa: ASYNC105  # that waits
        elif self._leaving:
            if account.spend():  # the handler may ask again and again
                yield from trio.lowlevel.checkpoint()  # noqa: ASYNC105  # that waits
        else:
            if self._waiting is not None:
                raise RuntimeError(
                    "two tasks receive from one WebSocket; only one task may receive at a time"
                )
            task = self._waiting = current_task()
            task.custom_sleep_data = self
            answer = yield UNTIL_WOKEN
            self._waiting = None
            is_yes(answer)  # raises if the task was cancelled
            account.used = 0  # the others have just had their turn
        if not inbox:
            self._notice()
            raise StopAsyncIteration
        message = inbox.pop(0)
        if self._link.paused and len(inbox) <= self._limit // 2:
            self._link.resume()
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a text or binary message; first wait while more than 64 KiB wait for the peer.

        Raises:
            ConnectionClosed: if the WebSocket is closed.
            TypeError: if ``message`` is neither str nor bytes.
        """
        if not isinstance(message, MESSAGE):
            raise TypeError(
                f"a WebSocket sends str or bytes, not {type(message).__name__}; encode it first"
            )
        link = self._link
        account.used += 1 + (len(message) >> HEAVY)
        if account.used >= TURN:  # if the peer reads fast, nothing below ever waits
            account.used = 0
            await trio.lowlevel.checkpoint()
        if link.transport.pending:
            ascii_or_bytes = isinstance(message, bytes) or message.isascii()
            await link.wait_writable(len(message) * (1 if ascii_or_bytes else 4))
        try:
            sent = link.send(message)
        except UnicodeEncodeError:
            fault = not_text(str(message))
            raise ValueError(f"the text to send has {fault}") from None
        if not sent:
            self._notice()
            raise self._closed_error()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection.

        Raises:
            ValueError: if a Close frame cannot hold the code or the reason.
        """
        check_close(code, reason)
        self._link.close(code, reason)
        if account.spend():
            await trio.lowlevel.checkpoint()

    def _closed_error(self) -> ConnectionClosed:
        return ConnectionClosed(self._link.close_code, self._link.close_reason)

    def _notice(self) -> None:
        # From now on the handler cleans up. It may take as long as it likes for that.
        self._noticed = True
        if self._leaving:
            self._link.finish()

    # Called by the link

    def deliver(self, message: str | bytes) -> None:
        self._inbox.append(message)
        if len(self._inbox) >= self._limit:
            self._link.pause()
        self._wake()

    def pong(self, payload: bytes) -> None:
        pass

    def peer_left(self) -> None:
        self._leaving = True
        self._wake()
        if self._noticed:
            self._link.finish()

    def cancel(self) -> None:
        if not self._noticed:
            self._scope.cancel()

    def _wake(self) -> None:
        if self._waiting is not None:
            wake(self._waiting, self)

    # Its task

    async def run(self, handler: Callable[[WebSocket], Awaitable[None]]) -> None:
        """Run the handler. When it ends, close the connection; with 1011 if it raised."""
        code, reason = 1000, ""
        with self._scope:
            try:
                value, error = await attempt(handler, self)
                if value is not None:
                    report(
                        _log,
                        "%s, the handler of a WebSocket at %s, returned %s, which is not sent; "
                        "write 'await ws.send(...)'",
                        where(handler),
                        self.request.raw_path,
                        kind(value),
                    )
                # if the peer left while the handler was sending, nobody did anything wrong
                if error is not None and not (self._noticed and _is_only_closed(error)):
                    report(_log, "the handler of %s raised", self.request.raw_path, error=error)
                    code, reason = 1011, "internal error"
            finally:
                # First: if the peer leaves from now on, even during close(), then peer_left() must
                # finish the link, since the handler no longer can.
                self._noticed = True
                self._link.close(code, reason)
                if self._leaving:
                    self._link.finish()
                self._link.release()
                await contain(f"the handler of {self.request.raw_path}")


def _is_only_closed(error: BaseException) -> bool:
    """Whether the error is a ConnectionClosed, or a nursery's group that contains nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(ConnectionClosed)[1] is None
    return isinstance(error, ConnectionClosed)


class RawSocketRoute:
    """The HTTP side of a raw socket: the index of its route.

    Parameters:
        handler: called with the open :class:`WebSocket`.
        options: which upgrade requests are accepted.
    """

    def __init__(
        self, handler: Callable[[WebSocket], Awaitable[None]], options: SocketOptions
    ) -> None:
        check_takes(handler, "the handler of a WebSocket", "(ws)")
        check_no_yield(
            handler, "the handler of a WebSocket", "write 'await ws.send(message)' instead"
        )
        self.handler = handler
        self._options = options

    async def __call__(self, request: Request, **params: object) -> Upgrade:
        def attach(link: Link, subprotocol: str | None) -> WebSocket:
            ws = WebSocket(link, request, subprotocol)
            link.host.spawn(partial(ws.run, self.handler))
            return ws

        return accept(request, self._options, attach)
