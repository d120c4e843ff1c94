"""Runs a server as a program: its address, the signals that end it, the garbage collector."""

from __future__ import annotations

import difflib
import gc
import inspect
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.app import FinchApp
from finch.errors import ConfigurationError
from finch.lastresort import LastResort
from finch.net.listeners import cannot_listen, load_tls, open_listeners
from finch.net.notify import notify
from finch.options import as_path, check_address, check_app, check_switch, trust_in
from finch.server import Server
from finch.tasks import plain_nursery

if TYPE_CHECKING:
    from finch.cluster.control import Control  # one process alone needs none of it
    from finch.sources import Layer

_log = logging.getLogger("finch.server")

_obeying: list[Callable[[int], None]] = []  # called for a signal: one for each running server
_before: dict[int, Any] = {}  # the signal handlers that Finch has replaced

_importing: list[str] = []  # the command line that imports the application at the moment


async def serve(
    app: FinchApp,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    unix: str | os.PathLike[str] | None = None,
    fd: int | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    forwarded_allow_ips: str | Iterable[str] = (),
    proxy_protocol: bool = False,
    access_log: bool = False,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an application in a trio program of your own, until it is cancelled or gets a signal.

    SIGINT and SIGTERM end it gracefully: requests are finished and sockets closed with 1001,
    within ``Limits.shutdown_timeout``. A second signal ends it at once. A signal during startup
    cancels the startup functions, and nothing is served.

    Parameters:
        host, port, unix, fd: where to listen, as for :func:`open_listeners`.
        certfile, keyfile: for TLS, as for :func:`load_tls`.
        forwarded_allow_ips: the proxies whose ``Forwarded`` and ``X-Forwarded-*`` are believed:
            IP addresses, networks, ``"unix"``, ``"*"``; a list, or a text with commas.
        proxy_protocol: whether every connection must begin with a PROXY header, version 1 or 2. A
            connection without one is closed.
        access_log: whether each request is logged, by the logger ``finch.access``.
        task_status: ``nursery.start`` returns the URLs that are served, or an empty list if a
            signal came during startup.

    Raises:
        ConfigurationError: if ``app`` is not a FinchApp, an option has the wrong type, the
            certificate cannot be used, Finch cannot listen on the address, or trio does not run.

    Example::

        trio.run(partial(serve, app, port=8000))
    """
    _check_place("serve")
    if not _trio_runs():
        raise ConfigurationError(
            "finch.serve needs trio, which is not running here; write finch.run(app), or "
            "trio.run(functools.partial(finch.serve, app)), without asyncio"
        )
    check_app(app, "finch.serve")
    check_address(host, port, fd)
    check_switch("proxy_protocol", proxy_protocol)
    check_switch("access_log", access_log)
    unix = as_path("unix", unix)
    tls = tls_of(certfile, keyfile)
    trust = trust_in(forwarded_allow_ips)
    try:
        listeners = open_listeners(host, port, unix=unix, fd=fd)
    except (OSError, ValueError) as error:
        raise cannot_listen(unix or f"{host}:{port}", error) from error
    server = Server(app, access_log=access_log, trust=trust, proxy_protocol=proxy_protocol)
    await run_server(app, server, listeners, tls=tls, task_status=task_status)


def tls_of(
    certfile: str | os.PathLike[str] | None, keyfile: str | os.PathLike[str] | None
) -> ssl.SSLContext | None:
    """The TLS settings of a server, or None if it has no certificate.

    Raises:
        ConfigurationError: if there is a key alone, or if :func:`load_tls` raises it.
    """
    certfile, keyfile = as_path("certfile", certfile), as_path("keyfile", keyfile)
    if keyfile is not None and certfile is None:
        raise ConfigurationError("there is a keyfile without a certfile; give both")
    return load_tls(certfile, keyfile) if certfile is not None else None


async def run_server(
    app: FinchApp,
    server: Server,
    listeners: Sequence[socket.socket],
    *,
    tls: ssl.SSLContext | None,
    task_status: trio.TaskStatus[list[str]],
    control: Control | None = None,
) -> None:
    """Run a server until it is cancelled or told to end.

    Parameters:
        control: the line to the supervisor, if this process is one of its workers. Then the
            supervisor tells it when to end; a signal only lets it end gracefully.
    """
    start = _Start(task_status)
    async with plain_nursery() as nursery:
        with trio.CancelScope() as scope:
            ending = Ending(app, server, start, scope, nursery, control)
            with _signals(ending.signalled):
                if control is not None:
                    nursery.start_soon(control.run, ending)
                    nursery.start_soon(control.resign)
                await server.run(listeners, tls=tls, task_status=start)
        nursery.cancel_scope.cancel()
    if not start.done:
        task_status.started([])


class _Start:
    """Passes on the call of ``started``, and remembers it."""

    def __init__(self, task_status: trio.TaskStatus[list[str]]) -> None:
        self.done = False
        self._task_status = task_status

    def started(self, urls: Any = None) -> None:
        """Called as ``trio.TaskStatus.started``."""
        self.done = True
        self._task_status.started(urls)


@contextmanager
def _signals(obey: Callable[[int], None]) -> Iterator[None]:
    """Call a function for each SIGINT and SIGTERM, in trio's thread. Only in the main thread.

    A signal that comes while the block ends is dropped. ``trio.open_signal_receiver`` would pass
    it to the previous handler. By default, that one kills the process, although it has just ended
    gracefully.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    token = trio.lowlevel.current_trio_token()

    def take(number: int) -> None:
        for one in list(_obeying):
            one(number)

    def handle(number: int, frame: object) -> None:
        # idempotent: one Ctrl-C may come twice, from the terminal and from a parent process
        token.run_sync_soon(take, number, idempotent=True)

    if not _obeying:  # several servers of one program end together
        for number in (signal.SIGINT, signal.SIGTERM):
            _before[number] = signal.signal(number, handle)
    _obeying.append(obey)
    try:
        yield
    finally:
        _obeying.remove(obey)
        if not _obeying:
            for one, handler in _before.items():
                signal.signal(one, signal.SIG_DFL if handler is None else handler)


class Ending:
    """Ends a server: gracefully first, then at once; and at once during startup.

    Parameters:
        start: knows whether the startup is done.
        scope: cancels the startup.
        nursery: for a task that outlives the startup.
        control: the line to the supervisor of a worker; None for a process alone.
    """

    def __init__(
        self,
        app: FinchApp,
        server: Server,
        start: _Start,
        scope: trio.CancelScope,
        nursery: trio.Nursery,
        control: Control | None = None,
    ) -> None:
        self._app = app
        self._server = server
        self._start = start
        self._scope = scope
        self._nursery = nursery
        self._control = control

    def signalled(self, number: int) -> None:
        """A signal came: the first lets the server end, the second hurries it.

        A worker gets signals twice: systemd and terminals send them to all processes, and the
        supervisor passes them on. So only the supervisor can hurry it.
        """
        name = signal.Signals(number).name
        if self._control is not None:
            if number == signal.SIGTERM:
                self.begin(name)
        elif self._server.stopping:
            self.hurry()
        else:
            notify("STOPPING=1")
            self.begin(name)

    def begin(self, why: str, restart: bool = False) -> None:
        """End gracefully; if it ends already, nothing changes.

        Parameters:
            why: what the log says if the startup is cancelled.
            restart: whether another process takes over.
        """
        server = self._server
        if server.stopping:
            return
        if not self._start.done:
            _log.info("%s came during startup; the startup is cancelled", why)
            self._scope.cancel()
            self._nursery.start_soon(_abandon_threads_after, server, server.limits.shutdown_timeout)
        server.stop(restart)
        if LastResort.current is not None:
            LastResort.current.count_down(in_a_hurry=False)
        if self._control is not None:
            self._control.leaving()

    def hurry(self) -> None:
        """End at once."""
        self.begin("the second signal")
        self._server.stop_at_once()
        if LastResort.current is not None:
            LastResort.current.count_down(in_a_hurry=True)
        self._app.hurry(self._server.limits.leave_grace)
        if not self._start.done:
            self._server.abandon_threads()


async def _abandon_threads_after(server: Server, seconds: float) -> None:
    """A startup function in a thread cannot be cancelled: wait for it, but not forever."""
    await trio.sleep(seconds)
    server.abandon_threads()


def tune_gc() -> None:
    """Make the garbage collector run less often, in a process that does nothing but serve.

    With its default thresholds, it stops all clients for 100 ms and more while thousands connect.
    With these, for 13 to 17 ms (measured with 10,000 clients).
    """
    gc.freeze()  # imported objects stay anyway; a collection first would only delay the start
    gc.enable()
    gc.set_threshold(10_000, 100, 50)


def run(app: FinchApp, **options: object) -> None:
    """Serve an application until SIGINT or SIGTERM: ``serve`` with an event loop of its own.

    Parameters: as for :func:`serve`. What is not given may be set in the environment or in a file,
    as for the command line: ``FINCH_PORT``, ``finch.toml``.

    Raises:
        ConfigurationError: as for :func:`serve`; also if there is no such option, if an event
            loop is already running, or if a setting of the environment or file is wrong.

    Example::

        if __name__ == "__main__":
            finch.run(app, port=8000)
    """
    _check_place("run")
    check_app(app, "finch.run")
    for name in options:
        if name not in _OPTIONS:
            if name == "workers":
                raise ConfigurationError(
                    "finch.run serves in this process alone; write python -m finch app:app "
                    f"--workers {options[name]}, so that each worker imports the application"
                )
            near = difflib.get_close_matches(name, _OPTIONS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(_OPTIONS)}"
            raise ConfigurationError(f"finch.run has no option {name!r}; {hint}")
    if _trio_runs():
        raise ConfigurationError(
            "finch.run starts an event loop, but trio is already running; write "
            "await finch.serve(app)"
        )
    if _asyncio_runs():
        raise ConfigurationError(
            "finch.run starts an event loop, but asyncio is already running; write "
            "finch.run(app), without asyncio.run around it"
        )
    tune_gc()
    with LastResort(app.limits):
        trio.run(partial(serve, app, **_completed(app, options)))  # type: ignore[arg-type]


def _asks(said: Layer, name: str) -> bool:
    """Whether a setting asks for more than this process."""
    return name in said and said[name].value not in (False, 1)


def _completed(app: FinchApp, options: dict[str, object]) -> dict[str, object]:
    """The options of ``run``, with what the environment or a file says about those not given."""
    from finch.sources import gather_beside  # a program that serves by itself needs none of it

    said = gather_beside(options)
    unused = [said[name].source for name in ("workers", "reload") if _asks(said, name)]
    if unused:
        _log.warning("finch.run serves in this process alone, without %s", " and ".join(unused))
    if "debug" in said:
        app.debug = bool(said["debug"].value)
    if "backplane" in said:
        app.backplane = str(said["backplane"].value)
    return options | {name: one.value for name, one in said.items() if name in _OPTIONS}


_OPTIONS: Final = tuple(
    name
    for name, parameter in inspect.signature(serve).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name != "task_status"
)


def _trio_runs() -> bool:
    try:
        trio.lowlevel.current_trio_token()
    except RuntimeError:
        return False
    return True


def _asyncio_runs() -> bool:
    asyncio = sys.modules.get("asyncio")  # not imported for this: that takes 50 ms
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# Calls at the wrong place


@contextmanager
def imported_by(command: str) -> Iterator[None]:
    """While the command line imports an application, make ``run`` and ``serve`` raise: the
    application has forgotten the guard ``if __name__ == "__main__"``."""
    _importing.append(command)
    try:
        yield
    finally:
        _importing.pop()


def _check_place(name: str) -> None:
    if _importing:
        raise ConfigurationError(
            f"finch.{name} is called while {_importing[-1]!r} imports the application to serve it; "
            'put the call under if __name__ == "__main__"'
        )
