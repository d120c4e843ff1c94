"""The server: the nursery of all connections, the sweep for overdue ones, the drain at the end.

Error handling: each connection's task catches everything at its end. An exception that reached the
nursery would end all other connections too.
"""

from __future__ import annotations

import importlib
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
from finch.drain import Drain, Watched
from finch.errors import HTTPError
from finch.failures import failure_of, report
from finch.http.connection import Connection
from finch.http.takeover import TakeOver
from finch.logs import Seldom
from finch.net.acceptor import Acceptor
from finch.net.address import Address, address_of
from finch.net.listeners import close_listeners, start_listening, url_of
from finch.net.proxies import Source, Trust, read_proxy_header
from finch.net.readers import HAS_HUB, Hub, TaskReader
from finch.net.streams import LingeringStream, StreamTransport
from finch.net.transport import READ_SIZE, Flusher, SocketTransport, Transport
from finch.sockets.link import Link, Prober
from finch.sockets.workers import Job, Worker, WorkerPool
from finch.tasks import caught, change_context, plain_nursery

_log = logging.getLogger("finch.server")

_REFUSALS: Final = 64  # connections that get a 503 at the same time; more are closed at once
_SETTLED: Final = 0.1  # seconds; by then, clients that were waiting have been answered
_DEFERRED: Final = ("finch.wire.authority", "finch.wire.body", "finch.wire.extensions")


class Server:
    """Serves one application.

    Parameters:
        app: the application.
        access_log: whether each request is logged.
        hub: whether one task reads all plain sockets, if the platform supports it. False uses a
            task for each socket.
        trust: the proxies that are believed; the default is none.
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
        self._flusher = Flusher()
        self._access_log = AccessLog(self._flusher.add) if access_log else None
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._nursery: trio.Nursery | None = None
        self._wants_hub = hub and HAS_HUB
        self._hub: Hub | None = None
        self._refusing = 0
        self._seldom = Seldom(_log)
        self._threads = Threads()
        self._drain = Drain(self._watched, app.limits)
        self._over = False
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
        raised: list[BaseException] = []

        async def house() -> None:
            try:
                await self._run(listeners, tls, task_status)
            except BaseException as error:
                raised.append(error)
            self._over = True
            outside.cancel_scope.cancel()

        trio.lowlevel.add_instrument(self._flusher)
        watchdog = None
        if _log.isEnabledFor(logging.DEBUG):
            from finch.watchdog import Watchdog  # which nobody else needs

            watchdog = Watchdog()
            watchdog.start()
        try:
            # If the caller cancels this call, everything inside ends at once, without goodbyes. So
            # the server runs in a task that shields itself, and this task only waits for the
            # cancellation, and then stops the server.
            async with plain_nursery() as outside:
                outside.start_soon(house)
                try:
                    await trio.Event().wait()  # until the caller or house() cancels it
                finally:
                    if not self._over:
                        self.stop_at_once(self.limits.shutdown_timeout)
        finally:
            close_listeners(listeners)
            for item in list(self._watched):
                item.transport.close()
            if self._hub is not None:
                self._hub.close()
            trio.lowlevel.remove_instrument(self._flusher)
            if watchdog is not None:
                watchdog.stop()
        if raised and not isinstance(raised[0], trio.Cancelled):
            raise raised[0]

    async def _run(
        self,
        listeners: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        task_status: trio.TaskStatus[list[str]],
    ) -> None:
        self._threads.adopt()
        with trio.CancelScope() as shield:
            async with self._app.lifespan():
                shield.shield = True  # not before: a cancellation may still end the startup
                self.workers.home = copy_context()
                async with plain_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(self._sweep)
                    nursery.start_soon(self._import_the_rest)
                    if self._wants_hub:
                        self._hub = Hub()
                        nursery.start_soon(self._hub.run)
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
                    nursery.cancel_scope.cancel()
                    self._threads.abandon()  # else the nursery would wait for handlers in threads

    def stop(self) -> None:
        """Stop accepting, finish the current requests, close every socket with 1001."""
        self._stop.set()

    def stop_at_once(self, seconds: float = 0.0) -> None:
        """Stop without waiting: requests are cut off, sockets are closed with 1001.

        Parameters:
            seconds: the time for the ``on_disconnect`` calls of all clients together; the default
                is ``Limits.leave_grace``.
        """
        self._stop.set()
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
            transport = SocketTransport(sock, self.spawn, self._flusher, self._buffer)
        else:
            plain = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
            stream = trio.SSLStream(LingeringStream(plain), tls, server_side=True)
            transport = StreamTransport(stream, self.spawn, self.limits.close_timeout, sock)
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
            spawn=self.spawn,
            scheme=scheme,
            access_log=self._access_log,
            trust=self._trust,
        )
        self._watch(connection)
        return connection

    async def serve(self, transport: Transport, client: Address, scheme: str = "http") -> None:
        """Serve one connection to its end. Never raises what happens on the connection."""
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
            item.shut_down()

    def _unwatch(self, item: Watched) -> None:
        self._watched.discard(item)
        if self._stop.is_set():
            self._drain.left()

    def forget(self, link: Link) -> None:
        """Remove a link that has ended, with its owner."""
        self._unwatch(link)

    def spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task beside the connections. If it raises, that is logged, and all else goes on."""
        assert self._nursery is not None, "the server does not run"
        self._nursery.start_soon(caught, task)

    # Time

    async def _import_the_rest(self) -> None:
        """Import modules that the first responses do not need; this makes the start 10 % faster.

        Nor are they left to the first connection that needs them: at that time there may be no free
        descriptor to open a file, or the files may already be those of another release."""
        left = [*_DEFERRED]
        await trio.sleep(_SETTLED)  # not longer: all clients wait 30 ms, and they become more
        while left:
            try:
                while left:
                    importlib.import_module(left[-1])
                    left.pop()
            except OSError as error:
                self._seldom.error("modules of Finch cannot be read yet: %s", error)
                await trio.sleep(self.limits.tick)
            except Exception as error:
                report(_log, "%s cannot be imported; restart the server", left.pop(), error=error)

    async def _sweep(self) -> None:
        """Look at every connection once per tick: all share this one timer."""
        tick = self.limits.tick
        while True:
            due = trio.current_time() + tick
            await trio.sleep_until(due)
            if trio.current_time() > due + tick:
                # This process was held up, and so it has not yet read what peers sent meanwhile.
                # Let it read and handle that first; else it would drop peers that are not late.
                await trio.sleep(tick)
            now = trio.current_time()
            for item in list(self._watched):
                try:
                    if item.transport.stalled(now + tick, self.limits.write_timeout):
                        item.drop()
                    elif item.deadline <= now + tick:
                        item.expire(now)
                except Exception as error:
                    report(_log, "a bug in Finch: the sweep of %r failed", item, error=error)
            for prober in list(self.lagging):
                if not prober.probe():
                    self.lagging.pop(prober, None)


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
