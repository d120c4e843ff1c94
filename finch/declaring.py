"""Checks for wrong declarations, made where they are written: decorators, callbacks, attributes.

Without these checks, such a mistake would show only when a client meets it. With them, it is an
error at once, and the message says what to write.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from finch.errors import ConfigurationError
from finch.explain import closest, where
from finch.failures import meant_by

M = TypeVar("M", bound=Callable[..., Any])


class _Bare:
    """A method that is a decorator. Setting it as an attribute raises an error.

    Parameters:
        function: the method.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, owner: object, cls: type) -> Any:
        return self._function if owner is None else types.MethodType(self._function, owner)

    def __set__(self, owner: object, value: object) -> NoReturn:
        name = self._function.__name__
        raise AttributeError(f"{name} is Finch's own; write manager.{name}({shown(value)})")


def bare(method: M) -> M:
    """Mark a method as a decorator that is written without parentheses. If somebody writes it with
    parentheses, or sets it as an attribute, the error says what to write."""
    name = method.__name__

    @functools.wraps(method)
    def register(self: Any, *functions: Any) -> Any:
        if len(functions) != 1:
            raise ConfigurationError(
                f"{name} takes the function itself; write @app.{name} above it, without parentheses"
            )
        return method(self, *functions)

    return cast(M, _Bare(register))


class Guarded:
    """An object that applications declare things on: the base of a FinchApp.

    Whoever sets what should decorate, misspells an attribute or calls the object is told what to
    write instead.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if callable(getattr(type(self), name, None)):
            raise AttributeError(
                f"app.{name} is Finch's own; write @app.{name} above a function, and keep things "
                "of your own in app.state"
            )
        if callable(value) and not name.startswith("_") and not hasattr(self, name):
            meant = closest(name, [one for one in dir(type(self)) if not one.startswith("_")])
            if meant is not None and callable(getattr(type(self), meant)):
                raise AttributeError(
                    f"FinchApp has no {name}; did you mean {meant}? Write @app.{meant} above a "
                    "function, and keep things of your own in app.state"
                )
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # with a __getattr__, a type checker would accept every name

        def __getattr__(self, name: str) -> NoReturn:
            error = AttributeError(f"FinchApp has no attribute {name!r}", name=name, obj=self)
            meant = "" if name.startswith("_") else meant_by(error)
            error.args = (f"{error}; did you mean {meant!r}?",) if meant else error.args
            raise error

    def __call__(self, *arguments: object, **options: object) -> NoReturn:
        """Always raises: Finch has its own server, so nobody needs to call an application.

        Raises:
            ConfigurationError: always. It says what to write or run instead.
        """
        if len(arguments) == 1 and (callable(arguments[0]) or isinstance(arguments[0], str)):
            raise ConfigurationError(
                "an application is not a decorator; write @app.get('/path') for a handler, or "
                "@app.socket('name')"
            )
        raise ConfigurationError(
            "a FinchApp is neither an ASGI nor a WSGI application: it has a server of its own, "
            "and uvicorn, hypercorn and gunicorn cannot serve it; run: finch app:app (or python "
            "-m finch app:app), or call finch.run(app)"
        )


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


def yields(function: Any) -> bool:
    """Whether calling it only makes a generator, so that none of its code runs."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__  # an object that is called
    if getattr(function, "__globals__", {}).get("__name__") == "contextlib":
        function = inspect.unwrap(function)  # @asynccontextmanager
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def check_no_yield(function: Any, what: str, instead: str) -> None:
    """Refuse a generator function in a place where nobody would iterate over it.

    Parameters:
        function: the application's function.
        what: what the function is used for, for the error.
        instead: what to write, for the error.

    Raises:
        ConfigurationError: if it yields.
    """
    if yields(function):
        raise ConfigurationError(
            f"{what} {where(function)} yields, so nothing in it would run; {instead}"
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
