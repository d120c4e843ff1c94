"""The cookies of a test's client: which ones it keeps, for how long, and for which paths.

It follows RFC 6265, section 5, as browsers do. ``Domain`` and ``Secure`` are ignored: the client
talks to one host only, and stands for clients with and without TLS.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import trio

_NUMBER: Final = re.compile("-?[0-9]+")


class _Cookie(NamedTuple):
    value: str
    until: float  # by trio's clock


class Cookies(MutableMapping[str, str]):
    """Names and values of cookies, as they are sent. A cookie that a test sets is sent with every
    request.

    Example::

        client.cookies["user"] = "ada"
        assert client.cookies == {"user": "ada"}
    """

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._kept: dict[tuple[str, str], _Cookie] = {}  # by name and path, the newest last
        self.update(items)

    def __getitem__(self, name: str) -> str:
        for (known, _), cookie in reversed(self._alive()):
            if known == name:
                return cookie.value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str) -> None:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a cookie's name and value are text, not {name!r} and {value!r}")
        self._forget(name)
        self._kept[name, "/"] = _Cookie(value, math.inf)

    def __delitem__(self, name: str) -> None:
        if not self._forget(name):
            raise KeyError(name)

    def _forget(self, name: str) -> bool:
        found = [key for key in self._kept if key[0] == name]
        for key in found:
            del self._kept[key]
        return bool(found)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for (name, _), _ in self._alive()))

    def __len__(self) -> int:
        return len({name for (name, _), _ in self._alive()})

    def __repr__(self) -> str:
        return repr(dict(self))

    def _alive(self) -> list[tuple[tuple[str, str], _Cookie]]:
        now = _now()
        return [item for item in self._kept.items() if item[1].until > now]

    def header(self, target: str) -> str:
        """The ``Cookie`` header of a request. Cookies with the longest path come first."""
        path = _path_of(target)
        sent = [item for item in self._alive() if _matches(path, item[0][1])]
        sent.sort(key=lambda item: -len(item[0][1]))
        return "; ".join(f"{name}={cookie.value}" for (name, _), cookie in sent)

    def take(self, line: str, target: str) -> None:
        """Keep the cookie of a ``Set-Cookie`` header, or delete it if it has expired.

        Parameters:
            line: the header's value.
            target: the target of the request.

        Source: RFC 6265, sections 5.2 and 5.3.
        """
        pair, *attributes = line.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not name or not equals:
            return
        said: dict[str, str] = {}
        for attribute in attributes:
            key, _, text = attribute.partition("=")
            said[key.strip().lower()] = text.strip()
        path = said.get("path", "")
        if not path.startswith("/"):
            path = _path_of(target).rpartition("/")[0] or "/"
        until = _end(said)
        self._kept.pop((name, path), None)
        if until > _now():
            self._kept[name, path] = _Cookie(value, until)


def _end(said: Mapping[str, str]) -> float:
    """When a cookie expires, by trio's clock. ``Max-Age`` has precedence over ``Expires``."""
    age = said.get("max-age", "")
    if _NUMBER.fullmatch(age):
        return _now() + float(age) if float(age) > 0 else -math.inf
    try:
        date = parsedate_to_datetime(said.get("expires", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return math.inf  # until the end of the session
    return _now() + date - time.time()


def _now() -> float:
    try:
        return trio.current_time()
    except RuntimeError:  # a test looks at the cookies after its event loop has ended
        return -math.inf


def _path_of(target: str) -> str:
    path = re.sub("^[^/?]*://[^/?]*", "", target).partition("?")[0]
    return path if path.startswith("/") else "/"


def _matches(path: str, wanted: str) -> bool:
    # section 5.1.4
    return path == wanted or path.startswith(wanted if wanted.endswith("/") else f"{wanted}/")
