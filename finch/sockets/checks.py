"""What is said of wrong arguments to the methods of a manager."""

from __future__ import annotations

from finch.errors import ConfigurationError
from finch.explain import kind
from finch.sockets.client import SocketClient
from finch.sockets.identity import check_user_id


def check_user(user_id: object) -> None:
    """Refuse what is no user's id.

    Raises:
        TypeError: if it is neither str nor int.
    """
    if user_id is None:
        raise TypeError("a user's id is str or int, not None; everyone.send() sends to everybody")
    check_user_id(user_id)


def check_client_id(id: object) -> None:
    """Refuse what is no client's id.

    Raises:
        TypeError: if it is not text.
    """
    if not isinstance(id, str):
        instead = "write the client's id first, such as socket.id"
        if isinstance(id, SocketClient):
            instead = "write socket.id"
        raise TypeError(f"a client's id is text, not {kind(id)}; {instead}")


def not_a_client(socket: object) -> str:
    """What is said if something else is given than the client that is left out."""
    instead = "write send_to_all_except(socket, data)"
    if isinstance(socket, str):
        instead += "; manager.get_client(id) finds the client of an id"
    elif socket is None:
        instead = "write send_to_all(data) to send to everybody"
    return f"send_to_all_except takes the client that is left out, not {kind(socket)}; {instead}"


def check_app(app: object) -> None:
    """Refuse what is no application.

    Raises:
        ConfigurationError: if managers cannot be attached to it.
    """
    if hasattr(type(app), "attach_manager"):
        return
    instead = "write SocketManager(app)"
    if isinstance(app, type):
        instead = "write app = FinchApp(), and SocketManager(app)"
    elif isinstance(app, str):
        instead = f"write SocketManager(app, path={app!r})"
    raise ConfigurationError(f"a SocketManager belongs to a FinchApp, not {kind(app)}; {instead}")
