"""SocketController: a manager's HTTP side, in the seed's manner."""

from __future__ import annotations

from finch.errors import ConfigurationError
from finch.explain import kind
from finch.http.request import Request
from finch.http.response import Response
from finch.sockets.manager import SocketManager


class Controller:
    """A class whose methods are the ``index`` of routes. It needs no arguments.

    Example::

        class BirdController(Controller):
            async def all(self, request):
                return await birds()

        app.add_routes([FinchRoute("/birds", BirdController().all)])
    """


class SocketController(Controller):
    """Upgrades the requests of a route to WebSockets.

    Parameters:
        manager: whose; the application's ``socket_manager`` where left out.

    Raises:
        ConfigurationError: if it is not a manager.

    Source: the seed, ``SocketController``.

    Example::

        FinchRoute("/ws", SocketController(manager).socket, methods=Methods.ALL)
    """

    def __init__(self, manager: SocketManager | None = None) -> None:
        if manager is not None and not isinstance(manager, SocketManager):
            raise ConfigurationError(
                f"a SocketController takes a SocketManager, not {kind(manager)}; write "
                "SocketController(app.socket_manager)"
            )
        self.manager = manager

    async def socket(self, request: Request) -> Response:
        """The route's index: hands the request to the manager."""
        manager: SocketManager = self.manager or request.app.socket_manager
        await manager.request_handle(request)
        return request.render_socket()
