"""Finds the handler for a path and a method."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from finch.calls import runs_inline
from finch.errors import ConfigurationError
from finch.explain import kind, shown
from finch.http.paths import parse_path
from finch.http.patterns import Found, Pattern, Shape
from finch.http.request import NO_PARAMETERS
from finch.http.signatures import check_handler, name_of

_log = logging.getLogger("finch.app")


class Methods:
    """HTTP methods, and groups of them for routes (Dart's ``Methods``)."""

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
    """A path, its methods, and the handler that answers them.

    Parameters:
        path: such as ``/birds/{bird_id:int}``. The converters are ``str`` (the default, one
            segment), ``int``, ``float``, ``uuid`` and ``path`` (any number of segments).
        index: the handler. It takes the request, and the path's parameters by name. It is an
            ``async def``, a ``def`` (which runs in a worker thread), a bound method, or an async
            generator function. Instead of a converter in the path, it may annotate a parameter
            with ``int``, ``float`` or ``UUID``.
        methods: any iterable of str. A route with GET gets HEAD, too.
        key: a name for the route.

    Raises:
        ConfigurationError: if the path, the methods or the handler are invalid, or the handler does
            not fit the path. The message says what to write instead.

    Source: Dart's Finch, ``FinchRoute``.

    Example::

        app.add_routes([FinchRoute("/ws", controller.socket, methods=Methods.ALL, key="root.ws")])
    """

    __slots__ = ("index", "inline", "key", "methods", "own_head", "path", "pattern")

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
        self.path = path
        self.index = index
        self.inline = runs_inline(index)
        self.key = key
        self.methods = _methods(methods, path)
        self.own_head = Methods.HEAD in self.methods
        """Whether the application has listed HEAD itself. (Each route with GET gets HEAD.)"""
        if Methods.GET in self.methods:
            self.methods |= {Methods.HEAD}
        self.pattern = Pattern(check_handler(index, elements, path))

    def __repr__(self) -> str:
        return f"FinchRoute({self.path!r}, methods={sorted(self.methods)})"


def listed_routes(routes: Any) -> list[FinchRoute]:
    """The routes that ``add_routes`` is given.

    Raises:
        ConfigurationError: if it is not a list of routes.
    """
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


class Match(NamedTuple):
    """The route for a path and a method, and the values of its parameters."""

    route: FinchRoute
    params: Mapping[str, Any]


class Router:
    """All routes of an application.

    A path without parameters is found first. After that, paths with parameters are tried in the
    order in which they were added. If two routes have the same path, and one names HEAD while the
    other only has GET, then the one that names HEAD answers HEAD.
    """

    __slots__ = ("_dynamic", "_heads", "_same", "_static")

    def __init__(self) -> None:
        self._same: dict[Shape, list[FinchRoute]] = {}
        """The routes of each shape, that is: of each path, whatever its parameters are called."""
        self._static: dict[str, dict[str, FinchRoute]] = {}
        """The routes without parameters, by path and then by method."""
        self._dynamic: list[tuple[Callable[[str], Found | None], FinchRoute]] = []
        """The routes with parameters, in the order in which they were added."""
        self._heads: dict[FinchRoute, FinchRoute] = {}
        """For a route with parameters: the other route of its path that answers HEAD instead."""

    def add(self, route: FinchRoute) -> None:
        """Add a route.

        Raises:
            ConfigurationError: if another route already has the same path and one of the methods.
                Paths that differ only in the names of parameters are the same.
        """
        same = self._same.get(route.pattern.shape, [])
        for other in same:
            taken = other.methods & route.methods
            if not (other.own_head and route.own_head):
                taken -= {Methods.HEAD}
            if taken:
                where = ""
                if other.path != route.path:
                    where = f" at {other.path}, which differs only in the parameters' names"
                raise ConfigurationError(
                    f"{', '.join(sorted(taken))} {route.path} already has a handler: "
                    f"{name_of(other.index)}{where}; so {name_of(route.index)} cannot be added"
                )
        self._warn_if_never_reached(route)
        self._same.setdefault(route.pattern.shape, []).append(route)
        if route.pattern.names:
            self._dynamic.append((route.pattern.find, route))
        self._settle(route)

    def remove(self, route: FinchRoute) -> None:
        """Remove a route."""
        self._same[route.pattern.shape].remove(route)
        self._dynamic = [entry for entry in self._dynamic if entry[1] is not route]
        self._heads.pop(route, None)
        self._settle(route)

    def routes(self) -> list[FinchRoute]:
        """Every route, those without parameters first."""
        static = [
            route for same in self._same.values() for route in same if not route.pattern.names
        ]
        return static + [route for _, route in self._dynamic]

    def has_path(self, path: str) -> bool:
        """Whether a route was added with exactly this path, as it is written."""
        return any(route.path == path for route in self.routes())

    def knows(self, method: str) -> bool:
        """Whether any route has this method."""
        return any(method in route.methods for route in self.routes())

    def match(self, method: str, path: str) -> Match | frozenset[str]:
        """Find the route of a request.

        Returns:
            The match. If the path has no route with this method, the methods that it has; an empty
            set if no route has this path.
        """
        static = self._static.get(path)
        if static is not None and method in static:
            return Match(static[method], NO_PARAMETERS)
        allowed = set(static or ())
        for find, route in self._dynamic:
            found = find(path)
            if found is None:
                continue
            if method in route.methods:
                params = found.groupdict()
                for name, convert in route.pattern.convert:
                    params[name] = convert(params[name])
                if method == Methods.HEAD and route in self._heads:
                    return self._renamed(self._heads[route], params)
                return Match(route, params)
            allowed |= route.methods
        return frozenset(allowed)

    def _renamed(self, route: FinchRoute, params: Mapping[str, Any]) -> Match:
        return Match(route, dict(zip(route.pattern.names, params.values(), strict=True)))

    def _settle(self, route: FinchRoute) -> None:
        """Update the tables for this route's path, after the route was added or removed."""
        same = self._same[route.pattern.shape]
        given = next((other for other in same if other.own_head), None)
        if route.pattern.names:
            for other in same:
                self._heads.pop(other, None)
                if given is not None and given is not other:
                    self._heads[other] = given
            return
        table = {method: other for other in same for method in other.methods}
        if given is not None:
            table[Methods.HEAD] = given
        self._static[route.path] = table
        if not table:
            del self._static[route.path]

    def _warn_if_never_reached(self, route: FinchRoute) -> None:
        for _, other in self._dynamic:
            if not route.pattern.names or other.pattern.shape == route.pattern.shape:
                continue  # found before any pattern, or told apart by method
            never = other.methods & route.methods
            if not route.own_head:
                never -= {Methods.HEAD}
            if never and other.pattern.covers(route.pattern):
                _log.warning(
                    "%s %s never runs: %s was added before it, and matches all of its paths. "
                    "Add %s first",
                    ", ".join(sorted(never)),
                    route.path,
                    other.path,
                    route.path,
                )


def _check_callable(index: object, path: str) -> None:
    if inspect.iscoroutine(index):
        index.close()  # or Python warns that nobody awaited it
        raise ConfigurationError(
            f"the index of route {path!r} is a call of {index.__qualname__}, not the function: "
            f"write {index.__name__} without parentheses"
        )
    if not callable(index):
        raise ConfigurationError(f"the index of route {path!r} is not callable: {index!r}")


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 9.1


def _methods(methods: Iterable[str], path: str) -> frozenset[str]:
    if isinstance(methods, str):
        names = [name for name in re.split(r"[\s,|]+", methods) if name]
        raise ConfigurationError(
            f"methods of route {path!r} is the text {methods!r}, not a list; write "
            f"methods={names or ['GET']!r}"
        )
    try:
        listed = list(methods)
    except TypeError:
        raise ConfigurationError(
            f"methods of route {path!r} is {methods!r}; write a list such as methods=['GET']"
        ) from None
    if not listed:
        raise ConfigurationError(f"route {path!r} has no methods: write methods=['GET']")
    return frozenset(_method(method, path) for method in listed)


def _method(method: object, path: str) -> str:
    if not isinstance(method, str):
        raise ConfigurationError(
            f"route {path!r} has the method {method!r}, but a method is text such as 'GET'"
        )
    name = str(method.upper())
    if name in Methods.ALL:
        return name
    if name in ("*", "ALL", "ANY"):
        raise ConfigurationError(
            f"route {path!r} has the method {method!r}: write methods=Methods.ALL for all of them"
        )
    if "|" in name or not _TOKEN.fullmatch(name):
        several = [part for part in re.split(r"[\s,;|/]+", method) if part]
        hint = f": write methods={several!r}" if "".join(several).isalpha() else ""
        raise ConfigurationError(
            f"route {path!r} has {method!r}, which is not the name of a method{hint}"
        )
    close = difflib.get_close_matches(name, Methods.ALL, 1, _MISSPELT)
    if close and len(name) <= len(close[0]) + 1:  # PROPPATCH is not PATCH misspelt
        raise ConfigurationError(
            f"route {path!r} has the method {method!r}, which no client sends: did you mean "
            f"{close[0]!r}?"
        )
    return name


_MISSPELT: Final = 0.65
"""A name that is at least this similar to a method counts as misspelt. "GTE" and "DEL" are
more similar. "REPORT", which is a method of its own, is a little less similar to "POST"."""
