"""The names of HTTP methods, and what is said of misspelt ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

from finch.errors import ConfigurationError


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


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 9.1


def check_methods(methods: Iterable[str], path: str) -> frozenset[str]:
    """The methods of a route, in upper case.

    Raises:
        ConfigurationError: if there are none, or one is misspelt. The message says what to write.
    """
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
