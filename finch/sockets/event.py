"""SocketEvent: the callbacks of a path, and how they are called.

When a handler is registered, Finch already decides whether it runs on the event loop, and what its
second parameter is converted to.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from finch.calls import runs_inline
from finch.conversions import DecHook
from finch.declaring import check_no_yield
from finch.errors import ConfigurationError
from finch.explain import closest, kind, shown
from finch.explain import where as place
from finch.sockets.annotations import Callback, converter

_ONE_PATH: Final = "the socket path"
"""Error messages about the event of a named path begin with this. (The root event may get its
callbacks one by one, so it need not have an on_message at first.)"""


RESERVED: Final = "finch."
"""Socket paths and rooms that begin so are Finch's own."""

RESERVED_PATHS: Final = frozenset(
    ("finch.join", "finch.leave", "finch.cancel", "finch.auth", "finch.ping")
)
"""The paths of this kind that clients send to."""


class SocketEvent:
    """The callbacks of one path, or of a manager's root.

    Parameters:
        on_connect: ``(socket)``; called when a client has connected. It is counted already.
        on_message: ``(socket, data)``; called for each message. The annotation of the second
            parameter decides what it gets. Without annotation: the ``data`` as parsed JSON. With
            :class:`finch.Message`: the whole message. With any other type: the ``data``, converted
            and validated by msgspec. What it returns is the answer; an async generator sends one
            answer for each ``yield``.
        on_disconnect: ``(socket)``; called when a client has left, for any reason. It is still
            counted, but gets no more messages.
        on_error: ``(socket, error)``; called when another callback has raised.
        concurrent: whether a message may be handled while an earlier one is still being handled.
        auth: ``(socket)``; says whether the client may send a message here. If it returns what is
            false, the client gets 403.
        middleware: functions around ``on_message``, the outermost first: ``async def (socket, data,
            call_next)``.

    You may also write a subclass with these as methods. ``def`` functions run in a worker thread.

    Source: Dart's Finch, ``SocketEvent``.

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
    auth: Callback | None = None
    middleware: Iterable[Any] = ()

    names: ClassVar[tuple[str, ...]] = ("on_connect", "on_message", "on_disconnect", "on_error")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _check_names(vars(cls), cls, cls.__qualname__.rpartition("<locals>.")[2])

    def __init__(
        self,
        on_connect: Callback | None = None,
        on_message: Callback | None = None,
        on_disconnect: Callback | None = None,
        on_error: Callback | None = None,
        *,
        concurrent: bool | None = None,
        auth: Callback | None = None,
        middleware: Iterable[Any] | None = None,
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
        if auth is not None:
            self.auth = auth
        if middleware is not None:
            self.middleware = middleware


class Handlers:
    """A checked :class:`SocketEvent`, ready to be called.

    Parameters:
        event: the event.
        named: what error messages call it: the root event, or the socket path 'time'.
        dec_hook: makes values of the types that msgspec does not know.

    Raises:
        ConfigurationError: if ``event`` is not a SocketEvent; or if one of its callbacks cannot be
            called, is misspelt, or has an annotation that no message can be converted to.
    """

    __slots__ = ("concurrent", "named", "on_connect", "on_disconnect", "on_error", "on_message")

    def __init__(self, event: SocketEvent, named: str, dec_hook: DecHook | None = None) -> None:
        self.named = named
        _check_event(event, named)
        for name in SocketEvent.names:
            callback = getattr(event, name)
            if callback is not None:
                takes = 2 if name in ("on_message", "on_error") else 1
                _check_shape(callback, takes, f"{name} of {named}")
                if name != "on_message":  # what on_message yields is sent as answers
                    check_no_yield(callback, f"{name} of {named},", "write await socket.send(...)")
        self.on_connect = event.on_connect
        self.on_disconnect = event.on_disconnect
        self.on_error = event.on_error
        self.on_message = (
            None
            if event.on_message is None
            else MessageHandler(event.on_message, f"on_message of {named}", dec_hook)
        )
        self.concurrent = event.concurrent


class MessageHandler:
    """A function that takes a socket and a message. Its annotation decides what it gets: the whole
    message, its data, or its data converted to a type."""

    __slots__ = ("convert", "declared", "function", "inline")

    def __init__(self, function: Callback, named: str, dec_hook: DecHook | None = None) -> None:
        self.declared = function
        """The application's function itself, for descriptions."""
        self.function = function
        """What is called for a message; the guards may stand before the application's function."""
        self.convert = converter(function, named, dec_hook)
        """Converts the message to the second argument. Raises HTTPError: 422 if the data does not
        fit the annotation, 400 if it cannot be read."""
        self.inline = runs_inline(function)
        """Whether the function is called on the event loop, and not in a thread."""


def check_path(path: object) -> None:
    """Refuse a socket's path that is Finch's own.

    Raises:
        ConfigurationError: if it begins with ``finch.``.
    """
    if isinstance(path, str) and path.startswith(RESERVED):
        raise ConfigurationError(
            f"the socket path {path!r} is Finch's own, as is every path that begins with "
            f"{RESERVED!r}; choose another name"
        )


def _check_event(event: Any, named: str) -> None:
    if not isinstance(event, SocketEvent):
        instead = "write SocketEvent(on_message=...)"
        if isinstance(event, type) and issubclass(event, SocketEvent):
            instead = f"write {event.__name__}(), with parentheses"
        raise ConfigurationError(f"{named} is a SocketEvent, not {kind(event)}; {instead}")
    _check_names(vars(event), type(event), named)
    if not isinstance(event.concurrent, bool):
        raise ConfigurationError(
            f"concurrent of {named} is True or False, not {shown(event.concurrent)}"
        )
    if event.concurrent and event.on_message is None and named.startswith(_ONE_PATH):
        raise ConfigurationError(
            f"{named} is concurrent and has no on_message; add on_message, or remove concurrent: "
            "it only lets a message be handled while an earlier one is still being handled"
        )


def _check_names(given: Mapping[str, Any], cls: type, named: str) -> None:
    """Refuse a function with a misspelt name: it is meant as a callback, and would never run."""
    meant = {name.replace("_", ""): name for name in SocketEvent.names}
    for name, value in given.items():
        plain = name.replace("_", "").lower()
        if name.startswith("_") or name in SocketEvent.names or not plain.startswith("on"):
            continue
        if not callable(value) and not isinstance(value, staticmethod | classmethod):
            continue
        name_meant = meant.get(closest(plain, meant) or "")
        if name_meant is not None and getattr(cls, name_meant) is None:
            raise ConfigurationError(
                f"{named} has a function {name}, which would never be called; "
                f"did you mean {name_meant}?"
            )


def _check_shape(function: Any, takes: int, named: str) -> None:
    if not callable(function):
        instead = ""
        if inspect.iscoroutine(function) or inspect.isasyncgen(function):
            instead = f"; {place(function)} was called: write its name, without parentheses"
            if inspect.iscoroutine(function):
                function.close()  # or Python warns that nobody awaited it
        raise ConfigurationError(f"{named} is not callable: {shown(function)}{instead}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin without a signature
        return
    try:
        signature.bind(*range(takes))
        fits = True
    except TypeError:
        fits = False
    if not fits or _is_swapped(signature):
        wanted = "(socket)" if takes == 1 else "(socket, data)"
        if named.startswith("on_error"):
            wanted = "(socket, error)"
        raise ConfigurationError(
            f"{named} is called with {wanted}, but is written "
            f"{getattr(function, '__name__', function)}{signature}; see {place(function)}"
        )


_SOCKETS: Final = ("socket", "ws", "websocket", "client")
_OF_DATA: Final = (str, int, float, bool, bytes, dict, list)


def _is_swapped(signature: inspect.Signature) -> bool:
    """Whether the socket is certainly not the first parameter."""
    parameters = list(signature.parameters.values())
    first = parameters[0]
    if first.kind is first.VAR_POSITIONAL or first.name in _SOCKETS:
        return False
    annotation = first.annotation
    if annotation in _OF_DATA or annotation in [one.__name__ for one in _OF_DATA]:
        return True
    return len(parameters) > 1 and parameters[1].name in _SOCKETS
