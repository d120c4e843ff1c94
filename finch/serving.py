"""A server as a program: where it listens, the signals that end it, the garbage collector."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack
from functools import partial

import trio

from finch.app import FinchApp
from finch.calls import abandon_threads
from finch.errors import ConfigurationError
from finch.listeners import cannot_listen, load_tls, open_listeners
from finch.proxies import Trust
from finch.server import Server
from finch.tasks import plain_nursery


async def serve(
    app: FinchApp,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    unix: str | None = None,
    fd: int | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    forwarded_allow_ips: str | Iterable[str] = (),
    proxy_protocol: bool = False,
    access_log: bool = False,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an application in a trio program of your own, until cancelled or signalled.

    SIGINT and SIGTERM end it in peace: requests are finished, sockets closed with 1001, for at most
    ``Limits.shutdown_timeout``; a second one ends it at once.

    Parameters:
        host, port, unix, fd: where to listen, as :func:`open_listeners`.
        certfile, keyfile: for TLS, as :func:`load_tls`.
        forwarded_allow_ips: the proxies whose ``Forwarded`` and ``X-Forwarded-*`` are believed:
            IP addresses, networks, ``"unix"``, ``"*"``; a list, or a text with commas.
        proxy_protocol: whether every connection begins with a PROXY header, version 1 or 2; one
            that does not is closed.
        access_log: whether each request is logged, by the logger ``finch.access``.
        task_status: ``nursery.start`` gives the URLs that are served.

    Raises:
        ConfigurationError: for an application that is none, a certificate that cannot be used, or
            an address that cannot be had.

    Example::

        trio.run(partial(serve, app, port=8000))
    """
    if not isinstance(app, FinchApp):
        raise ConfigurationError(f"serve takes a FinchApp, not {type(app).__name__}")
    if keyfile is not None and certfile is None:
        raise ConfigurationError("a keyfile without its certfile; give both")
    tls = load_tls(certfile, keyfile) if certfile is not None else None
    trust = Trust(forwarded_allow_ips)
    try:
        listeners = open_listeners(host, port, unix=unix, fd=fd)
    except OSError as error:
        raise cannot_listen(unix or f"{host}:{port}", error) from error
    server = Server(app, access_log=access_log, trust=trust, proxy_protocol=proxy_protocol)
    with ExitStack() as stack:
        async with plain_nursery() as nursery:
            if threading.current_thread() is threading.main_thread():
                signals = stack.enter_context(
                    trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM)
                )
                nursery.start_soon(_obey, signals, server, nursery.cancel_scope)
            await server.run(listeners, tls=tls, task_status=task_status)
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], server: Server, scope: trio.CancelScope) -> None:
    async for _ in signals:
        if server.stopping:
            scope.cancel()
            abandon_threads()
        server.stop()


def tune_gc() -> None:
    """Have the garbage collector look less often, in a process that does nothing but serve.

    With its default thresholds it stops everybody for 100 ms and more while thousands connect; so
    for 13 to 17 (measured with 10,000 clients).
    """
    gc.freeze()  # what is imported stays; to look through it first would only delay the start
    gc.enable()
    gc.set_threshold(10_000, 100, 50)


def run(app: FinchApp, **options: object) -> None:
    """Serve an application until SIGINT or SIGTERM: ``serve`` with an event loop of its own.

    Parameters: as :func:`serve`.

    Example::

        if __name__ == "__main__":
            finch.run(app, port=8000)
    """
    tune_gc()
    trio.run(partial(serve, app, **options))  # type: ignore[arg-type]
