"""FinchApp: an application with its routes, sockets, middleware and background tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from finch.backplanes import Backplanes
from finch.beside import Beside
from finch.browser import BrowserClient
from finch.config import Limits
from finch.conversions import DecHook, check_hook
from finch.described import Described
from finch.errors import ConfigurationError
from finch.explain import kind
from finch.health import health_routes
from finch.http.guarding import Auth, Level, Middleware
from finch.http.language import check_languages
from finch.http.paths import parse_path
from finch.keywords import takes_options
from finch.lifespan import Lifespan, Time
from finch.metrics import metrics_route
from finch.shortcuts import Shortcuts
from finch.sockets.manager import SocketManager
from finch.sockets.options import OfApplication, SocketOptions
from finch.sockets.stats import Stats

if TYPE_CHECKING:
    from finch.describe.description import Description
    from finch.templates import Templates

F = TypeVar("F", bound=Callable[..., Any])


class FinchApp(Described, Beside, Shortcuts):
    """A web application: routes, sockets, middleware and background tasks.

    Parameters:
        auth: says who sends a request, for all routes: see :mod:`finch.http.guarding`. Finch's own
            routes, such as ``client_path`` and ``/healthz``, are open to everybody.
        middleware: functions around every handler, as if each was registered with
            :meth:`middleware`.
        socket_path: the path where Finch mounts the app's own ``socket_manager`` as soon as it has
            a handler. Finch does not mount it if this is None, or if you have a route with that
            path.
        client_path: the path of the client for browsers, served as soon as there are sockets:
            see :attr:`client_url`. ``finch.global.js`` and ``finch.d.ts`` are beside it. None for
            no such routes; a route of your own with one of these paths takes its place.
        health: whether ``/healthz`` and ``/readyz`` are served, for probes: see ``finch.health``.
        debug: whether a client on this machine sees the traceback of what a handler raised, and
            ``finch.d.ts`` has the types of this application's handlers.
        describe: whether OpenAPI and AsyncAPI of the application are served, at ``/openapi.json``
            and ``/asyncapi.json``, and a page that shows both, at ``/docs``. A
            :class:`finch.Description` says it better: title, version, other paths, who may read
            them.
        static: a folder whose files are served at its name: ``static="assets"`` at ``/assets``. See
            :meth:`static` for more.
        templates: the folder of the templates of :meth:`finch.Request.render`, or a
            :class:`finch.templates.Templates`; needs ``finch-trio[templates]``.
        languages: the language tags that the application speaks, the default first.
        limits: the limits; ``Limits()`` if left out.
        backplane: the URL of the Redis that joins several processes into one application, such as
            ``redis://localhost:6379/0?prefix=shop``: see ``docs/redis.md``. Without one, each
            process has its own rooms, users and histories.
        metrics: the path where Prometheus finds the figures of :meth:`SocketManager.stats`, such as
            ``/metrics``; needs ``finch-trio[metrics]``. None for none.
        metrics_token: what Prometheus must send as a bearer token; anybody may ask if it is None.
        publish_path: the path where other programs send messages to clients, such as ``/publish``:
            see ``docs/redis.md``. None for none.
        publish_token: what they must send as a bearer token, 32 characters or more; several for the
            time in which one replaces another.
        dec_hook: converts JSON to types that msgspec does not know. It is called with the type and
            the parsed JSON, as in ``lambda cls, value: cls.model_validate(value)``.
        options: the options of all its sockets: see :class:`finch.sockets.options.SocketOptions`.
            The default of ``max_message_size`` is that of ``limits``.

    Example::

        app = FinchApp()

        @app.get("/")
        async def index(request):
            return "hello"

        @app.socket("time")
        async def tell_time(socket, data):
            await socket.send(str(datetime.now()), path="output")
    """

    @takes_options(OfApplication)
    def __init__(
        self,
        *,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        socket_path: str | None = "/ws",
        client_path: str | None = "/finch.js",
        health: bool = False,
        debug: bool = False,
        describe: Description | bool = False,
        static: str | PathLike[str] | None = None,
        templates: str | PathLike[str] | Templates | None = None,
        languages: Iterable[str] = ("en",),
        limits: Limits | None = None,
        backplane: str | None = None,
        metrics: str | None = None,
        metrics_token: str | None = None,
        publish_path: str | None = None,
        publish_token: str | Iterable[str] | None = None,
        dec_hook: DecHook | None = None,
        **options: Unpack[OfApplication],
    ) -> None:
        if limits is not None and not isinstance(limits, Limits):
            raise ConfigurationError(f"limits is a Limits, not {kind(limits)}: write Limits(...)")
        if dec_hook is not None:
            check_hook(dec_hook)
        self.dec_hook = dec_hook
        self.limits = limits or Limits()
        self.languages = check_languages(languages)
        if socket_path is not None:
            parse_path(socket_path)
        self.socket_path = socket_path
        self._backplanes = Backplanes(backplane)
        self.socket_options = SocketOptions.of_application(options, self.limits)
        self.state: dict[str, Any] = {}
        """A dict in which the application may keep whatever it wants."""
        self._begin(Level.of(auth, middleware, "the application"))
        self._lifespan = Lifespan()
        self.worker = 1
        """The number of this process among the workers of one machine, from 1 on. Another process
        gets it if this one ends; so it is good for logs and names, not for dividing work."""
        self.debug = debug
        self._client = None
        if client_path is not None:
            self._client = BrowserClient(client_path, lambda: self.types() if self.debug else None)
        self._serves_client = False
        self._served: list[SocketManager] = []  # the managers that clients can connect to
        if health:
            for route in health_routes(lambda: self._lifespan.serving, self._states):
                self._add_own(route)
        self._implicit: SocketManager | None = None
        self._implicit = SocketManager(self)
        if metrics is not None or metrics_token is not None:
            self.add_routes([metrics_route(metrics, metrics_token, self)])
        if publish_path is not None or publish_token is not None:
            from finch.endpoint import publish_route  # few applications need it

            most = self.limits.max_message_size
            self.add_routes([publish_route(publish_path, publish_token, self, most)])
        self.templates = _made_templates(templates)
        """What makes the pages of :meth:`finch.Request.render`; None if there are no templates."""
        if static is not None:
            self.static(f"/{Path(static).name}", static)
        if describe is not False:
            self._describe(describe)

    # Routes

    def _options(self) -> SocketOptions:
        return self.socket_options

    # Sockets

    @property
    def managers(self) -> dict[str, SocketManager]:
        """The managers that clients can connect to, by their paths; that of the application itself
        is "" if ``socket_path`` is None."""
        return {one.path or self.socket_path or "": one for one in self._served}

    def attach_manager(self, manager: SocketManager) -> None:
        """Add a new manager to this application. Called by :class:`finch.SocketManager`."""
        self._backplanes.add(manager)
        if manager.path is not None:
            self._add_leaves(manager.mount(manager.path), "", (manager.level,))
            self._served.append(manager)
            self._serve_client()
            return
        implicit = self._implicit
        if implicit is None and hasattr(self, "socket_manager"):
            raise ConfigurationError(
                "this application already has a SocketManager; give this one a path: "
                "SocketManager(app, path='/admin')"
            )
        self.socket_manager = manager
        if implicit is not None:
            self._implicit = None
            manager.adopt(implicit)
            if self._remove_own(self.socket_path or ""):  # it has the guards of the manager before
                self.mount_manager(manager)

    def mount_manager(self, manager: SocketManager) -> None:
        """Called when a manager has a handler. Mounts the app's own manager, unless you did."""
        if manager is self.socket_manager and self.socket_path is not None:
            mount = manager.mount(self.socket_path, key="finch.socket")
            mount.levels = tuple(self._behind(manager.level))
            self._add_own(mount)
        if manager not in self._served:
            self._served.append(manager)
        self._serve_client()

    def _serve_client(self) -> None:
        if self._client is None or self._serves_client:
            return
        self._serves_client = True
        for route in self._client.routes():
            self._add_own(route)

    @property
    def client_url(self) -> str | None:
        """The URL of ``finch.js``, with the hash of its content, so that browsers keep it for a
        year; None if ``client_path`` is None.

        Example::

            PAGE = f'<script type="module">import {{ connect }} from "{app.client_url}"</script>'
        """
        return None if self._client is None else self._client.url

    @property
    def backplane(self) -> str | None:
        """The URL of the backplane. It may be changed before the application is served, as
        ``--backplane`` does."""
        return self._backplanes.url

    @backplane.setter
    def backplane(self, url: str | None) -> None:
        self._backplanes.use(url)

    def stats_by_path(self) -> dict[str, Stats]:
        """The figures of each manager by its path."""
        return {one.path or self.socket_path or "": one.stats() for one in self._backplanes}

    # Several processes

    def check_workers(self, count: int) -> None:
        """Refuse several workers if each would have its own clients.

        Parameters:
            count: how many workers there are to be.

        Raises:
            ConfigurationError: if there are sockets, and no backplane joins the workers.
        """
        if count > 1 and not all(one.backplane.shared for one in self._served):
            raise ConfigurationError(
                f"this application has sockets, and each of {count} workers would know its own "
                "clients only: a message to a room would not reach all who are in it. Write "
                "--backplane redis://HOST, or --workers 1"
            )

    def _states(self) -> list[str]:
        return [one.backplane.state for one in self._served]

    def lifespan(self) -> AbstractAsyncContextManager[Time]:
        """A context manager that runs startup, background tasks and shutdown, and the backplane
        around them. The app is served inside it.

        Raises:
            BaseException: whatever a startup callback raises.
        """
        return self._run()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Time]:
        before = self.leader
        async with self._backplanes.run(before) as elected:
            self.leader = elected
            try:
                async with super().lifespan() as time:
                    yield time
            finally:
                self.leader = before


def _made_templates(given: str | PathLike[str] | Templates | None) -> Templates | None:
    if given is None:
        return None
    from finch.templates import Templates  # few applications have pages

    return given if isinstance(given, Templates) else Templates(given)
