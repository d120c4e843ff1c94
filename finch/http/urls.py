"""URLs of an application's own routes, by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from finch.explain import closest, kind
from finch.http.converters import text_of
from finch.http.routing import FinchRoute, Router

_SEGMENT: Final = "!$&'()*+,;=:@"  # RFC 3986, section 3.3, beside the unreserved characters


def path_for(router: Router, key: str, params: Mapping[str, Any]) -> str:
    """The path of a route, percent-encoded; with a query if there are more values than the path
    has parameters.

    Parameters:
        key: the route's ``key``, or the name of its handler if no route has such a key.
        params: the values of the path's parameters by name. All others become the query; a list
            gives several values, None leaves the parameter out.

    Raises:
        TypeError: if the key is not text.
        LookupError: if there is no such route, or several handlers have that name. The message says
            which keys there are.
        ValueError: if a value is missing, or if no request for the path would reach the route.
    """
    route = _find(router, key)
    names = route.pattern.names
    missing = [name for name in names if name not in params]
    if missing:
        raise ValueError(f"the route {key!r} ({route.path}) needs a value for {missing[0]!r}")
    absent = [name for name in names if params[name] is None]
    if absent:
        raise ValueError(
            f"the route {key!r} ({route.path}) needs a value for {absent[0]!r}, and it is None"
        )
    texts = iter(
        (text_of(converter, params[name]), converter)
        for name, converter in zip(names, route.pattern.converters, strict=True)
    )
    plain, encoded = "", ""
    for piece in route.pattern.shape:
        text, converter = (piece, "path") if isinstance(piece, str) else next(texts)
        plain += text
        encoded += quote(text, safe=_SEGMENT + "/" * (converter == "path"))
    found = route.pattern.find(plain)
    if found is None or route.pattern.read(found) is None:
        raise ValueError(f"{plain!r} is no path of the route {key!r} ({route.path})")
    if plain.startswith("//") or any(part in (".", "..") for part in plain.split("/")):
        # A browser takes "//host" for another host, and removes dots before it asks.
        raise ValueError(f"{plain!r} would lead a browser elsewhere than to the route {key!r}")
    others = {name: params[name] for name in params if name not in names}
    query = urlencode([item for item in others.items() if item[1] is not None], doseq=True)
    return f"{encoded}?{query}" if query else encoded


def _find(router: Router, key: str) -> FinchRoute:
    if not isinstance(key, str):
        raise TypeError(f"the key of a route is text, not {kind(key)}")
    routes = router.routes()
    found = [route for route in routes if route.key == key]
    if not found:
        found = [route for route in routes if getattr(route.index, "__name__", None) == key]
        if len({route.index for route in found}) > 1:
            paths = " and ".join(route.path for route in found)
            raise LookupError(
                f"several handlers are called {key!r}: {paths}; give their routes a key=..."
            )
    if not found:
        known = sorted({route.key for route in routes if route.key is not None})
        meant = closest(key, known)
        hint = f"did you mean {meant!r}?" if meant else "give the route a key=..."
        raise LookupError(f"no route has the key {key!r}, and no handler that name; {hint}")
    return found[0]
