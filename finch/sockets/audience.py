"""Audiences: whom a message goes to. Everyone, a user and a room have the same verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from finch.cluster.backplane import Channel, Sent
from finch.cluster.history import History
from finch.errors import CallFailed, ClientGone
from finch.explain import kind
from finch.sockets.client import SocketClient
from finch.sockets.members import EVERYONE, USER, UserId
from finch.sockets.outgoing import drafted, new_envelope
from finch.wire.envelope import Envelope
from finch.wire.websocket import check_close

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager


class Kept(msgspec.Struct, frozen=True):
    """A message that is kept in a history.

    Attributes:
        seq: its number within its audience, from 1.
        path, status, timestamp, data: as they were sent.
    """

    seq: int
    path: str
    status: int
    timestamp: int
    data: Any


class Audience(ABC):
    """Those who hear a message.

    Attributes:
        manager: the manager whose clients they are.
    """

    __slots__ = ("manager",)

    def __init__(self, manager: SocketManager) -> None:
        self.manager = manager

    @property
    @abstractmethod
    def channel(self) -> Channel:
        """Its name for the backplane."""

    @property
    def kept(self) -> History | None:
        """Which of its messages are kept; None for none."""
        return None

    @property
    def label(self) -> str | None:
        """The ``room`` that its messages carry; None for none."""
        return None

    async def send(
        self,
        data: Any,
        path: str = "",
        status: int = 200,
        *,
        skip: SocketClient | None = None,
        volatile: bool = False,
        key: Any = None,
    ) -> Sent:
        """Send a message to all of them. It is encoded once, and waits for nobody.

        Parameters:
            data: anything that msgspec encodes as JSON.
            path: the channel on the clients' side.
            status: a status as in HTTP.
            skip: a client that does not get it.
            volatile: whether only the newest matters. A client that is behind gets only the newest
                message of each path and key. A message that is not volatile is numbered and kept,
                if this audience has a history; a client that is too slow for it is closed with
                1013, and comes back for what it has missed.
            key: anything hashable, such as a player's id: see ``volatile``.

        Returns:
            How many clients it was sent to: an int that has the message's ``seq``, if it has one.

        Raises:
            TypeError: if ``data`` has no JSON form, ``path`` is not text, ``status`` is not an int,
                ``skip`` is not a client, or ``key`` cannot be hashed.

        Example::

            await manager.room("game/7").send([x, y], path="moved", volatile=True, key=player)
        """
        draft = drafted(
            data, path, status, self.label, volatile=volatile, key=key, skip=_id_of(skip)
        )
        sent = await self.manager.backplane.publish(self.channel, draft, self.kept)
        await self.manager.delivery.rest()
        return sent

    @property
    def count(self) -> int:
        """How many clients hear it. With a backplane, those of all processes are counted if a
        client of this process hears it, and for everyone; otherwise those of this process: see
        :meth:`count_everywhere`."""
        return self.manager.backplane.count(self.channel)

    async def count_everywhere(self) -> int:
        """How many clients hear it, in all processes, also if none of this process does.

        Raises:
            Unavailable: if there is a backplane, and it cannot be reached.
        """
        return await self.manager.backplane.count_everywhere(self.channel)

    def __iter__(self) -> Iterator[SocketClient]:
        """The clients of this process that hear it now."""
        return iter(self.manager.delivery.hearing(self.channel))

    async def close(
        self, code: int = 1000, reason: str = "", *, skip: SocketClient | None = None
    ) -> int:
        """Close the connection of each client; how many they were.

        Parameters:
            code, reason: as :meth:`finch.SocketClient.close`. 4000 to 4499 ask clients to come
                back, 4500 to 4999 to stay away.
            skip: a client that stays.
        """
        check_close(code, reason)
        skipped = _id_of(skip)
        return await self.manager.backplane.close(self.channel, code, reason, skipped)

    async def history(self, last: int = 50) -> list[Kept]:
        """The last messages that are kept, in order; none without a history.

        Parameters:
            last: how many at the most.
        """
        if isinstance(last, bool) or not isinstance(last, int) or last < 0:
            raise ValueError(f"last is how many messages, not {last!r}; write history(last=50)")
        if self.kept is None:
            return []
        missed = await self.manager.backplane.missed(self.channel, self.kept, None, last)
        return [_read(seq, envelope) for seq, envelope in missed.messages]

    def call(
        self, data: Any, path: str = "", *, as_type: Any = Any
    ) -> AsyncIterator[tuple[SocketClient, Any]]:
        """Ask every client, and give the answers as they come: pairs of client and answer.

        A client that leaves or answers with an error is left out. Bound it with a cancel scope:
        a client that never answers is waited for.

        Raises:
            TypeError: if ``data`` has no JSON form, or ``path`` is not text.

        Example::

            votes = 0
            with trio.move_on_after(10):
                async for client, yes in room.call("shall we?", path="vote", as_type=bool):
                    votes += yes
        """
        new_envelope(data, path, 200)  # raises here what would fail for each client
        return Answers(list(self), data, path, as_type)


class Everyone(Audience):
    """All clients of a manager."""

    __slots__ = ()

    @property
    def channel(self) -> Channel:
        return Channel("everyone")

    @property
    def kept(self) -> History | None:
        return self.manager.history

    @property
    def label(self) -> str | None:
        return None if self.kept is None else EVERYONE

    def __repr__(self) -> str:
        return f"<Everyone: {self.count} clients>"


class User(Audience):
    """All clients of one user, on every device.

    Attributes:
        id: the user's id.
    """

    __slots__ = ("id",)

    def __init__(self, manager: SocketManager, id: UserId) -> None:
        super().__init__(manager)
        self.id = id

    @property
    def channel(self) -> Channel:
        return Channel("user", self.id)

    @property
    def kept(self) -> History | None:
        return self.manager.user_history

    @property
    def label(self) -> str | None:
        return None if self.kept is None else USER

    def __repr__(self) -> str:
        return f"<User {self.id!r}: {self.count} clients>"


class Answers(AsyncIterator[tuple[SocketClient, Any]]):
    """The answers to a call of several clients, as they come: pairs of client and answer.

    Not an async generator: if a loop over one is left early, trio warns that it was not closed.
    When nobody holds this object any longer, nobody is waited for.
    """

    def __init__(self, clients: list[SocketClient], data: Any, path: str, as_type: Any) -> None:
        # Every client is asked in a task of the server, so that no nursery is open in the loop.
        send, self._answers = trio.open_memory_channel[tuple[SocketClient, Any]](len(clients) or 1)
        self._scopes: list[trio.CancelScope] = []
        with send:
            for client in clients:
                scope = trio.CancelScope()
                self._scopes.append(scope)
                client.host.spawn(_Asked(client, data, path, as_type, send.clone(), scope))

    async def __anext__(self) -> tuple[SocketClient, Any]:
        try:
            return await self._answers.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def __del__(self) -> None:
        self._answers.close()
        for scope in self._scopes:
            scope.cancel()


class _Asked:
    """One client that is asked, as a task."""

    def __init__(
        self,
        client: SocketClient,
        data: Any,
        path: str,
        as_type: Any,
        answers: trio.MemorySendChannel[tuple[SocketClient, Any]],
        scope: trio.CancelScope,
    ) -> None:
        self._client = client
        self._call = (data, path, as_type)
        self._answers = answers
        self._scope = scope

    async def __call__(self) -> None:
        data, path, as_type = self._call
        with self._scope, self._answers:
            try:
                answer = await self._client.call(data, path, as_type=as_type)
                self._answers.send_nowait((self._client, answer))
            except (ClientGone, CallFailed, trio.BrokenResourceError):
                pass


def _id_of(skip: object) -> str | None:
    if skip is None:
        return None
    if not isinstance(skip, SocketClient):
        raise TypeError(f"skip is the client that is left out, not {kind(skip)}")
    return skip.id


def _read(seq: int, envelope: Envelope) -> Kept:
    said = msgspec.json.decode(envelope.text("", b""))
    return Kept(seq, said["path"], said["status"], said["timestamp"], said["data"])
