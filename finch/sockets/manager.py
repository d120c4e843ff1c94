"""SocketManager: registers handlers, accepts clients, and sends to one, some or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, Unpack

import trio

from finch.cluster.backplane import Backplane, Channel
from finch.cluster.choice import make_backplane
from finch.cluster.history import History, check_history
from finch.config import Limits
from finch.conversions import DecHook
from finch.errors import ConfigurationError
from finch.explain import kind
from finch.http.guarding import Auth, Level, Middleware
from finch.keywords import takes_options
from finch.sockets.audience import Audience, Everyone, User
from finch.sockets.calls import call_client
from finch.sockets.checks import check_app, check_client_id, check_user, not_a_client
from finch.sockets.client import SocketClient
from finch.sockets.delivery import Delivery
from finch.sockets.entrance import Entrance
from finch.sockets.event import Handlers, SocketEvent
from finch.sockets.identities import Identities
from finch.sockets.members import Members, UserId
from finch.sockets.options import OfManager, SocketOptions
from finch.sockets.outgoing import drafted
from finch.sockets.registry import Registry, not_routes
from finch.sockets.repeats import Repeats
from finch.sockets.room import Halls, Room
from finch.sockets.rooms import Rooms, SocketRooms, find_rooms, made_rooms
from finch.sockets.stats import Measured
from finch.sockets.table import Table
from finch.turns import account
from finch.wire.websocket import check_close


class Application(Protocol):
    """What a manager needs of its application."""

    limits: Limits
    languages: tuple[str, ...]
    socket_options: SocketOptions
    dec_hook: DecHook | None
    backplane: str | None

    def attach_manager(self, manager: SocketManager) -> None:
        """A manager was created for this application."""

    def mount_manager(self, manager: SocketManager) -> None:
        """A manager has handlers, so its path must be served."""


class SocketManager(Registry, Entrance, Measured):
    """Manages the WebSocket connections of one path, and gives their messages to handlers.

    Parameters:
        app: the application.
        event: the root event: called for every client, and for messages that no named path handles.
        routes: a :class:`SocketEvent` for each named path.
        path: the URL path where it is mounted. Without one it becomes ``app.socket_manager``.
        rooms: a :class:`SocketRooms` for each pattern of rooms.
        history: which messages to everyone are kept for clients that come back; None for none.
        user_history: the same for messages to a user.
        authorize: says who a client is: see :meth:`authorize`.
        sends: what it sends, by path: see :meth:`sends`.
        auth: says who connects, before ``authorize``: see :mod:`finch.http.guarding`. Without
            ``authorize``, a user that is a str, an int or an :class:`finch.Identity` is the
            client's.
        middleware: functions around the handshake, as for a route.
        options: the options of its sockets: see :class:`finch.sockets.options.SocketOptions`. The
            defaults are the application's.

    Raises:
        ConfigurationError: if the path is already registered, or a callback has the wrong
            parameters.

    Source: the seed, ``SocketManager``.

    Example::

        manager = SocketManager(
            app,
            event=SocketEvent(on_connect=greet),
            routes={"time": SocketEvent(on_message=tell_time)},
        )
    """

    @takes_options(OfManager)
    def __init__(
        self,
        app: Application,
        *,
        event: SocketEvent | None = None,
        routes: Mapping[str, SocketEvent] | None = None,
        path: str | None = None,
        rooms: Mapping[str, SocketRooms | type[SocketRooms]] | None = None,
        history: History | None = None,
        user_history: History | None = None,
        authorize: Callable[..., Any] | None = None,
        sends: Mapping[str, Any] | None = None,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        **options: Unpack[OfManager],
    ) -> None:
        check_app(app)
        if routes is not None and not isinstance(routes, Mapping):
            raise ConfigurationError(not_routes("routes", routes))
        self.path = path
        self.level = Level.of(auth, middleware, "the SocketManager")
        """What stands before the handshake."""
        self.members: Members[SocketClient] = Members()
        self.halls = Halls(self)
        self.delivery = Delivery(
            self.members,
            self.halls.renumber,
            self.halls.attended,
            kept=history is not None,
            user_kept=user_history is not None,
        )
        self.backplane: Backplane
        self.connect_backplane(app.backplane)
        self.declared: dict[str, Rooms] = {}
        self.identities = Identities()
        self.repeats = Repeats()
        self.history = check_history("history", history)
        self.user_history = check_history("user_history", user_history)
        self.table = Table(app.dec_hook)
        self._options = app.socket_options.varied(options)
        self._app = app
        app.attach_manager(self)
        if event is not None:
            self.table.set_root(event)
            app.mount_manager(self)
        if history is not None or user_history is not None:
            app.mount_manager(self)  # its clients may only listen
        self.add_events(routes or {})
        if rooms is not None and not isinstance(rooms, Mapping):
            raise ConfigurationError(not_routes("rooms", rooms))
        for pattern, declared in (rooms or {}).items():
            self._declare(made_rooms(pattern, declared, app.dec_hook))
        if authorize is not None:
            self.authorize(authorize)
        for channel, sent in (sends or {}).items():
            self.sends(channel, sent)

    def adopt(self, other: SocketManager) -> None:
        """Share the handlers and clients of the manager that this one replaces. So decorators and
        classes can be mixed, and an early reference to the old manager still works."""
        self.table, self.members = other.table, other.members
        other.level = self.level
        self.delivery, self.backplane = other.delivery, other.backplane
        other.history, other.user_history = self.history, self.user_history
        self.delivery.kept = self.history is not None
        self.delivery.user_kept = self.user_history is not None
        self.declared, self.halls, self.identities = other.declared, other.halls, other.identities
        self.repeats = other.repeats
        if not self.table.empty:
            self._app.mount_manager(self)

    def connect_backplane(self, url: str | None) -> None:
        """Take the backplane with this URL, or that of this process; before anything is served."""
        self.backplane = make_backplane(url, self.delivery, self.path or "")

    def _mount(self) -> None:
        self._app.mount_manager(self)

    @property
    def root(self) -> Handlers:
        """The root event, ready to be called."""
        return self.table.root

    def paths(self) -> list[str]:
        """Every named path."""
        return self.table.paths()

    # Sending

    @property
    def everyone(self) -> Everyone:
        """The audience of all clients."""
        return Everyone(self)

    def user(self, user_id: UserId) -> User:
        """The audience of all clients of a user, on every device.

        Raises:
            TypeError: if ``user_id`` is neither str nor int.
        """
        check_user(user_id)
        return User(self, user_id)

    def arrivals(self, client: SocketClient) -> list[Audience]:
        """The audiences that a client joins by connecting, if their messages are kept."""
        audiences: list[Audience] = []
        if self.history is not None:
            audiences.append(self.everyone)
        if self.user_history is not None and client.user_id is not None:
            audiences.append(User(self, client.user_id))
        return audiences

    def room(self, name: str) -> Room:
        """The audience of a room, whether anybody is in it or not.

        Parameters:
            name: its name, such as ``chat/lobby``.

        Raises:
            TypeError: if ``name`` is not text.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a room is text, not {kind(name)}; write room('lobby')")
        hall = self.halls.get(name)
        if hall is not None:
            return hall.room  # so that a thousand members share one
        declared, params = find_rooms(self.declared, name) or (None, {})
        return Room(self, name, declared, params)

    async def send_to_all(self, data: Any, path: str = "", status: int = 200) -> int:
        """Send a message to every client. It is encoded once, and does not wait for slow clients.

        Parameters:
            data: anything that msgspec encodes as JSON.
            path: the channel on the clients' side.
            status: a status as in HTTP.

        Returns:
            The number of clients that it was sent to.

        Source: the seed, ``sendToAll``.
        """
        return await self.everyone.send(data, path, status)

    async def send_to_all_except(
        self, socket: SocketClient, data: Any, path: str = "", status: int = 200
    ) -> int:
        """Send a message to every client but one (the seed's ``sendToAllExcept``).

        Raises:
            TypeError: ``socket`` is not a client; everybody would get the message.
        """
        if not isinstance(socket, SocketClient):
            raise TypeError(not_a_client(socket))
        return await self.everyone.send(data, path, status, skip=socket)

    async def send_to_client(self, id: str, data: Any, path: str = "", status: int = 200) -> bool:
        """Send a message to the client of that id; False if there is none.

        Raises:
            TypeError: ``id`` is not text.
        """
        check_client_id(id)
        draft = drafted(data, path, status)
        sent = await self.backplane.publish(Channel("client", id), draft, None)
        await self.delivery.rest()
        return bool(sent)

    async def call_client(self, id: str, data: Any, path: str = "", *, as_type: Any = Any) -> Any:
        """Ask the client of that id, in whichever process it is: see :meth:`SocketClient.call`."""
        check_client_id(id)
        return await call_client(self, id, path, drafted(data, path, 200).data, as_type)

    async def send_to_user(
        self, user_id: UserId, data: Any, path: str = "", status: int = 200
    ) -> int:
        """Send a message to every client of a user; how many it went to.

        Raises:
            TypeError: ``user_id`` is neither str nor int.
        """
        return await self.user(user_id).send(data, path, status)

    async def send_to_room(self, name: str, data: Any, path: str = "", status: int = 200) -> int:
        """Send a message to every client that has joined a room; how many it went to.

        Raises:
            TypeError: if ``name`` is not text.
        """
        return await self.room(name).send(data, path, status)

    # Asking

    @property
    def count_clients(self) -> int:
        """The number of connected clients (the seed's ``countClients``)."""
        return len(self.members)

    @property
    def dec_hook(self) -> DecHook | None:
        """The application's hook for types that msgspec does not know."""
        return self._app.dec_hook

    @property
    def count_users(self) -> int:
        """The number of users who have a client connected."""
        return self.members.count_users

    def get_all_clients_keys(self) -> list[str]:
        """The ids of all connected clients."""
        return self.members.keys()

    def get_client(self, id: str) -> SocketClient | None:
        """The connected client of that id; None if there is none.

        Raises:
            TypeError: ``id`` is not text.
        """
        check_client_id(id)
        return self.members.get(id)

    async def close(self, code: int = 1001, reason: str = "") -> None:
        """Close every connection."""
        check_close(code, reason)
        for client in self.members:
            await client.close(code, reason)
            if account.spend():
                await trio.lowlevel.checkpoint()
