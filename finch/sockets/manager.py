"""SocketManager: registers handlers, accepts clients, and sends to one, some or all of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, Unpack

import trio

from finch.config import Limits
from finch.conversions import DecHook
from finch.declaring import bare, check_parentheses
from finch.errors import ConfigurationError
from finch.explain import kind
from finch.http.request import Request
from finch.sockets.client import SocketClient
from finch.sockets.delivery import Delivery
from finch.sockets.event import Handlers, SocketEvent
from finch.sockets.members import Members, UserId
from finch.sockets.options import OfSocket, SocketOptions, takes_options
from finch.sockets.outgoing import new_envelope
from finch.sockets.outlet import Outlet
from finch.sockets.table import Table
from finch.sockets.upgrade import Upgrade, accept
from finch.turns import account
from finch.wire.websocket import check_close

F = TypeVar("F", bound=Any)


class Application(Protocol):
    """What a manager needs of its application."""

    limits: Limits
    languages: tuple[str, ...]
    socket_options: SocketOptions
    dec_hook: DecHook | None

    def attach_manager(self, manager: SocketManager) -> None:
        """A manager was created for this application."""

    def mount_manager(self, manager: SocketManager) -> None:
        """A manager has handlers, so its path must be served."""


class SocketManager:
    """Manages the WebSocket connections of one path, and gives their messages to handlers.

    Parameters:
        app: the application.
        event: the root event: called for every client, and for messages that no named path handles.
        routes: a :class:`SocketEvent` for each named path.
        path: the URL path where it is mounted. Without one it becomes ``app.socket_manager``.
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

    @takes_options(OfSocket)
    def __init__(
        self,
        app: Application,
        *,
        event: SocketEvent | None = None,
        routes: Mapping[str, SocketEvent] | None = None,
        path: str | None = None,
        **options: Unpack[OfSocket],
    ) -> None:
        _check_app(app)
        if routes is not None and not isinstance(routes, Mapping):
            raise ConfigurationError(_not_routes("routes", routes))
        self.path = path
        self.members: Members[SocketClient] = Members()
        self._delivery = Delivery(self.members)
        self.table = Table(app.dec_hook)
        self._options = app.socket_options.varied(options)
        self._app = app
        app.attach_manager(self)
        if event is not None:
            self.table.set_root(event)
            app.mount_manager(self)
        self.add_events(routes or {})

    # Registering

    def socket(self, path: str, *, concurrent: bool = False) -> Callable[[F], F]:
        """Register the handler of a named path: a function, or a :class:`SocketEvent` (subclass).

        Parameters:
            path: the channel that clients send to.
            concurrent: whether a message may be handled while an earlier one is still being
                handled.

        Raises:
            ConfigurationError: if the path already has a handler, or this one has the wrong
                parameters.

        Example::

            @app.socket("time")
            async def tell_time(socket, data):
                await socket.send(str(datetime.now()), path="output")
        """

        check_parentheses("socket", path, "'path'")

        def register(handler: F) -> F:
            event: SocketEvent
            if isinstance(handler, SocketEvent):
                event = handler
            elif isinstance(handler, type) and issubclass(handler, SocketEvent):
                event = handler()
            elif handler is None:
                raise ConfigurationError(f"the handler of the socket path {path!r} is None")
            else:
                event = SocketEvent(on_message=handler)
            if concurrent is not False:  # anything but True is refused with the event
                event.concurrent = concurrent
            self.add_socket_route(path, event)
            return handler

        return register

    def add_socket_route(self, path: str, event: SocketEvent) -> None:
        """Register the event of a named path (the seed's ``addSocketRoute``).

        Raises:
            ConfigurationError: if the path already has one, or a callback has the wrong
                parameters.
        """
        self.table.add(path, event)
        self._app.mount_manager(self)

    def add_events(self, events: Mapping[str, SocketEvent]) -> None:
        """Register an event for each of several named paths (the seed's ``addEvents``).

        Raises:
            ConfigurationError: as :meth:`add_socket_route`; also if ``events`` is not a dict.
        """
        if not isinstance(events, Mapping):
            raise ConfigurationError(_not_routes("add_events", events))
        for path, event in events.items():
            self.add_socket_route(path, event)

    @bare
    def on_connect(self, callback: F) -> F:
        """Register the function that is called with each client that connects."""
        return self._set_root("on_connect", callback)

    @bare
    def on_message(self, callback: F) -> F:
        """Register the function that gets the messages that no named path handles."""
        return self._set_root("on_message", callback)

    @bare
    def on_disconnect(self, callback: F) -> F:
        """Register the function that is called with each client that has left."""
        return self._set_root("on_disconnect", callback)

    @bare
    def on_error(self, callback: F) -> F:
        """Register the function that is called with a client and an exception, if a callback
        raises."""
        return self._set_root("on_error", callback)

    def _set_root(self, name: str, callback: F) -> F:
        if callback is None:
            raise ConfigurationError(f"{name} is a function, not None")
        self.table.set_callback(name, callback)
        self._app.mount_manager(self)
        return callback

    def adopt(self, other: SocketManager) -> None:
        """Share the handlers and clients of the manager that this one replaces. So decorators and
        classes can be mixed, and an early reference to the old manager still works."""
        self.table, self.members = other.table, other.members
        self._delivery = other._delivery
        if not self.table.empty:
            self._app.mount_manager(self)

    @property
    def root(self) -> Handlers:
        """The root event, ready to be called."""
        return self.table.root

    def paths(self) -> list[str]:
        """Every named path."""
        return self.table.paths()

    # Connecting

    def request_handle(self, request: Request, user_id: UserId | None = None) -> Upgrade:
        """Upgrade a request to a WebSocket of this manager.

        Parameters:
            request: a handler's request.
            user_id: the id of the client's user; ``send_to_user`` reaches all clients of a user.

        Returns:
            The response that the handler must return. Awaiting it gives the same response, and so
            does ``request.render_socket()``.

        Raises:
            HTTPError: 426 if the request asks for no upgrade, 403 if its origin is not allowed, 400
                if the handshake is wrong.
            TypeError: if ``request`` is not a Request, or ``user_id`` is not str, int or None.

        Source: the seed, ``requestHandle``.
        """
        if not isinstance(request, Request):
            raise TypeError(
                f"request_handle takes the handler's request, not {type(request).__name__}"
            )
        _check_user_id(user_id)

        def attach(outlet: Outlet, subprotocol: str | None) -> SocketClient:
            key = secrets.token_urlsafe(16)
            client = SocketClient(key, request, self, user_id, subprotocol, outlet)
            self.members.add(key, client, user_id)
            return client

        upgrade = accept(request, self._options, attach)
        request.accepted = upgrade
        return upgrade

    async def handle(self, request: Request, **params: object) -> Upgrade:
        """The handler of the route where this manager is mounted."""
        return self.request_handle(request)

    # Sending

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
        return await self._delivery.send_each(self.members, new_envelope(data, path, status))

    async def send_to_all_except(
        self, socket: SocketClient, data: Any, path: str = "", status: int = 200
    ) -> int:
        """Send a message to every client but one (the seed's ``sendToAllExcept``).

        Raises:
            TypeError: ``socket`` is not a client; everybody would get the message.
        """
        if not isinstance(socket, SocketClient):
            raise TypeError(_not_a_client(socket))
        others = (client for client in self.members if client is not socket)
        return await self._delivery.send_each(others, new_envelope(data, path, status))

    async def send_to_client(self, id: str, data: Any, path: str = "", status: int = 200) -> bool:
        """Send a message to the client of that id; False if there is none.

        Raises:
            TypeError: ``id`` is not text.
        """
        _check_client_id(id)
        client = self.members.get(id)
        envelope = new_envelope(data, path, status)
        return bool(await self._delivery.send_each(() if client is None else (client,), envelope))

    async def send_to_user(
        self, user_id: UserId, data: Any, path: str = "", status: int = 200
    ) -> int:
        """Send a message to every client of a user; how many it went to.

        Raises:
            TypeError: ``user_id`` is neither str nor int.
        """
        _check_user_id(user_id)
        return await self._delivery.send_each(
            self.members.of_user(user_id), new_envelope(data, path, status)
        )

    # Asking

    @property
    def count_clients(self) -> int:
        """The number of connected clients (the seed's ``countClients``)."""
        return len(self.members)

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
        _check_client_id(id)
        return self.members.get(id)

    async def close(self, code: int = 1001, reason: str = "") -> None:
        """Close every connection."""
        check_close(code, reason)
        for client in self.members:
            await client.close(code, reason)
            if account.spend():
                await trio.lowlevel.checkpoint()


def _check_user_id(user_id: object) -> None:
    if user_id is None or (isinstance(user_id, str | int) and not isinstance(user_id, bool)):
        return
    raise TypeError(
        f"a user's id is str or int, not {type(user_id).__name__}; write user_id=user.id"
    )


def _check_client_id(id: object) -> None:
    if not isinstance(id, str):
        instead = "write the client's id first, such as socket.id"
        if isinstance(id, SocketClient):
            instead = "write socket.id"
        raise TypeError(f"a client's id is text, not {kind(id)}; {instead}")


def _not_a_client(socket: object) -> str:
    instead = "write send_to_all_except(socket, data)"
    if isinstance(socket, str):
        instead += "; manager.get_client(id) finds the client of an id"
    elif socket is None:
        instead = "write send_to_all(data) to send to everybody"
    return f"send_to_all_except takes the client that is left out, not {kind(socket)}; {instead}"


def _not_routes(what: str, given: object) -> str:
    return (
        f"{what} takes a dict of paths and events, such as "
        f"{{'time': SocketEvent(on_message=tell_time)}}, not {kind(given)}"
    )


def _check_app(app: object) -> None:
    if hasattr(type(app), "attach_manager"):
        return
    instead = "write SocketManager(app)"
    if isinstance(app, type):
        instead = "write app = FinchApp(), and SocketManager(app)"
    elif isinstance(app, str):
        instead = f"write SocketManager(app, path={app!r})"
    raise ConfigurationError(f"a SocketManager belongs to a FinchApp, not {kind(app)}; {instead}")
