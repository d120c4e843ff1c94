"""What stands before the handler of a message: middleware, and who may send it (``auth=``).

The order: the middleware of the rooms' pattern, that of the path, its ``auth``, the handler. The
``auth`` of a pattern of rooms is asked when a client joins, not at each message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from finch.calls import attempt, call, runs_inline
from finch.declaring import check_no_yield, check_takes
from finch.errors import ConfigurationError, HTTPError
from finch.sockets.event import Handlers, MessageHandler, SocketEvent

Middleware = Callable[[Any, Any, Callable[[Any, Any], Awaitable[Any]]], Awaitable[Any]]
"""``async def (socket, data, call_next)``. ``await call_next(socket, data)`` returns what the
handler returned; the client gets what the middleware returns."""


def check_message_middleware(middleware: Any, whose: str) -> tuple[Middleware, ...]:
    """The middleware of messages, checked.

    Raises:
        ConfigurationError: if it is not a list of ``async def (socket, data, call_next)``.
    """
    if callable(middleware):
        name = getattr(middleware, "__name__", middleware)
        raise ConfigurationError(f"middleware of {whose} is a list: write middleware=[{name}]")
    listed = tuple(middleware)
    for one in listed:
        what = f"the middleware {getattr(one, '__name__', one)} of {whose}"
        check_takes(one, what, "(socket, data, call_next)")
        check_no_yield(one, what, "write 'return await call_next(socket, data)'")
        if not runs_inline(one):
            raise ConfigurationError(f"{what} is a plain def, which cannot await; write async def")
    return listed


def check_message_auth(auth: Any, whose: str) -> None:
    """Refuse what cannot say whether a client may send something.

    Raises:
        ConfigurationError: if it is no function that takes ``(socket)``.
    """
    check_takes(auth, f"auth of {whose}", "(socket)")
    check_no_yield(auth, f"auth of {whose}", "write 'return' and True or False")


def guarded(handlers: Handlers, event: SocketEvent) -> Handlers:
    """The handlers of an event, behind its guards.

    Raises:
        ConfigurationError: if one of its guards is no guard.
    """
    middleware = check_message_middleware(event.middleware, handlers.named)
    if event.auth is not None:
        check_message_auth(event.auth, handlers.named)
    if handlers.on_message is not None:
        guard(handlers.on_message, middleware, event.auth)
    return handlers


def guard(
    handler: MessageHandler,
    middleware: Iterable[Middleware] = (),
    auth: Callable[..., Any] | None = None,
) -> None:
    """Let guards stand before a handler. Without guards, it stays as it is, and as fast."""
    middleware = tuple(middleware)
    if not middleware and auth is None:
        return
    function = handler.function

    async def behind_guards(socket: Any, data: Any, **wanted: Any) -> Any:
        async def innermost(socket: Any, data: Any) -> Any:
            if auth is not None:
                await ask(auth, socket)
            return await call(function, socket, data, **wanted)

        following: Any = innermost
        for outer in reversed(middleware):
            following = partial(_through, outer, following)
        return await following(socket, data)

    handler.function = behind_guards
    handler.inline = True


async def _through(middleware: Middleware, following: Any, socket: Any, data: Any) -> Any:
    return await middleware(socket, data, following)


async def ask(auth: Callable[..., Any], *arguments: Any) -> None:
    """Ask whether a client may do something.

    Raises:
        HTTPError: 403 if it may not; or what ``auth`` raises.
        BaseException: whatever else it raises.
    """
    allowed, error = await attempt(auth, *arguments)
    if error is not None:
        raise error
    if not allowed:  # 0 and "", too: many a database says "no" so
        raise HTTPError(403, "Forbidden")
