"""Calls of many clients: each is asked in a task of its own, and the answers come as they come."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import trio

from finch.cluster.backplane import Asking, Channel
from finch.errors import CallFailed, ClientGone, Unavailable
from finch.sockets.client import SocketClient
from finch.sockets.elsewhere import Elsewhere
from finch.sockets.members import UserId
from finch.sockets.outgoing import read_answer
from finch.wire.message import Reply

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager


class Answered(NamedTuple):
    """What a client has answered.

    Attributes:
        client: the client: of this process, or of another one.
        reply: the answer; None if the client has left.
    """

    client: SocketClient | Elsewhere
    reply: Reply | None


def ask_client(client: SocketClient, path: str, data: bytes, asking: Asking) -> trio.CancelScope:
    """Ask a client in a task of its server, so that no nursery is open in the caller.

    Returns:
        What cancels the task.
    """
    scope = trio.CancelScope()

    async def ask() -> None:
        with scope:
            status, said = 0, b"null"
            try:
                reply = await client.ask(path, data)
                status, said = reply.status, bytes(reply.data)
            except ClientGone:
                pass
            asking.answer(client.id, client.user_id, status, said)

    client.host.spawn(ask)
    return scope


class Asked(Asking):
    """The clients that hear a channel, in all processes, while they are asked.

    When nobody holds this object any longer, :meth:`give_up` should be called.
    """

    def __init__(self, manager: SocketManager, channel: Channel, path: str, data: bytes) -> None:
        self._manager = manager
        self._error: str | None = None
        send, self._answers = trio.open_memory_channel[Answered](math.inf)
        self._send = send
        self._here = {client.id: client for client in manager.delivery.hearing(channel)}
        self._left = set(self._here)
        self._scopes = [ask_client(one, path, data, self) for one in self._here.values()]
        self._elsewhere = True  # whether answers of other processes may come
        self._cancel = manager.backplane.ask(channel, path, data, self)
        if self._cancel is None:
            self.end(None)

    def answer(self, client: str, user: UserId | None, status: int, data: bytes) -> None:
        """A client has answered, or has left."""
        here = self._here.get(client)
        self._left.discard(client)
        reply = Reply("", "", status, msgspec.Raw(data)) if status else None
        who = Elsewhere(self._manager, client, user) if here is None else here
        try:
            self._send.send_nowait(Answered(who, reply))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # nobody waits any longer
        self._end_if_over()

    def end(self, error: str | None) -> None:
        """No more answers come from other processes."""
        self._error = error
        self._elsewhere = False
        self._end_if_over()

    def _end_if_over(self) -> None:
        if not self._left and not self._elsewhere:
            self._send.close()

    async def next(self) -> Answered:
        """The next answer.

        Raises:
            StopAsyncIteration: if all have answered.
            Unavailable: if answers of other processes may be missing.
        """
        try:
            return await self._answers.receive()
        except trio.EndOfChannel:
            if self._error is not None:
                raise Unavailable(self._error, "answers may be missing") from None
            raise StopAsyncIteration from None

    def give_up(self) -> None:
        """Nobody waits for the answers any longer."""
        self._answers.close()
        for scope in self._scopes:
            scope.cancel()
        if self._cancel is not None and self._elsewhere:
            self._cancel()


class Answers(AsyncIterator[tuple[SocketClient | Elsewhere, Any]]):
    """The answers to a call of several clients, as they come: pairs of client and answer.

    Not an async generator: if a loop over one is left early, trio warns that it was not closed.
    When nobody holds this object any longer, nobody is waited for.
    """

    def __init__(
        self, manager: SocketManager, channel: Channel, path: str, data: bytes, as_type: Any
    ) -> None:
        self._asked = Asked(manager, channel, path, data)
        self._read: Callable[[Reply], Any] = lambda reply: read_answer(
            reply, as_type, manager.dec_hook
        )

    async def __anext__(self) -> tuple[SocketClient | Elsewhere, Any]:
        while True:
            client, reply = await self._asked.next()
            if reply is not None:
                try:
                    return client, self._read(reply)
                except CallFailed:
                    pass

    def __del__(self) -> None:
        self._asked.give_up()


async def call_client(manager: SocketManager, id: str, path: str, data: bytes, as_type: Any) -> Any:
    """Ask the client of this id, in whichever process it is.

    Raises:
        ClientGone: if there is no such client, or it leaves before it answers.
        CallFailed: if it answers with an error, or with data of another type.
        Unavailable: if its process cannot be reached.
    """
    asked = Asked(manager, Channel("client", id), path, data)
    try:
        _, reply = await asked.next()
    except StopAsyncIteration:
        reply = None
    finally:
        asked.give_up()
    if reply is None:
        raise ClientGone(f"the client {id} has left")
    return read_answer(reply, as_type, manager.dec_hook)
