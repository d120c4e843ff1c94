"""AsyncAPI 3.0: the sockets of an application, for people and programs.

A manager's path is a channel; so is each pattern of rooms, which are reached through the manager's
connection, and each raw socket. What clients send are operations with the action ``receive``, for
the application receives it; what ``sends`` declares are operations with the action ``send``.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0, ``docs/wire.md``.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Final
from urllib.parse import urlsplit

from finch.describe.description import Description
from finch.describe.envelopes import (
    COMPONENTS,
    ERROR,
    FROM_CLIENT,
    FROM_SERVER,
    JOINED,
    PRESENCE,
    older,
    payload,
    reference,
)
from finch.describe.schemas import Schemas
from finch.describe.surface import Call, call_of
from finch.describe.words import Names, said_by
from finch.http.paths import parse_path
from finch.http.patterns import Pattern
from finch.http.routing import FinchRoute
from finch.sockets.event import Handlers, MessageHandler
from finch.sockets.manager import SocketManager
from finch.sockets.raw import RawSocketRoute
from finch.sockets.rooms import Rooms

_WORDS: Final = ("summary", "description")
_PROTOCOLS: Final = {"http": "ws", "https": "wss"}
_BINDINGS: Final = {"ws": {"method": "GET", "bindingVersion": "0.1.0"}}


def describe_sockets(
    routes: Iterable[FinchRoute],
    managers: Mapping[str, SocketManager],
    about: Description,
) -> dict[str, Any]:
    """The description of an application's sockets.

    Parameters:
        routes: those of the application: some are raw sockets.
        managers: those of the application, by their paths.
        about: the application as a whole.

    Example::

        describe_sockets(app.routes, app.managers, Description())["channels"]["ws"]["address"]
    """
    document = _Document([handler for one in managers.values() for handler in _handlers(one)])
    for path, manager in managers.items():
        document.add_manager(path, manager)
    for route in routes:
        if isinstance(route.index, RawSocketRoute) and route.describe:
            document.add_raw(route.path, route.pattern, route.index.handler)
    info = {"title": about.title, "version": about.version}
    if about.text:
        info["description"] = about.text
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "defaultContentType": "application/json",
        **servers_at(about.servers),
        **document.made(),
    }


def servers_at(urls: Iterable[str]) -> dict[str, Any]:
    """What a description says of the servers, as a part of it; empty if it says nothing.

    Parameters:
        urls: of the application, such as ``https://birds.example.org``.
    """
    names, found = Names(), {}
    for url in urls:
        parts = urlsplit(url)
        server = {"host": parts.netloc, "protocol": _PROTOCOLS[parts.scheme]}
        if parts.path.strip("/"):
            server["pathname"] = parts.path.rstrip("/")
        found[names.take(parts.netloc)] = server
    return {"servers": found} if found else {}


def _handlers(manager: SocketManager) -> list[tuple[Any, Call | None]]:
    """The types that a manager sends, and the calls that it takes."""
    found: list[tuple[Any, Call | None]] = [(one, None) for one in manager.table.sent.values()]
    named: list[Handlers] = [manager.table.root, *manager.table.named().values()]
    for rooms in manager.declared.values():
        found += [(one, None) for one in rooms.sent.values()]
        named += rooms.named().values()
    return found + [(None, call_of(one.on_message, one.named)) for one in named if one.on_message]


class _Document:
    """One description, while it is made."""

    def __init__(self, types: Iterable[tuple[Any, Call | None]]) -> None:
        asked = []
        for sent, call in types:
            asked += [sent] if call is None else [call.data, call.answer]
        self._schemas = Schemas(asked)
        self._channels: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, dict[str, Any]] = {}
        self._channel_names = Names()
        self._operation_names = Names()

    def made(self) -> dict[str, Any]:
        schemas = {name: older(one) for name, one in self._schemas.components.items()}
        return {
            "channels": self._channels,
            "operations": self._operations,
            "components": {"schemas": {**schemas, **COMPONENTS}},
        }

    def add_manager(self, path: str, manager: SocketManager) -> None:
        """Add the channel of a manager, and those of its rooms."""
        pattern = Pattern(parse_path(path)) if path else None
        channel = self._channel(path, pattern, "Sockets with envelopes.")
        channel.bind()
        table = manager.table
        channel.takes(table.named(), table.root.on_message)
        channel.gives(table.sent)
        channel.sends("error", reference(ERROR), "A message was wrong.")
        for rooms in manager.declared.values():
            self._add_rooms(path, rooms)

    def _add_rooms(self, at: str, rooms: Rooms) -> None:
        where = f" at {at}" if at else ""
        channel = self._channel(
            f"{at} {rooms.path}",
            rooms.pattern,
            f"Rooms, reached through the socket{where}: messages have the name of the room as "
            "`room`. A client joins a room with `finch.join`.",
        )
        channel.is_named(_address(rooms.pattern).removeprefix("/"))  # as its name is written
        named = rooms.named()
        root = named.pop("", None)
        channel.takes(named, None if root is None else root.on_message)
        channel.gives(rooms.sent)
        channel.receives("finch.join", {}, "Join the room.", reference(JOINED))
        channel.receives("finch.leave", {}, "Leave the room.", {"type": "null"})
        if rooms.presence:
            channel.sends("finch.presence", reference(PRESENCE), "Who has come and gone.")

    def add_raw(self, path: str, pattern: Pattern, handler: Any) -> None:
        """Add the channel of a raw socket."""
        words = said_by(handler)
        said = [words.get("summary", ""), words.get("description", ""), "Without envelopes."]
        channel = self._channel(path, pattern, "\n\n".join(filter(None, said)))
        channel.bind()

    def _channel(self, name: str, pattern: Pattern | None, description: str) -> _Channel:
        key = self._channel_names.take(name.strip("/ "))
        made: dict[str, Any] = {
            "address": None if pattern is None else _address(pattern),
            "description": description,
            "messages": {},
        }
        if pattern is not None and pattern.names:
            made["parameters"] = {one: {} for one in pattern.names}
        self._channels[key] = made
        return _Channel(key, made, self._schemas, self._operations, self._operation_names)


def _address(pattern: Pattern) -> str:
    """A path or a name of rooms as AsyncAPI writes it: without converters."""
    names = iter(pattern.names)
    return "".join(one if isinstance(one, str) else f"{{{next(names)}}}" for one in pattern.shape)


class _Channel:
    """One channel, while its messages and operations are added."""

    def __init__(
        self,
        key: str,
        made: dict[str, Any],
        schemas: Schemas,
        operations: dict[str, dict[str, Any]],
        names: Names,
    ) -> None:
        self._key = key
        self._made = made
        self._schemas = schemas
        self._operations = operations
        self._operation_names = names
        self._message_names = Names()

    def is_named(self, address: str) -> None:
        """Give it another address than the path."""
        self._made["address"] = address

    def bind(self) -> None:
        """Say that it is a WebSocket of its own."""
        self._made["bindings"] = _BINDINGS

    def takes(self, named: Mapping[str, Handlers], root: MessageHandler | None) -> None:
        """Add what clients may send: to the handlers of named paths, and to that of all others."""
        for path, handlers in named.items():
            if handlers.on_message is not None:
                self._take(path, handlers.on_message, handlers.named)
        if root is not None:
            self._take(None, root, "the root event")

    def _take(self, path: str | None, handler: MessageHandler, named: str) -> None:
        call = call_of(handler, named)
        needs = ("data",) if _must_be_there(call.data) else ()
        answer = older(self._schemas.of(call.answer))
        operation = self._receives(
            path, older(self._schemas.of(call.data)), needs, answer, streams=call.streams
        )
        operation |= {key: text for key, text in said_by(handler.declared).items() if key in _WORDS}

    def receives(self, path: str, data: Any, summary: str, answer: Any) -> None:
        """Add one of Finch's own messages that clients may send."""
        self._receives(path, data, ("room",), answer)["summary"] = summary

    def _receives(
        self,
        path: str | None,
        data: Any,
        required: tuple[str, ...],
        answer: Any,
        *,
        streams: bool = False,
    ) -> dict[str, Any]:
        name = path or "any"
        asks = self._message(name, path, payload(FROM_CLIENT, path, data, required))
        self._made["messages"][asks]["correlationId"] = {"location": "$message.payload#/id"}
        answers = self._message(f"{name}.answer", path, payload(FROM_SERVER, path, answer))
        if streams:
            self._made["messages"][answers]["summary"] = "One part of the answer; it has `more`."
        operation = self._operation("receive", name, asks)
        operation["reply"] = {
            "channel": {"$ref": f"#/channels/{self._key}"},
            "messages": [self._reference(answers)],
        }
        return operation

    def gives(self, sent: Mapping[str, Any]) -> None:
        """Add what the application says that it sends."""
        for path, one in sent.items():
            self.sends(path, older(self._schemas.of(one)))

    def sends(self, path: str, data: Any, summary: str = "") -> None:
        """Add one message that the application sends."""
        message = self._message(f"{path}.sent", path, payload(FROM_SERVER, path, data))
        operation = self._operation("send", f"send.{path}", message)
        if summary:
            operation["summary"] = summary

    def _message(self, wanted: str, path: str | None, schema: dict[str, Any]) -> str:
        key = self._message_names.take(wanted)
        self._made["messages"][key] = {"name": path or "any", "payload": schema}
        return key

    def _reference(self, key: str) -> dict[str, str]:
        return {"$ref": f"#/channels/{self._key}/messages/{key}"}

    def _operation(self, action: str, name: str, message: str) -> dict[str, Any]:
        made: dict[str, Any] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{self._key}"},
            "title": name.removeprefix("send."),
            "messages": [self._reference(message)],
        }
        self._operations[self._operation_names.take(f"{self._key}.{name}")] = made
        return made


def _must_be_there(data: Any) -> bool:
    """Whether a message without data, which is null, does not fit."""
    return data is not Any and data is not None and NoneType not in (data, *typing.get_args(data))
