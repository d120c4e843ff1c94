"""The keeper: connects, and connects again, until the client is closed for good.

Error handling: what goes wrong with one connection ends that connection, is told as a state, and is
logged. Only what can never go right ends the client: a refusal that would come again, or a close
code that says so. What ``open_stream`` raises and is not an ``OSError`` is a bug of the application
and ends the block of ``connect``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import random
from typing import Final

import trio

from finch.calls import attempt
from finch.client.address import Address
from finch.client.backoff import Backoff, asks_again, comes_back
from finch.client.connection import Closed, Connection
from finch.client.core import Core
from finch.client.dial import DialFailed, Rejected, dial
from finch.client.events import State, StateChanged
from finch.errors import ConnectionClosed, FinchError, HandshakeFailed
from finch.explain import shown
from finch.failures import report
from finch.tasks import plain_nursery

_log = logging.getLogger("finch.client")

_SHORTEST_SLEEP: Final = 0.01  # seconds: however short a queue's age is


class Keeper:
    """Keeps one client connected.

    Parameters:
        address: where the server is.
        core: what the client is about.
    """

    def __init__(self, address: Address, core: Core) -> None:
        self._address = address
        self._core = core
        self._backoff = Backoff(random)
        self._connection: Connection | None = None
        self._leaving = False
        self._started: Callable[[], None] | None = None
        self._begun = trio.Event()
        self._over = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect and stay connected. ``started`` is called after the first attempt."""
        self._started = task_status.started
        try:
            with self._scope:
                while True:
                    code, why, asked = await self._connect_once()
                    self._tell_started()
                    if self._core.state is State.CLOSED:
                        return
                    await self._pause(code, why, asked)
        finally:
            self._core.end(ConnectionClosed(1000))
            self._over.set()
            self._tell_started()

    def _tell_started(self) -> None:
        if self._started is not None:
            self._started()
            self._started = None

    async def _connect_once(self) -> tuple[int | None, str, float]:
        """Connect, and converse until the end of the connection.

        Returns:
            The close code, or None if there was no connection; why; and how many seconds the server
            asks to wait.
        """
        self._move(State.CONNECTING)
        connection, why, asked = await self._attempt()
        if connection is None:
            return None, why, asked
        opened = trio.current_time()
        self._open(connection)
        self._tell_started()
        closed = await self._converse(connection)
        self._backoff.lasted(trio.current_time() - opened)
        return closed.code, closed.reason, 0.0

    def begin(self) -> None:
        """The block begins, without any await before its own first one."""
        self._begun.set()

    async def leave(self) -> None:
        """Say goodbye, with what waits to be written, and end."""
        self._leaving = True
        if self._connection is None:
            self._scope.cancel()
        else:
            self._connection.close(1000)
            self._core.resume()
        with trio.move_on_after(self._core.options.close_timeout, shield=True):
            await self._over.wait()
        self._scope.cancel()

    # One attempt

    async def _attempt(self) -> tuple[Connection | None, str, float]:
        """A connection; or None, why there is none, and how long the server asks to wait."""
        connection: Connection | None = None
        try:
            with trio.move_on_after(self._core.options.connect_timeout):
                async with plain_nursery() as nursery:
                    nursery.start_soon(self._expire)
                    connection = await self._dial()
                    nursery.cancel_scope.cancel()
        except Rejected as rejected:
            if not asks_again(rejected.status, self._core.options.token is not None):
                self._core.end(HandshakeFailed(rejected.status, rejected.message))
            return None, f"status {rejected.status}", rejected.retry_after
        except DialFailed as failed:
            return None, str(failed), 0.0
        except BaseException:
            if connection is not None:  # cancelled in the last moment
                await connection.aclose()
            raise
        return connection, "it took too long" if connection is None else "", 0.0

    async def _dial(self) -> Connection:
        token = await self._token()
        target = self._address.target(self._core.conversation.query(), token)
        return await dial(self._address, target, self._core.options)

    async def _token(self) -> str | None:
        function = self._core.options.token
        if function is None:
            return None
        returned, error = await attempt(function)
        token: str | None = returned if isinstance(returned, str) else None
        if error is None and returned is not None and token is None:
            error = TypeError(f"the token is text or None, not {shown(returned)}")
        if error is not None:
            report(_log, "the token function raised", error=error)
            raise DialFailed(f"there is no token: {error}")
        return token

    # One connection

    def _open(self, connection: Connection) -> None:
        core = self._core
        core.tell(core.conversation.opened(trio.current_time()))
        core.wake = connection.wake
        self._connection = connection
        self._move(State.OPEN)

    async def _converse(self, connection: Connection) -> Closed:
        core = self._core
        try:
            # Nothing is read before the block has run to its first await. So what it registers
            # there is registered in time for the first message.
            await self._begun.wait()
            async with trio.open_nursery() as nursery:
                core.spawn = nursery.start_soon
                written = trio.Event()
                nursery.start_soon(self._write, connection, nursery.cancel_scope, written)
                nursery.start_soon(connection.watch, nursery.cancel_scope.cancel)
                await self._read(connection)
                nursery.cancel_scope.deadline = self._soon()
                await written.wait()  # our Close
                nursery.cancel_scope.cancel()
        finally:
            core.wake = lambda: None
            core.spawn = lambda *_: None
            self._connection = None
            closed = connection.closed or Closed(1006, "the connection was cut")
            if self._leaving:
                core.end(ConnectionClosed(1000))
            elif comes_back(closed.code):
                core.tell(core.conversation.cut(trio.current_time()))
                core.written()
            else:
                core.end(ConnectionClosed(closed.code, closed.reason))
            await connection.aclose()
        return closed

    async def _read(self, connection: Connection) -> None:
        core = self._core
        while connection.closed is None:
            # At the end, all is read: a Close may be behind it.
            while core.paused and not connection.broken and not self._leaving:
                connection.paused = True
                await core.until_resumed()
            connection.paused = False
            for text in await connection.receive():
                core.receive(text)

    async def _write(
        self, connection: Connection, scope: trio.CancelScope, written: trio.Event
    ) -> None:
        await connection.write(self._core.conversation.take, self._core.written)
        if connection.broken:
            scope.deadline = self._soon()  # for what the server has said before it ended
            self._core.resume()
        written.set()

    def _soon(self) -> float:
        return trio.current_time() + self._core.options.close_timeout

    # Between connections

    async def _pause(self, code: int | None, why: str, asked: float) -> None:
        pause = self._backoff.pause(asked)
        self._core.move(StateChanged(State.WAITING, code, why, pause))
        what = "cannot connect to" if code is None else "the connection was cut to"
        _log.warning("%s %s: %s; the next attempt is in %.1f s", what, self._address, why, pause)
        with trio.move_on_after(pause):
            await self._expire()

    async def _expire(self) -> None:
        """Give up what waits for too long. Whatever is sent meanwhile waits for ``queue_age`` at
        least, so nothing has to wake this task."""
        core = self._core
        while True:
            now = trio.current_time()
            core.tell(core.conversation.expire(now))
            until = min(core.conversation.deadline, now + core.options.queue_age)
            await trio.sleep_until(max(until, now + _SHORTEST_SLEEP))

    def _move(self, state: State) -> None:
        self._core.move(StateChanged(state))


def refusal(error: FinchError | None) -> FinchError | None:
    """What ``connect`` raises, if the client is closed after the first attempt."""
    return error if isinstance(error, HandshakeFailed) else None
