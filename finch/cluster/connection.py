"""Connection: the bytes of one connection to Redis, in and out.

All commands that are sent in one turn of the event loop go out in one piece, and all that has come
is handled in one go. coredis would take one command, and one message, in each turn: with the load
of many clients, when a turn takes a millisecond or more, messages would wait for 0.3 seconds. So
only its parser, its errors and its URLs are used.

What has come is handled before more is read. If that takes too long, Redis waits, and in the end
closes the connection (its ``client-output-buffer-limit pubsub``): nothing piles up here.

Errors: the end of the connection fails all answers that have not come, and ``run`` raises it.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import trio
from coredis.constants.resp import DataType
from coredis.exceptions import ConnectionError, InvalidResponse, RedisError, ResponseError
from coredis.parser import NotEnoughData, Parser

from finch.turns import account

READ_SIZE: Final = 64 * 1024
"""Bytes that are read from Redis at a time."""

ENOUGH: Final = 256 * 1024
"""Bytes that wait to be sent, after which what can wait elsewhere does."""

_READ: Final = 1024 * 1024  # bytes that the parser has done with, after which they are forgotten

_GONE: Final = "the connection was lost"
_CONFUSED: Final = "the answers of Redis are out of order"


@dataclass(frozen=True)
class Place:
    """Where Redis is, and how to log in.

    Attributes:
        host, port: for TCP.
        path: of a unix socket; None for TCP.
        tls: for TLS.
        user, password: for AUTH; None if there is no password.
        db: the number of the database.
        name: what Redis calls the connection; None for no name.
    """

    host: str = ""
    port: int = 0
    path: str | None = None
    tls: ssl.SSLContext | None = None
    user: str | None = None
    password: str | None = None
    db: int = 0
    name: str | None = None

    async def open(self) -> trio.abc.Stream:
        """A connection to it.

        Raises:
            ConnectionError: if nobody accepts connections there, or the certificate is not trusted.
        """
        try:
            if self.path is not None:
                return await trio.open_unix_socket(self.path)
            stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError as error:
            raise ConnectionError(f"nobody accepts connections there: {error}") from None
        if self.tls is None:
            return stream
        secured = trio.SSLStream(stream, self.tls, server_hostname=self.host, https_compatible=True)
        try:
            await secured.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(stream)
            if isinstance(error, trio.BrokenResourceError):
                why = error.__cause__ or "it is no TLS server"
                raise ConnectionError(f"no TLS with {self.host}: {why}") from None
            raise
        return secured


class Refused(Exception):
    """Redis has refused a command. The message is its own."""


class Answer(Awaitable[Any]):
    """The answer of Redis to one command. It can be awaited, now or later.

    Raises:
        RedisError: when it is awaited: Redis has refused the command, or the connection has ended.
    """

    __slots__ = ("_came", "_done", "_value")

    def __init__(self) -> None:
        self._came: trio.Event | None = None  # only if somebody waits
        self._done = False
        self._value: Any = None

    def settle(self, value: Any) -> None:
        """It has come; or it is an error."""
        self._value, self._done = value, True
        if self._came is not None:
            self._came.set()

    def __await__(self) -> Generator[Any, None, Any]:
        if not self._done:
            if self._came is None:
                self._came = trio.Event()
            yield from self._came.wait().__await__()
        if isinstance(self._value, RedisError):
            raise self._value
        return self._value


class _Subscription:
    """Channels that were subscribed to, or left, by one command. Redis confirms each by a push, in
    its place among the answers; or it answers with an error."""

    __slots__ = ("channels", "kind")

    def __init__(self, kind: bytes, channels: Iterable[bytes]) -> None:
        self.kind = kind
        self.channels = set(channels)

    def confirmed(self, kind: bytes, channel: bytes) -> bool:
        """A push has come. Returns whether it confirms a part of this."""
        mine = kind == self.kind and channel in self.channels
        if mine:
            self.channels.remove(channel)
        return mine


class Connection:
    """A connection to Redis, by RESP3.

    Parameters:
        place: where Redis is.
        heard: is called with channel and text of each message that was published.
        rest: is awaited after that: lets other tasks have the turns that ``heard`` has used up.

    Attributes:
        place: the same.

    Example::

        await nursery.start(connection.run)
        await connection.ask(b"PING")
    """

    def __init__(
        self,
        place: Place,
        heard: Callable[[bytes, bytes], None] | None = None,
        rest: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.place = place
        self._heard = heard
        self._rest = rest
        self._answers: deque[Answer | _Subscription] = deque()
        self._outbox = bytearray()
        self._sending = 0  # bytes
        self._written = trio.Event()
        self._scope = trio.CancelScope()
        self._ended: str | None = None

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._outbox) + self._sending

    def ask(self, *command: bytes | str | int) -> Answer:
        """Send a command. The answers come in the order of the commands.

        Raises:
            ConnectionError: if the connection has ended.
        """
        self._send(command)
        answer = Answer()
        self._answers.append(answer)
        return answer

    def tell(self, command: bytes, *channels: bytes) -> None:
        """Subscribe to channels, or leave them. If Redis refuses that, the connection ends.

        Raises:
            ConnectionError: if the connection has ended.
        """
        self._send((command, *channels))
        self._answers.append(_Subscription(command.lower(), channels))

    def _send(self, command: tuple[bytes | str | int, ...]) -> None:
        if self._ended is not None:
            raise ConnectionError(self._ended)
        self._outbox += packed_command(command)
        self._written.set()

    def end(self, why: str) -> None:
        """End the connection. :meth:`run` says why."""
        if self._ended is None:
            self._ended = why
        self._scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, log in, and send and read until the connection ends.

        Parameters:
            task_status: started when commands can be sent.

        Raises:
            ConnectionError: when it has ended, or nobody accepts connections there.
            RedisError: if Redis refuses the login, or a subscription.
            Refused: if there is no such database.
        """
        stream = await self.place.open()
        try:
            async with trio.open_nursery() as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._write, stream)
                nursery.start_soon(self._read, stream)
                await self._log_in()
                task_status.started()
        finally:
            self._ended = self._ended or _GONE
            while self._answers:
                answer = self._answers.popleft()
                if isinstance(answer, Answer):
                    answer.settle(ConnectionError(self._ended))
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
        raise ConnectionError(self._ended)

    async def _log_in(self) -> None:
        place = self.place
        hello: list[bytes | str | int] = [b"HELLO", 3]
        if place.password or place.user:
            hello += [b"AUTH", place.user or "default", place.password or b""]
        if place.name is not None:
            hello += [b"SETNAME", place.name]
        await self.ask(*hello)
        if place.db:
            try:
                await self.ask(b"SELECT", place.db)
            except ResponseError as error:
                raise Refused(f"there is no database {place.db}: {error}") from None

    async def _write(self, stream: trio.abc.Stream) -> None:
        while True:
            await self._written.wait()
            self._written = trio.Event()
            data, self._outbox = self._outbox, bytearray()
            self._sending = len(data)
            try:
                await stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise ConnectionError(_GONE) from None
            self._sending = 0

    async def _read(self, stream: trio.abc.Stream) -> None:
        parser = Parser()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await stream.receive_some(READ_SIZE):
                try:
                    parser.feed(bytes(data))
                    await self._handle(parser)
                    forget_read(parser)
                except (InvalidResponse, ValueError) as error:
                    raise ConnectionError(f"what it says is not RESP: {error}") from None
        raise ConnectionError(_GONE)

    async def _handle(self, parser: Parser) -> None:
        """Handle all that has come."""
        while not isinstance(parsed := parser.parse(), NotEnoughData):
            kind, value = parsed
            if kind != DataType.PUSH:
                self._settle(value)
                continue
            push: Any = value
            if push[0] not in (b"message", b"smessage"):
                self._confirm(push[0], push[1])
            elif self._heard is not None:
                self._heard(push[1], push[2])
                if account.spend(len(push[2])):
                    await trio.lowlevel.checkpoint()
                if self._rest is not None:
                    await self._rest()

    def _settle(self, value: Any) -> None:
        """The answer to a command has come."""
        answer = self._answers.popleft() if self._answers else None
        if isinstance(answer, _Subscription):
            raise value if isinstance(value, RedisError) else ConnectionError(_CONFUSED)
        if answer is not None:
            answer.settle(value)

    def _confirm(self, kind: bytes, channel: bytes) -> None:
        """Redis has confirmed a subscription, or that a channel was left; or it says that it has
        ended one, because the channel's slot is on another node of its cluster now."""
        first = self._answers[0] if self._answers else None
        if isinstance(first, _Subscription) and first.confirmed(kind, channel):
            if not first.channels:
                self._answers.popleft()
        elif kind == b"sunsubscribe":
            raise ConnectionError("a slot of the cluster has moved")


def forget_read(parser: Parser) -> None:
    """Let the parser forget what it has done with.

    It does so itself whenever all that has come ends with the end of a message. While more comes
    than one reading takes, that does not happen, and it would keep everything.
    """
    if parser.bytes_read < _READ:
        return
    buffer = parser.localbuffer
    buffer.seek(parser.bytes_read)
    rest = buffer.read()
    buffer.seek(0)
    buffer.write(rest)
    buffer.truncate()
    parser.bytes_read, parser.bytes_written = 0, len(rest)


def packed_command(words: tuple[bytes | str | int, ...]) -> bytes:
    """A command as Redis reads it: an array of bulk strings.

    Source: the Redis serialization protocol specification, "Sending commands to a Redis server".
    """
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        text = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(text), text))
    return b"".join(parts)
