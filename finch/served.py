"""Served: the routes of an application, what stands around them, and what answers requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from finch.conversions import DecHook
from finch.declaring import bare
from finch.http.guarding import Level
from finch.http.pipeline import Pipeline, check_error
from finch.http.request import Request
from finch.http.response import Response
from finch.http.routing import FinchRoute, Router
from finch.routes import Routes

F = TypeVar("F", bound=Callable[..., Any])


class Served(Routes):
    """The part of a :class:`finch.FinchApp` that has its routes and answers requests."""

    dec_hook: DecHook | None

    def _begin(self, level: Level) -> None:
        """Called first of all.

        Parameters:
            level: the guards of the application.
        """
        self._router = Router()
        self._pipeline = Pipeline(self._router)
        self._own: dict[str, FinchRoute] = {}  # routes that give way to the application's, by path
        self._level = Level(level.auth)
        for one in level.middleware:
            self.middleware(one)

    # Routes

    def _behind(self, *levels: Level) -> Iterator[Level]:
        return (one for one in (self._level, *levels) if one.says_something)

    def _add_leaves(self, route: FinchRoute, prefix: str, levels: tuple[Level, ...]) -> None:
        for leaf in route.leaves(prefix, (self._level, *levels)):
            if leaf.plan is not None:
                leaf.plan.check(self.dec_hook, leaf.path)
            own = self._own.get(leaf.path)
            if own is not None and (not own.gives_way or own.methods & leaf.methods):
                self._router.remove(self._own.pop(leaf.path))
            if leaf.gives_way:
                same = [one for one in self._router.routes() if one.path == leaf.path]
                if any(one.methods & leaf.methods for one in same):
                    continue
                self._own[leaf.path] = leaf
            self._router.add(leaf)
            self._pipeline.prepare(leaf)

    def path_for(self, key: str, /, **params: Any) -> str:
        """The path of a route, such as ``/birds/7``, percent-encoded.

        Parameters:
            key: the route's ``key``; the name of its handler if no route has such a key.
            params: the values of the path's parameters. All others become the query; a list gives
                several values, None leaves one out.

        Raises:
            LookupError: if there is no such route, or several handlers have that name.
            ValueError: if a value is missing, or no request for the path would reach the route.

        Example::

            @app.get("/birds/{bird_id:int}", key="bird")
            async def bird(request, bird_id): ...

            app.path_for("bird", bird_id=7, tab="songs")  # "/birds/7?tab=songs"
        """
        from finch.http.urls import path_for  # few need it

        return path_for(self._router, key, params)

    @property
    def routes(self) -> list[FinchRoute]:
        """All registered routes."""
        return self._router.routes()

    def _add_own(self, route: FinchRoute) -> None:
        """Add a route, unless the application has one with this path."""
        if not self._router.has_path(route.path):
            self._own[route.path] = route
            self._router.add(route)
            self._pipeline.prepare(route)

    def _remove_own(self, path: str) -> bool:
        """Remove a route that Finch has added. Returns whether there was one."""
        route = self._own.pop(path, None)
        if route is not None:
            self._router.remove(route)
        return route is not None

    # Around the handlers

    @bare
    def middleware(self, function: F) -> F:
        """Register a function that wraps every handler: ``async def (request, call_next)``.

        The first one registered is the outermost. ``await call_next(request)`` returns the
        response, which may be an upgrade. The client gets what the function returns.

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
        if attach := getattr(function, "attach", None):  # of a guard, such as CORS
            attach(self)
        return function

    def error_handler(self, what: int | type[Exception]) -> Callable[[F], F]:
        """Register a function that answers errors of HTTP handlers:
        ``async def (request, error)``.

        Errors of socket handlers go to ``on_error``.

        Parameters:
            what: a status, or a type of exception (its subclasses included).

        If the function returns a plain value, the response gets the status and headers of the
        :class:`finch.HTTPError`, or status 500 for other exceptions. In the handler of 500,
        ``error.__cause__`` is the exception that was raised.

        Raises:
            ConfigurationError: if ``what`` is neither of these, or if the function takes other
                arguments.
        """
        check_error(what)

        def register(function: F) -> F:
            self._pipeline.add_error_handler(what, function)
            return function

        return register

    async def handle(self, request: Request) -> Response:
        """The response to a request. Errors become responses too.

        Raises:
            Disconnected: if the client left before its body was complete.
        """
        return await self._pipeline.handle(request)

    async def answer_error(self, request: Request, error: BaseException) -> Response:
        """The response to an error, by its error handler or by Finch: for middleware that changes
        every response.

        Parameters:
            error: what ``call_next`` raised, except :class:`Disconnected`.

        Example::

            try:
                return await call_next(request)
            except OutOfSeed as error:
                return await request.app.answer_error(request, error)
        """
        return await self._pipeline.answer(request, error)
