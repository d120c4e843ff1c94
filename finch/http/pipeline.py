"""From a request to its response: middleware, the route's handler, error handlers.

Application code runs in here. Whatever it returns or raises becomes a response.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from finch.calls import attempt, call, runs_inline
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConfigurationError, Disconnected, HTTPError
from finch.failures import alone, failure_of, report, report_no_status
from finch.http.request import Request
from finch.http.response import Response, TextResponse
from finch.http.returned import chunk_to_bytes, to_response
from finch.http.routing import FinchRoute, Match, Methods, Router
from finch.http.streaming import StreamingResponse
from finch.http.takeover import Prepared

_log = logging.getLogger("finch.app")

Next = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, Next], Awaitable[Any]]


class Pipeline:
    """Answers requests.

    Parameters:
        router: finds the route of a request.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._middleware: list[Middleware] = []
        self._chain: Next = self._endpoint
        self._error_handlers: dict[int | type[Exception], Callable[..., Any]] = {}

    def add_middleware(self, function: Middleware) -> None:
        """Call a function around every handler. The function that was added first is the outermost.

        Raises:
            ConfigurationError: if ``function`` is not ``async def (request, call_next)``.
        """
        name = _name(function)
        check_takes(function, f"the middleware {name}", "(request, call_next)")
        check_no_yield(
            function, "the middleware", "write 'response = await call_next(request)' and 'return'"
        )
        if not runs_inline(function):
            raise ConfigurationError(
                f"the middleware {name} is a plain def, which cannot await call_next; write "
                f"async def {name}(request, call_next)"
            )
        self._middleware.append(function)
        self._chain = self._endpoint
        for outer in reversed(self._middleware):
            self._chain = partial(_through, outer, self._chain)

    def add_error_handler(self, what: int | type[Exception], function: Callable[..., Any]) -> None:
        """Let a function answer errors of one status, or exceptions of one type.

        Raises:
            ConfigurationError: if it does not take ``(request, error)``, or if ``what`` already
                has a handler.
        """
        check_takes(function, f"the error handler {_name(function)}", "(request, error)")
        if what in self._error_handlers:
            raise ConfigurationError(
                f"error_handler({getattr(what, '__name__', what)}) is already registered: "
                f"{_name(self._error_handlers[what])}; {_name(function)} cannot be registered, too"
            )
        self._error_handlers[what] = function

    async def handle(self, request: Request) -> Response:
        """The response to a request. Every error becomes a response, too.

        Raises:
            Disconnected: if the client leaves before its body is complete.
        """
        try:
            response = await self._chain(request)
            if isinstance(response, Prepared):  # a middleware may have made it
                await response.prepare()
            return response
        except BaseException as raised:
            error = failure_of(raised)
            if isinstance(error, Disconnected):
                raise error from None
            return await self._answer(request, error)

    async def _endpoint(self, request: Request) -> Response:
        """What the innermost middleware calls.

        An error that has a handler, or is an HTTPError, becomes a response here already, so that
        middleware sees that response. Other exceptions pass through the middleware.
        """
        try:
            return await self._dispatch(request)
        except BaseException as raised:
            error = failure_of(raised)
            if isinstance(error, HTTPError) or self._find_handler(error) is not None:
                return await self._answer(request, error)
            raise error from None

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
            if type(value) is str:  # most are
                return to_response(value, origin=route.index)
            return await self._response(request, value, route)
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

    async def _response(self, request: Request, value: Any, route: FinchRoute) -> Response:
        origin = f"the handler of {route.path}"
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(
                f"{origin} returned a coroutine that nobody awaited; write "
                f"'return await {value.__qualname__}(...)'"
            )
        if value is None and request.accepted is not None:
            raise TypeError(
                f"{origin} upgraded the request and returned nothing, so the client "
                "would get no answer; write 'return await manager.request_handle(request)', or "
                "'return request.render_socket()' at its end"
            )
        response = to_response(value, origin=route.index)
        if isinstance(response, Prepared):
            await response.prepare()
        elif isinstance(response, StreamingResponse) and inspect.isasyncgen(value):
            stream = request.stream_in_task(value)
            response.chunks, response.origin = stream, value
            await stream.begin(lambda chunk: chunk_to_bytes(chunk, value))
        return response

    def _find_handler(self, error: BaseException) -> Callable[..., Any] | None:
        if isinstance(error, HTTPError) and error.status in self._error_handlers:
            return self._error_handlers[error.status]
        for kind in type(error).__mro__:
            if kind in self._error_handlers:
                return self._error_handlers[kind]
        return None

    async def _answer(self, request: Request, error: BaseException) -> Response:
        lone = alone(error)
        if lone is not None and self._find_handler(lone) is not None:
            error = lone  # a nursery's group with one exception, which has a handler
        handler = self._find_handler(error)
        if handler is None and not isinstance(error, HTTPError):
            report(_log, "%s %s raised", request.method, request.raw_path, error=error)
            cause, error = error, HTTPError(500)
            error.__cause__ = cause
            handler = self._error_handlers.get(500)
        if handler is not None:
            try:
                return await _handled(handler, request, error)
            except BaseException as raised:
                report(
                    _log,
                    "the error handler %s of %s %s raised",
                    _name(handler),
                    request.method,
                    request.raw_path,
                    error=failure_of(raised),
                )
                error = HTTPError(500)
        assert isinstance(error, HTTPError)
        report_no_status(_log, error)
        status, text, headers = error.answer()
        return TextResponse(text, status, headers)


def check_error(what: object) -> None:
    """Refuse what no error handler can be for.

    Raises:
        ConfigurationError: if it is neither the status of an error nor a type of exception.
    """
    is_type = isinstance(what, type) and issubclass(what, Exception)
    if not is_type and (isinstance(what, bool) or not isinstance(what, int)):
        raise ConfigurationError(
            f"error_handler takes a status or a type of exception, not {what!r}; write "
            "@app.error_handler(404) or @app.error_handler(ValueError)"
        )
    if isinstance(what, int) and not 400 <= what <= 599:
        raise ConfigurationError(
            f"error_handler takes the status of an error, 400 to 599, not {what}; "
            "write a middleware to see every response"
        )


async def _handled(handler: Callable[..., Any], request: Request, error: BaseException) -> Response:
    value, failed = await attempt(handler, request, error)
    if failed is not None:
        raise failed
    plain = not isinstance(value, Response | tuple)
    response = to_response(value, origin=handler)
    if plain:
        # Take status and headers only from Finch's own HTTPError. An error of another library,
        # such as urllib's, has the headers of another server's response.
        response.status = error.status if isinstance(error, HTTPError) else 500
        if isinstance(error, HTTPError):
            for name, text in error.answer()[2].items():
                response.set_header(name, text)
    return response


async def _through(middleware: Middleware, inner: Next, request: Request) -> Response:
    value = await middleware(request, inner)
    if value is None:
        raise TypeError(
            f"the middleware {_name(middleware)} returned nothing; write "
            "'return await call_next(request)' at its end, or return another response"
        )
    return to_response(value, origin=middleware)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))
