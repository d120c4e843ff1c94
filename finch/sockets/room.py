"""Room: the handle of one room, and what is kept for it while it has members.

A room that nobody is in is kept nowhere; only the messages of its history are, by the backplane.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.cluster.backplane import Channel, Draft
from finch.cluster.history import History, Position
from finch.cluster.views import People
from finch.encoding import encode
from finch.failures import report
from finch.sockets.audience import Audience
from finch.sockets.outgoing import epoch_ms, new_envelope
from finch.sockets.outlet import Host
from finch.sockets.presence import Change, Entry, Presence
from finch.sockets.rooms import Rooms
from finch.sockets.spawned import Spawned, tell_on_error
from finch.wire.envelope import Envelope

if TYPE_CHECKING:
    from finch.sockets.client import SocketClient
    from finch.sockets.manager import SocketManager

_log = logging.getLogger("finch.sockets")

_GATHER: Final = 0.05  # seconds in which who comes and goes is gathered into one message


class Room(Audience):
    """One room: an audience of those who have joined it.

    Two rooms of the same manager with the same name are equal.

    Attributes:
        name: its name, such as ``chat/lobby``.
        params: the parameters that its pattern finds in the name.
        declared: its declaration; None for a room that only the server's ``socket.join`` knows.

    Example::

        await app.room("chat/lobby").send("the server restarts at noon", path="notice")
    """

    __slots__ = ("declared", "name", "params")

    def __init__(
        self,
        manager: SocketManager,
        name: str,
        declared: Rooms | None,
        params: dict[str, Any],
    ) -> None:
        super().__init__(manager)
        self.name = name
        self.params = params
        self.declared = declared

    @property
    def channel(self) -> Channel:
        return Channel("room", self.name)

    @property
    def kept(self) -> History | None:
        return None if self.declared is None else self.declared.history

    @property
    def label(self) -> str | None:
        return self.name

    @property
    def presence(self) -> list[Entry]:
        """Who is here: ``user``, ``meta``, ``devices`` and ``since`` (milliseconds since the epoch)
        of each; for a client without a user also its ``client``. Empty for a room that is not
        declared with ``presence``."""
        hall = self.manager.halls.get(self.name)
        people = None if hall is None else hall.here()
        return [] if people is None else people.entries()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Start a task that ends when the room's last member leaves.

        What it raises is logged with the room's name, and told to ``on_error``.

        Parameters:
            function: called with ``args``.

        Raises:
            RuntimeError: if nobody is in the room.
        """
        hall = self.manager.halls.get(self.name)
        if hall is None or self.name not in self.manager.members.rooms:
            raise RuntimeError(f"nobody is in the room {self.name!r}, so no task of it can run")
        hall.start(partial(function, *args), f"a task of the room {self.name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Room):
            return NotImplemented
        return self.name == other.name and self.manager is other.manager

    def __hash__(self) -> int:
        return hash((self.name, id(self.manager)))

    def __repr__(self) -> str:
        return f"<Room {self.name!r}: {self.count} members>"


class Hall:
    """What is kept for a room while somebody is in it: its tasks, and who is present.

    Parameters:
        room: the room.
        host: the server in which its tasks run.
    """

    __slots__ = ("_changed", "_spawned", "_telling", "host", "let_in", "presence", "room", "told")

    def __init__(self, room: Room, host: Host) -> None:
        declared = room.declared
        self.room = room
        self.host = host
        self._spawned = Spawned()
        self._telling = False
        self._changed: trio.Event | None = None  # set while it tells who has come and gone
        self.told = 0  # times that the members were told who has come and gone
        self.let_in: dict[str, int] = {}
        """The clients that the server has let in, by id: the number of the last message before."""
        self.presence: Presence | None = None
        if declared is not None and declared.presence:
            shared = room.manager.backplane.shared
            self.presence = Presence(declared.grace, shared=shared)

    # Tasks

    def begin(self) -> None:
        """The first member has come: begin the room's task."""
        declared = self.room.declared
        if declared is not None and declared.runs is not None:
            bound = declared.runs
            wanted = bound.arguments({"room": self.room, **self.room.params})
            self.start(partial(bound.function, **wanted), f"the task of the room {self._name}")

    def end(self) -> None:
        """The last member has left: cancel all tasks."""
        self._spawned.end()

    def start(self, function: Callable[[], Any], named: str) -> None:
        """Run a function as a task of the room."""
        self._spawned.start(self.host, function, named, self._task_failed)

    async def _task_failed(self, error: BaseException, named: str) -> None:
        report(_log, "%s raised", named, error=error)
        self.room.manager.table.failed += 1
        declared = self.room.declared
        on_error = None if declared is None else declared.on_error_function
        on_error = on_error or self.room.manager.table.root.on_error
        await tell_on_error(on_error, self.room, f"the room {self._name}", error)

    # Presence

    def enter(self, client: SocketClient, meta: Any) -> None:
        """Somebody has joined."""
        if self.presence is not None:
            self.presence.enter(client.user_id, client.id, meta, epoch_ms())
            self._tell_soon()

    def exit(self, client: SocketClient) -> None:
        """Somebody has left."""
        if self.presence is not None:
            self.presence.exit(client.user_id, client.id, trio.current_time())
            self._tell_soon()

    def give_up(self) -> None:
        """The server ends: nobody can be told any longer that a grace is over."""
        self.presence = None

    @property
    def empty(self) -> bool:
        """Whether nobody is present, and nobody must be told so."""
        return not self.presence and not self._telling

    def people(self) -> dict[str, Any]:
        """What a joiner is told: who is here, and how many."""
        declared, here = self.room.declared, self.here()
        if declared is None or here is None:
            return {}
        if declared.presence == "count":
            return {"count": len(here)}
        entries = here.entries()
        return {"presence": entries, "count": len(entries)}

    def here(self) -> Presence | People | None:
        """Who is present, in all processes if there are several; None if that is not asked for."""
        presence, backplane = self.presence, self.room.manager.backplane
        if presence is None or not backplane.shared:
            return presence
        return backplane.attend(self.room.channel, presence.changes()) or presence

    def _collect(self, presence: Presence) -> Change | None:
        """What the members must be told."""
        change = presence.collect(trio.current_time())
        here = self.here()
        return here.collect() if isinstance(here, People) else change

    def tell_soon(self) -> None:
        """Who is present elsewhere has changed."""
        if self.presence is not None:
            self._tell_soon()

    def _tell_soon(self) -> None:
        if self._changed is not None:
            self._changed.set()
        if not self._telling:
            self.host.spawn(self._tell)
            self._telling = True

    async def _tell(self) -> None:
        """Tell the members who has come and gone, until nothing is left to tell."""
        presence = self.presence
        assert presence is not None
        try:
            while True:
                self._changed = changed = trio.Event()
                await trio.sleep(_GATHER)
                change = self._collect(presence)
                if change is not None:
                    await self._publish(change)
                due = presence.due()
                if due is None and not changed.is_set():
                    return
                with trio.move_on_at(trio.current_time() if due is None else due):
                    await changed.wait()
        except trio.Cancelled:
            self.give_up()
            raise
        finally:
            self._telling = False
            self._changed = None
            self.room.manager.halls.forget_if_empty(self.room.name)

    async def _publish(self, change: Change) -> None:
        room, declared = self.room, self.room.declared
        counted = declared is not None and declared.presence == "count"

        self.told += 1
        draft = self._draft({"count": change.count} if counted else change)
        room.manager.delivery.deliver(room.channel, draft.make(), draft)
        await room.manager.delivery.rest()

    def catch_up(self, client: SocketClient) -> None:
        """Tell one client who is here: it has not heard what the members were told meanwhile."""
        draft = self._draft(self.people())
        client.push_volatile(draft.make(), draft)

    def _draft(self, data: Any) -> Draft:
        # changes would be lost if one replaced another: so who is behind gets the list
        name, path = self.room.name, "finch.presence"
        return Draft(
            encode(data),
            path,
            200,
            epoch_ms(),
            name,
            True,
            (name, path),
            None,
            self._people_envelope,
        )

    def _people_envelope(self) -> Envelope:
        return new_envelope(self.people(), "finch.presence", 200, {"room": self.room.name})

    @property
    def _name(self) -> str:
        return repr(self.room.name)


class Halls:
    """The halls of a manager's rooms, by name.

    Parameters:
        manager: the manager.
    """

    __slots__ = ("_halls", "_manager")

    def __init__(self, manager: SocketManager) -> None:
        self._manager = manager
        self._halls: dict[str, Hall] = {}

    def get(self, name: str) -> Hall | None:
        """What is kept for a room; None for a room that nobody is in."""
        return self._halls.get(name)

    def admit(self, room: Room, client: SocketClient, meta: Any) -> Hall:
        """A client may come in: from now on it is present. :meth:`enter` follows."""
        hall = self._open(room, client)
        hall.enter(client, meta)
        return hall

    def enter(self, room: Room, client: SocketClient, told: int) -> None:
        """From now on, a client gets the room's messages.

        Parameters:
            told: ``told`` of the hall when the client was told who is here.
        """
        hall = self._open(room, client)  # the last member may have left meanwhile
        if self._manager.members.rooms.add(room.name, client.id, client):
            hall.begin()
        self._manager.backplane.counted(room.channel)
        if hall.told != told:
            hall.catch_up(client)

    def _open(self, room: Room, client: SocketClient) -> Hall:
        hall = self._halls.get(room.name)
        if hall is None or (
            # left over from a server that has ended: its tasks cannot run any more
            hall.host is not client.host and room.name not in self._manager.members.rooms
        ):
            hall = self._halls[room.name] = Hall(room, client.host)
        return hall

    def exit(self, room: Room, client: SocketClient) -> None:
        """A client is no longer in the room."""
        hall = self._halls.get(room.name)
        if hall is None:
            return
        hall.let_in.pop(client.id, None)
        if self._manager.members.rooms.remove(room.name, client.id):
            hall.end()
        if hall.presence is not None:
            try:
                hall.exit(client)
            except RuntimeError:  # the server has ended
                hall.give_up()
        self._manager.backplane.leave(room.channel, client.id)
        self._manager.backplane.counted(room.channel)
        self.forget_if_empty(room.name)

    def forget_if_empty(self, name: str) -> None:
        """Keep nothing for a room that nobody is in."""
        hall = self._halls.get(name)
        if hall is not None and hall.empty and name not in self._manager.members.rooms:
            del self._halls[name]

    def attended(self, name: str) -> None:
        """Who is present in a room elsewhere has changed."""
        hall = self._halls.get(name)
        if hall is not None:
            hall.tell_soon()

    def renumber(self, name: str, position: Position) -> dict[str, Any]:
        """The members of a room have missed messages, and go on after this position. Returns what
        they are told of who is here."""
        hall = self._halls.get(name)
        if hall is None:
            return {}
        for client in self._manager.members.rooms.of(name):
            hall.let_in[client] = position.seq
        return hall.people()

    def __len__(self) -> int:
        return len(self._halls)
