"""Registry: the decorators with which an application says what happens on a manager's sockets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from finch.cluster.history import History
from finch.conversions import DecHook
from finch.declaring import bare, check_no_yield, check_parentheses, check_takes
from finch.errors import ConfigurationError
from finch.explain import kind
from finch.sockets.event import SocketEvent
from finch.sockets.identities import Identities
from finch.sockets.rooms import Rooms
from finch.sockets.sent import declare_sent
from finch.sockets.table import Table

F = TypeVar("F", bound=Any)


class Registry(ABC):
    """The part of a manager that registers handlers. A base class of :class:`SocketManager`."""

    table: Table
    declared: dict[str, Rooms]
    identities: Identities

    @property
    @abstractmethod
    def dec_hook(self) -> DecHook | None:
        """The application's hook for types that msgspec does not know."""

    @abstractmethod
    def _mount(self) -> None:
        """There is a handler, so the manager's path must be served."""

    def socket(
        self,
        path: str,
        *,
        concurrent: bool = False,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
    ) -> Callable[[F], F]:
        """Register the handler of a named path: a function, or a :class:`SocketEvent` (subclass).

        Parameters:
            path: the channel that clients send to.
            concurrent: whether a message may be handled while an earlier one is still being
                handled.
            auth: ``(socket)``; says whether a client may send a message here. If it returns what is
                false, the client gets 403.
            middleware: functions around the handler, the outermost first: ``async def (socket,
                data, call_next)``.

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
            if auth is not None:
                event.auth = auth
            if middleware:
                event.middleware = middleware
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
        self._mount()

    def add_events(self, events: Mapping[str, SocketEvent]) -> None:
        """Register an event for each of several named paths (the seed's ``addEvents``).

        Raises:
            ConfigurationError: as :meth:`add_socket_route`; also if ``events`` is not a dict.
        """
        if not isinstance(events, Mapping):
            raise ConfigurationError(not_routes("add_events", events))
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

    def rooms(
        self,
        path: str,
        *,
        history: History | None = None,
        presence: bool | str = False,
        grace: float = 3.0,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
    ) -> Rooms:
        """Declare rooms, as routes are declared: clients may join each room that the pattern
        matches.

        Parameters:
            path: the pattern, such as ``chat/{name}``.
            history: which messages are kept for members who come later or come back; None for none.
            presence: whether members are told who is here; ``"count"`` for numbers only.
            grace: seconds before a member whose last connection ended counts as gone.
            auth: ``(socket)``, then any of ``room`` and the path's parameters; says whether a
                client may join. If it returns what is false, the client gets 403.
            middleware: functions around every handler of these rooms, the outermost first:
                ``async def (socket, data, call_next)``.

        Returns:
            The decorators of these rooms: ``on_join``, ``socket``, ``on_leave``, ``task``.

        Raises:
            ConfigurationError: if the pattern is wrong or already declared, or an earlier one has
                all of its names.

        Example::

            chat = app.rooms("chat/{name}", history=History(messages=100), presence=True)

            @chat.socket("say")
            async def say(socket, data, room):
                await room.send(data, path="said")
        """
        check_parentheses("rooms", path, "'chat/{name}'")
        return self._declare(
            Rooms(
                path,
                history=history,
                presence=presence,
                grace=grace,
                auth=auth,
                middleware=middleware,
                dec_hook=self.dec_hook,
            )
        )

    def _declare(self, rooms: Rooms) -> Rooms:
        for other in self.declared.values():
            if other.pattern.shape == rooms.pattern.shape:
                raise ConfigurationError(f"the rooms {rooms.path!r} are already declared")
            if other.hides(rooms):
                raise ConfigurationError(
                    f"nobody would ever join the rooms {rooms.path!r}: {other.path!r} was declared "
                    f"before them, and has all of their names. Declare {rooms.path!r} first"
                )
        self.declared[rooms.path] = rooms
        self.table.has_rooms = True
        self._mount()
        return rooms

    def sends(self, path: str, type: Any) -> None:
        """Declare what the application sends to clients: for editors and descriptions. Nothing is
        checked when a message is sent.

        Parameters:
            path: the channel on the clients' side.
            type: the type of the data: anything that msgspec encodes.

        Raises:
            ConfigurationError: if the path is already declared, or ``type`` is not a type.

        Example::

            app.sends("said", Said)  # and python -m finch types app:app
        """
        declare_sent(self.table.sent, path, type)

    @bare
    def authorize(self, function: F) -> F:
        """Register the function that says who a client is: ``async def (request)``.

        It runs before the connection is accepted. It returns the user's id, an
        :class:`finch.Identity`, or None for a client without a user; :class:`finch.HTTPError`
        refuses the client with an ordinary response.
        """
        check_takes(function, "authorize", "(request)")
        check_no_yield(function, "authorize", "write 'return user_id'")
        self.identities.set("authorize", function)
        self._mount()
        return function

    @bare
    def renew(self, function: F) -> F:
        """Register the function that renews an identity: ``async def (socket, data)``.

        It gets the data of a client's ``finch.auth``, and returns the new
        :class:`finch.Identity`; the user cannot change.
        """
        check_takes(function, "renew", "(socket, data)")
        check_no_yield(function, "renew", "write 'return Identity(...)'")
        self.identities.set("renewal", function)
        return function

    def _set_root(self, name: str, callback: F) -> F:
        if callback is None:
            raise ConfigurationError(f"{name} is a function, not None")
        self.table.set_callback(name, callback)
        self._mount()
        return callback


def not_routes(what: str, given: object) -> str:
    """The error for something that is not a dict of paths and events."""
    return (
        f"{what} takes a dict of paths and events, such as "
        f"{{'time': SocketEvent(on_message=tell_time)}}, not {kind(given)}"
    )
