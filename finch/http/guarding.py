"""What stands before a handler: middleware, and who is let through (``auth=``).

Guards are given to an application, to a group, to a route and to its children. Each of these is a
level. The order is the same for requests and upgrades:

1. the application's middleware, in the order in which it was registered;
2. from the outermost level to the route: the level's middleware, then its ``auth``;
3. the handler.

So middleware of a level sees the refusals of its own ``auth``. The application's own ``auth`` comes
first of all levels. ``auth=False`` leaves out the ``auth`` of all levels around it: a login page
inside a group that needs a login.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, Literal

from finch.calls import attempt, runs_inline
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConfigurationError, HTTPError
from finch.http.request import Request
from finch.http.response import Response
from finch.http.returned import to_response

Next = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, Next], Awaitable[Any]]
Auth = Callable[[Request], Any] | Literal[False]
"""Says who sends a request: it returns the user, whatever that is, or None if it is nobody (401).
Or it returns a response, or raises :class:`finch.HTTPError`. False lets everybody through."""


class Level:
    """The guards of one application, group or route.

    Attributes:
        middleware: functions around the handler, the outermost first.
        auth: says who sends a request; None if this level does not ask.
    """

    __slots__ = ("auth", "middleware")

    def __init__(self, auth: Auth | None = None, middleware: Iterable[Middleware] = ()) -> None:
        self.auth = auth
        self.middleware = list(middleware)

    @classmethod
    def of(cls, auth: Auth | None, middleware: Any, whose: str) -> Level:
        """The guards that are given to something.

        Parameters:
            whose: what errors call it.

        Raises:
            ConfigurationError: if one of them is no guard.
        """
        if auth is not None and auth is not False:
            check_auth(auth, f"auth of {whose}", "(request)")
        if callable(middleware):
            raise ConfigurationError(
                f"middleware of {whose} is a list: write middleware=[{name_of_guard(middleware)}]"
            )
        return cls(auth, [check_middleware(one) for one in middleware])

    @property
    def says_something(self) -> bool:
        """Whether it has any guard."""
        return self.auth is not None or bool(self.middleware)


def check_auth(auth: Any, what: str, wanted: str) -> None:
    """Refuse what cannot say who sends something.

    Raises:
        ConfigurationError: if it is no function with these parameters.
    """
    check_takes(auth, what, wanted)
    check_no_yield(auth, what, "write 'return' and the user, or None")


def check_middleware(function: Any) -> Middleware:
    """A middleware, checked.

    Raises:
        ConfigurationError: if ``function`` is not ``async def (request, call_next)``.
    """
    name = name_of_guard(function)
    check_takes(function, f"the middleware {name}", "(request, call_next)")
    check_no_yield(
        function, "the middleware", "write 'response = await call_next(request)' and 'return'"
    )
    if not runs_inline(function):
        raise ConfigurationError(
            f"the middleware {name} is a plain def, which cannot await call_next; write "
            f"async def {name}(request, call_next)"
        )
    return function  # type: ignore[no-any-return]  # checked above


def through(middleware: Iterable[Middleware], inner: Next) -> Next:
    """A chain of middleware around something, the first one outermost."""
    for outer in reversed(list(middleware)):
        inner = partial(_through, outer, inner)
    return inner


def guarded(
    levels: Iterable[Level], inner: Next, answered: Callable[[Next, Request], Awaitable[Response]]
) -> Next:
    """What calls all guards of some levels, and then ``inner``.

    Parameters:
        answered: makes responses of errors, so that middleware sees the refusal of an ``auth``.
    """
    levels = list(levels)
    public = max((at for at, one in enumerate(levels) if one.auth is False), default=-1)
    for at in range(len(levels) - 1, -1, -1):
        auth = levels[at].auth
        if auth and at > public:
            inner = partial(answered, partial(_admit, auth, inner))
        inner = through(levels[at].middleware, inner)
    return inner


async def _through(middleware: Middleware, inner: Next, request: Request) -> Response:
    value = await middleware(request, inner)
    if value is None:
        raise TypeError(
            f"the middleware {name_of_guard(middleware)} returned nothing; write "
            "'return await call_next(request)' at its end, or return another response"
        )
    return to_response(value, origin=middleware)


_NOBODY: Final = (None, False)


async def _admit(auth: Callable[[Request], Any], inner: Next, request: Request) -> Response:
    user, error = await attempt(auth, request)
    if error is not None:
        raise error
    if isinstance(user, Response):
        return user  # a redirect to the login page, for example
    if any(user is one for one in _NOBODY):
        raise HTTPError(401, "Unauthorized", getattr(auth, "challenge", None))
    request.user = user
    return await inner(request)


def name_of_guard(function: Any) -> str:
    """The name of a guard in an error message."""
    return str(getattr(function, "__name__", function))
