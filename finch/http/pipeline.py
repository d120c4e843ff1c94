"""From a request to its response: middleware, the route's handler, error handlers.

Application code runs in here. Whatever it returns or raises becomes a response.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from finch.calls import attempt, call
from finch.declaring import check_takes
from finch.errors import ConfigurationError, Disconnected, HTTPError
from finch.failures import alone, failure_of, report, report_no_status
from finch.http.files import FileResponse
from finch.http.guarding import Middleware, Next, check_middleware, guarded, through
from finch.http.methods import Methods
from finch.http.request import Request
from finch.http.response import Response, TextResponse
from finch.http.returned import chunk_to_bytes, to_response
from finch.http.routing import FinchRoute, Match, Router
from finch.http.streaming import StreamingResponse
from finch.http.takeover import Prepared

_log = logging.getLogger("finch.app")


_AS_THEY_ARE: Final = frozenset((str, bytes, dict, list))
"""The types of values that need nothing but :func:`to_response`."""


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
        self._middleware.append(check_middleware(function))
        self._chain = through(self._middleware, self._endpoint)

    @property
    def middleware(self) -> tuple[Middleware, ...]:
        """The functions around every handler, the outermost first."""
        return tuple(self._middleware)

    def prepare(self, route: FinchRoute) -> None:
        """Make the chain of a route's guards, before it is served."""
        if route.levels:
            route.chain = guarded(route.levels, partial(self._behind_guards, route), self._answered)

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
        except BaseException as raised:
            error = failure_of(raised)
            if isinstance(error, Disconnected):
                raise error from None
            response = await self.answer(request, error)
        if isinstance(response, FileResponse):  # a middleware or an error handler may have made it
            response = await self._opened(request, response)
        return response

    async def _opened(self, request: Request, response: FileResponse) -> Response:
        try:
            return await _open(request, response)
        except BaseException as raised:
            answer = await self.answer(request, failure_of(raised))
            if not isinstance(answer, FileResponse):
                return answer
        try:  # the page of an error handler
            return await _open(request, answer)
        except BaseException as raised:
            name, error = answer.path, failure_of(raised)
            report(_log, "the page %s of an error handler cannot be sent", name, error=error)
            return TextResponse("Internal Server Error", 500)

    async def _endpoint(self, request: Request) -> Response:
        """What the innermost middleware of the application calls."""
        try:
            return await self._dispatch(request)
        except BaseException as raised:
            return await self._answer_early(request, raised)

    async def _answered(self, inner: Next, request: Request) -> Response:
        """The same for what a guard of a route calls."""
        try:
            return await inner(request)
        except BaseException as raised:
            return await self._answer_early(request, raised)

    async def _answer_early(self, request: Request, raised: BaseException) -> Response:
        """An error that has a handler, or is an HTTPError, becomes a response here already, so that
        middleware sees that response. Other exceptions pass through the middleware."""
        error = failure_of(raised)
        if isinstance(error, HTTPError) or self._find_handler(error) is not None:
            return await self.answer(request, error)
        if error is raised:
            raise error  # and not from None: the log and the developer's page show its cause
        raise error from None

    async def _dispatch(self, request: Request) -> Response:
        match = self._router.match(request.method, request.path)
        if isinstance(match, Match):
            route, request.path_params = match
            if route.chain is not None:
                return await route.chain(request)
            if route.plan is None and route.inline:
                value = route.index(request, **match.params)
                if hasattr(value, "__await__"):
                    value = await value
                if type(value) in _AS_THEY_ARE:  # most are
                    return to_response(value, origin=route.index)
                return await self._response(request, value, route)
            return await self._handle(route, request)
        if request.method == Methods.OPTIONS and (match or request.path == "*"):
            return await self._options(request, match)
        if request.method not in Methods.ALL and not self._router.knows(request.method):
            # "unrecognized or not implemented" rather than "not allowed" (RFC 9110, section 9.1)
            raise HTTPError(501, f"the method {request.method} is unknown here")
        if match:
            allow = ", ".join(sorted({*match, Methods.OPTIONS}))
            raise HTTPError(405, f"{request.path} has no {request.method}", {"allow": allow})
        raise HTTPError(404, "Not Found")

    async def _behind_guards(self, route: FinchRoute, request: Request) -> Response:
        """What the innermost guard of a route calls."""
        return await self._answered(partial(self._handle, route), request)

    async def _handle(self, route: FinchRoute, request: Request) -> Response:
        """Call the handler of a route, in any way that handlers can be called."""
        named = request.path_params
        first: tuple[Request, ...] = (request,)
        if route.plan is not None:
            named = {**named, **await route.plan.fill(request)}
            if not route.plan.takes_request:
                first = ()
        if route.inline:
            value = route.index(*first, **named)
            if hasattr(value, "__await__"):
                value = await value
        else:
            value = await call(route.index, *first, **named)
        if type(value) in _AS_THEY_ARE:
            return to_response(value, origin=route.index)
        return await self._response(request, value, route)

    async def _options(self, request: Request, allowed: frozenset[str]) -> Response:
        """The answer to OPTIONS if no handler is registered for it. The middleware of the route
        that is asked about sees it, too: it may be CORS, and this a preflight."""
        allow = ", ".join(sorted({*allowed, Methods.OPTIONS}))
        answer = to_response((None, 204, {"allow": allow}))
        asked = request.headers.get("access-control-request-method", "")
        match = self._router.match(asked or next(iter(sorted(allowed)), ""), request.path)
        if not isinstance(match, Match):
            return answer
        if match.route.preflight is not None:
            for name, value in match.route.preflight(request).items():
                answer.set_header(name, value)
        if not match.route.levels:
            return answer

        async def answered(_: Request) -> Response:
            return answer

        middleware = [one for level in match.route.levels for one in level.middleware]
        return await through(middleware, answered)(request)

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
        elif isinstance(response, FileResponse):
            return await _open(request, response)
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

    async def answer(self, request: Request, error: BaseException) -> Response:
        """The response to an error: that of its error handler, or else Finch's own.

        Parameters:
            error: judged by :func:`finch.failures.failure_of`, and not a :class:`Disconnected`.
        """
        try:
            return await self._answer(request, error)
        except BaseException as raised:  # of what the application has put into the request
            method, path, failure = request.method, request.raw_path, failure_of(raised)
            report(
                _log, "the answer to an error of %s %s cannot be made", method, path, error=failure
            )
            return TextResponse("Internal Server Error", 500)

    async def _answer(self, request: Request, error: BaseException) -> Response:
        lone = alone(error)
        if lone is not None and self._find_handler(lone) is not None:
            error = lone  # a nursery's group with one exception, which has a handler
        from finch.http.problems import respond, shows_traceback  # only errors need it

        handler, cause = self._find_handler(error), None
        if handler is None and not isinstance(error, HTTPError):
            report(_log, "%s %s raised", request.method, request.raw_path, error=error)
            cause, error = error, HTTPError(500)
            error.__cause__ = cause
            if not shows_traceback(request):
                handler = self._error_handlers.get(500)
        if handler is not None:
            try:
                return await _handled(handler, request, error)
            except BaseException as raised:
                cause = failure_of(raised)
                report(
                    _log,
                    "the error handler %s of %s %s raised",
                    _name(handler),
                    request.method,
                    request.raw_path,
                    error=cause,
                )
                error = HTTPError(500)
        assert isinstance(error, HTTPError)
        report_no_status(_log, error)
        return await respond(request, error, cause)


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


async def _open(request: Request, response: FileResponse) -> Response:
    from finch.http.file_replies import reply_with_file  # many applications have no files

    return await reply_with_file(request, response)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))
