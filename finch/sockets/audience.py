"""Audiences: whom a message goes to. Everyone, a user and a room have the same verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from finch.cluster.backplane import Channel, Sent
from finch.cluster.history import History
from finch.explain import kind
from finch.sockets.calls import Answers
from finch.sockets.client import SocketClient
from finch.sockets.elsewhere import Elsewhere
from finch.sockets.members import EVERYONE, USER, UserId
from finch.sockets.outgoing import drafted
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
            How many clients of this process it was sent to: an int that has the message's ``seq``,
            if it has one.

        Raises:
            Unavailable: if there is a backplane, it cannot be reached, and the message is not
                volatile. The exception says who may have got it.
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
        """Close the connection of each client; how many they were in this process.

        Parameters:
            code, reason: as :meth:`finch.SocketClient.close`. 4000 to 4499 ask clients to come
                back, 4500 to 4999 to stay away.
            skip: a client that stays.

        Raises:
            Unavailable: if there is a backplane, and it cannot be reached. The connections of this
                process are closed.
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
    ) -> AsyncIterator[tuple[SocketClient | Elsewhere, Any]]:
        """Ask every client, and give the answers as they come: pairs of client and answer.

        A client that leaves or answers with an error is left out. Bound it with a cancel scope:
        a client that never answers is waited for. A client of another process is named by an object
        that has its ``id`` and ``user_id``.

        Raises:
            TypeError: if ``data`` has no JSON form, or ``path`` is not text.
            Unavailable: at the end of the loop, if answers from other processes may be missing.

        Example::

            votes = 0
            with trio.move_on_after(10):
                async for client, yes in room.call("shall we?", path="vote", as_type=bool):
                    votes += yes
        """
        draft = drafted(data, path, 200)  # raises here what would fail for each client
        return Answers(self.manager, self.channel, path, draft.data, as_type)


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


def _id_of(skip: object) -> str | None:
    if skip is None:
        return None
    if not isinstance(skip, SocketClient):
        raise TypeError(f"skip is the client that is left out, not {kind(skip)}")
    return skip.id


def _read(seq: int, envelope: Envelope) -> Kept:
    said = msgspec.json.decode(envelope.text("", b""))
    return Kept(seq, said["path"], said["status"], said["timestamp"], said["data"])
