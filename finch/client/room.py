"""Room: the handle of a room that a client is in."""

from __future__ import annotations

from typing import Any, Self, TypeVar, overload

import trio

from finch.client.calls import another
from finch.client.core import Core, RoomState
from finch.client.mailbox import Messages
from finch.client.membership import Person
from finch.client.stream import Stream
from finch.cluster.history import Position, read_position
from finch.errors import FinchError

T = TypeVar("T")


class Room:
    """A room, to be used with ``async with``: the block begins when the client is in the room, and
    its end leaves the room. After a cut, the client joins again by itself, with its position.

    Two blocks may be in the same room at the same time: the last one to end leaves it. The options
    of the first one count.

    Attributes:
        name: the name of the room.

    Raises, when the block begins:
        CallFailed: if the server refuses.
        ConnectionClosed: if the connection is closed for good.

    Example::

        async with finch.join("chat/lobby", last=50) as lobby:
            async for message in lobby.messages("said"):
                print(message.data)
    """

    def __init__(
        self, core: Core, name: str, last: int, meta: Any, since: str | Position | None
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a room's name is text, not {name!r}; write join('chat/lobby')")
        if type(last) is not int or last < 0:
            raise ValueError(f"last is a number of messages, 0 or more, not {last!r}")
        self.name = name
        self._core = core
        self._last = last
        self._meta = meta
        self._since = read_position(str(since)) if since is not None else None
        self._state: RoomState | None = None

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        room_state = self._state = self._core.rooms.get(self.name) or self._new_state()
        room_state.blocks += 1
        try:
            with self._core.awaiting():
                await room_state.answered.wait()
            if room_state.error is not None:
                raise another(room_state.error)
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _new_state(self) -> RoomState:
        core = self._core
        now = trio.current_time()
        core.conversation.join(self.name, self._last, self._meta, self._since, now)
        core.wake()
        room_state = RoomState(core.conversation.rooms[self.name], core.new_mailboxes())
        core.rooms[self.name] = room_state
        return room_state

    def _leave(self) -> None:
        room_state = self._here
        self._state = None
        room_state.blocks -= 1
        if room_state.blocks == 0 and self._core.rooms.get(self.name) is room_state:
            del self._core.rooms[self.name]
            room_state.messages.end(lambda: None)
            self._core.conversation.leave(self.name, trio.current_time())
            self._core.wake()

    @property
    def _here(self) -> RoomState:
        if self._state is None:
            raise FinchError(
                f"the room {self.name!r} is used outside its block; write "
                f"async with finch.join({self.name!r}) as room: and use it in the block"
            )
        return self._state

    async def send(self, path: str, data: Any = None, *, volatile: bool = False) -> bool:
        """Send a message to the room's handler of a path. As :meth:`Finch.send`."""
        self._check()
        return await self._core.send(path, data, self.name, volatile)

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
        """Send a message to the room's handler of a path, and wait for its answer. As
        :meth:`Finch.call`."""
        self._check()
        return await self._core.call(path, data, self.name, as_type, retry)

    @overload
    def stream(self, path: str, data: Any = None, *, as_type: type[T]) -> Stream[T]: ...
    @overload
    def stream(self, path: str, data: Any = None, *, as_type: Any = Any) -> Stream[Any]: ...
    def stream(self, path: str, data: Any = None, *, as_type: Any = Any) -> Stream[Any]:
        """A streamed answer of the room's handler of a path. As :meth:`Finch.stream`."""
        self._check()
        return Stream(self._core, path, data, self.name, as_type)

    def messages(self, *paths: str) -> Messages:
        """An iterator over the messages of the room with these paths, in the order in which they
        came; over all that the application sends, and ``finch.gap``, if no path is given.

        Messages that came before the first iterator over their path are in it: those that the join
        brought, and 256, or ``buffer``, more. ``finch.gap`` stands where messages may be missing.
        ``finch.presence`` comes only if it is named.

        Raises, at the end of the iteration:
            CallFailed: if the client came back and the server has refused to let it in again.
            ConnectionClosed: if the connection was closed for good, except with 1000.

        Example::

            async for message in lobby.messages("said", "finch.gap"):
                ...
        """
        return self._here.messages.open(paths)

    @property
    def presence(self) -> list[Person]:
        """Who is here, if the room has presence. While there is no connection, who was."""
        return list(self._here.membership.people.values())

    @property
    def count(self) -> int:
        """How many are here, if the room has presence or counts; else 0."""
        return self._here.membership.count

    @property
    def recovered(self) -> bool:
        """Whether nothing was missed before the last answer to the client's join."""
        return self._here.recovered

    @property
    def missed(self) -> int:
        """How many messages have followed the last answer to the client's join at once."""
        return self._here.missed

    @property
    def position(self) -> Position | None:
        """Up to where the client has received the room; None if it has no history. Messages that
        wait in iterators count. Its text may be kept, and be given as ``since`` later. Then keep
        ``Position(room.position.epoch, message.seq)`` of the last message that you have handled."""
        return self._here.membership.position

    def _check(self) -> None:
        error = self._here.error
        if error is not None:
            raise another(error)

    def __repr__(self) -> str:
        return f"Room({self.name!r})"
