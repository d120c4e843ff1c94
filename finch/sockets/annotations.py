"""Makes a function that converts messages to the annotation of a handler's second parameter.

All of this happens when the handler is registered. If no message can be converted to the
annotation, registering raises a ``ConfigurationError``, so that it is not an error of each message.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from finch.conversions import DecHook, checked_hook, type_name, why_never_filled
from finch.errors import ConfigurationError, HTTPError
from finch.explain import where
from finch.typed import decoder
from finch.wire.message import Message

Callback = Callable[..., Any]


def converter(
    function: Callback, named: str, dec_hook: DecHook | None = None
) -> Callable[[Message], Any]:
    """Make the function that converts a message to a handler's second argument.

    Parameters:
        function: the handler.
        named: what error messages call the handler, such as ``on_message of 'say'``.
        dec_hook: makes values of the types that msgspec does not know.

    Returns:
        A function that raises HTTPError: 422 if the data does not fit the annotation, 400 if it
        cannot be read. Other exceptions of ``dec_hook`` pass through.

    Raises:
        ConfigurationError: if no message can be converted to the annotation.
    """
    annotation = taken(function, named)
    if annotation is inspect.Parameter.empty or annotation is Any or annotation is object:
        return _data
    if annotation is Message:
        return _whole
    hook = None if dec_hook is None else checked_hook(dec_hook)
    try:
        fault = _fault(annotation, hook)
        decode = None if fault else decoder(annotation, hook)
    except Exception as error:
        raise _unusable(named, function, annotation, str(error)) from None
    if decode is None:
        raise _unusable(named, function, annotation, fault)

    def convert(message: Message) -> Any:
        try:
            return decode(message.raw)
        except (msgspec.DecodeError, RecursionError, TypeError) as error:
            # A TypeError means a list inside a set, which cannot be hashed. If dec_hook raises a
            # TypeError, it arrives here as a DecodeError.
            raise HTTPError(422, f"data does not fit: {error}") from None

    return convert


def _data(message: Message) -> Any:
    return message.data


def _whole(message: Message) -> Message:
    return message


# The annotation


def taken(function: Callback, named: str) -> Any:
    """The annotation of a handler's second parameter; ``inspect.Parameter.empty`` if it has none.

    Raises:
        ConfigurationError: if it is not a type.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # a builtin without a signature
        return inspect.Parameter.empty
    parameter = parameters[min(1, len(parameters) - 1)]  # (*args) is only one parameter
    if parameter.annotation is inspect.Parameter.empty:
        return parameter.annotation
    try:
        return _resolved(function, parameter.name, parameter.annotation)
    except NameError as error:
        raise ConfigurationError(
            f"{named} is annotated with {parameter.annotation!r}, but {error}; define it at the "
            "top of the module, or remove 'from __future__ import annotations'"
        ) from None
    except Exception as error:
        raise _unusable(
            named, function, parameter.annotation, f"it is not a type ({str(error)[:200]})"
        ) from None


def given(function: Callback) -> Any:
    """The annotation of what a handler returns; Any if it has none, or none that is a type. It is
    only a description: nothing is checked against it."""
    try:
        annotation = inspect.signature(function).return_annotation
        if annotation is inspect.Signature.empty:
            return Any
        return _resolved(function, "return", annotation)
    except Exception:
        return Any


def _resolved(function: Callback, name: str, annotation: Any) -> Any:
    """An annotation as a type, though it may be written as text."""
    plain = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not inspect.isroutine(plain) and not inspect.isclass(plain):
        plain = type(plain).__call__
    # Only this one: names in the other annotations may exist only for type checkers.
    alone = types.SimpleNamespace(__annotations__={name: annotation})
    names = getattr(inspect.unwrap(plain), "__globals__", {})
    return typing.get_type_hints(alone, globalns=names, include_extras=True)[name]


def _unusable(named: str, function: Callback, annotation: Any, fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"{named} is annotated with {type_name(annotation)}, but JSON cannot be converted to that: "
        f"{fault}. See the second parameter of {where(function)}."
    )


def _fault(annotation: Any, hook: DecHook | None) -> str:
    if any(part is Message for part in typing.get_args(annotation)):
        return "write Message alone, not as a part of another type"
    try:
        return why_never_filled(annotation, has_hook=hook is not None)
    except Exception:  # the check failed, not the type: the decoder decides
        return ""
