"""The decorators that register routes: what an application and a group of its routes have in
common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from finch.http.guarding import Auth, Level, Middleware
from finch.http.methods import Methods
from finch.http.paths import parse_path
from finch.http.routing import FinchRoute, listed_routes, parse_prefix
from finch.keywords import takes_options
from finch.sockets.options import OfSocket, SocketOptions
from finch.sockets.raw import RawSocketRoute

if TYPE_CHECKING:
    from finch.http.static import StaticOptions

F = TypeVar("F", bound=Callable[..., Any])


class OfRoute(TypedDict, total=False):
    """The options of a route, beside its methods: as for :class:`finch.FinchRoute`."""

    key: str | None
    auth: Auth | None
    middleware: Iterable[Middleware]
    describe: bool


class Routes(ABC):
    """What routes are registered on. All take the same options as :class:`finch.FinchRoute`."""

    @abstractmethod
    def _options(self) -> SocketOptions:
        """The options of the application's sockets."""

    @abstractmethod
    def _add_leaves(self, route: FinchRoute, prefix: str, levels: tuple[Level, ...]) -> None:
        """Register a route and its children.

        Parameters:
            prefix: what comes before its paths.
            levels: the guards that come before its own.
        """

    def add_routes(self, routes: Iterable[FinchRoute]) -> None:
        """Register routes that already exist.

        Raises:
            ConfigurationError: if a path and method are already registered, if a route would never
                be reached, or if ``routes`` is not a list of :class:`FinchRoute`.
        """
        for route in listed_routes(routes):
            self._add_leaves(route, "", ())

    def group(
        self,
        prefix: str = "",
        *,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        describe: bool = True,
    ) -> Group:
        """Routes whose paths begin with the same text, and which have the same guards.

        Parameters:
            prefix: such as ``/api`` or ``/users/{user_id:int}``. Its parameters are parameters of
                every handler. Without one, the routes have their guards in common only.
            auth: says who sends a request: see :mod:`finch.http.guarding`.
            middleware: functions around every handler, the outermost first.
            describe: whether descriptions of the application, such as ``/openapi.json``, have them.

        Raises:
            ConfigurationError: if the prefix ends with a slash, or is no path.

        Example::

            api = app.group("/api", auth=check_token)

            @api.get("/birds")
            async def birds(request): ...
        """
        return Group(self, prefix, auth=auth, middleware=middleware, describe=describe)

    @takes_options(OfRoute)
    def route(
        self,
        *paths: str,
        methods: Iterable[str] = Methods.ONLY_GET,
        **options: Unpack[OfRoute],
    ) -> Callable[[F], F]:
        """Register the handler of a path, or of several:
        ``async def handler(request, **path_params)``.

        Parameters: as :class:`finch.FinchRoute`.

        Raises:
            ConfigurationError: if a path is invalid or already registered.
        """
        for path in paths or ("",):
            self._check_path(path)  # now, so that @app.get without parentheses fails at once

        def register(handler: F) -> F:
            several = paths if len(paths) > 1 else paths[0]
            route = FinchRoute(several, handler, methods=methods, **options)
            self.add_routes([route])
            return handler

        return register

    def _check_path(self, path: str) -> None:
        parse_path(path)

    @takes_options(OfRoute)
    def get(self, *paths: str, **options: Unpack[OfRoute]) -> Callable[[F], F]:
        """Register the handler of GET (and HEAD) at a path."""
        return self.route(*paths, methods=Methods.ONLY_GET, **options)

    @takes_options(OfRoute)
    def post(self, *paths: str, **options: Unpack[OfRoute]) -> Callable[[F], F]:
        """Register the handler of POST at a path."""
        return self.route(*paths, methods=Methods.ONLY_POST, **options)

    @takes_options(OfRoute)
    def put(self, *paths: str, **options: Unpack[OfRoute]) -> Callable[[F], F]:
        """Register the handler of PUT at a path."""
        return self.route(*paths, methods=Methods.ONLY_PUT, **options)

    @takes_options(OfRoute)
    def patch(self, *paths: str, **options: Unpack[OfRoute]) -> Callable[[F], F]:
        """Register the handler of PATCH at a path."""
        return self.route(*paths, methods=Methods.ONLY_PATCH, **options)

    @takes_options(OfRoute)
    def delete(self, *paths: str, **options: Unpack[OfRoute]) -> Callable[[F], F]:
        """Register the handler of DELETE at a path."""
        return self.route(*paths, methods=Methods.ONLY_DELETE, **options)

    def static(
        self,
        path: str,
        directory: str | PathLike[str],
        *,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        **options: Unpack[StaticOptions],
    ) -> None:
        """Serve the files of a directory: ``app.static("/assets", "assets")``.

        Parameters:
            path, directory, options: as for :class:`finch.http.static.StaticFiles`.
            auth: says who asks for a file: see :mod:`finch.http.guarding`.
            middleware: functions around every file, the outermost first.

        Raises:
            ConfigurationError: if there is no such directory, an option is invalid, or the path is
                already registered.
        """
        from finch.http.static import StaticFiles  # many applications have no files

        self._check_path(path)
        files = StaticFiles(path, directory, **options)
        self.add_routes(files.routes(auth=auth, middleware=middleware))

    @takes_options(OfSocket)
    def websocket(
        self,
        path: str,
        *,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        **options: Unpack[OfSocket],
    ) -> Callable[[F], F]:
        """Register the handler of a raw socket: ``async def handler(ws)``, without envelopes.

        Parameters:
            path: the socket's path. Its parameters are in ``ws.request.path_params``.
            auth: says who opens a socket: see :mod:`finch.http.guarding`.
            middleware: functions around the upgrade, the outermost first.
            options: the options of this socket: see :class:`finch.sockets.options.SocketOptions`.
                The defaults are the application's.

        Example::

            @app.websocket("/raw", subprotocols=("chat",))
            async def raw(ws):
                async for message in ws:
                    await ws.send(message)
        """
        self._check_path(path)
        accepted = self._options().varied(options)

        def register(handler: F) -> F:
            taker = RawSocketRoute(handler, accepted)
            self.add_routes([FinchRoute(path, taker, auth=auth, middleware=middleware)])
            return handler

        return register


class Group(Routes):
    """Routes with a common beginning and common guards. :meth:`Routes.group` makes it.

    Attributes:
        prefix: what the paths of its routes begin with.
    """

    def __init__(
        self,
        parent: Routes,
        prefix: str,
        *,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        describe: bool = True,
    ) -> None:
        self._parent = parent
        self.prefix = parse_prefix(prefix)
        self._level = Level.of(auth, middleware, f"the group {prefix!r}", describe)

    def _options(self) -> SocketOptions:
        return self._parent._options()

    def _check_path(self, path: str) -> None:
        if path != "":  # it is the path of the prefix itself
            super()._check_path(path)

    def _add_leaves(self, route: FinchRoute, prefix: str, levels: tuple[Level, ...]) -> None:
        self._parent._add_leaves(route, self.prefix + prefix, (self._level, *levels))

    def __repr__(self) -> str:
        return f"Group({self.prefix!r})"
