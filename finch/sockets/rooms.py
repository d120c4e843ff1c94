"""Rooms: the rooms that an application declares, as routes are declared. Nothing is kept here.

A room's name is a path. A pattern such as ``chat/{name}`` declares all rooms whose names it
matches, and what happens in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from finch.cluster.history import History, check_history
from finch.conversions import DecHook
from finch.declaring import bare, check_no_yield, check_parentheses
from finch.errors import ConfigurationError
from finch.explain import kind, shown
from finch.http.paths import Parameter, parse_path
from finch.http.patterns import Pattern
from finch.sockets.binding import Bound
from finch.sockets.event import RESERVED, Handlers, MessageHandler, SocketEvent, check_path
from finch.sockets.guarding import check_message_auth, check_message_middleware, guard
from finch.sockets.sent import declare_sent

F = TypeVar("F", bound=Callable[..., Any])


class SocketRooms(SocketEvent):
    """The callbacks of the rooms of one pattern, as methods.

    Attributes:
        history: which messages are kept for members who come later; None for none.
        presence: whether members are told who is here: True, False or ``"count"``.
        grace: seconds that a member who comes back has not been away.
        sends: what is sent to the rooms, by path: see :meth:`finch.SocketManager.sends`.

    Methods, all optional: ``on_join(self, socket, room, ...)``, ``on_leave(self, socket, room)``,
    ``task(self, room, ...)``, ``on_error(self, socket, error)`` and ``on_message(self, socket,
    data, room, ...)``, which gets messages that are addressed to a room.

    Source: shared by both styles of Finch: a class is what decorators are for functions.

    Example::

        class Chat(SocketRooms):
            history = History(messages=100)

            async def on_message(self, socket, data, room):
                await room.send(data, path="said")

        SocketManager(app, rooms={"chat/{name}": Chat})
    """

    on_join: Callable[..., Any] | None = None
    on_leave: Callable[..., Any] | None = None
    task: Callable[..., Any] | None = None
    history: History | None = None
    presence: bool | str = False
    grace: float = 3.0
    sends: Mapping[str, Any] = {}  # nobody writes to it

    names: ClassVar[tuple[str, ...]] = (*SocketEvent.names, "on_join", "on_leave")


class Rooms:
    """The rooms of one pattern: decorators for what happens in them. ``app.rooms`` makes it.

    Parameters:
        path: the pattern, as a route's path without the first slash.
        history: which messages are kept; None for none.
        presence: whether members are told who is here; ``"count"`` for numbers only.
        grace: seconds before somebody whose last connection ended has left.
        auth: says whether a client may join.
        middleware: functions around every handler.
        dec_hook: makes values of the types that msgspec does not know.

    Raises:
        ConfigurationError: if the pattern or an option is wrong.

    Example::

        chat = app.rooms("chat/{name}", history=History(messages=100), presence=True)

        @chat.socket("say")
        async def say(socket, data, room):
            await room.send(data, path="said")
    """

    def __init__(
        self,
        path: str,
        *,
        history: History | None = None,
        presence: bool | str = False,
        grace: float = 3.0,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
        dec_hook: DecHook | None = None,
    ) -> None:
        if not isinstance(presence, bool) and presence != "count":
            raise ConfigurationError(
                f'presence of the rooms {path!r} is True, False or "count", not {shown(presence)}'
            )
        if isinstance(grace, bool) or not isinstance(grace, int | float) or not 0 <= grace < 86400:
            raise ConfigurationError(
                f"grace of the rooms {path!r} is a number of seconds, not {shown(grace)}"
            )
        self.path = path
        self.pattern = _pattern(path)
        self.history = check_history(f"history of the rooms {path!r}", history)
        self.presence = presence
        self.grace = float(grace)
        self.joins: Bound | None = None
        self.leaves: Bound | None = None
        self.runs: Bound | None = None
        self.middleware = check_message_middleware(middleware, f"the rooms {path!r}")
        self.admits = None if auth is None else self._bind("auth", None, auth, ("socket",))
        self._dec_hook = dec_hook
        self.sent: dict[str, Any] = {}
        """What the application says that it sends to these rooms: types by path."""
        self._events: dict[str, RoomHandlers] = {}
        self._error: Callable[..., Any] | None = None

    def match(self, name: str) -> dict[str, Any] | None:
        """The parameters of a room with this name; None if it is no room of this pattern."""
        found = self.pattern.find("/" + name)
        return None if found is None else self.pattern.read(found)

    def hides(self, other: Rooms) -> bool:
        """Whether all rooms of another declaration have names of this one."""
        if not other.pattern.names:
            return self.match(other.path) is not None
        return self.pattern.covers(other.pattern)

    def named(self) -> dict[str, RoomHandlers]:
        """The handlers of every path; those of the path "" get what no other path handles."""
        return dict(self._events)

    def event_of(self, path: str) -> RoomHandlers | None:
        """What handles a message with this path that is addressed to one of the rooms."""
        return self._events.get(path) or self._events.get("")

    @property
    def on_error_function(self) -> Callable[..., Any] | None:
        """The function that is told of exceptions in these rooms."""
        return self._error

    @bare
    def on_join(self, function: F) -> F:
        """Register who may come in: ``(socket)``, then any of ``room``, ``meta`` and the path's
        parameters. Raise :class:`finch.HTTPError` to refuse. What it returns, if not None, is the
        member's ``meta``.
        """
        self.joins = self._bind("on_join", self.joins, function, ("socket",), ("meta",))
        return function

    @bare
    def on_leave(self, function: F) -> F:
        """Register what is called once for each member that leaves, however it leaves."""
        self.leaves = self._bind("on_leave", self.leaves, function, ("socket",))
        return function

    @bare
    def task(self, function: F) -> F:
        """Register the task of each room: begun by its first member, cancelled after its last."""
        self.runs = self._bind("task", self.runs, function, ())
        return function

    @bare
    def on_error(self, function: F) -> F:
        """Register what is told of exceptions in these rooms: ``(socket, error)``. For the room's
        task, the first argument is the room."""
        if self._error is not None:
            raise ConfigurationError(f"the rooms {self.path!r} already have an on_error")
        Bound(function, ("socket", "error"), (), f"on_error of the rooms {self.path!r}")
        self._error = function
        return function

    def socket(
        self,
        path: str,
        *,
        concurrent: bool = False,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
    ) -> Callable[[F], F]:
        """Register the handler of a named path, for messages that are addressed to a room.

        Parameters:
            path: the channel that members send to.
            concurrent: whether a message may be handled while an earlier one is still being
                handled.
            auth, middleware: as for :meth:`finch.SocketManager.socket`. The middleware of the rooms
                comes before.

        Raises:
            ConfigurationError: if the path already has a handler, or this one has the wrong
                parameters.
        """
        check_parentheses("socket", path, "'path'")

        def register(handler: F) -> F:
            self._add(path, handler, concurrent, auth, middleware)
            return handler

        return register

    def sends(self, path: str, type: Any) -> None:
        """Declare what is sent to these rooms: see :meth:`finch.SocketManager.sends`."""
        declare_sent(self.sent, path, type)

    def add(self, event: SocketRooms) -> None:
        """Register the methods of a :class:`SocketRooms`, and what it sends."""
        for path, sent in event.sends.items():
            self.sends(path, sent)
        for name in ("on_join", "on_leave", "task", "on_error"):
            function = getattr(event, name)
            if function is not None:
                getattr(self, name)(function)
        if event.on_message is not None:
            self._add("", event.on_message, event.concurrent)

    def _add(
        self,
        path: str,
        handler: Callable[..., Any],
        concurrent: bool,
        auth: Callable[..., Any] | None = None,
        middleware: Iterable[Any] = (),
    ) -> None:
        check_path(path)
        if path in self._events:
            raise ConfigurationError(
                f"the socket path {path!r} of the rooms {self.path!r} already has a handler"
            )
        named = f"the socket path {path!r} of the rooms {self.path!r}"
        bound = Bound(handler, ("socket", "data"), self._offered(), named)
        handlers = RoomHandlers(handler, bound, named, concurrent, self._dec_hook, self)
        own = check_message_middleware(middleware, named)
        if auth is not None:
            check_message_auth(auth, named)
        assert handlers.on_message is not None
        guard(handlers.on_message, (*self.middleware, *own), auth)
        self._events[path] = handlers

    def _bind(
        self,
        what: str,
        old: Bound | None,
        function: Callable[..., Any],
        fixed: tuple[str, ...],
        more: tuple[str, ...] = (),
    ) -> Bound:
        named = f"{what} of the rooms {self.path!r}"
        if old is not None:
            raise ConfigurationError(f"{named} is already registered")
        check_no_yield(function, f"{named},", "write await room.send(...)")
        return Bound(function, fixed, (*self._offered(), *more), named)

    def _offered(self) -> tuple[str, ...]:
        return ("room", *self.pattern.names)


class RoomHandlers(Handlers):
    """The handler of one path in the rooms of a pattern, ready to be called."""

    __slots__ = ("_rooms", "bound")

    def __init__(
        self,
        function: Callable[..., Any],
        bound: Bound,
        named: str,
        concurrent: bool,
        dec_hook: DecHook | None,
        rooms: Rooms,
    ) -> None:
        self.named = named
        self.on_connect = self.on_disconnect = None
        self.on_message = MessageHandler(function, named, dec_hook)
        self.concurrent = concurrent
        self.bound = bound
        self._rooms = rooms

    @property
    def on_error(self) -> Callable[..., Any] | None:  # type: ignore[override]  # read only
        """That of the rooms, which may be registered after this handler."""
        return self._rooms.on_error_function


def made_rooms(path: str, event: object, dec_hook: DecHook | None) -> Rooms:
    """The rooms that a :class:`SocketRooms` declares.

    Raises:
        ConfigurationError: if ``event`` is neither such a class nor an instance of one.
    """
    if isinstance(event, type) and issubclass(event, SocketRooms):
        event = event()
    if not isinstance(event, SocketRooms):
        raise ConfigurationError(
            f"the rooms {path!r} are a SocketRooms, not {kind(event)}; write a class of its own: "
            "class Chat(SocketRooms)"
        )
    rooms = Rooms(
        path,
        history=event.history,
        presence=event.presence,
        grace=event.grace,
        auth=event.auth,
        middleware=event.middleware,
        dec_hook=dec_hook,
    )
    rooms.add(event)
    return rooms


def find_rooms(declared: Mapping[str, Rooms], name: str) -> tuple[Rooms, dict[str, Any]] | None:
    """The declaration of a room, and the room's parameters; None if it is not declared.

    Names that begin with ``finch.`` are Finch's own, though a pattern may match them: such a room
    would be one with the audience of everyone.
    """
    if name.startswith(RESERVED):
        return None
    for rooms in declared.values():
        params = rooms.match(name)
        if params is not None:
            return rooms, params
    return None


def _pattern(path: object) -> Pattern:
    if not isinstance(path, str):
        raise ConfigurationError(f"the name of rooms is text such as 'chat/{{name}}', not {path!r}")
    if path.startswith(RESERVED):
        raise ConfigurationError(f"the rooms {path!r} are Finch's own; choose another name")
    if path.startswith("/"):
        raise ConfigurationError(
            f"the rooms {path!r} begin with a slash; write {path.lstrip('/')!r}"
        )
    elements = [
        one if isinstance(one, str) else Parameter(one.name, one.converter)
        for one in parse_path("/" + path)
    ]
    pattern = Pattern(elements)
    taken = [name for name in pattern.names if name in ("socket", "data", "room", "meta")]
    if taken:
        raise ConfigurationError(
            f"the rooms {path!r} have a parameter called {taken[0]!r}, which handlers get already; "
            "give it another name"
        )
    return pattern
