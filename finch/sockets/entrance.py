"""Entrance: how a request becomes a client of a manager."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from finch.cluster.backplane import Backplane
from finch.cluster.history import History
from finch.errors import ConfigurationError
from finch.http.guarding import Level
from finch.http.methods import Methods
from finch.http.request import Request
from finch.http.routing import FinchRoute
from finch.http.takeover import Prepared
from finch.sockets.asked import positions
from finch.sockets.client import SocketClient
from finch.sockets.delivery import Delivery
from finch.sockets.identities import Identities
from finch.sockets.identity import Identity, check_user_id, found_by_guard
from finch.sockets.members import Members, UserId
from finch.sockets.options import SocketOptions
from finch.sockets.outlet import PATIENCE, Outlet
from finch.sockets.upgrade import Upgrade, accept
from finch.wire.handshake import wants_events

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager
    from finch.wire.posted import Belongs


class Entrance(ABC):
    """The part of a manager that lets clients in. A base class of :class:`SocketManager`."""

    backplane: Backplane
    delivery: Delivery
    history: History | None
    identities: Identities
    level: Level
    members: Members[SocketClient]
    user_history: History | None
    _options: SocketOptions

    def request_handle(self, request: Request, user_id: UserId | None = None) -> Prepared:
        """Upgrade a request to a socket of this manager.

        A client whose network lets no WebSocket through asks for a stream of events instead, and
        speaks in POSTs to the same path: the response is then the stream, or the answer to a POST.

        Parameters:
            request: a handler's request.
            user_id: the id of the client's user; ``send_to_user`` reaches all clients of a user.

        Returns:
            The response that the handler must return. Awaiting it gives the same response, and so
            does ``request.render_socket()``.

        Raises:
            HTTPError: 426 if the request asks for no socket, 403 if its origin is not allowed, 400
                if the handshake is wrong.
            TypeError: if ``request`` is not a Request, or ``user_id`` is not str, int or None.
            ConfigurationError: if the manager has guards: they stand before its own route only.

        Source: the seed, ``requestHandle``.
        """
        if self.level.says_something:
            raise ConfigurationError(
                "this SocketManager has guards, which stand before its own route only, and would "
                "be left out at a route that calls request_handle: give auth= and middleware= to "
                "the route, and not to the manager"
            )
        return self._let_in(request, user_id)

    def _let_in(self, request: Request, user_id: UserId | None = None) -> Prepared:
        """The same, behind all guards."""
        if not isinstance(request, Request):
            raise TypeError(
                f"request_handle takes the handler's request, not {type(request).__name__}"
            )
        check_user_id(user_id)
        sse = self._options.sse
        if sse and request.method == "POST":
            from finch.sockets.posts import Posted  # few clients need it
            from finch.wire.posted import HEADER

            if HEADER in request.headers:
                request.accepted = posted = Posted(request, self._options, self._take)
                return posted
        identity = Identity(user_id) if user_id is not None else found_by_guard(request.user)
        manager = cast("SocketManager", self)

        async def identify() -> None:
            nonlocal identity
            identity = await self.identities.identify(request)

        def attach(outlet: Outlet, subprotocol: str | None) -> SocketClient:
            key = self.backplane.new_client_id()
            client = SocketClient(key, request, manager, identity, subprotocol, outlet)
            self.members.add(key, client, client.user_id)
            client.recount()
            if identity is not None:
                self.identities.watch(client)
            return client

        if self.history is not None or self.user_history is not None:
            positions(request)  # refuses what is malformed, before the 101
        upgrade: Upgrade
        if sse and request.method == "GET" and wants_events(request.raw_headers):
            from finch.sockets.posts import accept_stream

            upgrade = accept_stream(request, self._options, attach)
        else:
            upgrade = accept(request, self._options, attach)
        if user_id is None and self.identities.authorize is not None:
            upgrade.identify = identify
        request.accepted = upgrade
        return upgrade

    async def handle(self, request: Request, **params: object) -> Prepared:
        """The handler of the route where this manager is mounted."""
        return self._let_in(request)

    def preflight(self, request: Request) -> Mapping[str, str]:
        """The headers that tell the browser of a page what it may send (CORS).

        Raises:
            HTTPError: 403 if the origin of the page is not allowed.
        """
        if not self._options.sse:
            return {}
        from finch.sockets.posts import preflight

        return preflight(request, self._options)

    def mount(self, path: str, key: str | None = None) -> FinchRoute:
        """The route where this manager is mounted."""
        methods = ("GET", "POST") if self._options.sse else Methods.ONLY_GET
        route = FinchRoute(path, self.handle, methods=methods, key=key)
        route.preflight = self.preflight
        return route

    async def _take(self, belongs: Belongs, lines: str) -> int:
        """Take the messages of a POST, for the stream to which it belongs, in any process."""
        status = await self.delivery.take(belongs, lines, PATIENCE)
        if status is None:
            status = await self.backplane.pass_on(belongs, lines)
        return status
