"""Which handler a path and a method belong to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from finch.calls import runs_inline
from finch.errors import ConfigurationError
from finch.paths import parse_path
from finch.patterns import Found, Pattern
from finch.request import NO_PARAMETERS
from finch.signatures import check_handler, name_of


class Methods:
    """HTTP methods, alone and in the groups that routes are given (the seed's ``Methods``)."""

    GET: Final = "GET"
    HEAD: Final = "HEAD"
    POST: Final = "POST"
    PUT: Final = "PUT"
    PATCH: Final = "PATCH"
    DELETE: Final = "DELETE"
    INSERT: Final = "INSERT"
    CONNECT: Final = "CONNECT"
    OPTIONS: Final = "OPTIONS"
    TRACE: Final = "TRACE"

    ALL: Final = (GET, POST, PUT, HEAD, DELETE, INSERT, CONNECT, OPTIONS, TRACE, PATCH)
    GET_POST: Final = (GET, POST)
    ONLY_GET: Final = (GET,)
    ONLY_POST: Final = (POST,)
    ONLY_PUT: Final = (PUT,)
    ONLY_PATCH: Final = (PATCH,)
    ONLY_DELETE: Final = (DELETE,)
    ONLY_INSERT: Final = (INSERT,)


class FinchRoute:
    """A path, its methods and the callable that answers.

    Parameters:
        path: such as ``/birds/{bird_id:int}``. Converters: ``str`` (the default, one segment),
            ``int``, ``float``, ``uuid`` and ``path`` (any number of segments).
        index: takes the request, and the path's parameters by name; ``async def``, ``def`` (which
            runs in a worker thread), a bound method, or an async generator function. It may
            annotate a parameter ``int``, ``float`` or ``UUID`` instead of a converter in the path.
        methods: any iterable of str. HEAD comes with GET.
        key: a name for the route.

    Raises:
        ConfigurationError: if the path, the methods or the handler are invalid, or the handler does
            not fit the path. The message says what to write.

    Source: the seed, ``FinchRoute``.

    Example::

        app.add_routes([FinchRoute("/ws", controller.socket, methods=Methods.ALL, key="root.ws")])
    """

    __slots__ = ("index", "inline", "key", "methods", "path", "pattern")

    def __init__(
        self,
        path: str,
        index: Callable[..., Any],
        *,
        methods: Iterable[str] = Methods.ONLY_GET,
        key: str | None = None,
    ) -> None:
        elements = parse_path(path)
        _check_callable(index, path)
        if isinstance(methods, str):
            raise ConfigurationError(
                f"methods of route {path!r} is the text {methods!r}; write methods=[{methods!r}]"
            )
        self.path = path
        self.index = index
        self.inline = runs_inline(index)
        self.key = key
        self.methods = frozenset(method.upper() for method in methods)
        if Methods.GET in self.methods:
            self.methods |= {Methods.HEAD}
        if not self.methods:
            raise ConfigurationError(f"route {path!r} has no methods")
        self.pattern = Pattern(check_handler(index, elements, path))

    def __repr__(self) -> str:
        return f"FinchRoute({self.path!r}, methods={sorted(self.methods)})"


class Match(NamedTuple):
    """The route of a path and method, and its parameters."""

    route: FinchRoute
    params: Mapping[str, Any]


class Router:
    """Every route of an application.

    A path without parameters is looked up and wins over patterns; patterns are tried in the order
    in which they were added.
    """

    __slots__ = ("_dynamic", "_static")

    def __init__(self) -> None:
        self._static: dict[str, list[FinchRoute]] = {}
        self._dynamic: list[tuple[Callable[[str], Found | None], FinchRoute]] = []

    def add(self, route: FinchRoute) -> None:
        """Add a route.

        Raises:
            ConfigurationError: where its path and one of its methods are taken.
        """
        dynamic = [other for _, other in self._dynamic]
        rivals = dynamic if route.pattern.names else self._static.get(route.path, [])
        for other in rivals:
            taken = (other.methods & route.methods) - {Methods.HEAD}
            if other.path == route.path and taken:
                raise ConfigurationError(
                    f"{', '.join(sorted(taken))} {route.path} has a handler already: "
                    f"{name_of(other.index)}; {name_of(route.index)} cannot have it too"
                )
        if route.pattern.names:
            self._dynamic.append((route.pattern.find, route))
        else:
            self._static.setdefault(route.path, []).append(route)

    def remove(self, route: FinchRoute) -> None:
        """Take a route out again."""
        if route.pattern.names:
            self._dynamic.remove((route.pattern.find, route))
        else:
            self._static[route.path].remove(route)
            if not self._static[route.path]:
                del self._static[route.path]

    def routes(self) -> list[FinchRoute]:
        """Every route, those without parameters first."""
        static = [route for routes in self._static.values() for route in routes]
        return static + [route for _, route in self._dynamic]

    def has_path(self, path: str) -> bool:
        """Whether a route is written with exactly this path."""
        return any(route.path == path for route in self.routes())

    def knows(self, method: str) -> bool:
        """Whether any route has this method."""
        return any(method in route.methods for route in self.routes())

    def match(self, method: str, path: str) -> Match | frozenset[str]:
        """The route of a request.

        Returns:
            The match; or, where the path is known but not with this method, the methods that it
            has; or an empty set for an unknown path.
        """
        allowed: set[str] = set()
        for route in self._static.get(path, ()):
            if method in route.methods:
                return Match(route, NO_PARAMETERS)
            allowed |= route.methods
        for find, route in self._dynamic:
            found = find(path)
            if found is None:
                continue
            if method in route.methods:
                params = found.groupdict()
                for name, convert in route.pattern.convert:
                    params[name] = convert(params[name])
                return Match(route, params)
            allowed |= route.methods
        return frozenset(allowed)


def _check_callable(index: object, path: str) -> None:
    if inspect.iscoroutine(index):
        index.close()  # it would warn that nobody awaited it
        raise ConfigurationError(
            f"the index of route {path!r} is what a call of {index.__qualname__} returned: write "
            f"{index.__name__} without parentheses"
        )
    if not callable(index):
        raise ConfigurationError(f"the index of route {path!r} is not callable: {index!r}")
