"""Checks what a route's handler takes, and reads converters and markers from its annotations.

All of this happens when the route is created.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import keyword
import sys
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from finch.errors import ConfigurationError
from finch.http.annotations import annotation_of, fits, kinds_of, resolve, written
from finch.http.arguments import Argument, Marker, Plan, Source, read_marks, unmarked
from finch.http.paths import CONVERTERS, Element, Parameter, choice
from finch.http.request import Request
from finch.http.response import Response

_BY_TYPE: Final[dict[Any, str]] = {str: "str", int: "int", float: "float", UUID: "uuid"}
_FROM_TEXT: Final = (*_BY_TYPE, bool)  # what other frameworks fill from the query
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class NotInPath(ConfigurationError):
    """A handler takes a parameter that its path does not have. The path of a group or of a parent
    route may have it, so this is raised when the route is added to an application."""

    __module__ = ConfigurationError.__module__


class Checked(NamedTuple):
    """What a handler takes.

    Attributes:
        elements: the path's elements. If the path gives a parameter no converter, the parameter
            gets the converter that the handler's annotation asks for.
        plan: how the handler is called; None if it takes the request and the path's parameters.
    """

    elements: tuple[Element, ...]
    plan: Plan | None


def check_handler(
    index: Callable[..., Any],
    elements: Sequence[Element],
    path: str,
    elsewhere: Collection[str] = (),
) -> Checked:
    """Check what a handler takes: the request first, the path's parameters and marked parameters.

    Parameters:
        elsewhere: the parameters of other paths of the same route. Here, their defaults count.

    Raises:
        ConfigurationError: if the handler takes something else, or if an annotation asks for a type
            that no converter makes.

    Example::

        async def bird(request, bird_id: int): ...

        check_handler(bird, ("/birds/", Parameter("bird_id", None)), "/birds/{bird_id}").elements
        # ("/birds/", Parameter("bird_id", "int"))
    """
    _refuse_classes(index, path)
    try:
        signature = _signature(index)
    except ValueError:
        return Checked(tuple(elements), None)  # a builtin without a signature
    takes = signature.parameters
    first = next(iter(takes.values()), None)
    _refuse_unbound(index, first, path)
    wanted = [element.name for element in elements if isinstance(element, Parameter)]
    if "request" in wanted:
        raise ConfigurationError(
            f"{{request}} of {path} would be what its handler calls the request; call the path's "
            "parameter something other than request"
        )
    marked = _marked(index, takes, wanted, path)
    takes_request = (
        first is not None
        and first.kind in _POSITIONAL
        and first.name not in wanted
        and first.name not in marked
    )
    named = dict.fromkeys([*wanted, *marked])
    try:
        signature.bind(*[None] * takes_request, **named)
    except TypeError:
        kind, help = _help(takes, wanted, marked)
        raise kind(
            f"the handler of {path} is called with ({', '.join(['request', *wanted])}), "
            f"but is written {name_of(index)}{signature}{help}"
        ) from None
    _refuse_unfilled(
        index, list(takes.values())[takes_request:], {*wanted, *marked, *elsewhere}, path
    )
    if "self" in wanted and not inspect.isfunction(index):
        # The signature may accept it (as **params), but the call would pass "self" twice.
        raise ConfigurationError(
            f"the handler of {path}, {name_of(index)}, has a self of its own: give the path's "
            "parameter another name"
        )
    if first is not None and takes_request:
        _check_request(index, first, path)
    fitted = tuple(
        element if isinstance(element, str) else _fit(index, element, takes, path)
        for element in elements
    )
    if takes_request and not marked:
        return Checked(fitted, None)
    return Checked(fitted, Plan(list(marked.values()), takes_request))


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


def _help(
    takes: Mapping[str, inspect.Parameter], wanted: Sequence[str], marked: Collection[str]
) -> tuple[type[ConfigurationError], str]:
    """What to change so that the handler fits its path, as the end of an error message; and the
    kind of error."""
    if "request" in list(takes)[1:] or (
        "request" in takes and takes["request"].kind is inspect.Parameter.KEYWORD_ONLY
    ):
        return ConfigurationError, (
            f"; the request comes first: write ({', '.join(['request', *wanted])})"
        )
    for name in wanted:
        if keyword.iskeyword(name):
            return ConfigurationError, (
                f"; {name!r} is a keyword of Python: give the parameter another name"
            )
        if name not in takes:
            return ConfigurationError, f"; add {name} to its parameters"
    for name in (*wanted, *marked):
        if takes[name].kind is inspect.Parameter.POSITIONAL_ONLY:
            return ConfigurationError, f"; {name} is passed by name: leave out the slash"
    for name, taken in list(takes.items())[1:]:
        known = name in wanted or name in marked
        if not known and taken.default is taken.empty and taken.kind not in _VARIADIC:
            return NotInPath, (
                f"; add {{{name}}} to the path, give {name} a default, or say where it comes "
                f"from: {name}: Query[str], Header, Cookie, Body, Form or File"
            )
    return ConfigurationError, ""


def _refuse_unfilled(
    index: Callable[..., Any],
    takes: Sequence[inspect.Parameter],
    filled: Collection[str],
    path: str,
) -> None:
    """Refuse ``page: int = 1``, which other frameworks fill from the query. Without a marker it
    would be 1 in every request, and nobody would notice."""
    bound = index.keywords if isinstance(index, functools.partial) else ()
    for taken in takes:
        name = taken.name
        if name in filled or name in bound or taken.default is taken.empty:
            continue
        kinds = kinds_of(annotation_of(index, taken))
        if kinds and all(kind in _FROM_TEXT for kind in kinds):
            shown = written(taken.annotation)
            raise NotInPath(
                f"{name} of {name_of(index)}, the handler of {path}, would be "
                f"{taken.default!r} in every request: say where it comes from, as in {name}: "
                f"Query[{shown}] = {taken.default!r}, or leave out the annotation"
            )


def _marked(
    index: Callable[..., Any],
    takes: Mapping[str, inspect.Parameter],
    wanted: Collection[str],
    path: str,
) -> dict[str, Argument]:
    """The parameters that say where they come from, by name.

    Raises:
        ConfigurationError: if one is also in the path, or two cannot be had of one body.
    """
    found: dict[str, Argument] = {}
    for name, taken in takes.items():
        annotation = annotation_of(index, taken)
        if isinstance(annotation, Marker):  # Query without [...]
            annotation = annotation[str]
        source, key = read_marks(typing.get_args(annotation)[1:])
        if typing.get_origin(annotation) is not typing.Annotated or source is None:
            _refuse_lost(index, taken, annotation, path)
            continue
        if name in wanted:
            raise ConfigurationError(
                f"{{{name}}} of {path} is in the path, and its handler {name_of(index)} says that "
                f"it comes from a {source.value}: write {name} without a marker"
            )
        if taken.kind in _VARIADIC:
            raise ConfigurationError(
                f"{name} of {name_of(index)}, the handler of {path}, takes any number of "
                "arguments: a marked parameter is written without a star"
            )
        if key is None:
            key = name.replace("_", "-") if source is Source.HEADER else name
        try:
            found[name] = Argument(name, source, key, unmarked(annotation), taken.default)
        except TypeError as error:
            raise ConfigurationError(
                f"{name} of {name_of(index)}, the handler of {path}: {error}"
            ) from None
    bodies = [one for one in found.values() if one.source is Source.BODY]
    forms = [one for one in found.values() if one.source in (Source.FORM, Source.FILE)]
    if len(bodies) > 1 or (bodies and forms):
        both = [one.name for one in (*bodies, *forms)][:2]
        raise ConfigurationError(
            f"the handler of {path}, {name_of(index)}, wants both {both[0]} and {both[1]} of one "
            "body: write one type with both, as a msgspec.Struct"
        )
    return found


def _refuse_lost(
    index: Callable[..., Any], taken: inspect.Parameter, annotation: Any, path: str
) -> None:
    """Refuse a marker that would not be seen, so that the parameter would never be filled."""
    whose = f"{taken.name} of {name_of(index)}, the handler of {path}"
    if any(map(_is_marked, typing.get_args(annotation))):
        raise ConfigurationError(
            f"{whose}, has its marker inside of another type: write the marker outside, as in "
            "Query[int | None] or Query[list[str]]"
        )
    if isinstance(taken.annotation, str) and annotation is inspect.Parameter.empty:
        marker = taken.replace(annotation=taken.annotation.partition("[")[0])
        try:
            resolve(index, taken)
        except Exception as error:
            if _is_marked(annotation_of(index, marker)):
                raise ConfigurationError(
                    f"{whose}: {taken.annotation!r} cannot be read: {error}. If annotations are "
                    "text, their types must be globals of the handler's module"
                ) from None


def _is_marked(annotation: Any) -> bool:
    if isinstance(annotation, Marker):
        return True
    is_annotated = typing.get_origin(annotation) is typing.Annotated
    return is_annotated and read_marks(typing.get_args(annotation)[1:])[0] is not None


def _check_request(index: Callable[..., Any], first: inspect.Parameter, path: str) -> None:
    if first.kind in _VARIADIC:
        return
    kinds = kinds_of(annotation_of(index, first))
    if kinds and not any(fits(Request, kind) or _is_request(kind) for kind in kinds):
        raise ConfigurationError(
            f"the first parameter of the handler of {path} is the request, but {name_of(index)} "
            f"annotates it with {written(first.annotation)}: add request before it, or say where "
            f"it comes from: {first.name}: Query[{written(first.annotation)}]"
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
    kinds = kinds_of(annotation_of(index, taken))
    now = CONVERTERS[converter or "str"]
    if not isinstance(now, type):
        return parameter  # an application's own: it may return anything
    if not kinds or any(fits(now, kind) for kind in kinds):
        return parameter
    asked = _BY_TYPE.get(kinds[0]) if len(kinds) == 1 else None
    if converter is None and asked is not None:
        return Parameter(name, asked)
    shown = written(taken.annotation)
    if converter is None:
        raise ConfigurationError(
            f"the handler of route {path!r} annotates {{{name}}} with {shown}, and no converter "
            f"makes that (the converters are {choice()}): write {name}: str, and convert it in the "
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
