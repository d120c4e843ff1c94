"""Multi-mappings of text: headers, whose names ignore case, and query parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


class MultiMapping(Mapping[str, str]):
    """An immutable mapping whose keys may have several values; ``[]`` gives the first.

    Parameters:
        items: pairs of name and value, in order.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: tuple[tuple[str, str], ...] = tuple(items)

    @staticmethod
    def _fold(name: str) -> str:
        return name

    def __getitem__(self, name: str) -> str:
        wanted = self._fold(name)
        for key, value in self._items:
            if key == wanted:
                return value
        raise KeyError(name)

    def getlist(self, name: str) -> list[str]:
        """Every value of a name, in order; an empty list where there is none."""
        wanted = self._fold(name)
        return [value for key, value in self._items if key == wanted]

    def multi_items(self) -> list[tuple[str, str]]:
        """Every pair, in order, repeated names included."""
        return list(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(key == self._fold(name) for key, _ in self._items)

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


class QueryParams(MultiMapping):
    """The query's parameters. ``request.query["page"]``, ``request.query.getlist("tag")``."""

    __slots__ = ()


class Headers(MultiMapping):
    """A message's headers: case-insensitive (RFC 9110, section 5.1), text decoded as Latin-1.

    Example::

        request.headers["Content-Type"]
        request.headers.get("x-token")
        request.headers.getlist("via")
    """

    __slots__ = ()

    @classmethod
    def from_raw(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """From bytes as they travel."""
        return cls((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__((name.lower(), value) for name, value in items)

    @staticmethod
    def _fold(name: str) -> str:
        return name.lower()
