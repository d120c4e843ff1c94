"""What an annotation of a handler's parameter says, however it is written."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any


def fits(gives: Any, kind: Any) -> bool:
    """Whether a value of type ``gives`` may be used if ``kind`` is asked for."""
    if not isinstance(kind, type):
        return False
    try:
        return issubclass(gives, kind) or (gives is int and kind is float)  # PEP 484
    except TypeError:
        return True  # a Protocol that cannot be checked


def kinds_of(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, without None; empty if it allows any type."""
    if hasattr(annotation, "__supertype__"):  # a NewType
        return kinds_of(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":
        return kinds_of(annotation.__value__)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return kinds_of(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        members = [kinds_of(kind) for kind in typing.get_args(annotation) if kind is not type(None)]
        return tuple(kind for kinds in members for kind in kinds) if all(members) else ()
    if isinstance(origin, type) and not typing.get_args(annotation):
        return (origin,)  # typing.Hashable, another name for collections.abc.Hashable
    if annotation is inspect.Parameter.empty or annotation is Any:
        return ()
    if isinstance(annotation, typing.TypeVar | typing.ForwardRef):
        return ()
    return (annotation,)


def annotation_of(index: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter; empty if it cannot be resolved."""
    try:
        return resolve(index, parameter)
    except Exception:  # evaluating an annotation may raise anything
        return inspect.Parameter.empty


def resolve(index: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter, of which the handler may have written only the text.

    Raises:
        Exception: whatever evaluating it raises.
    """
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    plain = index
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not inspect.isroutine(plain):
        plain = plain.__init__ if inspect.isclass(plain) else type(plain).__call__
    names = getattr(inspect.unwrap(plain), "__globals__", {})
    # Only this parameter: names in the other annotations may exist only for type checkers.
    alone = types.SimpleNamespace(__annotations__={parameter.name: annotation})
    return typing.get_type_hints(alone, globalns=names, include_extras=True)[parameter.name]


def written(annotation: Any) -> str:
    """An annotation as it is written in code."""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
