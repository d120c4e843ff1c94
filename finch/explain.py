"""Describes an application's values and functions for error messages: what they are, and where.

This code runs after something went wrong, so it may be slow. But it must never make things worse:
it does not call a value's own ``__repr__``, all its work is limited, and it never raises an
``Exception``.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from finch.encoding import encode

_MANY: Final = 20_000
"""How many values :func:`why_no_json` looks at; takes about 10 ms."""

_SHOWN: Final = 60  # characters of a value in a message
_DEEP: Final = 100  # wrappers to look through: partials, decorators
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
_name_of = type.__dict__["__name__"].__get__  # a metaclass cannot override this

_YIELD: Final = "write an async generator: 'async def' with 'yield'"
_HINTS: Final[dict[str, str]] = {
    "coroutine": "write 'await' before the call that made it",
    "function": "call it, with parentheses",
    "method": "call it, with parentheses",
    "generator": f"write list(...) around it, or {_YIELD}",
    "range": "write list(...) around it",
    "map": "write list(...) around it",
    "filter": "write list(...) around it",
    "zip": "write list(...) around it",
    "dict_keys": "write list(...) around it",
    "dict_values": "write list(...) around it",
    "dict_items": "write list(...) around it",
    "set": "write list(...) around it",
    "frozenset": "write list(...) around it",
    "deque": "write list(...) around it",
    "ndarray": "write .tolist() after it",
}


def kind(value: object) -> str:
    """The name of a value's type with its article: ``a dict``, ``an int``, ``None``.

    Example::

        raise TypeError(f"a path is text, not {kind(path)}")
    """
    if value is None:
        return "None"
    if issubclass(type(value), type):  # isinstance() would ask the value's own __class__
        return "a type"  # not "an ABCMeta"
    name = _name_of(type(value))[:_SHOWN]
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shown(value: object) -> str:
    """A value for a message: a short text or number as it is, anything else as its type.

    Only values of Python's own types are shown, and only their beginning.
    """
    if value is None or type(value) in (bool, float):
        return repr(value)
    if type(value) is int:
        return repr(value) if value.bit_length() < 200 else "a very large int"
    if type(value) in (str, bytes):
        cut = value[:_SHOWN]  # type: ignore[index]
        return repr(cut) + ("..." if len(cut) < len(value) else "")  # type: ignore[arg-type]
    return kind(value)


def hint(value: object) -> str:
    """Advice for a value that JSON cannot hold, such as ``write str(...) around it``; empty if
    there is none."""
    cls = type(value)
    if any("model_dump" in vars(base) for base in cls.__mro__):
        return "write .model_dump(mode='json') after it"
    if issubclass(cls, str | int | float | complex | os.PathLike | BaseException):
        return "write str(...) around it"
    if issubclass(cls, type):
        return "make an instance of it, with parentheses"
    return _HINTS.get(_name_of(cls), "")


def where(function: object) -> str:
    """The name and place of a function, generator or coroutine: ``load (birds.py, line 12)``.

    For a ``partial``, a bound method, a callable object or a wrapper by ``functools.wraps``, it is
    the function inside. A text is returned unchanged, so a caller may pass its own words.
    """
    try:
        return function if isinstance(function, str) else _where(function)
    except Exception:
        return kind(function)


def _where(function: Any) -> str:
    for _ in range(_DEEP):
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isfunction(function) and hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif _code_of(function) is None and not inspect.isroutine(function):
            called = None if isinstance(function, type) else type(function).__call__
            if not inspect.isfunction(called):
                break
            function = called
        else:
            break
    code = _code_of(function)
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    if not isinstance(name, str):
        return kind(function)
    name = name.rpartition("<locals>.")[2][:_SHOWN]
    if code is None:
        return name
    return f"{name} ({os.path.basename(code.co_filename)}, line {code.co_firstlineno})"


def _code_of(function: Any) -> Any:
    for name in ("__code__", "ag_code", "cr_code", "gi_code"):
        code = getattr(function, name, None)
        if inspect.iscode(code):
            return code
    return None


def closest(name: object, names: Iterable[str]) -> str | None:
    """The name that was probably meant by a misspelled one, or None."""
    from difflib import get_close_matches  # only errors need it

    if not isinstance(name, str):
        return None
    found = get_close_matches(name[:_SHOWN], list(names), 1, 0.7)
    return found[0] if found else None


def not_text(text: str) -> str | None:
    """Why UTF-8 cannot encode a text: it has a lone surrogate, half a character. None if it can."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"a lone surrogate ({text[error.start]!r}), which UTF-8 cannot hold"
    return None


def why_no_json(value: object) -> str:
    """Which part of a value JSON cannot hold, and what type it has.

    Returns:
        Text with a path to the part, such as ``$.user.avatar is a PosixPath, which JSON cannot
        hold; write str(...) around it``.

    It looks at up to 20,000 values in a loop, without recursion. So a value that contains itself
    does no harm.

    Example::

        except Exception as error:
            raise TypeError(f"{where(function)} returned a value: {why_no_json(value)}") from error
    """
    try:
        return _find_fault(value) or _whole_fault(value)
    except Exception:
        return "it holds something that JSON cannot hold"


def _find_fault(value: object) -> str | None:
    fault = _fault_of(value)
    children = _children(value)
    if fault or children is None:
        return fault and f"the value {fault}"
    trail = ["$"]
    levels = [(children, id(value))]
    open_ids = {id(value)}  # values on the way to here; meeting one again means a cycle
    left = _MANY
    while levels:
        children, identity = levels[-1]
        for step, child in children:
            left -= 1
            if left < 0:
                return None
            again = id(child) in open_ids
            fault = "contains itself, which JSON cannot hold" if again else _fault_of(child)
            if fault:
                return f"{_cut(''.join((*trail, step)))} {fault}"
            deeper = _children(child)
            if deeper is not None:
                trail.append(step)
                levels.append((deeper, id(child)))
                open_ids.add(id(child))
                break
        else:
            levels.pop()
            trail.pop()
            open_ids.discard(identity)
    return None


def _whole_fault(value: object) -> str:
    try:
        encode(value)
    except RecursionError:
        return "the value is nested too deeply"
    except Exception as error:
        return f"JSON cannot hold it: {str(error)[:200]}"
    return "JSON cannot hold it"


def _fault_of(value: Any) -> str | None:
    """What is wrong with a value itself, without its parts; None if nothing is wrong."""
    cls = type(value)
    if cls in (int, float, bool, type(None)):
        return None
    if cls is str:
        fault = not_text(value)
        return fault and f"has {fault}"
    if issubclass(cls, dict):
        return _fault_of_keys(value)
    if _children(value) is not None:
        return None
    try:
        encode(value)
    except Exception:
        advice = hint(value)
        return f"is {kind(value)}, which JSON cannot hold" + (advice and f"; {advice}")
    return None


def _fault_of_keys(value: dict[Any, Any]) -> str | None:
    for number, key in enumerate(dict.keys(value)):
        if number > _MANY:
            break
        if type(key) is str:
            fault = None if key.isascii() else not_text(key)
            if fault:
                return f"has a key with {fault}"
            continue
        try:
            encode({key: None})
        except Exception:
            named = repr(key) if key is None or type(key) is bool else kind(key)
            return f"has {named} as a key, which JSON cannot hold; write str(...) around it"
    return None


def _children(value: Any) -> Iterator[tuple[str, Any]] | None:
    """The parts of a value that msgspec encodes as an array or object; None for other values."""
    cls = type(value)
    if issubclass(cls, dict):
        return ((_step(key), child) for key, child in dict.items(value))
    if issubclass(cls, list | tuple):
        iterate = list.__iter__ if issubclass(cls, list) else tuple.__iter__
        return ((f"[{number}]", child) for number, child in enumerate(iterate(value)))
    if issubclass(cls, set | frozenset):
        iterate_set = set.__iter__ if issubclass(cls, set) else frozenset.__iter__
        return (("[...]", child) for child in iterate_set(value))
    if issubclass(cls, msgspec.Struct):
        names = zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True)
        return _attributes(value, names)
    fields = getattr(cls, "__dataclass_fields__", None)
    if fields is None:
        fields = [field.name for field in getattr(cls, "__attrs_attrs__", ())]
    return _attributes(value, ((name, name) for name in fields)) if fields else None


def _attributes(value: Any, names: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for name, encoded in names:
        try:
            child = getattr(value, name)
        except AttributeError:
            continue
        if child is not msgspec.UNSET:
            yield _step(encoded), child


def _step(key: object) -> str:
    if type(key) is str:
        return f".{key}" if _NAME.fullmatch(key) else f"[{shown(key)}]"
    return f"[{shown(key)}]"


def _cut(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:100]}...{path[-97:]}"
