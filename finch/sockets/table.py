"""Which event handles a path, and how often. Plain data: it knows nothing about clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from finch.conversions import DecHook
from finch.errors import ConfigurationError
from finch.sockets.event import RESERVED, Handlers, SocketEvent, check_path
from finch.sockets.guarding import guarded


class Table:
    """The root event of a manager, and the events of its named paths.

    Parameters:
        dec_hook: makes values of the types that msgspec does not know.

    Attributes:
        root: called for every client, and for messages that no named path handles.
        lifecycle: the events that have an on_connect or an on_disconnect, the root first.
        greets: whether any event has an on_connect.
        has_rooms: whether rooms are declared.
        sent: what the application says that it sends: types by path.
        received: how many messages of clients were handled so far.
        failed: how many callbacks have raised so far.
    """

    def __init__(self, dec_hook: DecHook | None) -> None:
        self._dec_hook = dec_hook
        self._event = SocketEvent()
        self._named: dict[str, Handlers] = {}
        self.has_rooms = False
        self.sent: dict[str, Any] = {}
        self.received = 0
        self.failed = 0
        self._set_root_event(self._event)

    def set_root(self, event: SocketEvent) -> None:
        """Add these callbacks to the root event.

        Raises:
            ConfigurationError: if the root event already has one of them, or one cannot be called.
        """
        merged = SocketEvent(**{name: getattr(self._event, name) for name in SocketEvent.names})
        merged.auth = event.auth or self._event.auth
        merged.middleware = [*self._event.middleware, *event.middleware]
        merged.concurrent = self._event.concurrent or event.concurrent
        for name in SocketEvent.names:
            callback = getattr(event, name)
            if callback is None:
                continue
            if getattr(merged, name) is not None:
                raise ConfigurationError(f"the root event already has an {name}")
            setattr(merged, name, callback)
        # Only the given event shows misspelt names of a subclass; "merged" has lost them.
        Handlers(event, "the root event", self._dec_hook)
        self._set_root_event(merged)

    def set_callback(self, name: str, callback: Callable[..., Any]) -> None:
        """Add one callback to the root event.

        Raises:
            ConfigurationError: as in :meth:`set_root`.
        """
        event = SocketEvent()
        setattr(event, name, callback)
        self.set_root(event)

    def _set_root_event(self, event: SocketEvent) -> None:
        self.root = guarded(Handlers(event, "the root event", self._dec_hook), event)
        self._event = event
        self._find_callbacks()

    def add(self, path: str, event: SocketEvent) -> None:
        """Let an event handle a path.

        Raises:
            ConfigurationError: if the path already has an event, or a callback cannot be called.
        """
        if not isinstance(path, str):
            raise ConfigurationError(f"a socket's path is text, not {path!r}")
        check_path(path)
        if path in self._named:
            raise ConfigurationError(f"the socket path {path!r} already has a handler")
        if not isinstance(event, SocketEvent):
            raise ConfigurationError(
                f"the socket path {path!r} needs a SocketEvent, not {event!r}; write "
                "SocketEvent(on_message=...)"
            )
        named = f"the socket path {path!r}"
        self._named[path] = guarded(Handlers(event, named, self._dec_hook), event)
        self._find_callbacks()

    def named(self) -> dict[str, Handlers]:
        """The handlers of every named path."""
        return dict(self._named)

    def paths(self) -> list[str]:
        """Every named path."""
        return list(self._named)

    @property
    def empty(self) -> bool:
        """Whether nothing is declared at all."""
        return (
            not self._named
            and not self.has_rooms
            and all(getattr(self._event, name) is None for name in SocketEvent.names)
        )

    def handlers_of(self, path: str) -> Handlers | None:
        """The handlers of a message with this path: its own event, or the root, or the route
        ``error``; None if there are none, or if the path is one of Finch's own."""
        handlers = self._named.get(path)
        if handlers is not None and handlers.on_message is not None:
            return handlers
        if path.startswith(RESERVED):
            return None
        if self.root.on_message is not None:
            return self.root
        return self._error_route()

    def handlers_of_unreadable(self) -> Handlers | None:
        """The handlers of a message that is not an envelope: the route ``error``, or the root; None
        if there are none."""
        return self._error_route() or (self.root if self.root.on_message is not None else None)

    def _error_route(self) -> Handlers | None:
        handlers = self._named.get("error")
        return handlers if handlers is not None and handlers.on_message is not None else None

    def _find_callbacks(self) -> None:
        every = [self.root, *self._named.values()]
        self.lifecycle = tuple(one for one in every if one.on_connect or one.on_disconnect)
        self.greets = any(one.on_connect is not None for one in every)
