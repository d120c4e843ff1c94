"""All routes, sockets and rooms of an application, as a table: ``finch app:app --routes``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from finch.http.routing import FinchRoute
from finch.http.signatures import name_of
from finch.sockets.manager import SocketManager

_MANY = 8  # methods: more are shown as ALL


def list_routes(routes: Iterable[FinchRoute], managers: Mapping[str, SocketManager]) -> str:
    """A line for each route, socket and pattern of rooms, in columns.

    Parameters:
        routes: those of an application.
        managers: those of an application, by their paths.

    HTTP routes have their methods, path, handler and key. What clients of a manager send to follows
    the route of the manager; ``-`` stands for what is not there.

    Example::

        GET       /birds/{bird_id:int}  bird             bird
        GET,POST  /ws                   Entrance.handle  finch.socket
        socket    /ws say               say              -
        rooms     /ws chat/{name}       -                -
    """
    rows = [_row(route) for route in sorted(routes, key=_order)]
    for path, manager in managers.items():
        rows += _sockets(manager, path)
    return "\n".join(_columns(rows))


def _order(route: FinchRoute) -> tuple[str, list[str]]:
    return route.path, sorted(route.methods)


def _row(route: FinchRoute) -> tuple[str, ...]:
    methods = "ALL" if len(route.methods) > _MANY else ",".join(sorted(route.methods - {"HEAD"}))
    return methods or "HEAD", route.path, name_of(route.index), route.key or "-"


def _sockets(manager: SocketManager, at: str) -> Iterator[tuple[str, ...]]:
    for path, handlers in sorted(manager.table.named().items()):
        function = handlers.on_message and handlers.on_message.declared
        yield "socket", f"{at} {path}", name_of(function) if function else "-", "-"
    for pattern, rooms in sorted(manager.declared.items()):
        yield "rooms", f"{at} {pattern}", "-", "-"
        for path, room_handlers in sorted(rooms.named().items()):
            function = room_handlers.on_message and room_handlers.on_message.declared
            yield "socket", f"{at} {pattern} {path}", name_of(function) if function else "-", "-"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
