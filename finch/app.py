"""FinchApp: what an application is made of, and how a request becomes a response."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

import trio

from finch.calls import call
from finch.config import Limits
from finch.errors import ConfigurationError, Disconnected, HTTPError
from finch.request import Request
from finch.response import Response, StreamingResponse, TextResponse, to_response
from finch.routing import FinchRoute, Match, Methods, Router
from finch.sockets.event import SocketEvent
from finch.sockets.manager import SocketManager
from finch.sockets.raw import RawSocketRoute
from finch.sockets.upgrade import SocketOptions, origins
from finch.tasks import log_and_go_on, plain_nursery

_log = logging.getLogger("finch.app")

F = TypeVar("F", bound=Callable[..., Any])
Next = Callable[[Request], Awaitable[Response]]


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
    ) -> None:
        self.limits = limits or Limits()
        self.languages = (languages,) if isinstance(languages, str) else tuple(languages)
        if not self.languages:
            raise ConfigurationError("an application speaks at least one language")
        self.socket_path = socket_path
        self.socket_options = SocketOptions(
            allowed_origins=origins(allowed_origins),
            compression=compression,
            max_message_size=max_message_size or self.limits.max_message_size,
        )
        self.state: dict[str, Any] = {}
        """A dict for the application to keep things in."""
        self._router = Router()
        self._middleware: list[Callable[[Request, Next], Awaitable[Any]]] = []
        self._chain: Next = self._endpoint
        self._error_handlers: dict[int | type[Exception], Callable[..., Any]] = {}
        self._startup: list[Callable[[], Any]] = []
        self._shutdown: list[Callable[[], Any]] = []
        self._background: list[Callable[[], Any]] = []
        self._nursery: trio.Nursery | None = None
        self._mount: FinchRoute | None = None
        self._implicit: SocketManager | None = None
        self._implicit = SocketManager(self)

    # Routes

    def route(
        self, path: str, *, methods: Iterable[str] = Methods.ONLY_GET, key: str | None = None
    ) -> Callable[[F], F]:
        """Register the handler of a path: ``async def handler(request, **path_params)``.

        Parameters: as :class:`finch.FinchRoute`.

        Raises:
            ConfigurationError: for a path that is none or is taken.
        """

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
            ConfigurationError: where a path and method are taken.
        """
        for route in routes:
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
            manager.take_over(implicit)

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

    async def _upgrade_own(self, request: Request) -> Response:
        return await self.socket_manager.request_handle(request)

    def socket(self, path: str, *, concurrent: bool = False) -> Callable[[F], F]:
        """Register the handler of a named socket path: see :meth:`finch.SocketManager.socket`."""
        return self.socket_manager.socket(path, concurrent=concurrent)

    def add_socket_route(self, path: str, event: SocketEvent) -> None:
        """Register the event of a named socket path (the seed's ``addSocketRoute``)."""
        self.socket_manager.add_socket_route(path, event)

    def on_connect(self, callback: F) -> F:
        """Register what is called with each client that connects: ``(socket)``."""
        return self.socket_manager.on_connect(callback)

    def on_message(self, callback: F) -> F:
        """Register what gets messages that no named path handles: ``(socket, data)``."""
        return self.socket_manager.on_message(callback)

    def on_disconnect(self, callback: F) -> F:
        """Register what is called with each client that has left: ``(socket)``."""
        return self.socket_manager.on_disconnect(callback)

    def on_error(self, callback: F) -> F:
        """Register what is called when a socket's callback raised: ``(socket, error)``."""
        return self.socket_manager.on_error(callback)

    # Around the handlers

    def middleware(self, function: F) -> F:
        """Register what stands around every handler: ``async def (request, call_next)``.

        The first registered is the outermost. ``await call_next(request)`` gives the response,
        an upgrade as well.

        Example::

            @app.middleware
            async def timing(request, call_next):
                begin = trio.current_time()
                response = await call_next(request)
                response.set_header("x-seconds", f"{trio.current_time() - begin:.6f}")
                return response
        """
        self._middleware.append(function)
        self._chain = self._endpoint
        for outer in reversed(self._middleware):
            self._chain = partial(_through, outer, self._chain)
        return function

    def error_handler(self, what: int | type[Exception]) -> Callable[[F], F]:
        """Register what answers an error: ``async def (request, error)``.

        Parameters:
            what: a status, or a type of exception (its subclasses included).

        A plain value that it returns has the error's status and headers, 500 for other exceptions.
        The handler of 500 finds what was raised as the error's ``__cause__``.
        """
        if not isinstance(what, int) and not (
            isinstance(what, type) and issubclass(what, Exception)
        ):
            raise ConfigurationError(
                f"error_handler takes a status or a type of exception, not {what!r}"
            )

        def register(function: F) -> F:
            self._error_handlers[what] = function
            return function

        return register

    async def handle(self, request: Request) -> Response:
        """The response to a request. Whatever goes wrong becomes one.

        Raises:
            Disconnected: where the client left before its body was complete.
        """
        try:
            return await self._chain(request)
        except Disconnected:
            raise
        except Exception as error:
            return await self._answer_error(request, error)

    async def _endpoint(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except Exception as error:
            if isinstance(error, HTTPError) or self._find_handler(error) is not None:
                return await self._answer_error(request, error)
            raise

    async def _dispatch(self, request: Request) -> Response:
        match = self._router.match(request.method, request.path)
        if isinstance(match, Match):
            route, request.path_params = match
            if route.inline:
                value = route.index(request, **match.params)
                if hasattr(value, "__await__"):
                    value = await value
            else:
                value = await call(route.index, request, **match.params)
            response = to_response(value, origin=f"the handler of {route.path}")
            if inspect.isasyncgen(value):
                await cast(StreamingResponse, response).begin()
            return response
        if request.method == Methods.OPTIONS and (match or request.path == "*"):
            allow = ", ".join(sorted({*match, Methods.OPTIONS}))
            return to_response((None, 204, {"allow": allow}))
        if request.method not in Methods.ALL and not self._router.knows(request.method):
            # "unrecognized or not implemented" rather than "not allowed" (RFC 9110, section 9.1)
            raise HTTPError(501, f"the method {request.method} is unknown here")
        if match:
            allow = ", ".join(sorted({*match, Methods.OPTIONS}))
            raise HTTPError(405, f"{request.path} has no {request.method}", {"allow": allow})
        raise HTTPError(404, "Not Found")

    def _find_handler(self, error: Exception) -> Callable[..., Any] | None:
        if isinstance(error, HTTPError) and error.status in self._error_handlers:
            return self._error_handlers[error.status]
        for kind in type(error).__mro__:
            if kind in self._error_handlers:
                return self._error_handlers[kind]
        return None

    async def _answer_error(self, request: Request, error: Exception) -> Response:
        handler = self._find_handler(error)
        if handler is None and not isinstance(error, HTTPError):
            _log.error("%s %s raised", request.method, request.raw_path, exc_info=error)
            cause, error = error, HTTPError(500)
            error.__cause__ = cause
            handler = self._error_handlers.get(500)
        status = error.status if isinstance(error, HTTPError) else 500
        if handler is not None:
            try:
                value = await call(handler, request, error)
                plain = not isinstance(value, Response | tuple)
                response = to_response(value, origin="the error handler")
                if plain:
                    response.status = status
                    for name, text in getattr(error, "headers", {}).items():
                        response.set_header(name, text)
                return response
            except Exception:
                _log.exception(
                    "the error handler of %s %s raised", request.method, request.raw_path
                )
                error = HTTPError(500)
        assert isinstance(error, HTTPError)
        return TextResponse(error.message, error.status, error.headers)

    # Beside the handlers

    def on_startup(self, callback: F) -> F:
        """Register what runs before the first connection is accepted."""
        self._startup.append(callback)
        return callback

    def on_shutdown(self, callback: F) -> F:
        """Register what runs after the last connection is closed."""
        self._shutdown.append(callback)
        return callback

    def background_task(self, function: F, *args: Any) -> F:
        """Run a function beside the handlers, in the app's nursery, until it ends or the app does.

        As a decorator it starts with the app; called while the app runs, it starts at once. What it
        raises is logged and ends nothing else.

        Example::

            @app.background_task
            async def tick():
                while True:
                    await app.socket_manager.send_to_all(time(), path="tick")
                    await trio.sleep(1)
        """
        task = partial(function, *args)
        if self._nursery is not None:
            self._nursery.start_soon(_in_background, task)
        else:
            self._background.append(task)
        return function

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Startup, background tasks and shutdown around whoever serves the app.

        Raises:
            Exception: whatever a startup callback raises.
        """
        async with plain_nursery() as nursery:
            lasting = len(self._background)
            for callback in self._startup:
                await call(callback)
            self._nursery = nursery
            for task in self._background:
                nursery.start_soon(_in_background, task)
            del self._background[lasting:]  # what a startup callback began is for this time only
            try:
                yield
            finally:
                with trio.CancelScope(shield=True) as scope:
                    scope.deadline = trio.current_time() + self.limits.shutdown_timeout
                    for callback in self._shutdown:
                        try:
                            await call(callback)
                        except Exception:
                            _log.exception("on_shutdown raised")
                self._nursery = None
                nursery.cancel_scope.cancel()


async def _through(
    middleware: Callable[[Request, Next], Awaitable[Any]], inner: Next, request: Request
) -> Response:
    value = await middleware(request, inner)
    return to_response(
        value, origin=f"the middleware {getattr(middleware, '__name__', middleware)}"
    )


async def _in_background(task: Callable[[], Any]) -> None:
    try:
        await call(task)
    except Exception:
        _log.exception("the background task %r raised", getattr(task, "func", task))
    except BaseExceptionGroup as group:
        log_and_go_on(group, _log)
