"""SocketClient: the handle of one client of a manager, which every callback gets as ``socket``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from finch.http.request import Request
from finch.sockets.inbox import Inbox
from finch.sockets.lag import Lag
from finch.sockets.members import UserId
from finch.sockets.outgoing import new_envelope
from finch.sockets.outlet import Host, Outlet
from finch.turns import account
from finch.wire.envelope import Envelope
from finch.wire.websocket import check_close

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager


class SocketClient(Inbox):
    """One connected client: every callback gets it as ``socket``.

    Attributes:
        id: random, unguessable, 22 characters; the client sees it as ``client``.
        request: the request that was upgraded (the seed's ``socket.rq``).
        manager: the :class:`finch.SocketManager` it is connected to.
        user_id: the user's id that was given to ``request_handle``, or None.
        subprotocol: the agreed WebSocket subprotocol, or None.

    Example::

        @app.socket("say")
        async def say(socket, data):
            await socket.manager.send_to_all_except(socket, data, path="said")
    """

    __slots__ = (
        "_key",
        "_lag",
        "_language",
        "_state",
        "manager",
        "request",
        "subprotocol",
        "user_id",
    )

    def __init__(
        self,
        id: str,
        request: Request,
        manager: SocketManager,
        user_id: UserId | None,
        subprotocol: str | None,
        outlet: Outlet,
    ) -> None:
        self.request = request
        self.manager = manager
        self.user_id = user_id
        self.subprotocol = subprotocol
        self._key = id.encode("ascii")
        self._language = request.language
        self._state: dict[str, Any] | None = None
        self._lag: Lag | None = None  # set while it may not have read everything
        super().__init__(id, outlet, manager.table, manager.members)

    @property
    def state(self) -> dict[str, Any]:
        """A dict in which handlers may store anything about this client."""
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def language(self) -> str:
        """The language of the messages that it gets."""
        return self._language

    async def send(self, data: Any, path: str = "", status: int = 200) -> bool:
        """Send a message to this client; first wait while more than 64 KiB wait for it.

        Parameters:
            data: anything that msgspec encodes as JSON.
            path: the channel on the client's side.
            status: a status as in HTTP.

        Returns:
            False if the client has left; then nothing is sent.

        Raises:
            TypeError: if ``data`` has no JSON form, ``path`` is not text or ``status`` is not an
                int.

        Source: the seed, ``socket.send``.
        """
        envelope = new_envelope(data, path, status)
        if account.spend(envelope.size):  # a handler may send in an endless loop
            await trio.lowlevel.checkpoint()
        return await self._send_one(envelope)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection. ``on_disconnect`` runs when the client has answered, or after 5 s.

        Parameters:
            code: 1000, another code that a server may send, or your own from 3000 to 4999 (RFC
                6455, section 7.4).
            reason: at most 123 bytes as UTF-8.

        Raises:
            TypeError, ValueError: if a Close frame cannot hold the code or the reason.
        """
        check_close(code, reason)
        self._outlet.close(code, reason)
        if account.spend():
            await trio.lowlevel.checkpoint()

    @property
    def lag(self) -> float:
        """How far behind the client is, in seconds: the age of the oldest message that a ping has
        followed and that the client may not have read; 0 if it has answered every ping.

        Finch sends a ping half a second after a message, at most one every two seconds, and none
        while nothing is sent.

        Example::

            if socket.lag > 5:
                await socket.send("you are on a slow connection", path="notice")
        """
        return 0.0 if self._lag is None else self._lag.seconds(trio.current_time())

    def push(self, envelope: Envelope) -> bool:
        """Send an envelope without waiting; False if the client has left or is too slow."""
        return self._outlet.push(envelope, self._language, self._key)

    def note_sent(self, now: float) -> None:
        """A message was sent to it at this time of trio's clock. :meth:`probe` will ask later
        whether it was read."""
        if self._lag is None:
            self._lag = Lag()
            self._outlet.host.lagging[self] = None
        self._lag.sent(now)

    @property
    def host(self) -> Host:
        """The server that holds its connection."""
        return self._outlet.host

    def probe(self) -> bool:
        """Ask the client whether it has read its messages. The server calls this regularly, until
        it returns False: then there is nothing left to ask."""
        lag = self._lag
        if lag is None or lag.read or self._outlet.left:
            self._lag = None
            return False
        payload = lag.ping(trio.current_time())
        if payload is not None and not self._outlet.ping(payload):
            self._lag = None
            return False
        return True

    async def _send_one(self, envelope: Envelope) -> bool:
        if self._outlet.transport.pending:
            await self._outlet.wait_writable(envelope.size)
        return self._send_now(envelope)

    def _send_now(self, envelope: Envelope) -> bool:
        lag = self._lag
        if lag is None or lag.since is None:
            self.note_sent(trio.current_time())
        return self.push(envelope)

    def pong(self, payload: bytes) -> None:
        if self._lag is not None:
            self._lag.pong(payload)

    def __repr__(self) -> str:
        return f"<SocketClient {self.id} of {self.request.client}>"
