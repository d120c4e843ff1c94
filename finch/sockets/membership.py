"""Membership: how a client comes into rooms and leaves them, and the messages that ask for it.

The order of a join is what makes it lossless: first the answer, then every missed message, and only
then is the client among those who hear the room. Nothing is awaited between the last look at what
was published meanwhile and that moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.calls import attempt
from finch.cluster.backplane import Missed
from finch.cluster.history import Position
from finch.encoding import encode
from finch.errors import ClientGone, HTTPError
from finch.explain import shown
from finch.failures import failure_of, report
from finch.http.request import Request
from finch.sockets.asked import (
    LONGEST_NAME,
    last_of,
    meta_of,
    no_member,
    positions,
    since_of,
    text_of,
)
from finch.sockets.identity import STAY_AWAY, AnotherUser
from finch.sockets.inbox import Inbox
from finch.sockets.outgoing import epoch_ms, means_refusal
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
    request: Request
    _rooms: dict[str, Room] | None

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms that this client is in, by name.

        Example::

            if "chat/lobby" in socket.rooms: ...
        """
        return {} if self._rooms is None else dict(self._rooms)

    async def join(self, name: str, meta: Any = None) -> Room:
        """Let this client join a room: any room, declared or not. Its ``on_join`` is not asked.

        Parameters:
            name: the room's name.
            meta: what others see of the client, if the room has presence.

        Returns:
            The room.

        Raises:
            TypeError: if ``name`` is not text, or ``meta`` has no JSON form.
            ValueError: if the name is empty or too long.
            ClientGone: if the client has left.
            RuntimeError: if it is in ``Limits.max_rooms`` rooms.
        """
        room = self.manager.room(name)
        if not name or len(name) > LONGEST_NAME:
            raise ValueError(f"a room's name has 1 to {LONGEST_NAME} characters, not {len(name)}")
        if meta is not None:
            try:
                encode(meta)
            except Exception as error:
                raise TypeError(f"the meta of a member cannot be sent: {error}") from None
        if self._outlet.left:
            raise ClientGone(f"{self!r} has left, so it cannot join {name!r}")
        if name in self.rooms:
            return room
        if self._has_too_many():
            raise RuntimeError(f"{self!r} is in {self._most_rooms} rooms, which is max_rooms")
        hall = self._admit(room, meta)
        told, caught_up = hall.told, True
        if room.kept is not None:
            caught_up = await self._catch_up(room, None, 0, None, hall.people())
        elif room.declared is not None:
            await self._tell_joined(room, None, None, hall.people())
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
        return manager.history is not None or (
            manager.user_history is not None and self.identity is not None
        )

    async def _arrive(self) -> None:
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
        return self._rooms is not None and len(self._rooms) >= self._most_rooms

    def _admit(self, room: Room, meta: Any) -> Any:
        if self._rooms is None:
            self._rooms = {}
        self._rooms[room.name] = room
        return self.manager.halls.admit(room, self, meta)  # type: ignore[arg-type]

    def _enter(self, room: Room, told: int) -> None:
        if not self._outlet.left and self._rooms is not None and room.name in self._rooms:
            self.manager.halls.enter(room, self, told)  # type: ignore[arg-type]

    def _exit(self, name: str) -> Room | None:
        room = None if self._rooms is None else self._rooms.pop(name, None)
        if room is not None:
            self.manager.halls.exit(room, self)  # type: ignore[arg-type]
        return room

    def _vanish(self) -> None:
        """The peer has left: no room counts it any longer. ``on_leave`` follows, in its turn."""
        for room in (self._rooms or {}).values():
            self.manager.halls.exit(room, self)  # type: ignore[arg-type]
        if self._arrives:
            for audience in self.manager.arrivals(self):  # type: ignore[arg-type]
                self.manager.members.rooms.remove(str(audience.label), self.id)

    async def _leave_all(self) -> None:
        while self._rooms:
            room = self._rooms.pop(next(iter(self._rooms)))
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
        room = None if self._rooms is None else self._rooms.get(text_of(message.room))
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
        answer = _RESERVED.get(message.path)
        try:
            if answer is None:
                raise HTTPError(404, f"{message.path} is unknown here")
            await answer(self, message)
        except BaseException as raised:
            try:
                error = failure_of(raised)
            except trio.Cancelled:
                self._say_cancelled(message)
                raise
            if isinstance(error, HTTPError):
                await self._send_error(error, message)
            else:
                await self._failed(error, None, message.path, message)

    async def _asked_to_join(self, message: Message) -> None:
        manager = self.manager
        name = message.room
        if not isinstance(name, str):
            raise HTTPError(400, 'finch.join needs a room, such as "room": "chat/lobby"')
        since, last = since_of(message), last_of(message)
        if len(name) > LONGEST_NAME:
            raise HTTPError(400, f"a room's name has at most {LONGEST_NAME} characters")
        room = manager.room(name)
        declared = room.declared
        if declared is None:
            raise HTTPError(404, f"there is no room {name!r}")
        known = self._rooms is not None and name in self._rooms
        if not known:
            if self._has_too_many():
                raise HTTPError(429, f"you are in {self._most_rooms} rooms, which is the most")
            meta = meta_of(message)
            if self.identity is not None and self.identity.meta is not None:
                meta = self.identity.meta  # the application knows better than its client
            if declared.joins is not None:
                meta = await self._ask_on_join(declared, room, meta)
            if self._outlet.left:
                # on_join has let it in, so on_leave says goodbye
                await self._said_goodbye_to(room)
                return
            hall = self._admit(room, meta)
        else:
            hall = manager.halls.get(name)
        people, told = ({}, 0) if hall is None else (hall.people(), hall.told)
        if room.kept is None:
            await self._tell_joined(room, message, None, people)
        elif known:  # it hears the room already, so it has missed nothing
            missed = await manager.backplane.missed(room.channel, room.kept, None, 0)
            await self._tell_joined(room, message, missed._replace(recovered=True), people)
        elif not await self._catch_up(room, since, last, message, people):
            return
        if not known:
            self._enter(room, told)

    async def _ask_on_join(self, declared: Any, room: Room, meta: Any) -> Any:
        bound = declared.joins
        wanted = bound.arguments({"room": room, "meta": meta, **room.params})
        value, error = await attempt(partial(bound.function, self, **wanted))
        if error is not None:
            if isinstance(error, HTTPError):
                raise error
            what = f"on_join of the room {room.name!r}"
            report(_log, "%s raised for %r", what, self, error=error)
            await self._tell_on_error(error, declared.on_error_function)
            raise HTTPError(500, "Internal Server Error")
        if value is None:
            return meta
        if means_refusal(value):
            report(
                _log,
                "on_join of the room %r returned %s for %r, which is refused; to refuse a client, "
                "write 'raise HTTPError(403, \"why\")'",
                room.name,
                shown(value),
                self,
            )
            raise HTTPError(403)
        try:
            encode(value)
        except Exception as wrong:
            report(
                _log,
                "on_join of the room %r returned a meta that cannot be sent: %s",
                room.name,
                wrong,
            )
            raise HTTPError(500, "Internal Server Error") from None
        return value

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
        await self._tell_joined(audience, message, missed, people)
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

    async def _tell_joined(
        self,
        audience: Audience,
        message: Message | None,
        missed: Missed | None,
        people: dict[str, Any],
    ) -> None:
        data: dict[str, Any] = {"recovered": missed is not None and missed.recovered, **people}
        more: dict[str, Any] = {"room": audience.label}
        if missed is not None:
            data["missed"] = len(missed.messages)  # so a client knows when it has caught up
            more["seq"], more["epoch"] = missed.position.seq, missed.position.epoch
        reply = None if message is None else message.id
        await self._send_one(Envelope(data, "finch.join", 200, epoch_ms(), reply, more))

    async def _asked_to_leave(self, message: Message) -> None:
        name = message.room
        if self._rooms is None or text_of(name) not in self._rooms:
            raise no_member(self.manager.declared, name)
        await self.leave(name)
        answer = Envelope(None, "finch.leave", 200, epoch_ms(), message.id, {"room": name})
        await self._send_one(answer)

    async def _asked_to_cancel(self, message: Message) -> None:
        """Too late: by its turn in the inbox, everything before it is handled."""

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
}
