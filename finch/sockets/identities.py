"""Identities: finds out who a client is before it is connected, and ends what has expired."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import trio

from finch.calls import attempt
from finch.errors import ConfigurationError, HTTPError
from finch.http.request import Request
from finch.sockets.client import SocketClient
from finch.sockets.identity import EXPIRED, AnotherUser, Identity, identity_of
from finch.sockets.refusals import refusal

_ENOUGH: Final = 1024  # connections that are closed in one look


class Identities:
    """The functions that say who a client is, and the times at which identities expire."""

    def __init__(self) -> None:
        self.authorize: Callable[..., Any] | None = None
        self.renewal: Callable[..., Any] | None = None
        self._expiring: dict[SocketClient, float] = {}  # when each expires, by trio's clock
        self._next = math.inf  # nobody expires before this

    def set(self, name: str, function: Callable[..., Any]) -> None:
        """Set ``authorize`` or ``renewal``.

        Raises:
            ConfigurationError: if it is set already.
        """
        if getattr(self, name) is not None:
            named = "renew" if name == "renewal" else name
            raise ConfigurationError(f"{named} is already registered")
        setattr(self, name, function)

    async def identify(self, request: Request) -> Identity:
        """Who is asking for a connection.

        Raises:
            HTTPError: if the application refuses; the response is an ordinary one.
            BaseException: whatever else ``authorize`` raises.
        """
        assert self.authorize is not None
        value, error = await attempt(self.authorize, request)
        if error is not None:
            raise error
        refused = refusal(value, "authorize", request.client, 401)
        if refused is not None:
            raise refused
        identity = identity_of(value)
        if identity.seconds_left() <= 0:
            raise HTTPError(401, "your identity has expired")
        return identity

    async def renew(self, client: SocketClient, data: Any) -> Identity:
        """A client asks for its identity to be renewed.

        Raises:
            HTTPError: if that is refused.
            AnotherUser: if the identity is another user's; the client must then be closed.
        """
        if self.renewal is None:
            raise HTTPError(404, "finch.auth is unknown here")
        value, error = await attempt(self.renewal, client, data)
        if error is not None:
            raise error
        refused = refusal(value, "renew", client)
        if refused is not None:
            raise refused
        identity = identity_of(value)
        if identity.user_id != client.user_id or type(identity.user_id) is not type(client.user_id):
            raise AnotherUser
        if identity.seconds_left() <= 0:
            raise HTTPError(401, "the new identity has expired already")
        client.identity = identity
        if not client.gone:  # it may have left meanwhile, and nothing would forget it
            self.watch(client)
        return identity

    def watch(self, client: SocketClient) -> None:
        """Close this client when its identity expires."""
        self.forget(client)
        identity = client.identity
        left = math.inf if identity is None else identity.seconds_left()
        if left < math.inf:
            due = self._expiring[client] = trio.current_time() + left
            self._next = min(self._next, due)
            client.host.lagging[self] = None

    def forget(self, client: SocketClient) -> None:
        """The client has left."""
        self._expiring.pop(client, None)

    def probe(self) -> bool:
        """Close the clients whose identity has expired. The server calls it now and then."""
        now = trio.current_time()
        if now >= self._next:
            due = [client for client, at in self._expiring.items() if at <= now][:_ENOUGH]
            for client in due:
                del self._expiring[client]
                client.end(EXPIRED, "your identity has expired")
            self._next = min(self._expiring.values(), default=math.inf)
        return bool(self._expiring)
