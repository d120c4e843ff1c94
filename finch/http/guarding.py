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

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Literal

from finch.calls import attempt, runs_inline
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConfigurationError, HTTPError
from finch.explain import kind
from finch.http.request import Request
from finch.http.response import Response
from finch.http.returned import to_response

Next = Callable[[Request], Awaitable[Response]]
Middleware = Callable[[Request, Next], Awaitable[Any]]
Auth = Callable[[Request], Any] | Literal[False]
"""Says who sends a request: it returns the user, whatever that is, or None, False or an empty text
if it is nobody (401). Or it returns a response, or raises :class:`finch.HTTPError`. False in its
place lets everybody through."""


class Level:
    """The guards of one application, group or route.

    Attributes:
        middleware: functions around the handler, the outermost first.
        auth: says who sends a request; None if this level does not ask.
        describe: whether descriptions of the application have its routes. No guard, but like these
            it is true of all that is inside.
    """

    __slots__ = ("auth", "describe", "middleware")

    def __init__(
        self,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        describe: bool = True,
    ) -> None:
        self.auth = auth
        self.middleware = list(middleware)
        self.describe = describe

    @classmethod
    def of(cls, auth: Auth | None, middleware: Any, whose: str, describe: bool = True) -> Level:
        """The guards that are given to something.

        Parameters:
            whose: what errors call it.
            describe: whether descriptions have its routes.

        Raises:
            ConfigurationError: if one of them is no guard.
        """
        if auth is not None and auth is not False:
            check_auth(auth, f"auth of {whose}", "(request)")
        if callable(middleware):
            raise ConfigurationError(
                f"middleware of {whose} is a list: write middleware=[{name_of_guard(middleware)}]"
            )
        if not isinstance(describe, bool):
            raise ConfigurationError(
                f"describe of {whose} is True or False, not {kind(describe)}; write the docstring "
                "of a handler for people who read the description"
            )
        return cls(auth, [check_middleware(one) for one in middleware], describe)

    @property
    def says_something(self) -> bool:
        """Whether it has any guard."""
        return self.auth is not None or bool(self.middleware)


def check_auth(auth: Any, what: str, wanted: str) -> None:
    """Refuse what cannot say who sends something.

    Raises:
        ConfigurationError: if it is no function with these parameters.
    """
    if isinstance(auth, type) and any("__call__" in vars(kind) for kind in auth.__mro__):
        raise ConfigurationError(
            f"{what} is the class {auth.__name__}, and takes an instance: write "
            f"auth={auth.__name__}(...)"
        )
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


def asked(levels: Iterable[Level]) -> Iterator[Callable[[Request], Any]]:
    """The ``auth`` functions that are called for a request, the first one first."""
    levels = list(levels)
    return (one.auth for one in levels[_first_asked(levels) :] if one.auth)


def _first_asked(levels: list[Level]) -> int:
    """The index of the first level whose ``auth`` counts: those behind the last ``auth=False``."""
    return 1 + max((at for at, one in enumerate(levels) if one.auth is False), default=-1)


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
    first = _first_asked(levels)
    for at in range(len(levels) - 1, -1, -1):
        auth = levels[at].auth
        if auth and at >= first:
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


async def _admit(auth: Callable[[Request], Any], inner: Next, request: Request) -> Response:
    user, error = await attempt(auth, request)
    if error is not None:
        raise error
    if isinstance(user, Response):
        return user  # a redirect to the login page, for example
    if user is None or user is False or (isinstance(user, str) and not user):
        raise HTTPError(401, "Unauthorized", getattr(auth, "challenge", None))
    request.user = user
    return await inner(request)


def name_of_guard(function: Any) -> str:
    """The name of a guard in an error message."""
    return str(getattr(function, "__name__", function))
