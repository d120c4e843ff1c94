"""Shortcuts: what an application says of the sockets of its own manager, without naming it.

``@app.socket("time")`` is short for ``@app.socket_manager.socket("time")``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from finch.cluster.history import History
from finch.declaring import Guarded, bare
from finch.sockets.audience import Everyone, User
from finch.sockets.event import SocketEvent
from finch.sockets.manager import SocketManager
from finch.sockets.room import Room
from finch.sockets.rooms import Rooms

F = TypeVar("F", bound=Callable[..., Any])


class Shortcuts(Guarded):
    """The part of a :class:`finch.FinchApp` that is short for its ``socket_manager``."""

    socket_manager: SocketManager
    """The manager of the app's own sockets; usable from anywhere in the app."""

    def socket(
        self,
        path: str,
        *,
        concurrent: bool = False,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
    ) -> Callable[[F], F]:
        """Register the handler of a named socket path: see :meth:`finch.SocketManager.socket`."""
        return self.socket_manager.socket(
            path, concurrent=concurrent, auth=auth, middleware=middleware
        )

    def add_socket_route(self, path: str, event: SocketEvent) -> None:
        """Register the event of a named socket path (Dart's ``addSocketRoute``)."""
        self.socket_manager.add_socket_route(path, event)

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
        """Declare rooms, as routes are declared: see :meth:`finch.SocketManager.rooms`."""
        return self.socket_manager.rooms(
            path,
            history=history,
            presence=presence,
            grace=grace,
            auth=auth,
            middleware=middleware,
        )

    def sends(self, path: str, type: Any) -> None:
        """Declare what the application sends: see :meth:`finch.SocketManager.sends`."""
        self.socket_manager.sends(path, type)

    def room(self, name: str) -> Room:
        """The audience of a room of ``socket_manager``."""
        return self.socket_manager.room(name)

    def user(self, user_id: str | int) -> User:
        """The audience of all clients of a user of ``socket_manager``."""
        return self.socket_manager.user(user_id)

    @property
    def everyone(self) -> Everyone:
        """The audience of all clients of ``socket_manager``."""
        return self.socket_manager.everyone

    @bare
    def authorize(self, function: F) -> F:
        """Register the function that says who a client is: ``(request)``. See
        :meth:`finch.SocketManager.authorize`."""
        return self.socket_manager.authorize(function)

    @bare
    def renew(self, function: F) -> F:
        """Register the function that renews an identity: ``(socket, data)``."""
        return self.socket_manager.renew(function)

    @bare
    def on_connect(self, callback: F) -> F:
        """Register the function that is called when a client connects: ``(socket)``."""
        return self.socket_manager.on_connect(callback)

    @bare
    def on_message(self, callback: F) -> F:
        """Register the function that gets messages that no named path handles:
        ``(socket, data)``."""
        return self.socket_manager.on_message(callback)

    @bare
    def on_disconnect(self, callback: F) -> F:
        """Register the function that is called when a client has left: ``(socket)``."""
        return self.socket_manager.on_disconnect(callback)

    @bare
    def on_error(self, callback: F) -> F:
        """Register the function that is called if a socket's callback raised:
        ``(socket, error)``."""
        return self.socket_manager.on_error(callback)
