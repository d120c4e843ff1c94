"""SocketClient: one client of a manager. Its messages are handled in order, by any worker.

Messages that are not handled yet wait in the client's inbox. If a client has something to do, it is
a job for the worker pool: first its ``on_connect``, then its messages, and after it has left, its
``on_disconnect``.
"""

from __future__ import annotations

import logging
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import trio

from finch.calls import attempt
from finch.errors import HTTPError, Unsendable
from finch.explain import shown
from finch.failures import report
from finch.http.request import Request
from finch.sockets.dispatch import Dispatcher
from finch.sockets.event import Handlers
from finch.sockets.lag import Lag
from finch.sockets.link import Host, Link, Owner
from finch.sockets.outgoing import means_refusal, new_envelope
from finch.sockets.registry import UserId
from finch.sockets.workers import Job, Worker
from finch.tasks import is_same
from finch.turns import HEAVY, TURN, account
from finch.wire.envelope import Envelope, Message
from finch.wire.websocket import check_close

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager

_log = logging.getLogger("finch.sockets")


class SocketClient(Dispatcher, Owner, Job):
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
        "_active",
        "_cancelled",
        "_gone",
        "_inbox",
        "_key",
        "_lag",
        "_language",
        "_leaving",
        "_lifecycle",
        "_limit",
        "_link",
        "_members",
        "_met",
        "_pool",
        "_queued",
        "_state",
        "_table",
        "_workers",
        "context",
        "id",
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
        link: Link,
    ) -> None:
        self.id = id
        self.request = request
        self.manager = manager
        self.user_id = user_id
        self.subprotocol = subprotocol
        self._key = id.encode("ascii")
        self._language = request.language
        self._state: dict[str, Any] | None = None
        self._link = link
        self._pool = link.host.workers
        self._limit = link.host.limits.inbox
        # a list: few messages wait, and a deque would cost every idle client 600 bytes
        self._inbox: list[str | bytes] = []
        self._active = 0  # messages of concurrent paths that are being handled
        self._workers: tuple[Worker, ...] = ()  # the workers that run this client's callbacks
        self._queued = False  # waits for a worker, or a worker serves it
        self._table = manager.table
        self._members = manager.registry
        self._lifecycle = self._table.lifecycle
        self._met = -1 if self._table.greets else len(self._lifecycle)
        """For how many of these on_connect has begun; -1 before the first. Only these get an
        on_disconnect."""
        self._leaving = False
        self._cancelled = False  # the time for handling its last messages is over
        self._gone = False  # on_disconnect has begun
        self._lag: Lag | None = None  # set while it may not have read everything
        # its handlers see the ContextVars that the route and its middleware have set
        context = copy_context()
        self.context: Context | None = None if is_same(context, self._pool.home) else context
        if self._met < 0:
            self._queue()

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
        self._link.close(code, reason)
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
        link = self._link
        if link.protocol.compressed:
            return link.send(envelope.text(self._language, self._key))
        return link.send_frame(envelope.frame(self._language, self._key))

    def note_sent(self, now: float) -> None:
        """A message was sent to it at this time of trio's clock. :meth:`probe` will ask later
        whether it was read."""
        if self._lag is None:
            self._lag = Lag()
            self._link.host.lagging[self] = None
        self._lag.sent(now)

    @property
    def host(self) -> Host:
        """The server that holds its connection."""
        return self._link.host

    def probe(self) -> bool:
        """Ask the client whether it has read its messages. The server calls this regularly, until
        it returns False: then there is nothing left to ask."""
        lag = self._lag
        if lag is None or lag.read:
            self._lag = None
            return False
        payload = lag.ping(trio.current_time())
        if payload is not None and not self._link.ping(payload):
            self._lag = None
            return False
        return True

    async def _send_one(self, envelope: Envelope) -> bool:
        if self._link.transport.pending:
            await self._link.wait_writable(envelope.size)
        return self._send_now(envelope)

    def _send_now(self, envelope: Envelope) -> bool:
        lag = self._lag
        if lag is None or lag.since is None:
            self.note_sent(trio.current_time())
        return self.push(envelope)

    def __repr__(self) -> str:
        return f"<SocketClient {self.id} of {self.request.client}>"

    # Called by the link

    def deliver(self, message: str | bytes) -> None:
        self._inbox.append(message)
        if len(self._inbox) + self._active >= self._limit:
            self._link.pause()
        if not self._queued:
            self._queue()

    def pong(self, payload: bytes) -> None:
        if self._lag is not None:
            self._lag.pong(payload)

    def leave(self) -> None:
        self._leaving = True
        self._members.leave(self.id)
        if not self._queued and not self._active:
            self._queue()

    def cancel(self) -> None:
        self._cancelled = True
        self._inbox.clear()
        for worker in self._workers:
            worker.cancel()

    def _queue(self) -> None:
        self._queued = True
        self._pool.submit(self)

    # Called by a worker

    async def serve(self, worker: Worker) -> None:
        """Handle everything that waits for this client, in order."""
        self._workers += (worker,)
        inbox = self._inbox
        try:
            if self._met < 0 and not self._cancelled:
                await self._run_connect()
            while inbox and not worker.cancelled:
                payload = inbox.pop(0)
                if self._link.paused:
                    self._make_room()
                try:
                    handling = self._handle(payload)
                    if handling is not None:
                        await handling
                except Exception as error:
                    report(
                        _log, "a bug in Finch: a message of %r was not handled", self, error=error
                    )
                account.used += 1 + (len(payload) >> HEAVY)
                if account.used >= TURN:
                    account.used = 0
                    await trio.lowlevel.checkpoint()
        finally:
            # Nothing may wait between the last look at the inbox and this line. A message that
            # arrived while _queued is still True would be handled by nobody.
            self._dismiss(worker)
            self._queued = False
            if self._leaving and worker.cancelled:
                self._queue()  # on_disconnect needs a worker that is not cancelled
        if self._leaving and not self._queued and not self._active:
            await self._say_goodbye()

    def keep(self, context: Context) -> None:
        if self.context is None:
            self.context = context
            return
        # two of its handlers ran at the same time, and both have set something: merge
        home = self._pool.home
        for variable, value in context.items():
            if home.get(variable) is not value:
                self.context.run(variable.set, value)

    def left_open(self) -> None:
        self._link.close(1011, "internal error")

    def _dismiss(self, worker: Worker) -> None:
        if len(self._workers) == 1:
            self._workers = ()
        else:
            self._workers = tuple(other for other in self._workers if other is not worker)

    def _make_room(self) -> None:
        if len(self._inbox) + self._active <= self._limit // 2:
            self._link.resume()

    async def _run_connect(self) -> None:
        self._met = 0
        for handlers in self._lifecycle:
            self._met += 1
            if handlers.on_connect is None:
                continue
            value, error = await attempt(handlers.on_connect, self)
            if error is None and value is not None and means_refusal(value):
                report(
                    _log,
                    "on_connect of %s returned %s for %r, which is refused; to refuse a client, "
                    "write 'raise HTTPError(403, \"why\")'",
                    handlers.named,
                    shown(value),
                    self,
                )
                error = HTTPError(403)
            if isinstance(error, HTTPError):
                await self._send_error(error, None)
                self._inbox.clear()
                self._link.close(1008, error.answer()[1])
                return
            if error is not None:
                await self._failed(error, handlers, "on_connect", None)
            if isinstance(error, Unsendable):
                self._inbox.clear()
                self._link.close(1008, "refused")
                return

    async def _say_goodbye(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._link.finish()
        try:
            for handlers in self._lifecycle[: max(0, self._met)]:
                if handlers.on_disconnect is not None:
                    _, error = await attempt(handlers.on_disconnect, self)
                    if error is not None:
                        await self._failed(error, handlers, "on_disconnect", None)
        finally:
            self._members.remove(self.id)
            self._link.host.lagging.pop(self, None)
            self._link.release()

    def _begin_beside(self, handlers: Handlers, message: Message) -> bool:
        if self._active >= self._limit:
            return False
        self._active += 1
        self._pool.submit(_ConcurrentCall(self, handlers, message))
        return True

    def call_done(self) -> None:
        """A message of a concurrent path is handled."""
        self._active -= 1
        if self._link.paused:
            self._make_room()
        if self._leaving and not self._queued and not self._active:
            self._queue()


class _ConcurrentCall(Job):
    """A message of a path that was registered with ``concurrent=True``."""

    __slots__ = ("_client", "_handlers", "_message")

    def __init__(self, client: SocketClient, handlers: Handlers, message: Message) -> None:
        self._client = client
        self._handlers = handlers
        self._message = message

    @property
    def context(self) -> Context | None:  # type: ignore[override]  # read only
        return self._client.context

    def keep(self, context: Context) -> None:
        self._client.keep(context)

    def left_open(self) -> None:
        self._client.left_open()

    async def serve(self, worker: Worker) -> None:
        client = self._client
        client._workers += (worker,)
        try:
            if not client._cancelled:
                await client._run(self._handlers, self._message)
        finally:
            client._dismiss(worker)
            client.call_done()
