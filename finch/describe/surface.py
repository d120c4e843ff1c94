"""The surface of a manager: what its handlers take and answer, and what it sends, as types."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from finch.sockets.annotations import given, taken
from finch.sockets.event import Handlers, MessageHandler
from finch.sockets.manager import SocketManager
from finch.wire.message import Message

_STREAMS: Final = (
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
)


@dataclass(frozen=True)
class Call:
    """What one handler takes and answers.

    Attributes:
        data: the type of the message's data.
        answer: the type of the answer, or of each of its items.
        streams: whether the answer has items.
    """

    data: Any
    answer: Any
    streams: bool


@dataclass(frozen=True)
class Surface:
    """What goes in and out, by path.

    Attributes:
        calls: what clients may send.
        sends: the types of what the application says that it sends.
        any_path: whether clients may send other paths too.
    """

    calls: Mapping[str, Call]
    sends: Mapping[str, Any]
    any_path: bool

    def taken(self) -> list[Any]:
        """The types of what clients send."""
        return [call.data for call in self.calls.values()]

    def given(self) -> list[Any]:
        """The types of what clients get."""
        return [call.answer for call in self.calls.values()] + list(self.sends.values())


def surface(manager: SocketManager) -> Surface:
    """The surface of a manager, without its rooms."""
    table = manager.table
    return Surface(_calls(table.named()), table.sent, table.root.on_message is not None)


def rooms(manager: SocketManager) -> dict[tuple[Any, ...], Surface]:
    """The surface of each pattern of rooms, by the shape of the pattern."""
    found = {}
    for declared in manager.declared.values():
        named = declared.named()
        calls = _calls({path: one for path, one in named.items() if path})
        found[declared.pattern.shape] = Surface(calls, declared.sent, "" in named)
    return found


def _calls(named: Mapping[str, Handlers]) -> dict[str, Call]:
    return {
        path: call_of(handlers.on_message, handlers.named)
        for path, handlers in named.items()
        if handlers.on_message is not None
    }


def call_of(handler: MessageHandler, named: str) -> Call:
    """What one handler takes and answers.

    Parameters:
        named: what errors call it.
    """
    data = taken(handler.declared, named)
    if data is inspect.Parameter.empty or data is object or data is Message:
        data = Any
    answer = given(handler.declared)
    if typing.get_origin(answer) in _STREAMS:
        return Call(data, typing.get_args(answer)[0], True)
    if inspect.isasyncgenfunction(handler.declared):
        return Call(data, Any, True)
    return Call(data, answer, False)
