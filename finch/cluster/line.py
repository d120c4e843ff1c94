"""Line: one connection to Redis, which is made anew whenever it ends.

Everything goes over one connection: commands, their answers, and what others publish. Redis handles
it in order. So when the answer to a command comes, everything that was published before it has come
as well; and when the connection ends, it is clear from where on something may be missing.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import trio
from coredis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,
    NoScriptError,
    RedisError,
)

from finch.cluster.address import CONNECT, Address
from finch.cluster.connection import ENOUGH, Connection, Refused
from finch.cluster.shards import Shards, connect
from finch.errors import ConfigurationError
from finch.failures import report
from finch.tasks import plain_nursery

_log = logging.getLogger("finch.cluster")

_LOOK: Final = 5.0  # seconds between two looks at what may be missing
_DEAD: Final = 15.0  # seconds without an answer after which the connection is given up
_SLOW: Final = 1.0  # seconds without an answer after which Redis counts as slow
_PAUSES: Final = (0.05, 2.0)  # seconds between attempts: the first, and the longest
_MINUTE: Final = 60.0  # seconds between two lines of the log that say that Redis is away


class Broken(Exception):
    """The connection has ended, or there is none."""


class Owner(Protocol):
    """Who has a line."""

    async def came_up(self, nursery: trio.Nursery) -> None:
        """There is a connection. What runs in the nursery ends with it."""

    def went_down(self) -> None:
        """The connection has ended."""

    async def look(self) -> None:
        """It is time to look whether something is missing."""

    def heard(self, channel: bytes, text: bytes) -> None:
        """Something was published on a channel that is subscribed to."""

    async def rest(self) -> None:
        """Called after :meth:`heard`: let other tasks have their turns."""


class Line:
    """A connection to Redis that comes back.

    Parameters:
        address: where Redis is.
        owner: is told of everything.
        scripts: Lua scripts that Redis is given; :meth:`script` names them.
        look: seconds between two looks.

    Attributes:
        up: whether there is a connection.
        why: why there is no connection, or why the last command was refused.
    """

    def __init__(
        self, address: Address, owner: Owner, scripts: tuple[str, ...], look: float = _LOOK
    ) -> None:
        self._address = address
        self._owner = owner
        self._scripts = scripts
        self._look = look
        self._digests: dict[str, bytes] = {}
        self._connection: Connection | Shards | None = None
        self._was_up = False
        self._asking: float | None = None  # since when an answer is waited for by the watch
        self._noted: float | None = None  # when the log last said that Redis is away
        self.ails: Callable[[], str | None] = lambda: None
        """What else is wrong, if anything is."""
        self._run_of: Callable[[bytes], str] = lambda key: ""
        self.up = False
        self.why = "it was not connected yet"

    @property
    def state(self) -> str:
        """``connected``, ``connecting`` before the first time, or ``degraded``."""
        if not self.up:
            return "degraded" if self._was_up else "connecting"
        return "connected" if self._trouble() is None else "degraded"

    def _trouble(self) -> str | None:
        """What is wrong with the connection that there is."""
        return "it is slow" if self._is_slow(self._asking) else self.ails()

    def _is_slow(self, since: float | None) -> bool:
        return since is not None and trio.current_time() - since > _SLOW

    # Commands

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that what can wait elsewhere should."""
        return self._connection is not None and self._connection.pending >= ENOUGH

    def script(self, text: str, keys: tuple[bytes, ...], *arguments: Any) -> tuple[Any, ...]:
        """The command that runs one of the scripts. Its first argument is always the id of the run
        of Redis, which is added here."""
        run_id = self._run_of(keys[0])
        return (b"EVALSHA", self._digests[text], len(keys), *keys, run_id, *arguments)

    def ask(self, *command: Any) -> Awaitable[Any]:
        """Send a command now. The answer can be awaited later.

        Raises:
            Broken: if there is no connection.
        """
        if self._connection is None:
            raise Broken(self.why)
        try:
            return _Answer(self._connection.ask(*command), self)
        except ConnectionError as error:
            raise Broken(str(error)) from None

    def tell(self, command: bytes, *channels: bytes) -> None:
        """Subscribe to channels, or leave them. Without a connection, do nothing: the next one
        begins with what is wanted then."""
        if self._connection is not None:
            try:
                self._connection.tell(command, *channels)
            except ConnectionError:
                pass  # it is about to end

    def refused(self, error: RedisError) -> None:
        """Redis has refused a command."""
        self.why = str(error)
        if isinstance(error, NoScriptError) or str(error).startswith(("READONLY", "LOADING")):
            self.give_up(self.why)  # another run of Redis, or not the main one any longer

    def give_up(self, why: str) -> None:
        """End the connection. Another one follows."""
        self.why = why
        if self._connection is not None:
            self._connection.end(why)

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and connect again, until the task is cancelled.

        Parameters:
            task_status: started after the first attempt.

        Raises:
            ConfigurationError: if Redis refuses the first connection.
        """
        failures = 0
        async with plain_nursery() as nursery:
            nursery.start_soon(self._mind)
            while True:
                began = trio.Event()
                nursery.start_soon(_start_after, began, task_status)
                task_status = trio.TASK_STATUS_IGNORED
                try:
                    refusal = await self._connect_once(began)
                finally:
                    worked = self.up
                    self._end()
                if refusal is not None and not self._was_up:
                    raise ConfigurationError(
                        f"the Redis server at {self._address.shown} refuses this application: "
                        f"{refusal}; docs/redis.md says what it must be allowed to do"
                    )
                began.set()
                failures = 0 if worked else min(failures + 1, 10)
                least, most = _PAUSES
                await trio.sleep(min(most, least * 2**failures) * random.uniform(0.5, 1.0))

    async def _connect_once(self, began: trio.Event) -> Exception | None:
        """One connection, to its end. Returns why Redis has refused it, if it has."""
        refusal: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(CONNECT):
                    connection, self._run_of = await connect(
                        self._address, nursery, self._heard, self._owner.rest
                    )
                    await self._introduce(connection)
                self._connection = connection
                self.up = True
                with trio.fail_after(_DEAD):
                    await self._owner.came_up(nursery)
                self._was_up = True
                began.set()
                nursery.start_soon(self._watch)
        except* (AuthenticationError, AuthorizationError, Refused) as group:
            refusal = _first(group)
            self.why = str(refusal)
        except* (RedisError, Broken, OSError, trio.TooSlowError) as group:
            error = _first(group)
            self.why = str(error) or type(error).__name__
        except* Exception as group:
            report(_log, "a bug in Finch: the backplane failed", error=_first(group))
            self.why = "a bug in Finch"
        return refusal

    async def _introduce(self, connection: Connection | Shards) -> None:
        for text in self._scripts:
            digest: Any = await connection.ask(b"SCRIPT", b"LOAD", text)
            self._digests[text] = bytes(digest)

    def _end(self) -> None:
        was_up, self.up = self.up, False
        self._connection = self._asking = None
        if was_up:
            self._owner.went_down()

    def _heard(self, channel: bytes, text: bytes) -> None:
        try:
            self._owner.heard(channel, text)
        except Exception as error:
            report(_log, "a bug in Finch: a message was not handled", error=error)

    async def _watch(self) -> None:
        """Look regularly whether something is missing, and whether Redis still answers."""
        while True:
            await trio.sleep(self._look)
            self._asking = trio.current_time()
            with trio.move_on_after(_DEAD) as scope:
                await self.ask(b"PING")
                await self._owner.look()
            self._asking = None
            if scope.cancelled_caught:
                raise Broken(f"it has not answered for {_DEAD:g} s")

    async def _mind(self) -> None:
        """Say in the log when Redis is away, once a minute, and when it is back."""
        since = trio.current_time()
        while True:
            await trio.sleep(1)
            now = trio.current_time()
            if self.state == "connected":
                if self._noted is not None:
                    _log.info("Redis at %s is back", self._address.shown)
                since, self._noted = now, None
            elif self._noted is None or now - self._noted >= _MINUTE:
                self._noted = now
                _log.warning(
                    "Redis at %s has not worked for %.0f s (%s): some messages reach only the "
                    "clients of this process",
                    self._address.shown,
                    now - since,
                    self._trouble() if self.up else self.why,
                )


class _Answer:
    """An answer that can be awaited, with the errors of this module."""

    __slots__ = ("_line", "_request")

    def __init__(self, request: Awaitable[Any], line: Line) -> None:
        self._request = request
        self._line = line

    def __await__(self) -> Any:
        try:
            return (yield from self._request.__await__())
        except ConnectionError as error:
            raise Broken(str(error)) from None
        except RedisError as error:
            self._line.refused(error)
            raise Refused(str(error)) from None


async def _start_after(began: trio.Event, task_status: trio.TaskStatus[None]) -> None:
    await began.wait()
    task_status.started()


def _first(group: BaseExceptionGroup[Any]) -> Any:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
