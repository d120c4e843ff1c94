"""SocketClient: the handle of one client of a manager, which every callback gets as ``socket``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from finch.cluster.backplane import Draft
from finch.errors import ClientGone
from finch.failures import report
from finch.http.request import Request
from finch.sockets.asks import Asks
from finch.sockets.conflation import Waiting
from finch.sockets.identity import Identity
from finch.sockets.lag import Lag
from finch.sockets.membership import Member
from finch.sockets.outgoing import drafted, epoch_ms, new_envelope, read_answer
from finch.sockets.outlet import Host, Outlet
from finch.sockets.spawned import Spawned
from finch.turns import account
from finch.wire.envelope import Envelope
from finch.wire.message import Reply
from finch.wire.websocket import check_close

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager
    from finch.sockets.room import Room

_log = logging.getLogger("finch.sockets")

Late = Envelope | Callable[[], Envelope]
"""A volatile message that waits: itself, or what makes it when the client has caught up."""


class SocketClient(Member):
    """One connected client: every callback gets it as ``socket``.

    Attributes:
        id: random, unguessable, 22 characters; the client sees it as ``client``.
        request: the request that was upgraded (the seed's ``socket.rq``).
        manager: the :class:`finch.SocketManager` it is connected to.
        user_id: the user's id, from ``authorize`` or ``request_handle``; or None.
        identity: the :class:`finch.Identity` that ``authorize`` returned, or None.
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
        "_spawned",
        "_state",
        "_waiting",
        "request",
        "subprotocol",
        "user_id",
    )

    def __init__(
        self,
        id: str,
        request: Request,
        manager: SocketManager,
        identity: Identity | None,
        subprotocol: str | None,
        outlet: Outlet,
    ) -> None:
        self.request = request
        self.manager = manager
        self.identity = identity
        self.user_id = None if identity is None else identity.user_id
        self.subprotocol = subprotocol
        self._key = id.encode("ascii")
        self._language = request.language
        self._state: dict[str, Any] | None = None
        self._lag: Lag | None = None  # set while it may not have read everything
        self._waiting: Waiting[Late] | None = None  # volatile messages, while it is behind
        self._spawned: Spawned | None = None  # the tasks that end with it
        self._rooms = ()
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

    async def send(
        self,
        data: Any,
        path: str = "",
        status: int = 200,
        *,
        volatile: bool = False,
        key: Any = None,
    ) -> bool:
        """Send a message to this client; first wait while more than 64 KiB wait for it.

        Parameters:
            data: anything that msgspec encodes as JSON.
            path: the channel on the client's side.
            status: a status as in HTTP.
            volatile: whether only the newest matters: it does not wait. While the client is behind,
                the newest message of each path and key replaces the one that waits here.
            key: anything hashable: see ``volatile``.

        Returns:
            False if the client has left; then nothing is sent.

        Raises:
            TypeError: if ``data`` has no JSON form, ``path`` is not text or ``status`` is not an
                int.

        Source: the seed, ``socket.send``.
        """
        if volatile:
            draft = drafted(data, path, status, volatile=True, key=key)
            sent = self.push_volatile(draft.make(), draft)
            if account.spend():
                await trio.lowlevel.checkpoint()
            return sent
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

    async def call(self, data: Any, path: str = "", *, as_type: Any = Any) -> Any:
        """Ask the client, and wait for its answer. Bound the wait with a cancel scope.

        Works in a handler of the same client, too: its other messages wait, its answer does not.

        Parameters:
            data: anything that msgspec encodes as JSON.
            path: the channel on the client's side.
            as_type: the type that the answer is converted to, as a handler's annotation.

        Returns:
            The data of the answer.

        Raises:
            ClientGone: if the client leaves before it answers.
            CallFailed: if it answers with an error, or with data of another type.
            TypeError: if ``data`` has no JSON form, or ``path`` is not text.

        Example::

            with trio.fail_after(30):
                sure = await socket.call("Delete it?", path="confirm", as_type=bool)
        """
        reply = await self.ask(path, drafted(data, path, 200).data)
        return read_answer(reply, as_type, self.manager.dec_hook)

    async def ask(self, path: str, data: bytes) -> Reply:
        """Ask the client, and wait for its answer as it is.

        Parameters:
            path: the channel on the client's side.
            data: the question, as JSON.

        Raises:
            ClientGone: if the client leaves before it answers.
        """
        if self._asks is None:
            self._asks = Asks()
        asks = self._asks
        answers: list[Reply | None] = []
        answered = trio.Event()

        def answer(reply: Reply | None) -> None:
            answers.append(reply)
            answered.set()

        id = asks.begin(answer)
        try:
            envelope = Envelope.from_json(data, path, 200, epoch_ms(), None, {"id": id})
            if self._outlet.left or not await self._send_one(envelope):
                raise ClientGone(f"{self!r} has left")
            if self._outlet.paused:
                self._outlet.resume()  # the answer comes behind what fills the inbox
            await answered.wait()
        finally:
            asks.end(id)
            if not asks and len(self._inbox) + self._active >= self._limit:
                self._outlet.pause()
        [reply] = answers
        if reply is None:
            raise ClientGone(f"{self!r} has left before it answered")
        return reply

    @property
    def replaced(self) -> int:
        """How many volatile messages it never got, because newer ones replaced them."""
        return 0 if self._waiting is None else self._waiting.replaced

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Start a task that ends with this client: it is cancelled when the client has left.

        What it raises is logged, and told to ``on_error``.

        Parameters:
            function: called with ``args``.

        Raises:
            ClientGone: if the client has left.

        Example::

            @app.on_connect
            async def greet(socket):
                socket.spawn(ticker, socket)
        """
        if self._outlet.left:
            raise ClientGone(f"{self!r} has left, so no task of it can run")
        if self._spawned is None:
            self._spawned = Spawned()
        task = partial(function, *args)
        self._spawned.start(self.host, task, f"a task of {self!r}", self._task_failed)

    async def _task_failed(self, error: BaseException, named: str) -> None:
        if not self._is_over(error):
            report(_log, "%s raised", named, error=error)
            await self._tell_on_error(error, None)

    def _drop_answer(self) -> None:
        self.manager.dropped_answers += 1

    def end(self, code: int, reason: str) -> None:
        """Close the connection without waiting."""
        self._outlet.close(code, reason)

    def _exit(self, name: object) -> Room | None:
        room = super()._exit(name)
        if room is not None and self._waiting:
            # after the answer to its leave, a client gets no message of the room
            self._waiting.drop(lambda key: key[0] == name)  # type: ignore[index]  # see drafted()
        return room

    def _vanish(self) -> None:
        super()._vanish()
        if self._waiting is not None:
            self._waiting.take()
        self.manager.identities.forget(self)
        if self._spawned is not None:
            self._spawned.end()

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

    def push_volatile(self, envelope: Envelope, draft: Draft) -> bool:
        """Send a volatile envelope, or let it wait while the client is behind; False if the client
        has left.

        The client is behind while bytes wait for it here, or while a ping that followed a message
        is unanswered: it answers pings in order, so kernel buffers cannot hide that it is slow.
        """
        if not self._waiting and not self._is_behind():
            if not self.push(envelope):
                return False
            self._ask()
            return True
        if self._outlet.left:
            return False
        if self._waiting is None:
            self._waiting = Waiting(self._outlet.host.limits.max_outbox // 2)
        replaced = self._waiting.put(draft.path, draft.key, draft.late or envelope, envelope.size)
        self.manager.replaced += replaced
        if self._lag is None or not self._lag.asking:
            self._ask()
        return True

    def _is_behind(self) -> bool:
        if self._lag is not None and self._lag.asking:
            return True
        transport = self._outlet.transport
        if transport.pending:
            transport.flush()  # some bytes may wait only for the end of the turn
        return bool(transport.pending)

    def _ask(self) -> None:
        """Send a ping; its answer says that everything before it was read."""
        now = trio.current_time()
        self.note_sent(now)
        assert self._lag is not None
        payload = self._lag.ask(now)
        if payload is not None:
            self._outlet.ping(payload)

    def _send_waiting(self) -> None:
        """The client has read everything: it gets the newest of what has waited."""
        waiting = self._waiting
        if not waiting:
            return
        if not self._is_behind():
            for late in waiting.take():
                self.push(late if isinstance(late, Envelope) else late())
        if not self._outlet.left and (self._lag is None or not self._lag.asking):
            self._ask()

    def note_sent(self, now: float) -> None:
        """A message was sent to it at this time of trio's clock. :meth:`probe` will ask later
        whether it was read."""
        if self._lag is None:
            self._lag = Lag()
            self._outlet.host.lagging[self] = None
        self._lag.sent(now)

    @property
    def gone(self) -> bool:
        """Whether it has left, though its last handlers may still run."""
        return self._outlet.left

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
            if self._waiting and not self._lag.asking:
                self._send_waiting()

    def __repr__(self) -> str:
        return f"<SocketClient {self.id} of {self.request.client}>"
