"""Checks for wrong declarations, made where they are written: decorators and callbacks.

Without these checks, such a mistake would show only when a client meets it. With them, it is an
error at once, and the message says what to write.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from finch.errors import ConfigurationError

M = TypeVar("M", bound=Callable[..., Any])


def bare(method: M) -> M:
    """Make a decorator that is used without parentheses explain this if it is used with them."""
    name = method.__name__

    @functools.wraps(method)
    def register(self: Any, *functions: Any) -> Any:
        if len(functions) != 1:
            raise ConfigurationError(
                f"{name} takes the function itself; write @app.{name} above it, without parentheses"
            )
        return method(self, *functions)

    return cast(M, register)


def check_parentheses(name: str, argument: object, example: str) -> None:
    """Refuse a function in the place of a decorator's own argument.

    Parameters:
        name: the name of the decorator.
        argument: its first argument.
        example: a correct first argument, as code.

    Raises:
        ConfigurationError: if the decorator is written without parentheses.
    """
    if inspect.isroutine(argument) or inspect.isclass(argument):
        raise ConfigurationError(
            f"@app.{name} is written without parentheses above {shown(argument)}; write "
            f"@app.{name}({example})"
        )


def check_takes(function: Callable[..., Any], what: str, wanted: str, *arguments: Any) -> None:
    """Refuse a function that does not take the arguments that Finch will pass.

    Parameters:
        function: the application's function.
        what: what the function is used for, for the error.
        wanted: the arguments as text, such as ``(request, error)``.
        arguments: the arguments themselves, if their number differs from that in ``wanted``.

    Raises:
        ConfigurationError: if it is not callable, or takes other arguments.
    """
    if not callable(function):
        raise ConfigurationError(f"{what} is a function that takes {wanted}, not {shown(function)}")
    given = arguments or [part for part in wanted.strip("()").split(",") if part]
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # some builtins do not tell which arguments they take
    try:
        signature.bind(*given)
    except TypeError:
        raise ConfigurationError(
            f"{what} is called with {wanted}, but is written {shown(function)}{signature}"
        ) from None


def shown(thing: object) -> str:
    """A function's name, or a description of whatever was given instead of a function."""
    if inspect.iscoroutine(thing):
        thing.close()  # nobody will await it
        return f"the coroutine {thing.__name__}(...); write {thing.__name__} without calling it"
    return str(getattr(thing, "__name__", None) or repr(thing))
