"""Checks which types JSON can be converted to, and the hook for types that msgspec does not know.

msgspec accepts any class as a type. But JSON never converts to a plain class, and then the client
would be told that its data was wrong. So this module checks the types beforehand.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import inspect as shapes

from finch.errors import ConfigurationError
from finch.explain import kind, where

DecHook = Callable[[type, Any], Any]
"""Makes values of types that msgspec does not know. Called with the type and the parsed JSON."""

_KEYS: Final = (  # types that the text of a key in a JSON object can be converted to
    shapes.AnyType,
    shapes.StrType,
    shapes.IntType,
    shapes.FloatType,
    shapes.DecimalType,
    shapes.BytesType,
    shapes.UUIDType,
    shapes.DateTimeType,
    shapes.DateType,
    shapes.TimeType,
    shapes.TimeDeltaType,
    shapes.EnumType,
    shapes.LiteralType,
    shapes.NoneType,  # from Optional
    shapes.CustomType,  # the hook makes it; without a hook, _fault_of reports it
)
_UNHASHABLE: Final = (shapes.ListType, shapes.SetType, shapes.DictType, shapes.TypedDictType)
_WORKS: Final = (
    "a msgspec.Struct, a dataclass, a TypedDict, a NamedTuple, an Enum, or one of Python's own, "
    "such as list[float] or dict[str, int]"
)


def check_hook(dec_hook: Any) -> None:
    """Refuse a ``dec_hook`` that cannot be called as ``dec_hook(type, value)``.

    Raises:
        ConfigurationError: if it is not callable, takes other arguments, or is ``async``.
    """
    advice = "write a function (type, value), such as lambda cls, value: cls.model_validate(value)"
    if not callable(dec_hook):
        raise ConfigurationError(f"dec_hook is not callable: {kind(dec_hook)}; {advice}")
    if inspect.iscoroutinefunction(dec_hook) or inspect.isasyncgenfunction(dec_hook):
        raise ConfigurationError(
            f"dec_hook is called while a message is parsed, and {where(dec_hook)} is async; "
            "write it with 'def'"
        )
    try:
        inspect.signature(dec_hook).bind(object, None)
    except TypeError:
        raise ConfigurationError(
            f"dec_hook is called with (type, value), but is written {where(dec_hook)}; {advice}"
        ) from None
    except ValueError:
        pass  # some builtins do not tell which arguments they take


@lru_cache(maxsize=64)
def checked_hook(dec_hook: DecHook) -> DecHook:
    """The hook, with a check that it returned an instance of the type. Without this check, msgspec
    would tell the client that its data was wrong."""

    def hook(cls: type, value: Any) -> Any:
        if cls is object:
            return value
        made = dec_hook(cls, value)
        try:
            right = isinstance(made, typing.get_origin(cls) or cls)
        except TypeError:
            right = True  # a Protocol that isinstance() cannot check
        if not right:
            raise RuntimeError(
                f"dec_hook, {where(dec_hook)}, was asked for {type_name(cls)} and returned "
                f"{kind(made)}"
            )
        return made

    return hook


def type_name(annotation: Any) -> str:
    """A type as it is written in code, for a message."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__.rpartition("<locals>.")[2]
    try:
        return repr(annotation)[:200]
    except Exception:
        return kind(annotation)


def why_never_filled(annotation: Any, *, has_hook: bool = False) -> str:
    """Why no JSON can be converted to a type that msgspec accepts; empty if some can.

    Parameters:
        annotation: the type.
        has_hook: whether there is a ``dec_hook``, which makes types that msgspec does not know.

    Raises:
        TypeError: if msgspec does not accept the type.
    """
    root = shapes.type_info(annotation)  # keeps all its parts alive, so their ids stay valid
    waiting: list[shapes.Type] = [root]
    seen: set[int] = set()
    while waiting:
        shape = waiting.pop()
        if id(shape) in seen:  # a type that contains itself
            continue
        seen.add(id(shape))
        fault = _fault_of(shape, has_hook)
        if fault:
            return fault
        waiting.extend(_parts(shape))
    return ""


def _fault_of(shape: shapes.Type, has_hook: bool) -> str:
    if isinstance(shape, shapes.CustomType) and not has_hook and shape.cls is not object:
        return _unknown(shape.cls)
    if isinstance(shape, shapes.DictType):
        for key in _alternatives(shape.key_type):
            if not isinstance(key, _KEYS):
                return (
                    "the keys of a JSON object are text, and no text becomes "
                    f"{_shape_name(key)}; write dict[str, ...]"
                )
    if isinstance(shape, shapes.SetType | shapes.FrozenSetType):
        for item in _alternatives(shape.item_type, shapes.TupleType, shapes.VarTupleType):
            if isinstance(item, _UNHASHABLE) or _is_changeable(item):
                return f"a set cannot hold {_shape_name(item)}; write list[...]"
    return ""


def _unknown(cls: Any) -> str:
    name = type_name(cls)
    if any("model_validate" in vars(base) for base in getattr(cls, "__mro__", ())):
        return (
            f"{name} is a pydantic model, and msgspec does the converting; write "
            "FinchApp(dec_hook=lambda cls, value: cls.model_validate(value)), or make it a "
            "msgspec.Struct"
        )
    return (
        f"msgspec does not know how to make {name}. Write {_WORKS}; or tell it how: "
        "FinchApp(dec_hook=...) takes a function (type, value) that returns the instance"
    )


def _alternatives(shape: shapes.Type, *also: type) -> Iterator[shapes.Type]:
    """The types of a union, or the type itself, without its constraints (``Meta``).

    Parameters:
        also: other kinds of types to look into.
    """
    waiting = [shape]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (shapes.Metadata, shapes.UnionType, *also)):
            waiting.extend(_parts(one))
        else:
            yield one


def _parts(shape: shapes.Type) -> Iterator[shapes.Type]:
    """The types inside a type: of items, keys, values, fields and alternatives."""
    for name in shape.__struct_fields__:
        value = getattr(shape, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, shapes.Field):
                yield part.type
            elif isinstance(part, shapes.Type):
                yield part


def _is_changeable(shape: shapes.Type) -> bool:
    """Whether instances cannot be hashed because they can be changed."""
    if isinstance(shape, shapes.StructType):
        cls = typing.get_origin(shape.cls) or shape.cls
        config = cls.__struct_config__
        own = cls.__hash__ is not msgspec.Struct.__hash__
        return config.eq and not config.frozen and not own
    if isinstance(shape, shapes.DataclassType):
        return (typing.get_origin(shape.cls) or shape.cls).__hash__ is None
    return False


def _shape_name(shape: Any) -> str:
    cls = getattr(shape, "cls", None)
    if cls is not None:
        return type_name(cls)
    return f"a {type(shape).__name__.removesuffix('Type').lower()}"
