"""Membership: how a client comes into rooms and leaves them, and the messages that ask for it.

The order of a join is what makes it lossless: first the answer, then every missed message, and only
then is the client among those who hear the room. Nothing is awaited between the last look at what
was published meanwhile and that moment.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.calls import attempt
from finch.cluster.backplane import Channel
from finch.cluster.history import Position
from finch.errors import ClientGone, HTTPError
from finch.failures import failure_of, report
from finch.http.request import Request
from finch.sockets.admission import ask_on_join, cannot_be_shown
from finch.sockets.asked import (
    LONGEST_NAME,
    has_heard_all,
    last_of,
    meta_of,
    no_member,
    positions,
    since_of,
)
from finch.sockets.event import RESERVED
from finch.sockets.identity import STAY_AWAY, AnotherUser
from finch.sockets.inbox import Inbox
from finch.sockets.members import UserId
from finch.sockets.outgoing import epoch_ms, joined_envelope
from finch.turns import account
from finch.wire.envelope import Envelope
from finch.wire.message import Message

if TYPE_CHECKING:
    from finch.sockets.audience import Audience
    from finch.sockets.manager import SocketManager
    from finch.sockets.room import Room

_log = logging.getLogger("finch.sockets")


class Member(Inbox):
    """The part of a client that is in rooms. A base class of the client, as :class:`Inbox` is."""

    __slots__ = ("_rooms", "identity", "manager")

    manager: SocketManager
    identity: Any
    user_id: UserId | None
    request: Request
    # not a dict, which would cost an idle client 150 bytes more; it is in few rooms
    _rooms: tuple[Room, ...]

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms that this client is in, by name.

        Example::

            if "chat/lobby" in socket.rooms: ...
        """
        return {room.name: room for room in self._rooms}

    async def join(self, name: str, meta: Any = None) -> Room:
        """Let this client join a room: any room, declared or not. Its ``on_join`` is not asked.

        Parameters:
            name: the room's name.
            meta: what others see of the client, if the room has presence.

        Returns:
            The room.

        Raises:
            TypeError: if ``name`` is not text, or ``meta`` has no JSON form.
            ValueError: if the name is empty, too long, or begins with ``finch.``.
            ClientGone: if the client has left.
            RuntimeError: if it is in ``Limits.max_rooms`` rooms.
        """
        room = self.manager.room(name)
        if not name or len(name) > LONGEST_NAME:
            raise ValueError(f"a room's name has 1 to {LONGEST_NAME} characters, not {len(name)}")
        if name.startswith(RESERVED):
            raise ValueError(f"the name {name!r} is Finch's own; choose another name")
        fault = cannot_be_shown(self.user_id, meta)
        if fault is not None:
            raise TypeError(f"the meta of a member cannot be sent: {fault}")
        if self._outlet.left:
            raise ClientGone(f"{self!r} has left, so it cannot join {name!r}")
        if self._room(name) is not None:
            return room
        if self._has_too_many():
            raise RuntimeError(f"{self!r} is in {self._most_rooms} rooms, which is max_rooms")
        hall = self._admit(room, meta)
        async with self._coming_into(room):
            await self.manager.backplane.hear(room.channel, self.id, room.kept)
            told, caught_up = hall.told, True
            if room.kept is not None:
                missed = await self.manager.backplane.missed(room.channel, room.kept, None, 0)
                hall.let_in[self.id] = missed.position.seq
                caught_up = await self._catch_up(room, None, 0, None, hall.people())
            elif room.declared is not None:
                await self._send_one(joined_envelope(room.label, None, None, hall.people()))
        if caught_up:
            self._enter(room, told)
        if account.spend():
            await trio.lowlevel.checkpoint()
        return room

    async def leave(self, name: str) -> None:
        """Let this client leave a room. Its ``on_leave`` runs. Nothing happens if it is not in it.

        Parameters:
            name: the room's name.
        """
        room = self._exit(name)
        if room is not None:
            await self._said_goodbye_to(room)

    # Arriving: everyone and users are joined at the handshake

    @property
    def _arrives(self) -> bool:
        manager = self.manager
        if manager.history is not None:
            return True
        has_own = manager.user_history is not None or manager.backplane.shared
        return has_own and self.identity is not None

    def recount(self) -> None:
        backplane = self.manager.backplane
        if backplane.shared:
            backplane.counted(Channel("everyone"))
            if self.user_id is not None:
                backplane.counted(Channel("user", self.user_id))

    async def _hear_own(self) -> None:
        if self.user_id is not None and not self._outlet.left:
            channel = Channel("user", self.user_id)
            await self.manager.backplane.hear(channel, self.id, self.manager.user_history)

    async def _arrive(self) -> None:
        if self.manager.history is None and self.manager.user_history is None:
            return
        since = positions(self.request)
        for audience in self.manager.arrivals(self):  # type: ignore[arg-type]
            label = str(audience.label)
            caught_up = await self._catch_up(audience, since.get(label), 0, None, {})
            if caught_up and not self._outlet.left:
                self.manager.members.rooms.add(label, self.id, self)  # type: ignore[arg-type]

    # Coming and going

    @property
    def _most_rooms(self) -> int:
        return self._outlet.host.limits.max_rooms

    def _has_too_many(self) -> bool:
        return len(self._rooms) >= self._most_rooms

    def _room(self, name: object) -> Room | None:
        """The room with this name, if it is in it."""
        for room in self._rooms:
            if room.name == name:
                return room
        return None

    def _admit(self, room: Room, meta: Any) -> Any:
        hall = self.manager.halls.admit(room, self, meta)  # type: ignore[arg-type]
        if self._room(room.name) is None:  # its on_join may have let it in already
            self._rooms += (hall.room,)
        return hall

    def _enter(self, room: Room, told: int) -> None:
        if not self._outlet.left and self._room(room.name) is not None:
            self.manager.halls.enter(room, self, told)  # type: ignore[arg-type]

    @asynccontextmanager
    async def _coming_into(self, room: Room) -> AsyncIterator[None]:
        """If a join fails or is cancelled in here, the client is not in the room. Otherwise it
        would be a member that hears nothing, and could not join again."""
        try:
            yield
        except BaseException:
            # if it has left, its goodbye comes with the others
            if not self._outlet.left and self._exit(room.name) is not None:
                with trio.move_on_after(self._outlet.host.limits.leave_grace, shield=True):
                    await self._said_goodbye_to(room)
            raise

    def _exit(self, name: object) -> Room | None:
        room = self._room(name)
        if room is not None:
            self._rooms = tuple(one for one in self._rooms if one is not room)
            self.manager.halls.exit(room, self)  # type: ignore[arg-type]
        return room

    def _vanish(self) -> None:
        """The peer has left: no room counts it any longer. ``on_leave`` follows, in its turn."""
        for room in self._rooms:
            self.manager.halls.exit(room, self)  # type: ignore[arg-type]
        if self._arrives:
            for audience in self.manager.arrivals(self):  # type: ignore[arg-type]
                self.manager.members.rooms.remove(str(audience.label), self.id)
            if self.user_id is not None:
                self.manager.backplane.leave(Channel("user", self.user_id), self.id)

    async def _leave_all(self) -> None:
        while self._rooms:
            room, *rest = self._rooms
            self._rooms = tuple(rest)
            await self._said_goodbye_to(room)

    async def _said_goodbye_to(self, room: Room) -> None:
        declared = room.declared
        if declared is None or declared.leaves is None:
            return
        wanted = declared.leaves.arguments({"room": room, **room.params})
        _, error = await attempt(partial(declared.leaves.function, self, **wanted))
        if error is not None:
            what = f"on_leave of the room {room.name!r}"
            await self._failed(error, declared.on_error_function, what, None)

    # What clients ask for

    def _handle_in_room(self, message: Message) -> Coroutine[Any, Any, object] | None:
        """A message that is addressed to a room."""
        room = self._room(message.room)
        if room is None:
            return self._send_error(no_member(self.manager.declared, message.room), message)
        handlers = None if room.declared is None else room.declared.event_of(message.path)
        if handlers is None:
            text = f"nothing handles the path {message.path!r} in the room {room.name!r}"
            return self._send_error(HTTPError(404, text), message)
        wanted = handlers.bound.arguments({"room": room, **room.params})
        if handlers.concurrent and self._begin_beside(handlers, message, wanted):
            return None
        return self._run(handlers, message, wanted)

    async def _handle_reserved(self, message: Message) -> None:
        """A message whose path is Finch's own."""
        try:
            await _RESERVED[message.path](self, message)
        except BaseException as raised:
            error = failure_of(raised)  # raises a cancellation again
            if isinstance(error, HTTPError):
                await self._send_error(error, message)
            else:
                await self._failed(error, None, message.path, message)

    async def _asked_to_join(self, message: Message) -> None:
        manager = self.manager
        name = message.room
        if not isinstance(name, str):
            raise HTTPError(400, 'finch.join needs a room, such as "room": "chat/lobby"')
        since, last = since_of(message.fields), last_of(message.fields)
        if len(name) > LONGEST_NAME:
            raise HTTPError(400, f"a room's name has at most {LONGEST_NAME} characters")
        room = manager.room(name)
        declared = room.declared
        if declared is None:
            raise HTTPError(404, f"there is no room {name!r}")
        if self._room(name) is None:
            if self._has_too_many():
                raise HTTPError(429, f"you are in {self._most_rooms} rooms, which is the most")
            meta = meta_of(message)
            if self.identity is not None and self.identity.meta is not None:
                meta = self.identity.meta  # the application knows better than its client
            if declared.joins is not None or declared.admits is not None:
                meta = await ask_on_join(self, room, meta)
            fault = cannot_be_shown(self.user_id, meta)
            if fault is not None:
                text = "the meta or the user id of %r in the room %r cannot be sent: %s"
                report(_log, text, self, name, fault)
                raise HTTPError(500, "Internal Server Error")
            if self._outlet.left:
                # on_join has let it in, so on_leave says goodbye
                await self._said_goodbye_to(room)
                return
            if self._room(name) is None:  # the server may have let it in meanwhile
                await self._come_in(room, since, last, message, meta)
                return
        await self._answer_member(room, since, message)

    async def _come_in(
        self, room: Room, since: Position | None, last: int, message: Message, meta: Any
    ) -> None:
        hall = self._admit(room, meta)
        async with self._coming_into(room):
            await self.manager.backplane.hear(room.channel, self.id, room.kept)
            people, told, caught_up = hall.people(), hall.told, True
            if room.kept is None:
                await self._send_one(joined_envelope(room.label, message, None, people))
            else:
                caught_up = await self._catch_up(room, since, last, message, people)
        if caught_up:
            self._enter(room, told)

    async def _answer_member(self, room: Room, since: Position | None, message: Message) -> None:
        """Answer a join of a room that the client is in already: it goes on hearing the room."""
        # First wait, then look: no message may come between the position and the answer.
        if self._outlet.transport.pending:
            await self._outlet.wait_writable(0)
        if self._outlet.left:
            return
        if self._room(room.name) is None:  # the server has put it out meanwhile
            raise no_member(self.manager.declared, room.name)
        hall = self.manager.halls.get(room.name)
        people = {} if hall is None else hall.people()
        begins = None if hall is None else hall.let_in.get(self.id)
        missed = None
        if room.kept is not None:
            missed = await self.manager.backplane.missed(room.channel, room.kept, None, 0)
            missed = missed._replace(recovered=has_heard_all(since, begins, missed.position))
        self._send_now(joined_envelope(room.label, message, missed, people))

    async def _catch_up(
        self,
        audience: Audience,
        since: Position | None,
        last: int,
        message: Message | None,
        people: dict[str, Any],
    ) -> bool:
        """Answer a join, and send what was missed; False if the client left or fell behind."""
        kept = audience.kept
        assert kept is not None
        backplane, channel = self.manager.backplane, audience.channel
        missed = await backplane.missed(channel, kept, since, last)
        await self._send_one(joined_envelope(audience.label, message, missed, people))
        while True:
            for _, envelope in missed.messages:
                if not await self._send_one(envelope):
                    return False
                if account.spend(envelope.size):
                    await trio.lowlevel.checkpoint()
            # what was published while those were sent
            position = missed.position
            missed = await backplane.missed(channel, kept, position, 0)
            if not missed.recovered:
                # so slow that its messages were thrown away meanwhile; it comes back for them
                self._outlet.close(1013, "too slow: messages are no longer kept")
                return False
            if not missed.messages:
                return True

    async def _asked_to_leave(self, message: Message) -> None:
        room = self._exit(message.room)
        if room is None:
            raise no_member(self.manager.declared, message.room)
        self._must_be_done(message)  # nobody cancels an on_leave, or half a leave
        await self._said_goodbye_to(room)
        more = {"room": room.name}
        await self._send_one(Envelope(None, "finch.leave", 200, epoch_ms(), message.id, more))

    async def _asked_to_cancel(self, message: Message) -> None:
        """Too late: by its turn in the inbox, everything before it is handled."""

    async def _asked_for_a_sign(self, message: Message) -> None:
        if message.id is not None:
            await self._send_one(Envelope(None, "finch.ping", 200, epoch_ms(), message.id))

    async def _asked_to_renew(self, message: Message) -> None:
        try:
            identity = await self.manager.identities.renew(self, message.data)  # type: ignore[arg-type]
        except AnotherUser as error:
            await self._send_error(error, message)  # after a Close nothing can be sent
            self._outlet.close(STAY_AWAY, error.message)
            return
        data = {"expires_at": identity.expires_at}
        if message.id is not None:
            await self._send_one(Envelope(data, "finch.auth", 200, epoch_ms(), message.id))


_RESERVED: Final[dict[str, Callable[[Member, Message], Coroutine[Any, Any, None]]]] = {
    "finch.join": Member._asked_to_join,
    "finch.leave": Member._asked_to_leave,
    "finch.cancel": Member._asked_to_cancel,
    "finch.auth": Member._asked_to_renew,
    "finch.ping": Member._asked_for_a_sign,
}
