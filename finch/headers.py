"""Mappings of text with several values per name: headers (names ignore case) and query parameters.

Also checks the headers that an application wants to send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from finch.explain import kind, not_text, shown

V = TypeVar("V")

HeaderItems = Mapping[str, str] | Iterable[tuple[str, str]]

NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token: the name of a header or a cookie (RFC 9110, section 5.6.2)."""

_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class MultiMapping(Mapping[str, V]):
    """An immutable mapping whose keys may have several values; ``[]`` gives the first.

    Parameters:
        items: pairs of name and value, in order.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, V]] = ()) -> None:
        self._items: tuple[tuple[str, V], ...] = tuple(items)

    @staticmethod
    def _fold(name: str) -> str:
        return name

    def __getitem__(self, name: str) -> V:
        wanted = self._fold(name)
        for key, value in self._items:
            if key == wanted:
                return value
        raise KeyError(name)

    def getlist(self, name: str) -> list[V]:
        """All values of a name, in order; empty if there are none."""
        wanted = self._fold(name)
        return [value for key, value in self._items if key == wanted]

    def multi_items(self) -> list[tuple[str, V]]:
        """All pairs, in order, repeated names included."""
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        wanted = self._fold(name)
        return any(key == wanted for key, _ in self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for key, _ in self._items))

    def __len__(self) -> int:
        return len({key for key, _ in self._items})

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MultiMapping):
            return self._items == other._items
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._items)!r})"


class QueryParams(MultiMapping[str]):
    """The parameters of the query: ``request.query["page"]``, ``request.query.getlist("tag")``."""

    __slots__ = ()


class Headers(MultiMapping[str]):
    """The headers of a message: case-insensitive (RFC 9110, section 5.1), decoded as Latin-1.

    Example::

        request.headers["Content-Type"]
        request.headers.get("x-token")
        request.headers.getlist("via")
    """

    __slots__ = ()

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Headers from the bytes that were received."""
        return cls((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__((name.lower(), value) for name, value in items)

    @staticmethod
    def _fold(name: str) -> str:
        return name.lower()


class CopiedHeaders(Headers):
    """A copy of a response's headers. Trying to change it raises an error that explains this."""

    __slots__ = ()

    def __setitem__(self, name: object, value: object) -> None:
        raise TypeError(
            f"response.headers is a copy: write response.set_header({shown(name)}, {shown(value)})"
        )

    def __delitem__(self, name: object) -> None:
        raise TypeError(f"response.headers is a copy: write response.remove_header({shown(name)})")

    def __getattr__(self, name: str) -> Any:
        instead = ""
        if name in ("update", "setdefault", "pop", "append", "add", "set", "popitem", "clear"):
            instead = "; write response.set_header(name, value), or add_header or remove_header"
        raise AttributeError(f"the headers of a response have no {name}{instead}")


def check_header(name: Any, value: Any) -> None:
    """Refuse a header that would break the message, and say what to write.

    Raises:
        ValueError: if the name is not a token, or if the value is not text in Latin-1 without
            control characters.

    Source: RFC 9110, section 5.
    """
    if (
        type(name) is str
        and type(value) is str
        and NAME.fullmatch(name)
        and _VALUE.fullmatch(value)
    ):
        return
    if not isinstance(name, str) or not NAME.fullmatch(name):
        advice = "a header's name has letters, digits and hyphens only, such as 'x-request-id'"
        if isinstance(name, bytes):
            advice = "write the name as text, without the b"
        raise ValueError(f"{shown(name)} is not a header name: {advice}")
    if isinstance(value, str) and _VALUE.fullmatch(value):
        return  # a subclass of str
    raise ValueError(f"{name!r}: {shown(value)} is not a header value: {_advice(name, value)}")


def _advice(name: str, value: object) -> str:
    if isinstance(value, str):
        if not_text(value) is None and value.isprintable():
            return "headers are Latin-1; percent-encode it with urllib.parse.quote"
        return "it has a line break or another character that would break the message"
    if value is None:
        return "leave the header out"
    if isinstance(value, bytes):
        return "write text, such as value.decode('latin-1')"
    if isinstance(value, list | tuple):
        return f"write one pair for each value of a header: [({name!r}, 'a'), ({name!r}, 'b')]"
    return "a header's value is text; write str(...) around it"


def header_items(headers: Any, of: str) -> list[tuple[str, str]]:
    """The headers that an application passes, as checked pairs.

    Parameters:
        headers: a mapping of names to values, or pairs of name and value.
        of: the name of what takes them, for the error.

    Raises:
        TypeError: if ``headers`` is neither of these.
        ValueError: as :func:`check_header`.
    """
    if isinstance(headers, MultiMapping):
        items = headers.multi_items()
    elif isinstance(headers, Mapping):
        items = list(headers.items())
    elif isinstance(headers, str | bytes | bytearray) or not isinstance(headers, Iterable):
        raise TypeError(f"{of} takes headers as {_FORMS}, not {kind(headers)}")
    else:
        items = list(headers)
    for item in items:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise TypeError(f"{of} takes headers as {_FORMS}; {shown(item)} is not such a pair")
        check_header(item[0], item[1])
    return items


_FORMS: Final = "a dict or as pairs, such as {'x-a': 'b'} or [('x-a', 'b')]"
