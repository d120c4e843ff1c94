"""The server: the nursery of all connections, from the accepted socket to its end.

Error handling: each connection's task catches everything at its end. An exception that reached the
nursery would end all other connections too.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Final

import trio

from finch.access import AccessLog
from finch.app import FinchApp
from finch.calls import Threads
from finch.deferred import import_the_rest
from finch.drain import Drain, Watched
from finch.errors import HTTPError
from finch.failures import failure_of, report
from finch.http.connection import Connection
from finch.http.takeover import TakeOver
from finch.lifespan import Time
from finch.logs import Seldom
from finch.net.acceptor import Acceptor
from finch.net.address import Address, address_of
from finch.net.flusher import Flusher
from finch.net.hub import HAS_HUB, Hub
from finch.net.listeners import close_listeners, start_listening, url_of
from finch.net.plain import SocketTransport
from finch.net.proxies import Source, Trust, read_proxy_header
from finch.net.readers import TaskReader
from finch.net.streams import LingeringStream, StreamTransport
from finch.net.transport import READ_SIZE, Spawn, Transport
from finch.sockets.link import Link
from finch.sockets.outlet import Prober
from finch.sockets.workers import Job, Worker, WorkerPool
from finch.sweep import sweep
from finch.tasks import caught, change_context, plain_nursery, stopped_by_cancellation

_log = logging.getLogger("finch.server")

_REFUSALS: Final = 64  # connections that get a 503 at the same time; more are closed at once


class Server:
    """Serves one application.

    Parameters:
        app: the application.
        access_log: whether each request is logged.
        hub: whether all plain sockets are read through one epoll, if the platform supports it.
            False uses a task for each socket.
        trust: the proxies that are trusted; none by default.
        proxy_protocol: whether every connection must begin with a PROXY header.

    Example::

        server = Server(app)
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, open_listeners("127.0.0.1", 8080))
            ...
            server.stop()
    """

    def __init__(
        self,
        app: FinchApp,
        *,
        access_log: bool = False,
        hub: bool = True,
        trust: Trust | None = None,
        proxy_protocol: bool = False,
    ) -> None:
        self.limits = app.limits
        self.workers = WorkerPool(self.spawn)
        self._app = app
        self._trust = trust
        self._proxy_protocol = proxy_protocol
        self._unnamed = 0  # connections whose PROXY header has not come yet
        self._watched: set[Watched] = set()
        self._stop = trio.Event()
        self._flusher = Flusher(self.workers.busy)
        self._access_log = AccessLog(self._flusher.later) if access_log else None
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._nursery: trio.Nursery | None = None
        self._wants_hub = hub and HAS_HUB
        self._hub: Hub | None = None
        self._spawn: Spawn = self.spawn  # one object for all connections
        self._refusing = 0
        self._seldom = Seldom(_log)
        self._threads = Threads()
        self._drain = Drain(self._watched, app.limits)
        self._time: Time | None = None
        self.lagging: dict[Prober, None] = {}

    async def run(
        self,
        listeners: Sequence[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until :meth:`stop`, then let all connections end by themselves.

        Parameters:
            listeners: sockets from :func:`open_listeners`. They listen after startup, and are
                closed when the server stops accepting.
            tls: the certificate, for https and wss.
            task_status: ``nursery.start`` returns the URLs that are served.

        Raises:
            Exception: whatever a startup callback raises.
            ConfigurationError: if another process has begun to listen on an address.
        """
        trio.lowlevel.add_instrument(self._flusher)
        watchdog = None
        if _log.isEnabledFor(logging.DEBUG):
            from finch.watchdog import Watchdog  # needed only for debugging

            watchdog = Watchdog()
            watchdog.start()
        try:
            await stopped_by_cancellation(
                partial(self._run, listeners, tls, task_status),
                partial(self.stop_at_once, self.limits.shutdown_timeout),
            )
        finally:
            close_listeners(listeners)
            for item in list(self._watched):
                item.transport.close()
            if self._hub is not None:
                self._hub.stop()
                self._hub.close()
            trio.lowlevel.remove_instrument(self._flusher)
            if self._access_log is not None:
                self._access_log.close()
            if watchdog is not None:
                watchdog.stop()

    async def _run(
        self,
        listeners: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        task_status: trio.TaskStatus[list[str]],
    ) -> None:
        self._threads.adopt()
        with trio.CancelScope() as shield:
            async with self._app.lifespan() as self._time:
                shield.shield = True  # not before: a cancellation may still end the startup
                self.workers.home = copy_context()
                async with plain_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(sweep, self._watched, self.lagging, self.limits)
                    nursery.start_soon(import_the_rest, self.limits.tick, self._seldom)
                    if self._wants_hub:
                        self._hub = self.workers.hub = Hub(self.workers)
                        self._hub.start()
                    start_listening(listeners)
                    acceptor = Acceptor(partial(self._take, tls))
                    async with plain_nursery() as accepting:
                        for listener in listeners:
                            accepting.start_soon(acceptor.run, listener)
                        task_status.started([url_of(one, tls is not None) for one in listeners])
                        await self._stop.wait()
                        accepting.cancel_scope.cancel()
                    acceptor.close()
                    close_listeners(listeners)
                    await self._drain.run()
                    if self._hub is not None:
                        self._hub.stop()
                    nursery.cancel_scope.cancel()
                    self._threads.abandon()  # else the nursery would wait for handlers in threads

    def stop(self, restart: bool = False) -> None:
        """Stop accepting, finish the current requests, close every socket with 1001.

        Parameters:
            restart: whether another process takes over the address. Sockets are then closed with
                1012, and idle connections get a moment for one more request.
        """
        if restart and not self._stop.is_set():
            self._drain.restart()
        self._set_stop()

    def _set_stop(self) -> None:
        self._stop.set()
        if self._time is not None:
            self._time.draining = True

    def stop_at_once(self, seconds: float = 0.0) -> None:
        """Stop without waiting: requests are cut off, sockets are closed with 1001.

        Parameters:
            seconds: the time for the ``on_disconnect`` calls of all clients together; the default
                is ``Limits.leave_grace``.
        """
        self._set_stop()
        self._drain.hurry(seconds or self.limits.leave_grace)

    def abandon_threads(self) -> None:
        """Stop waiting for ``def`` functions. They end with the process, if not before."""
        self._threads.abandon()

    @property
    def stopping(self) -> bool:
        """Whether the server was told to stop."""
        return self._stop.is_set()

    # Connections

    def _take(self, tls: ssl.SSLContext | None, sock: socket.socket, address: object) -> None:
        """Take a connection that was just accepted."""
        peer = Source(address_of(address), "http" if tls is None else "https")
        if not self._proxy_protocol:
            self._admit(tls, sock, peer)
        elif self._has_room(self._unnamed):
            self._unnamed += 1
            self.workers.submit(_Accepted(partial(self._take_proxied, tls, sock, peer)))
        else:
            sock.close()

    async def _take_proxied(
        self, tls: ssl.SSLContext | None, sock: socket.socket, peer: Source
    ) -> None:
        try:
            source = await read_proxy_header(sock, peer, self.limits.head_timeout, self._seldom)
        finally:
            self._unnamed -= 1
        if source is not None:
            self._admit(tls, sock, source)

    def _admit(self, tls: ssl.SSLContext | None, sock: socket.socket, source: Source) -> None:
        transport: Transport
        if tls is None:
            transport = self.transport_of(sock)
        else:
            plain = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
            stream = trio.SSLStream(LingeringStream(plain), tls, server_side=True)
            transport = StreamTransport(stream, self._spawn, self.limits.close_timeout, sock)
        connection = self._connection(transport, source.client, source.scheme)
        if self._has_room():
            self.workers.submit(_Accepted(partial(self._serve, connection)))
        elif self._refusing < _REFUSALS:
            self._refusing += 1
            self.workers.submit(_Accepted(partial(self._refuse, connection)))
        else:
            self._unwatch(connection)
            transport.close()

    def _has_room(self, more: int = 0) -> bool:
        most = self.limits.max_connections
        return most is None or len(self._watched) - self._refusing + more <= most

    def _connection(self, transport: Transport, client: Address, scheme: str) -> Connection:
        connection = Connection(
            transport,
            self._app,
            client=client,
            spawn=self._spawn,
            scheme=scheme,
            access_log=self._access_log,
            trust=self._trust,
        )
        self._watch(connection)
        return connection

    def transport_of(self, sock: socket.socket) -> SocketTransport:
        """A connected socket, for :meth:`serve`."""
        return SocketTransport(sock, self._spawn, self._flusher, self._buffer, self._hub)

    async def serve(self, transport: Transport, client: Address, scheme: str = "http") -> None:
        """Serve one connection to its end. Never raises what goes wrong on the connection."""
        await change_context(self.workers.home.copy())
        await self._serve(self._connection(transport, client, scheme))

    async def _serve(self, connection: Connection) -> None:
        transport = connection.transport
        link = None
        try:
            try:
                taken = await connection.run()
            finally:
                self._unwatch(connection)
            if taken is not None:
                link = self._open_link(transport, *taken)
                if self._hub is not None and isinstance(transport, SocketTransport):
                    self._hub.add(link)
                else:
                    await TaskReader().read(link)
                return  # from here on, the link closes the transport
        except BaseException as raised:
            try:
                error = failure_of(raised)
            finally:  # also if failure_of raises a cancellation again
                transport.close()
                if link is not None:
                    link.drop()
            report(
                _log, "a bug in Finch: the connection of %s failed", connection.client, error=error
            )
        else:
            transport.close()

    async def _refuse(self, connection: Connection) -> None:
        self._seldom.error(
            "connections are refused: there are %d, which is Limits.max_connections",
            self.limits.max_connections,
        )
        try:
            await connection.refuse(
                HTTPError(503, "too many connections; try again", {"retry-after": "1"})
            )
        finally:
            self._refusing -= 1
            self._unwatch(connection)
            connection.transport.close()

    def _open_link(self, transport: Transport, taken: TakeOver, trailing: bytes) -> Link:
        link: Link = taken.open(transport, self)
        self._watch(link)
        if trailing:
            link.receive(trailing, trio.current_time())
        return link

    def _watch(self, item: Watched) -> None:
        self._watched.add(item)
        if self._stop.is_set():
            self._drain.end(item)

    def _unwatch(self, item: Watched) -> None:
        self._watched.discard(item)
        if self._stop.is_set():
            self._drain.left()

    def claim_turn(self) -> bool:
        """Ask to be the first that sends in this turn of the event loop, and at once. True if
        nothing was written so far, and no other message waits for its handler."""
        return self._flusher.claim()

    def release(self, link: Link) -> None:
        """Remove a link that has ended, with its owner."""
        self._unwatch(link)

    def spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task beside the connections. If it raises, that is logged, and all else goes on."""
        assert self._nursery is not None, "the server does not run"
        self._nursery.start_soon(caught, task)


class _Accepted(Job):
    """A new connection, as a job for a worker. Most are upgraded soon and then need no task."""

    __slots__ = ("_serve",)

    def __init__(self, serve: Callable[[], Awaitable[None]]) -> None:
        self._serve = serve

    async def serve(self, worker: Worker) -> None:
        await self._serve()

    def keep(self, context: Context) -> None:
        pass  # each request has its own context

    def left_open(self) -> None:
        pass  # the connection is over
