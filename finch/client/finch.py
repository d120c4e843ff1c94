"""Finch: the handle of a client, and ``connect``, which makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, Final, TypeVar, Unpack, overload

from finch.blocks import Block
from finch.client.address import Address, read_url
from finch.client.answers import Answerer
from finch.client.core import Core, check_path
from finch.client.events import State
from finch.client.keeper import Keeper, refusal
from finch.client.mailbox import Events, Messages
from finch.client.options import Headers, Limits, OpenStream, Options, Token, check_names
from finch.client.room import Room
from finch.client.stream import Stream
from finch.cluster.history import Position
from finch.tasks import plain_nursery

A = TypeVar("A", bound=Answerer)
T = TypeVar("T")

_EVENTS: Final = 256  # that wait for one iterator; a few a minute are many


class Finch:
    """A client of a server of Finch. :func:`connect` makes it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def state(self) -> State:
        """``connecting``, ``open``, ``waiting`` or ``closed``."""
        return self._core.state

    async def send(self, path: str, data: Any = None, *, volatile: bool = False) -> bool:
        """Send a message. While there is no connection, it waits for one: see ``queue_size`` and
        ``queue_age``. Waits if much is to be written; a task that is cancelled then has sent
        nothing.

        Parameters:
            path: the channel.
            data: anything that msgspec encodes as JSON.
            volatile: whether it is worth nothing later, such as a position on a screen. Then it
                does not wait for a connection.

        Returns:
            Whether it was sent, or waits. False if it is volatile and there is no connection, or if
            the queue is full. That it was sent does not say that the server has got it: use
            :meth:`call` for that.

        Raises:
            ConnectionClosed: if the connection is closed for good.
            TypeError: if JSON cannot hold ``data``.

        Example::

            await finch.send("time", {})
        """
        return await self._core.send(path, data, None, volatile)

    @overload
    async def call(
        self, path: str, data: Any = None, *, as_type: type[T], retry: bool = False
    ) -> T: ...
    @overload
    async def call(
        self, path: str, data: Any = None, *, as_type: Any = Any, retry: bool = False
    ) -> Any: ...
    async def call(
        self, path: str, data: Any = None, *, as_type: Any = Any, retry: bool = False
    ) -> Any:
        """Send a message, and wait for its answer. Bound the wait with a cancel scope: a call that
        is cancelled is cancelled on the server too.

        Parameters:
            path: the channel.
            data: anything that msgspec encodes as JSON.
            as_type: the type that the answer is converted to.
            retry: whether the call is sent again if the connection is cut meanwhile. The server
                runs the handler once, and remembers the answer for 60 s. A streamed answer cannot
                be asked for in this way.

        Returns:
            The data of the answer. If the answer is streamed: the list of its parts, or None if
            there are none.

        Raises:
            CallFailed: if the answer is an error, or does not fit ``as_type``.
            NotSent: if it was not sent: it has waited for a connection for too long, or too much
                waits.
            ConnectionLost: if the connection is cut before the answer comes, or does not come in
                time.
            ConnectionClosed: if the connection is closed for good.
            TypeError: if JSON cannot hold ``data``.

        Example::

            with trio.fail_after(5):
                total = await finch.call("sum", [1, 2], as_type=int)
        """
        return await self._core.call(path, data, None, as_type, retry)

    @overload
    def stream(self, path: str, data: Any = None, *, as_type: type[T]) -> Stream[T]: ...
    @overload
    def stream(self, path: str, data: Any = None, *, as_type: Any = Any) -> Stream[Any]: ...
    def stream(self, path: str, data: Any = None, *, as_type: Any = Any) -> Stream[Any]:
        """A streamed answer, part by part: see :class:`Stream`.

        Parameters:
            path: the channel.
            data: anything that msgspec encodes as JSON.
            as_type: the type that each part is converted to.
        """
        return Stream(self._core, path, data, None, as_type)

    def join(
        self,
        name: str,
        *,
        last: int = 0,
        meta: Any = None,
        since: str | Position | None = None,
    ) -> Room:
        """A room, to be used with ``async with``: see :class:`Room`.

        Parameters:
            name: the name of the room.
            last: how many of the newest messages come first, if those that were missed are not
                known, or no longer kept.
            meta: what others see in presence.
            since: the position up to which the room is known already.
        """
        return Room(self._core, name, last, meta, since)

    def messages(self, *paths: str) -> Messages:
        """An iterator over messages with these paths, in the order in which they came; over all
        that the application sends, and ``finch.gap``, if no path is given.

        Messages of a room that the client has joined come here only if no iterator of the
        :class:`Room` wants them. Messages that came before the first iterator over their path are
        in it: the newest 256, or ``buffer``. Errors that answer no call have the path ``error``.

        Raises, at the end of the iteration:
            ConnectionClosed: if the connection was closed for good, except with 1000.

        Example::

            async for message in finch.messages("output"):
                print(message.data)
        """
        return self._core.messages.open(paths)

    def events(self) -> Events:
        """An iterator over what happens to the connection: :class:`StateChanged`, :class:`Gap` and
        :class:`Dropped`. If it is not read, it keeps the newest 256.

        Example::

            async for event in finch.events():
                if isinstance(event, StateChanged):
                    print(event.state)
        """
        events = Events(_EVENTS, lambda: None)
        if self._core.state is State.CLOSED:
            events.end()
        else:
            self._core.listeners.add(events)
        return events

    @overload
    def answer(self, path: str, answerer: A) -> A: ...
    @overload
    def answer(self, path: str) -> Callable[[A], A]: ...
    def answer(self, path: str, answerer: Any = None) -> Any:
        """Answer the server's calls of a path. Also a decorator.

        Parameters:
            path: the channel.
            answerer: called with the data of each call, in a task of its own, which is cancelled if
                the connection ends. What it returns is the answer. An :class:`finch.HTTPError` that
                it raises is answered with its status and message; any other error is logged, and
                answered with 500. It may run 64 times at once; more calls are answered with 429.

        Example::

            @finch.answer("confirm")
            async def confirm(question):
                return question == "Delete it?"
        """
        check_path(path)
        if answerer is None:
            return lambda function: self.answer(path, function)
        if not callable(answerer):
            raise TypeError(f"answer takes a function, not {answerer!r}; write async def")
        self._core.answers.answerers[path] = answerer
        return answerer

    async def auth(self, data: Any) -> Any:
        """Renew the identity with which the client has connected.

        Parameters:
            data: what the application wants, such as a new token.

        Returns:
            ``{"expires_at": ...}``: the end of the new identity, in seconds since the epoch, or
            None.

        Raises:
            CallFailed: if the application refuses.
        """
        return await self.call("finch.auth", data)

    def __repr__(self) -> str:
        return f"<Finch {self.state}>"


class Connecting(Block[Finch]):
    """A connection to be used with ``async with``. Any other use raises an error that says so."""

    how = "connect with: async with connect(url) as finch:"


def connect(
    url: str,
    *,
    token: Token | None = None,
    ssl_context: SSLContext | None = None,
    headers: Headers = (),
    open_stream: OpenStream | None = None,
    compression: bool = False,
    **limits: Unpack[Limits],
) -> Connecting:
    """Connect to a server of Finch, and stay connected until the end of the block.

    The block begins after the first attempt. If it has failed, the client tries again in the
    background, with growing, varied pauses, as after every cut. Nothing is read from the server
    before the first ``await`` of the block: what is registered before it is registered in time. At
    the end of the block, what was sent before is written, and the connection is closed.

    Parameters:
        url: a ``ws`` or ``wss`` URL of a manager.
        token: called at each attempt, may be ``async``; what it returns is sent as ``?token=``,
            and nothing if it returns None.
        ssl_context: the TLS settings for ``wss``. None trusts what the system trusts.
        headers: further headers of the handshake.
        open_stream: opens the connection instead of TCP: to a unix socket, through a proxy, or in
            memory. For ``wss``, TLS comes on top.
        compression: whether permessage-deflate is offered.
        limits: see :class:`Options`.

    Raises:
        HandshakeFailed: when the block begins, if the server has refused for good.
        ValueError, TypeError: if the URL or an option is wrong.

    Example::

        async with connect("ws://127.0.0.1:8080/ws") as finch:
            print(await finch.call("sum", [1, 2]))
    """
    check_names(limits)
    options = Options(
        token=token,
        ssl_context=ssl_context,
        headers=headers,
        open_stream=open_stream,
        compression=compression,
        **limits,
    )
    return Connecting(_connected(read_url(url), Core(options)))


@asynccontextmanager
async def _connected(address: Address, core: Core) -> AsyncIterator[Finch]:
    keeper = Keeper(address, core)
    async with plain_nursery() as nursery:
        await nursery.start(keeper.run)
        error = refusal(core.conversation.closed)
        if error is not None:
            raise error
        keeper.begin()
        try:
            yield Finch(core)
        finally:
            await keeper.leave()
            nursery.cancel_scope.cancel()
