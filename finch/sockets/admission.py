"""Admission: asks the application whether a client may join a room, and as what others see it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from finch.calls import attempt
from finch.encoding import encode
from finch.errors import HTTPError
from finch.explain import why_no_json
from finch.failures import failure_of, report
from finch.sockets.guarding import ask
from finch.sockets.members import UserId
from finch.sockets.refusals import refusal

if TYPE_CHECKING:
    from finch.sockets.membership import Member
    from finch.sockets.room import Room
    from finch.sockets.rooms import Rooms

_log = logging.getLogger("finch.sockets")


async def ask_on_join(client: Member, room: Room, meta: Any) -> Any:
    """Ask the ``auth`` of a room, then its ``on_join``.

    Parameters:
        meta: what others would see of the client.

    Returns:
        What they see of it.

    Raises:
        HTTPError: if the client may not join, or one of the two failed.
    """
    declared = room.declared
    assert declared is not None
    if declared.admits is not None:
        await _ask_auth(client, room, declared)
    if declared.joins is None:
        return meta
    bound = declared.joins
    wanted = bound.arguments({"room": room, "meta": meta, **room.params})
    what = f"on_join of the room {room.name!r}"
    value, error = await attempt(partial(bound.function, client, **wanted))
    if error is not None:
        await _failed(client, declared, what, error)
    if value is None:
        return meta
    refused = refusal(value, what, client)
    if refused is not None:
        raise refused
    return value


async def _ask_auth(client: Member, room: Room, declared: Rooms) -> None:
    bound = declared.admits
    assert bound is not None
    wanted = bound.arguments({"room": room, **room.params})
    try:
        await ask(partial(bound.function, client, **wanted))
    except BaseException as raised:
        what = f"auth of the room {room.name!r}"
        await _failed(client, declared, what, failure_of(raised))


async def _failed(client: Member, declared: Rooms, what: str, error: BaseException) -> NoReturn:
    if isinstance(error, HTTPError) or client._is_over(error):
        raise error
    report(_log, "%s raised for %r", what, client, error=error)
    await client._tell_on_error(error, declared.on_error_function)
    raise HTTPError(500, "Internal Server Error")


def cannot_be_shown(user: UserId | None, meta: Any) -> str | None:
    """Why others cannot be told of a client; None if they can. One entry that has no JSON form
    would keep all others from joining."""
    try:
        encode((user, meta))
    except Exception as error:
        return why_no_json((user, meta)) or str(error)
    return None
