"""The conversation of a client with its server, over all its connections: texts in, texts and
events out. Plain data: no I/O, no clock; the time is passed in.

It knows what must hold across connections: which rooms the client is in and up to where it knows
them, which calls wait for an answer, and what waits for the next connection. It knows nothing of
sockets, tasks or pauses.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from finch.client.calls import Call, Calls, another
from finch.client.events import (
    Arrived,
    Asked,
    Dropped,
    Gap,
    Happening,
    Joined,
    Refused,
)
from finch.client.membership import Known, Membership, read_standing
from finch.client.queue import Outgoing, Queue
from finch.client.said import Message, Said, message_of, read_any, read_said, write
from finch.cluster.history import Position
from finch.errors import CallFailed, FinchError, NotSent

AUDIENCES: Final = {"finch.everyone": "everyone", "finch.user": "user"}
"""The audiences that a client joins by connecting, with their names in the handshake."""


class Conversation:
    """All that a client and its server say to each other.

    Parameters:
        queue_size: how many messages may wait for a connection.
        queue_age: how long each may wait, in seconds.

    Attributes:
        rooms: the rooms that the client is in, or wants to be in, by name.
        is_open: whether there is a connection.
        closed: why it has ended for good; None while it has not.

    Example::

        conversation = Conversation()
        conversation.send("say", "hello", now=0.0)
        conversation.opened(now=1.0)
        conversation.take()  # '{"path":"say","data":"hello"}'
    """

    def __init__(self, queue_size: int = 64, queue_age: float = 30.0) -> None:
        self.rooms: dict[str, Membership] = {}
        self.is_open = False
        self.closed: FinchError | None = None
        self._calls = Calls()
        self._queue = Queue(queue_size, queue_age)
        self._out: deque[Outgoing] = deque()  # for this connection, not taken yet
        self._known = {name: Known() for name in AUDIENCES}
        self._leaving: dict[int, str] = {}  # rooms that were left, until the answer
        self._number = 0  # of the last message with an id
        self._connection = 0
        # 128 random bits, so that nobody can guess the calls of another client
        self._session = secrets.token_urlsafe(16)
        self._once = 0
        self.unsent = 0
        """Characters that no connection has taken yet."""

    # Connections

    def query(self) -> list[str]:
        """The positions for the query of a handshake, each for a ``since``."""
        return [
            f"{AUDIENCES[name]}:{known.position}"
            for name, known in self._known.items()
            if known.position is not None
        ]

    def opened(self, now: float) -> list[Happening]:
        """A connection is open. What must be said first is said first: joins, so that no message
        of a room is missed for longer than needed; then calls again; then what has waited."""
        happened = self.expire(now)
        self.is_open = True
        self._connection += 1
        for membership in self.rooms.values():
            self._ask_to_join(membership, now)
        for call in self._calls.to_send_again():
            self._put(Outgoing(call.text, call.path, None, now, call, durable=False))
        for outgoing in self._queue.take_all():
            self._put(outgoing)
        return happened

    def cut(self, now: float) -> list[Happening]:
        """The connection has ended, and another one may come."""
        self.is_open = False
        happened: list[Happening] = list(self._calls.cut(now))
        self._leaving.clear()
        for membership in self.rooms.values():
            membership.lose()
        kept = [outgoing for outgoing in self._out if outgoing.durable]
        self._clear()
        happened += self._drop(self._queue.put_back(kept))
        return happened

    def end(self, error: FinchError) -> list[Happening]:
        """No other connection will come."""
        if self.closed is not None:
            return []
        self.is_open = False
        self.closed = error
        happened: list[Happening] = list(self._calls.fail_all(error))
        waiting = [*self._out, *self._queue.take_all()]
        self._clear()
        happened += [Dropped(one.path, one.room) for one in waiting if one.durable and not one.call]
        happened += [Refused(one, another(error)) for one in self.rooms.values()]
        self.rooms.clear()
        return happened

    def expire(self, now: float) -> list[Happening]:
        """Give up what has waited for a connection for too long."""
        if self.is_open:
            return []
        return [*self._drop(self._queue.too_old(now)), *self._calls.too_old(now)]

    @property
    def deadline(self) -> float:
        """When :meth:`expire` has something to do, in seconds; ``inf`` if nothing waits."""
        if self.is_open:
            return float("inf")
        return min(self._queue.deadline, self._calls.deadline)

    def take(self) -> str | None:
        """The next text to send; None if there is none. The connection is responsible for it from
        now on."""
        if not self._out:
            return None
        outgoing = self._out.popleft()
        self.unsent -= len(outgoing.text)
        if outgoing.call is not None:
            outgoing.call.sent = True
        return outgoing.text

    # What the client says

    def send(
        self, path: str, data: Any, now: float, *, room: str | None = None, volatile: bool = False
    ) -> bool:
        """Send a message, or let it wait for a connection.

        Returns:
            False if it is not sent: it is volatile and there is no connection, or the queue is
            full.
        """
        self._check_open()
        return self._deliver(Outgoing(write(path, data, room=room), path, room, now), volatile)

    def call(
        self, path: str, data: Any, now: float, *, room: str | None = None, retry: bool = False
    ) -> Call:
        """Send a message that is to be answered.

        Parameters:
            retry: send it again after a cut; the server handles it once.

        Raises:
            NotSent: if the queue is full.
        """
        self._check_open()
        id = self._new_id()
        once = None
        if retry:
            self._once += 1
            once = f"{self._session}:{self._once}"
        call = Call(id, path, write(path, data, id=id, room=room, once=once), retry)
        if not self._deliver(Outgoing(call.text, path, room, now, call)):
            why = f"{self._queue.size} messages wait for a connection, so {path!r} is not sent"
            raise NotSent(why)
        self._calls.begin(call)
        return call

    def cancel(self, call: Call, now: float) -> None:
        """Nobody wants the answer to a call any longer. The server is told if it knows of it."""
        if not self._calls.forget(call) or self._queue.withdraw(call):
            return
        for outgoing in self._out:
            if outgoing.call is call:
                self._out.remove(outgoing)
                self.unsent -= len(outgoing.text)
                if not call.sent:
                    return
                break
        if self.is_open:
            self._put_own("finch.cancel", now, id=call.id)

    def answer(self, asked: Asked, data: Any, status: int, now: float) -> None:
        """Answer a call of the server, if its connection is still there."""
        if self.is_open and asked.connection == self._connection:
            path = asked.message.path
            said = None if status == 200 else status
            text = write(path, data, reply=asked.id, status=said)
            self._put(Outgoing(text, path, None, now, durable=False))

    # Rooms

    def join(self, name: str, last: int, meta: Any, since: Position | None, now: float) -> None:
        """Be in a room from now on, on every connection, until :meth:`leave`."""
        self._check_open()
        membership = self.rooms[name] = Membership(name, last, meta, since)
        if self.is_open:
            try:
                self._ask_to_join(membership, now)
            except BaseException:
                del self.rooms[name]  # its meta is no JSON
                raise

    def leave(self, name: str, now: float) -> None:
        """Be in a room no longer."""
        if self.rooms.pop(name, None) is not None and self.is_open:
            id = self._new_id()
            self._leaving[id] = name
            self._put_own("finch.leave", now, id=id, room=name)

    # What the server says

    def receive(self, text: str) -> Iterator[Happening]:
        """Take a text of the server.

        Raises:
            ValueError: if it is not a message of Finch.
        """
        said = read_said(text)
        if said is None:
            raise ValueError("the server has sent a text that is not a message of Finch")
        if said.reply is not None:
            return self._answered(said)
        if said.path == "finch.join":
            return self._let_in(said)
        if said.path == "finch.presence":
            return self._presence(said)
        if said.id is not None:
            return iter([Asked(said.id, message_of(said), self._connection)])
        return self._arrived(said)

    def _answered(self, said: Said) -> Iterator[Happening]:
        if type(said.reply) is not int:  # all that this client has given is
            return
        if self._leaving.pop(said.reply, None) is not None:
            return
        for membership in self.rooms.values():
            if membership.asked == said.reply:
                yield from self._join_answered(membership, said)
                return
        happened = self._calls.answered(said)
        if happened is not None:
            yield happened

    def _join_answered(self, membership: Membership, said: Said) -> Iterator[Happening]:
        if said.status >= 500 and membership.admitted:
            membership.lose()  # a trouble of the server: ask again on the next connection
            return
        if said.status >= 400:
            del self.rooms[membership.name]
            yield Refused(membership, CallFailed(said.status, read_any(said.data)))
            return
        standing = read_standing(said)
        if membership.enter(said, standing):
            yield from self._gap(membership.name, said)
        yield Joined(membership, standing.recovered, standing.missed)

    def _gap(self, room: str, said: Said) -> Iterator[Happening]:
        """Messages may be missing. It is an event, and also a message of the room: so whoever
        reads the messages learns where in their order they are missing."""
        yield Gap(room)
        yield Arrived(Message("finch.gap", None, room, timestamp=said.timestamp))

    def _let_in(self, said: Said) -> Iterator[Happening]:
        """The server has joined the client to an audience or a room by itself."""
        known = self._known.get(said.room or "")
        standing = read_standing(said)
        if known is not None:
            gap = known.position is not None and not standing.recovered
            known.stand(said, standing)
            if gap:
                yield from self._gap(str(said.room), said)
        elif (membership := self.rooms.get(said.room or "")) is not None:
            # If our own join is under way, its answer will say whether something is missing. But
            # messages of the room may come before that answer, and they count from here.
            before = membership.position
            membership.stand(said, standing)
            if membership.joined and membership.position != before:
                yield from self._gap(membership.name, said)
        yield Arrived(message_of(said))

    def _presence(self, said: Said) -> Iterator[Happening]:
        membership = self.rooms.get(said.room or "")
        if membership is not None:
            membership.change(said)
        yield Arrived(message_of(said))

    def _arrived(self, said: Said) -> Iterator[Happening]:
        if said.room is not None:
            known = self.rooms.get(said.room) or self._known.get(said.room)
            if said.room in self._leaving.values() or (
                known is not None and not known.passes(said)
            ):
                return
        yield Arrived(message_of(said))

    # Within

    def _check_open(self) -> None:
        if self.closed is not None:
            raise another(self.closed)

    def _new_id(self) -> int:
        self._number += 1
        return self._number

    def _ask_to_join(self, membership: Membership, now: float) -> None:
        membership.asked = id = self._new_id()
        since = None if membership.position is None else str(membership.position)
        data = msgspec.UNSET if membership.meta is None else membership.meta
        last = membership.last or None
        self._put_own(
            "finch.join", now, data=data, id=id, room=membership.name, since=since, last=last
        )

    def _put_own(self, path: str, now: float, data: Any = msgspec.UNSET, **fields: Any) -> None:
        text = write(path, data, **fields)
        self._put(Outgoing(text, path, None, now, durable=False))

    def _put(self, outgoing: Outgoing) -> None:
        self._out.append(outgoing)
        self.unsent += len(outgoing.text)

    def _clear(self) -> None:
        self._out.clear()
        self.unsent = 0

    def _deliver(self, outgoing: Outgoing, volatile: bool = False) -> bool:
        if self.is_open:
            outgoing.durable = not volatile
            self._put(outgoing)
            return True
        return not volatile and self._queue.put(outgoing)

    def _drop(self, waiting: Iterable[Outgoing]) -> Iterator[Happening]:
        for outgoing in waiting:
            if outgoing.call is None:
                yield Dropped(outgoing.path, outgoing.room)
            elif outgoing.call in self._calls:
                why = f"{outgoing.path!r} has waited for a connection for too long"
                yield self._calls.fail(outgoing.call, NotSent(why))
