"""JSON schemas of types, as msgspec makes them. What has no schema is anything: it may be right all
the same, as ``-> Cat | Dog`` is.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Any, Final

import msgspec

Schema = Mapping[str, Any]
Hook = Callable[[type], dict[str, Any]]
"""Makes the schema of a type that msgspec does not know."""

REFERENCE: Final = "#/components/schemas/{name}"
"""How OpenAPI and AsyncAPI refer to the schema of a type with a name."""

ANYTHING: Final[Schema] = {}
_EMPTY: Final = {"title": ""}  # msgspec takes an empty schema of a hook for none


class Schemas:
    """The schemas of some types, for a document with the part ``components.schemas``.

    Parameters:
        types: all types that :meth:`of` will be asked for.

    Attributes:
        components: the schemas of the types with names that these refer to.

    Types that only the application's ``dec_hook`` knows are anything, except pydantic's models,
    which know their own schemas.

    Example::

        Schemas([list[Bird]]).of(list[Bird])
        # {"type": "array", "items": {"$ref": "#/components/schemas/Bird"}}
    """

    def __init__(self, types: Iterable[Any]) -> None:
        self._inner: dict[str, Schema] = {}
        self._known: dict[type, dict[str, Any]] = {}
        self._schemas, found = described(types, REFERENCE, self._foreign)
        self.components: dict[str, Any] = {**found, **self._inner}

    def of(self, one: Any) -> dict[str, Any]:
        """The schema of a type, which refers to ``components``."""
        found = dict(self._schemas[hashed(one)])
        return {} if found == _EMPTY else found

    def resolved(self, one: Any) -> dict[str, Any]:
        """The same, without being a mere reference itself."""
        found = self.of(one)
        while set(found) == {"$ref"}:
            found = dict(self.components[found["$ref"].rpartition("/")[2]])
        return found

    def _foreign(self, cls: type) -> dict[str, Any]:
        if cls not in self._known:
            self._known[cls] = self._ask(cls)
        return self._known[cls]

    def _ask(self, cls: type) -> dict[str, Any]:
        """The schema of a pydantic model; the types inside become components of their own."""
        make = getattr(cls, "model_json_schema", None)
        if make is None:
            return _EMPTY
        prefix, count = cls.__name__, 2
        while any(name.startswith(f"{prefix}.") for name in self._inner):
            prefix, count = f"{cls.__name__}{count}", count + 1
        try:
            made = make(ref_template=REFERENCE.format(name=f"{prefix}.{{model}}"))
            inner = made.pop("$defs", {})
            self._inner |= {f"{prefix}.{name}": schema for name, schema in inner.items()}
        except Exception:  # a class of the same name that is something else
            return _EMPTY
        return made or _EMPTY


def described(
    types: Iterable[Any], reference: str, hook: Hook
) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """The schemas of types by their :func:`hashed`, and of the types with a name that they refer to
    by the name.

    Parameters:
        reference: how a type with a name is referred to, as in ``"{name}"``.
        hook: makes the schemas of types that msgspec does not know.
    """
    parts = {hashed(one): [one] for one in types}  # 1 and True are equal, and other types
    making = _Making(reference, hook)
    making.keep(parts, list(parts))
    schemas, components = making.schemas_of(making.kept)
    coming = iter(schemas)
    found: dict[Any, Schema] = {}
    for key, alternatives in parts.items():
        each = [next(coming) for _ in alternatives]
        found[key] = each[0] if len(each) == 1 else {"anyOf": each}
    return found, components


class _Making:
    """Finds out which types have schemas beside each other. Not even all that have one do: two
    local classes of one function have the same name."""

    def __init__(self, reference: str, hook: Hook) -> None:
        self._reference = reference
        self._hook = hook
        self.kept: list[Any] = []

    def schemas_of(self, types: list[Any]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
        return msgspec.json.schema_components(
            types, schema_hook=self._hook, ref_template=self._reference
        )

    def keep(self, parts: dict[Any, list[Any]], keys: list[Any]) -> None:
        """Keep types; of those without a schema the parts of a union, or anything.

        Parameters:
            parts: the type of each key. Gets what stands for it.
            keys: those to keep now. If one of many has no schema, halves of them are tried.
        """
        types = [one for key in keys for one in parts[key]]
        if self._fit(types):
            self.kept += types
        elif len(keys) > 1:
            self.keep(parts, keys[: len(keys) // 2])
            self.keep(parts, keys[len(keys) // 2 :])
        else:
            parts[keys[0]] = self._describable(types[0], [])
            self.kept += parts[keys[0]]

    def _fit(self, types: list[Any]) -> bool:
        try:
            self.schemas_of([*self.kept, *types])
        except Exception:  # NameError, KeyError, TypeError: whatever an annotation leads to
            return False
        return True

    def _describable(self, one: Any, beside: list[Any]) -> list[Any]:
        if self._fit([*beside, one]):
            return [one]
        if typing.get_origin(one) not in (typing.Union, UnionType):
            return [Any]
        parts: list[Any] = []
        for part in typing.get_args(one):
            parts += self._describable(part, [*beside, *parts])
        return parts


def hashed(one: Any) -> Any:
    """A key for a type, which may be unhashable itself."""
    return (type(one), repr(one)) if one.__hash__ is None else (type(one), one)
