"""Finds the handler for a path and a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from typing import Any, Final, NamedTuple

from finch.calls import runs_inline
from finch.errors import ConfigurationError
from finch.explain import kind, shown
from finch.http.guarding import Auth, Level, Middleware, Next
from finch.http.methods import Methods, check_methods
from finch.http.paths import Element, Parameter, parse_path
from finch.http.patterns import Found, Pattern, Shape
from finch.http.request import NO_PARAMETERS, Request
from finch.http.signatures import NotInPath, check_handler, name_of


class FinchRoute:
    """A path, its methods, and the handler that answers them.

    Parameters:
        path: such as ``/birds/{bird_id:int}``; a list of paths if the handler answers several. The
            converters are ``str`` (the default, one segment), ``int``, ``float``, ``uuid`` and
            ``path`` (any number of segments), and those of :func:`finch.converter`.
        index: the handler. It takes the request, and the path's parameters by name. It is an
            ``async def``, a ``def`` (which runs in a worker thread), a bound method, or an async
            generator function. Instead of a converter in the path, it may annotate a parameter
            with ``int``, ``float`` or ``UUID``. Parameters that are marked with ``Query`` and the
            like get their values from the request; then it may leave out the request itself.
        methods: any iterable of str. A route with GET gets HEAD, too.
        key: a name for the route: see :meth:`finch.Request.url_for`.
        auth: a function that says who sends the request: see :mod:`finch.http.guarding`.
        middleware: functions around this handler, the outermost first.
        describe: whether descriptions of the application, such as ``/openapi.json``, have it and
            its children.
        children: routes whose paths, guards and middleware come after those of this route. A route
            with children may be without a handler.

    Raises:
        ConfigurationError: if the path, the methods or the handler are invalid, or the handler does
            not fit the path. The message says what to write instead.

    Source: Dart's Finch, ``FinchRoute``.

    Example::

        app.add_routes([FinchRoute("/ws", controller.socket, methods=Methods.ALL, key="root.ws")])
    """

    __slots__ = (
        "_elsewhere",
        "_fault",
        "chain",
        "children",
        "describe",
        "gives_way",
        "index",
        "inline",
        "key",
        "levels",
        "methods",
        "own_head",
        "path",
        "paths",
        "pattern",
        "plan",
        "prefix",
        "preflight",
    )

    def __init__(
        self,
        path: str | Iterable[str],
        index: Callable[..., Any] | None = None,
        *,
        methods: Iterable[str] = Methods.ONLY_GET,
        key: str | None = None,
        auth: Auth | None = None,
        middleware: Iterable[Middleware] = (),
        describe: bool = True,
        children: Iterable[FinchRoute] = (),
    ) -> None:
        self.paths = _paths(path)
        self.path = self.paths[0]
        self.key = key
        level = Level.of(auth, middleware, f"the route {self.path!r}", describe)
        self.levels: tuple[Level, ...] = (level,)
        """What stands before the handler, the outermost first."""
        self.describe = describe
        self.prefix = ""
        """What its path begins with: that of its groups, and of the routes that it is a child
        of."""
        self.children = listed_routes(children) if children else []
        self.index: Callable[..., Any] = index  # type: ignore[assignment]  # see leaves()
        self.chain: Next | None = None
        """What calls its guards and then the handler; None if it has no guards. Made by the
        pipeline."""
        self.preflight: Callable[[Request], Mapping[str, str]] | None = None
        """The headers of the answer to OPTIONS, if the handler decides about pages of other origins
        itself."""
        self._fault: ConfigurationError | None = None
        self.gives_way = False
        """Whether it is left out if the application has a route for its path and method."""
        if index is None:
            if not self.children:
                raise ConfigurationError(
                    f"the route {self.path!r} has neither a handler nor children: write "
                    f"FinchRoute({self.path!r}, handler)"
                )
            parse_prefix(self.path)
            return
        elements = parse_path(self.path) if self.path else ()
        self._elsewhere = {
            element.name
            for other in self.paths
            for element in (parse_path(other) if other else ())
            if isinstance(element, Parameter)
        }
        _check_callable(index, self.path)
        self.inline = runs_inline(index)
        self.methods = check_methods(methods, self.path)
        self.own_head = Methods.HEAD in self.methods
        """Whether the application has listed HEAD itself. (Each route with GET gets HEAD.)"""
        if Methods.GET in self.methods:
            self.methods |= {Methods.HEAD}
        if self.path:
            self._fit(elements)
        else:  # it is for a parent's path
            self._fault = ConfigurationError("a route's path begins with a slash: write '/'")

    def _fit(self, elements: tuple[Element, ...]) -> None:
        try:
            checked = check_handler(self.index, elements, self.path, self._elsewhere)
        except NotInPath as fault:
            self._fault = fault  # what the path lacks, a parent's may have
            return
        self._fault = None
        self.pattern = Pattern(checked.elements)
        self.plan = checked.plan

    def leaves(self, prefix: str = "", levels: tuple[Level, ...] = ()) -> Iterator[FinchRoute]:
        """The routes with one path and a handler that this one stands for.

        Parameters:
            prefix: what comes before its paths.
            levels: what stands before its own guards.

        Raises:
            ConfigurationError: if a handler does not fit its whole path.
        """
        for path in self.paths:
            if self.index is not None:
                yield self._leaf(prefix, path, levels + self.levels)
            for child in self.children:
                yield from child.leaves(prefix + path.rstrip("/"), levels + self.levels)

    def _leaf(self, prefix: str, path: str, levels: tuple[Level, ...]) -> FinchRoute:
        describe = all(one.describe for one in levels)
        levels = tuple(one for one in levels if one.says_something)
        if not (prefix or levels or self.children) and len(self.paths) == 1 and describe:
            leaf = self
        else:
            leaf = copy(self)
            leaf.prefix, leaf.path = prefix, prefix + path
            leaf.paths, leaf.children = (leaf.path,), []
            leaf.describe = describe
            leaf._fit(parse_path(leaf.path))
        leaf.levels = levels
        if leaf._fault is not None:
            raise leaf._fault
        return leaf

    def __repr__(self) -> str:
        return f"FinchRoute({self.path!r}, methods={sorted(self.methods)})"


def parse_prefix(prefix: object) -> str:
    """What comes before the paths of a group or of a route's children, checked.

    Raises:
        ConfigurationError: if it is neither empty nor a path, or ends with a slash.
    """
    if prefix == "":
        return ""  # guards alone
    parse_path(prefix)
    assert isinstance(prefix, str)
    if prefix.endswith("/") and prefix != "/":
        raise ConfigurationError(
            f"the prefix {prefix!r} ends with a slash, and so does what begins the paths after it: "
            f"write {prefix.rstrip('/')!r}"
        )
    return prefix.rstrip("/")


def _paths(path: object) -> tuple[str, ...]:
    if isinstance(path, str) or not isinstance(path, Iterable):
        if path != "":  # alone, this is no path; after a parent's, it is the parent's
            parse_path(path)
        return (path,)  # type: ignore[return-value]  # parse_path has refused what is no text
    paths = tuple(path)
    if not paths:
        raise ConfigurationError("a route has no paths: write FinchRoute('/path', handler)")
    for one in paths:
        parse_path(one)
    return paths


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


OWN_KEYS: Final = "finch."
"""The keys of Finch's own routes begin so. An application that is mounted twice has them twice."""


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

    __slots__ = ("_dynamic", "_heads", "_keys", "_same", "_static")

    def __init__(self) -> None:
        self._same: dict[Shape, list[FinchRoute]] = {}
        """The routes of each shape, that is: of each path, whatever its parameters are called."""
        self._static: dict[str, dict[str, FinchRoute]] = {}
        """The routes without parameters, by path and then by method."""
        self._dynamic: list[tuple[Callable[[str], Found | None], FinchRoute]] = []
        """The routes with parameters, in the order in which they were added."""
        self._heads: dict[FinchRoute, FinchRoute] = {}
        """For a route with parameters: the other route of its path that answers HEAD instead."""
        self._keys: dict[str, FinchRoute] = {}
        """The first route of each key."""

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
        self._check_reached(route)
        self._check_key(route)
        self._same.setdefault(route.pattern.shape, []).append(route)
        if route.pattern.names:
            self._dynamic.append((route.pattern.find, route))
        self._settle(route)

    def remove(self, route: FinchRoute) -> None:
        """Remove a route."""
        self._same[route.pattern.shape].remove(route)
        self._dynamic = [entry for entry in self._dynamic if entry[1] is not route]
        self._heads.pop(route, None)
        if route.key is not None and self._keys.get(route.key) is route:
            del self._keys[route.key]
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
            params = route.pattern.read(found)
            if params is None:
                continue
            if method in route.methods:
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

    def _check_key(self, route: FinchRoute) -> None:
        if route.key is None or route.key.startswith(OWN_KEYS):
            return
        other = self._keys.setdefault(route.key, route)
        if other.index != route.index and other.path != route.path:
            raise ConfigurationError(
                f"two routes have the key {route.key!r}: {other.path} ({name_of(other.index)}) "
                f"and {route.path} ({name_of(route.index)}); url_for could mean either"
            )

    def _check_reached(self, route: FinchRoute) -> None:
        for _, other in self._dynamic:
            if not route.pattern.names or other.pattern.shape == route.pattern.shape:
                continue  # found before any pattern, or told apart by method
            never = other.methods & route.methods
            if not route.own_head:
                never -= {Methods.HEAD}
            if never and other.pattern.covers(route.pattern):
                raise ConfigurationError(
                    f"{', '.join(sorted(never))} {route.path} ({name_of(route.index)}) would never "
                    f"run: {other.path} ({name_of(other.index)}) was added before it, and matches "
                    f"all of its paths. Add {route.path} first"
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
