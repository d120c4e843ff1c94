"""SocketEvent: what an application wants to hear of a path, and how its functions are called.

Everything that can be known when a handler is registered is worked out then: whether it runs
inline, and what its second parameter is converted to.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

from finch.calls import runs_inline
from finch.errors import ConfigurationError, HTTPError
from finch.wire.envelope import Message

Callback = Callable[..., Any]


class SocketEvent:
    """The callbacks of one path, or of a manager's root.

    Parameters:
        on_connect: ``(socket)``; a client has connected and is counted.
        on_message: ``(socket, data)``; a message came. The annotation of the second parameter says
            what it is: none, the ``data`` as parsed JSON; :class:`finch.Message`, the whole
            message; any other type, ``data`` converted and validated by msgspec. What it returns
            is the answer; an async generator answers once a ``yield``.
        on_disconnect: ``(socket)``; a client has left, for whatever reason. Still counted, no
            longer sent to.
        on_error: ``(socket, error)``; a callback raised.
        concurrent: whether a message may be handled before the one that came before it is done.

    A subclass with these as methods works as well. ``def`` functions run in a worker thread.

    Source: the seed, ``SocketEvent``.

    Example::

        async def tell_time(socket, data):
            await socket.send(str(datetime.now()), path="output")

        SocketManager(app, routes={"time": SocketEvent(on_message=tell_time)})
    """

    on_connect: Callback | None = None
    on_message: Callback | None = None
    on_disconnect: Callback | None = None
    on_error: Callback | None = None
    concurrent: bool = False

    names: ClassVar = ("on_connect", "on_message", "on_disconnect", "on_error")

    def __init__(
        self,
        on_connect: Callback | None = None,
        on_message: Callback | None = None,
        on_disconnect: Callback | None = None,
        on_error: Callback | None = None,
        *,
        concurrent: bool | None = None,
    ) -> None:
        if on_connect is not None:
            self.on_connect = on_connect
        if on_message is not None:
            self.on_message = on_message
        if on_disconnect is not None:
            self.on_disconnect = on_disconnect
        if on_error is not None:
            self.on_error = on_error
        if concurrent is not None:
            self.concurrent = concurrent


class Handlers:
    """A :class:`SocketEvent`, made ready to be called.

    Raises:
        ConfigurationError: where a callback is not callable or takes other arguments.
    """

    __slots__ = ("concurrent", "on_connect", "on_disconnect", "on_error", "on_message", "where")

    def __init__(self, event: SocketEvent, where: str) -> None:
        self.where = where
        for name in SocketEvent.names:
            callback = getattr(event, name)
            if callback is not None:
                takes = 2 if name in ("on_message", "on_error") else 1
                _check_shape(callback, takes, f"{name} of {where}")
        self.on_connect = event.on_connect
        self.on_disconnect = event.on_disconnect
        self.on_error = event.on_error
        self.on_message = (
            None
            if event.on_message is None
            else MessageHandler(event.on_message, f"on_message of {where}")
        )
        self.concurrent = event.concurrent


class MessageHandler:
    """A function that takes a socket and a message, in the form that its annotation asks for."""

    __slots__ = ("convert", "function", "inline")

    def __init__(self, function: Callback, where: str) -> None:
        self.function = function
        self.convert = _converter(function, where)
        """From the message to the second argument. Raises HTTPError: 422 where the data does not
        fit the annotation, 400 where it cannot be read."""
        self.inline = runs_inline(function)
        """Whether the function is called on the event loop, and not in a thread."""


def _converter(function: Callback, where: str) -> Callable[[Message], Any]:
    annotation = _annotation(function, where)
    if annotation is inspect.Parameter.empty or annotation is Any:
        return _data
    if annotation is Message:
        return _whole
    try:
        decode = msgspec.json.Decoder(annotation).decode
    except TypeError as error:
        raise ConfigurationError(
            f"{where} is annotated {annotation!r}, which JSON cannot be converted to: {error}"
        ) from None

    def convert(message: Message) -> Any:
        try:
            return decode(message.raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise HTTPError(422, f"data does not fit: {error}") from None

    return convert


def _data(message: Message) -> Any:
    return message.data


def _whole(message: Message) -> Message:
    return message


def _annotation(function: Callback, where: str) -> Any:
    parameters = list(inspect.signature(function).parameters.values())
    parameter = parameters[min(1, len(parameters) - 1)]  # (*args) has but one
    if parameter.annotation is inspect.Parameter.empty:
        return parameter.annotation
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    plain = function
    while isinstance(plain, functools.partial):
        plain = plain.func
    if not inspect.isroutine(plain):
        plain = type(plain).__call__
    # only this one: what else the function is annotated with may be there for type checkers only
    alone = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    names = getattr(inspect.unwrap(plain), "__globals__", {})
    try:
        return typing.get_type_hints(alone, globalns=names, include_extras=True)[parameter.name]
    except NameError as error:
        raise ConfigurationError(
            f"{where} is annotated {parameter.annotation!r}, and {error}; define it at the top of "
            "the module, or leave out 'from __future__ import annotations'"
        ) from None


def _check_shape(function: Callback, takes: int, where: str) -> None:
    if not callable(function):
        raise ConfigurationError(f"{where} is not callable: {function!r}")
    try:
        inspect.signature(function).bind(*range(takes))
    except TypeError:
        wanted = "(socket)" if takes == 1 else "(socket, data)"
        if where.startswith("on_error"):
            wanted = "(socket, error)"
        raise ConfigurationError(
            f"{where} is called with {wanted}, but is written "
            f"{getattr(function, '__name__', function)}{inspect.signature(function)}"
        ) from None
