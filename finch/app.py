"""FinchApp: what an application is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from finch.config import Limits, check_limit
from finch.conversions import DecHook, check_hook
from finch.declaring import bare, check_no_yield, check_takes
from finch.errors import ConfigurationError
from finch.explain import closest, kind, shown, where
from finch.failures import meant_by
from finch.http.language import check_languages
from finch.http.paths import parse_path
from finch.http.pipeline import Pipeline
from finch.http.request import Request
from finch.http.response import Response
from finch.http.routing import FinchRoute, Methods, Router
from finch.lifespan import Lifespan
from finch.sockets.event import SocketEvent
from finch.sockets.manager import SocketManager
from finch.sockets.raw import RawSocketRoute
from finch.sockets.upgrade import SocketOptions, check_compression, origins

F = TypeVar("F", bound=Callable[..., Any])

_TWO_HALVES: Final = (
    "write what is before the yield as an @app.on_startup function, and what is after it as an "
    "@app.on_shutdown function"
)


class FinchApp:
    """A web application: routes, sockets, middleware, and what runs beside them.

    Parameters:
        socket_path: where the app's own ``socket_manager`` is mounted as soon as it has a handler;
            None, or a route of your own with that path, leaves that to you.
        languages: the language tags that the application speaks, its default first.
        allowed_origins: whose pages may open sockets, beside those of the host itself; ``"*"`` for
            any.
        compression: whether sockets agree to permessage-deflate. It costs memory for each client.
        max_message_size: bytes of one socket message; ``limits.max_message_size`` where left out.
        limits: every other bound.
        dec_hook: makes the types of annotations that msgspec does not know: called with the type
            and the parsed JSON, as in ``lambda cls, value: cls.model_validate(value)``.

    Example::

        app = FinchApp()

        @app.get("/")
        async def index(request):
            return "hello"

        @app.socket("time")
        async def tell_time(socket, data):
            await socket.send(str(datetime.now()), path="output")
    """

    socket_manager: SocketManager
    """The manager of the app's own sockets; usable from anywhere in the app."""

    def __init__(
        self,
        *,
        socket_path: str | None = "/ws",
        languages: Iterable[str] = ("en",),
        allowed_origins: Iterable[str] | str = (),
        compression: bool = False,
        max_message_size: int | None = None,
        limits: Limits | None = None,
        dec_hook: DecHook | None = None,
    ) -> None:
        if limits is not None and not isinstance(limits, Limits):
            raise ConfigurationError(f"limits is a Limits, not {kind(limits)}: write Limits(...)")
        if max_message_size is not None:
            check_limit("max_message_size", max_message_size)
        if dec_hook is not None:
            check_hook(dec_hook)
        self.dec_hook = dec_hook
        self.limits = limits or Limits()
        self.languages = check_languages(languages)
        if socket_path is not None:
            parse_path(socket_path)
        check_compression(compression)
        self.socket_path = socket_path
        self.socket_options = SocketOptions(
            allowed_origins=origins(allowed_origins),
            compression=compression,
            max_message_size=max_message_size or self.limits.max_message_size,
        )
        self.state: dict[str, Any] = {}
        """A dict for the application to keep things in."""
        self._router = Router()
        self._pipeline = Pipeline(self._router)
        self._lifespan = Lifespan()
        self._mount: FinchRoute | None = None
        self._implicit: SocketManager | None = None
        self._implicit = SocketManager(self)

    def __setattr__(self, name: str, value: object) -> None:
        if callable(getattr(type(self), name, None)):
            raise AttributeError(
                f"app.{name} is Finch's own; write @app.{name} above a function, and keep things "
                "of your own in app.state"
            )
        if callable(value) and not name.startswith("_") and not hasattr(self, name):
            meant = closest(name, [one for one in dir(type(self)) if not one.startswith("_")])
            if meant is not None and callable(getattr(type(self), meant)):
                raise AttributeError(
                    f"FinchApp has no {name}; did you mean {meant}? Write @app.{meant} above a "
                    "function, and keep things of your own in app.state"
                )
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # a type checker is to find it by itself

        def __getattr__(self, name: str) -> NoReturn:
            error = AttributeError(f"FinchApp has no attribute {name!r}", name=name, obj=self)
            meant = "" if name.startswith("_") else meant_by(error)
            error.args = (f"{error}; did you mean {meant!r}?",) if meant else error.args
            raise error

    def __call__(self, *arguments: object, **options: object) -> NoReturn:
        """Nobody may call an application: it is its own server's.

        Raises:
            ConfigurationError: always, with what to write or run instead.
        """
        if len(arguments) == 1 and (callable(arguments[0]) or isinstance(arguments[0], str)):
            raise ConfigurationError(
                "an application is not a decorator; write @app.get('/path') for a handler, or "
                "@app.socket('name')"
            )
        raise ConfigurationError(
            "a FinchApp is neither an ASGI nor a WSGI application: it has a server of its own, "
            "and uvicorn, hypercorn and gunicorn cannot serve it; run: finch app:app (or python "
            "-m finch app:app), or call finch.run(app)"
        )

    # Routes

    def route(
        self, path: str, *, methods: Iterable[str] = Methods.ONLY_GET, key: str | None = None
    ) -> Callable[[F], F]:
        """Register the handler of a path: ``async def handler(request, **path_params)``.

        Parameters: as :class:`finch.FinchRoute`.

        Raises:
            ConfigurationError: for a path that is none or is taken.
        """

        parse_path(path)  # at once: @app.get without parentheses gets no further than this

        def register(handler: F) -> F:
            self.add_routes([FinchRoute(path, handler, methods=methods, key=key)])
            return handler

        return register

    def get(self, path: str, *, key: str | None = None) -> Callable[[F], F]:
        """Register what answers GET (and HEAD) at a path."""
        return self.route(path, methods=Methods.ONLY_GET, key=key)

    def post(self, path: str, *, key: str | None = None) -> Callable[[F], F]:
        """Register what answers POST at a path."""
        return self.route(path, methods=Methods.ONLY_POST, key=key)

    def put(self, path: str, *, key: str | None = None) -> Callable[[F], F]:
        """Register what answers PUT at a path."""
        return self.route(path, methods=Methods.ONLY_PUT, key=key)

    def patch(self, path: str, *, key: str | None = None) -> Callable[[F], F]:
        """Register what answers PATCH at a path."""
        return self.route(path, methods=Methods.ONLY_PATCH, key=key)

    def delete(self, path: str, *, key: str | None = None) -> Callable[[F], F]:
        """Register what answers DELETE at a path."""
        return self.route(path, methods=Methods.ONLY_DELETE, key=key)

    def add_routes(self, routes: Iterable[FinchRoute]) -> None:
        """Register routes made elsewhere.

        Raises:
            ConfigurationError: where a path and method are taken, or ``routes`` is not a list of
                :class:`FinchRoute`.
        """
        listed = _listed(routes)
        for route in listed:
            if self._mount is not None and route.path == self._mount.path:
                self._router.remove(self._mount)
                self._mount = None
            self._router.add(route)

    @property
    def routes(self) -> list[FinchRoute]:
        """Every route."""
        return self._router.routes()

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Iterable[str] = (),
        compression: bool | None = None,
        allowed_origins: Iterable[str] | str | None = None,
        max_message_size: int | None = None,
    ) -> Callable[[F], F]:
        """Register the handler of a raw socket: ``async def handler(ws)``, without envelope.

        Parameters:
            path: where it is; may have parameters, found in ``ws.request.path_params``.
            subprotocols: those agreed to, the preferred first.
            compression, allowed_origins, max_message_size: the application's where left out.

        Example::

            @app.websocket("/raw", subprotocols=("chat",))
            async def raw(ws):
                async for message in ws:
                    await ws.send(message)
        """
        parse_path(path)
        options = self.socket_options.varied(
            allowed_origins, subprotocols, compression, max_message_size
        )

        def register(handler: F) -> F:
            self.add_routes([FinchRoute(path, RawSocketRoute(handler, options))])
            return handler

        return register

    # Sockets

    def attach_manager(self, manager: SocketManager) -> None:
        """A manager is made for this application. Called by :class:`finch.SocketManager`."""
        if manager.path is not None:
            self._router.add(FinchRoute(manager.path, manager.handle))
            return
        implicit = self._implicit
        if implicit is None and hasattr(self, "socket_manager"):
            raise ConfigurationError(
                "this application has a SocketManager already; give this one a path: "
                "SocketManager(app, path='/admin')"
            )
        self.socket_manager = manager
        if implicit is not None:
            self._implicit = None
            manager.adopt(implicit)

    def mount_manager(self, manager: SocketManager) -> None:
        """A manager has a handler: the app's own is mounted now, unless you did it."""
        if (
            manager is self.socket_manager
            and self._mount is None
            and self.socket_path is not None
            and not self._router.has_path(self.socket_path)
        ):
            self._mount = FinchRoute(
                self.socket_path, self._upgrade_own, methods=Methods.ONLY_GET, key="finch.socket"
            )
            self._router.add(self._mount)

    async def _upgrade_own(self, request: Request, **params: object) -> Response:
        return await self.socket_manager.request_handle(request)

    def socket(self, path: str, *, concurrent: bool = False) -> Callable[[F], F]:
        """Register the handler of a named socket path: see :meth:`finch.SocketManager.socket`."""
        return self.socket_manager.socket(path, concurrent=concurrent)

    def add_socket_route(self, path: str, event: SocketEvent) -> None:
        """Register the event of a named socket path (the seed's ``addSocketRoute``)."""
        self.socket_manager.add_socket_route(path, event)

    @bare
    def on_connect(self, callback: F) -> F:
        """Register what is called with each client that connects: ``(socket)``."""
        return self.socket_manager.on_connect(callback)

    @bare
    def on_message(self, callback: F) -> F:
        """Register what gets messages that no named path handles: ``(socket, data)``."""
        return self.socket_manager.on_message(callback)

    @bare
    def on_disconnect(self, callback: F) -> F:
        """Register what is called with each client that has left: ``(socket)``."""
        return self.socket_manager.on_disconnect(callback)

    @bare
    def on_error(self, callback: F) -> F:
        """Register what is called when a socket's callback raised: ``(socket, error)``."""
        return self.socket_manager.on_error(callback)

    # Around the handlers

    @bare
    def middleware(self, function: F) -> F:
        """Register what stands around every handler: ``async def (request, call_next)``.

        The first registered is the outermost. ``await call_next(request)`` gives the response,
        an upgrade as well; what the function returns is the response.

        Raises:
            ConfigurationError: if it is not such a function.

        Example::

            @app.middleware
            async def timing(request, call_next):
                begin = trio.current_time()
                response = await call_next(request)
                response.set_header("x-seconds", f"{trio.current_time() - begin:.6f}")
                return response
        """
        self._pipeline.add_middleware(function)
        return function

    def error_handler(self, what: int | type[Exception]) -> Callable[[F], F]:
        """Register what answers an error of an HTTP handler: ``async def (request, error)``.

        Errors of socket handlers go to ``on_error``.

        Parameters:
            what: a status, or a type of exception (its subclasses included).

        A plain value that it returns has the status and headers of an :class:`finch.HTTPError`,
        and status 500 for other exceptions. The handler of 500 finds what was raised as the
        error's ``__cause__``.

        Raises:
            ConfigurationError: if ``what`` is neither, or the function takes other arguments.
        """
        is_type = isinstance(what, type) and issubclass(what, Exception)
        if not is_type and (isinstance(what, bool) or not isinstance(what, int)):
            raise ConfigurationError(
                f"error_handler takes a status or a type of exception, not {what!r}; write "
                "@app.error_handler(404) or @app.error_handler(ValueError)"
            )
        if isinstance(what, int) and not 400 <= what <= 599:
            raise ConfigurationError(
                f"error_handler takes the status of an error, 400 to 599, and {what} is never one; "
                "middleware sees every response"
            )

        def register(function: F) -> F:
            self._pipeline.add_error_handler(what, function)
            return function

        return register

    async def handle(self, request: Request) -> Response:
        """The response to a request. Whatever goes wrong becomes one.

        Raises:
            Disconnected: where the client left before its body was complete.
        """
        return await self._pipeline.handle(request)

    # Beside the handlers

    @bare
    def on_startup(self, callback: F) -> F:
        """Register what runs before the first connection is accepted: a function without
        arguments."""
        check_takes(callback, "on_startup", "()")
        check_no_yield(callback, "the on_startup function", _TWO_HALVES)
        if self._lifespan.has_begun:
            raise ConfigurationError(
                f"on_startup is given {where(callback)} while the application runs, and it would "
                "not run any more; register it before, or write app.background_task(function)"
            )
        self._lifespan.startup.append(callback)
        return callback

    @bare
    def on_shutdown(self, callback: F) -> F:
        """Register what runs after the last connection is closed: a function without arguments."""
        check_takes(callback, "on_shutdown", "()")
        check_no_yield(callback, "the on_shutdown function", _TWO_HALVES)
        self._lifespan.shutdown.append(callback)
        return callback

    def background_task(self, function: F, *args: Any) -> F:
        """Run a function beside the handlers, in the app's nursery, until it ends or the app does.

        As a decorator it starts with the app; called while the app runs, it starts at once, from a
        ``def`` handler's thread as well. What it raises is logged and ends nothing else.

        Raises:
            ConfigurationError: if it is not a function, but a coroutine for instance.

        Example::

            @app.background_task
            async def tick():
                while True:
                    await app.socket_manager.send_to_all(time(), path="tick")
                    await trio.sleep(1)
        """
        self._lifespan.start_soon(function, *args)
        return function

    def hurry(self, seconds: float) -> None:
        """Give the ``on_shutdown`` functions no more than that. Called at a second signal."""
        self._lifespan.hurry(seconds)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Startup, background tasks and shutdown around whoever serves the app.

        Raises:
            BaseException: whatever a startup callback raises.
        """
        return self._lifespan.run(self.limits.shutdown_timeout)


def _listed(routes: Any) -> list[FinchRoute]:
    if isinstance(routes, FinchRoute):
        raise ConfigurationError("add_routes takes a list: write app.add_routes([route])")
    try:
        listed = list(routes)
    except TypeError:
        raise ConfigurationError(
            f"add_routes takes a list of FinchRoute, not {kind(routes)}; write "
            "app.add_routes([FinchRoute('/path', handler)])"
        ) from None
    for route in listed:
        if not isinstance(route, FinchRoute):
            raise ConfigurationError(
                f"add_routes takes a list of FinchRoute, and {shown(route)} is not one; write "
                "app.add_routes([FinchRoute('/path', handler)])"
            )
    return listed
