"""Checks that a route's handler fits its path, and reads converters from its annotations.

All of this happens when the route is created.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from finch.errors import ConfigurationError
from finch.http.paths import CHOICE, CONVERTERS, Element, Parameter
from finch.http.request import Request
from finch.http.response import Response

_BY_TYPE: Final[dict[Any, str]] = {str: "str", int: "int", float: "float", UUID: "uuid"}
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_handler(
    index: Callable[..., Any], elements: Sequence[Element], path: str
) -> tuple[Element, ...]:
    """Check that a handler takes the request and the path's parameters.

    Returns:
        The path's elements. If the path gives a parameter no converter, the parameter gets the
        converter that the handler's annotation asks for.

    Raises:
        ConfigurationError: if the handler takes something else, or if an annotation asks for a type
            that no converter makes.

    Example::

        async def bird(request, bird_id: int): ...

        check_handler(bird, ("/birds/", Parameter("bird_id", None)), "/birds/{bird_id}")
        # ("/birds/", Parameter("bird_id", "int"))
    """
    _refuse_classes(index, path)
    try:
        signature = _signature(index)
    except ValueError:
        return tuple(elements)  # a builtin without a signature
    takes = signature.parameters
    first = next(iter(takes.values()), None)
    _refuse_unbound(index, first, path)
    wanted = [element.name for element in elements if isinstance(element, Parameter)]
    try:
        signature.bind(None, **dict.fromkeys(wanted))
    except TypeError:
        raise ConfigurationError(
            f"the handler of {path} is called with ({', '.join(['request', *wanted])}), "
            f"but is written {name_of(index)}{signature}{_help(takes, wanted)}"
        ) from None
    if "self" in wanted and not inspect.isfunction(index):
        # The signature may accept it (as **params), but the call would pass "self" twice.
        raise ConfigurationError(
            f"the handler of {path}, {name_of(index)}, has a self of its own: give the path's "
            "parameter another name"
        )
    if first is not None:
        _check_request(index, first, path)
    return tuple(
        element if isinstance(element, str) else _fit(index, element, takes, path)
        for element in elements
    )


def name_of(index: Callable[..., Any]) -> str:
    """The name of a handler in an error message."""
    name = getattr(index, "__qualname__", None)
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else repr(index)


def _signature(index: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # do not fail if an annotation has an undefined name
        from annotationlib import Format

        return inspect.signature(index, annotation_format=Format.FORWARDREF)
    return inspect.signature(index)


# The shape


def _refuse_classes(index: Callable[..., Any], path: str) -> None:
    """Refuse a class that was given instead of an instance, or instead of an instance's method."""
    if not inspect.isclass(index) or (_takes_one(index) and _makes_answers(index)):
        return
    methods = [name for name, value in vars(index).items() if inspect.isfunction(value)]
    public = [name for name in methods if not name.startswith("_")]
    instance = f"{index.__name__}()"
    if "__call__" not in methods and public:
        instance += f".{public[0]}"
    raise ConfigurationError(
        f"the handler of {path} is the class {index.__qualname__}; "
        f"make an instance first: write FinchRoute({path!r}, {instance})"
    )


def _takes_one(index: type) -> bool:
    try:
        _signature(index).bind(None)
    except TypeError:
        return False
    except ValueError:
        pass  # a builtin without a signature
    return True


def _makes_answers(index: type) -> bool:
    """Whether an instance is a value that a handler may return, and not a handler itself."""
    if any("__call__" in vars(kind) for kind in index.__mro__):
        return False
    return (
        issubclass(index, str | bytes | dict | list | Response | msgspec.Struct)
        or dataclasses.is_dataclass(index)
        or hasattr(index, "__await__")
        or hasattr(index, "__aiter__")
    )


def _refuse_unbound(index: Callable[..., Any], first: inspect.Parameter | None, path: str) -> None:
    if first is None or first.name not in ("self", "cls") or not inspect.isfunction(index):
        return
    owner, _, method = index.__qualname__.rpartition(".")
    owner = owner.rpartition(".")[2]
    bound = f"{owner}().{method}" if owner.isidentifier() else f"instance.{method}"
    raise ConfigurationError(
        f"the handler of {path} is the method {name_of(index)} without an instance, so it would "
        f"get the request as {first.name}: write FinchRoute({path!r}, {bound})"
    )


def _help(takes: Mapping[str, inspect.Parameter], wanted: Sequence[str]) -> str:
    """What to change so that the handler fits its path, as the end of an error message."""
    positional = [name for name, taken in takes.items() if taken.kind in _POSITIONAL]
    if "request" in wanted:
        return "; call the path's parameter something other than request"
    if not positional or positional[0] in wanted:
        return f"; the request comes first: write ({', '.join(['request', *wanted])})"
    for name in wanted:
        if keyword.iskeyword(name):
            return f"; {name!r} is a keyword of Python: give the parameter another name"
        if name not in takes:
            return f"; add {name} to its parameters"
        if takes[name].kind is inspect.Parameter.POSITIONAL_ONLY:
            return f"; {name} is passed by name: leave out the slash"
    for name, taken in list(takes.items())[1:]:
        if name not in wanted and taken.default is taken.empty and taken.kind not in _VARIADIC:
            return f"; add {{{name}}} to the path, or give {name} a default"
    return ""


def _check_request(index: Callable[..., Any], first: inspect.Parameter, path: str) -> None:
    if first.kind in _VARIADIC:
        return
    kinds = _kinds(_annotation(index, first))
    if kinds and not any(_fits(Request, kind) or _is_request(kind) for kind in kinds):
        raise ConfigurationError(
            f"the first parameter of the handler of {path} is the request, but {name_of(index)} "
            f"annotates it with {_shown(first.annotation)}: add request before it"
        )


def _is_request(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Request)


# The annotations


def _fit(
    index: Callable[..., Any],
    parameter: Parameter,
    takes: Mapping[str, inspect.Parameter],
    path: str,
) -> Parameter:
    """The parameter, with a converter if the handler's annotation asks for one."""
    name, converter = parameter
    taken = takes.get(name)
    if taken is None or taken.kind in _VARIADIC:
        return parameter
    kinds = _kinds(_annotation(index, taken))
    now = CONVERTERS[converter or "str"]
    if not kinds or any(_fits(now, kind) for kind in kinds):
        return parameter
    asked = _BY_TYPE.get(kinds[0]) if len(kinds) == 1 else None
    if converter is None and asked is not None:
        return Parameter(name, asked)
    shown = _shown(taken.annotation)
    if converter is None:
        raise ConfigurationError(
            f"the handler of route {path!r} annotates {{{name}}} with {shown}, and no converter "
            f"makes that (the converters are {CHOICE}): write {name}: str, and convert it in the "
            "handler"
        )
    gives = now.__name__
    instead = ""
    if asked is not None:
        instead = f"{{{name}{'' if asked == 'str' else ':' + asked}}} in the path, or "
    raise ConfigurationError(
        f"{{{name}:{converter}}} of route {path!r} gives {gives}, but its handler annotates "
        f"it with {shown}: write {instead}{name}: {gives} in the handler"
    )


def _fits(gives: Any, kind: Any) -> bool:
    """Whether a value of type ``gives`` may be used if ``kind`` is asked for."""
    if not isinstance(kind, type):
        return False
    try:
        return issubclass(gives, kind) or (gives is int and kind is float)  # PEP 484
    except TypeError:
        return True  # a Protocol that cannot be checked


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, without None; empty if it allows any type."""
    if hasattr(annotation, "__supertype__"):  # a NewType
        return _kinds(annotation.__supertype__)
    if type(annotation).__name__ == "TypeAliasType":
        return _kinds(annotation.__value__)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        members = [_kinds(kind) for kind in typing.get_args(annotation) if kind is not type(None)]
        return tuple(kind for kinds in members for kind in kinds) if all(members) else ()
    if isinstance(origin, type) and not typing.get_args(annotation):
        return (origin,)  # typing.Hashable, another name for collections.abc.Hashable
    if annotation is inspect.Parameter.empty or annotation is Any:
        return ()
    if isinstance(annotation, typing.TypeVar | typing.ForwardRef):
        return ()
    return (annotation,)


def _annotation(index: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation of a parameter; empty if it cannot be resolved."""
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
    try:
        return typing.get_type_hints(alone, globalns=names, include_extras=True)[parameter.name]
    except Exception:  # evaluating an annotation may raise anything
        return inspect.Parameter.empty


def _shown(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
