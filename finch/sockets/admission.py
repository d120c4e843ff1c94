"""Admission: asks the application whether a client may join a room, and as what others see it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from finch.calls import attempt
from finch.encoding import encode
from finch.errors import HTTPError
from finch.explain import why_no_json
from finch.failures import report
from finch.sockets.members import UserId
from finch.sockets.refusals import refusal

if TYPE_CHECKING:
    from finch.sockets.membership import Member
    from finch.sockets.room import Room

_log = logging.getLogger("finch.sockets")


async def ask_on_join(client: Member, room: Room, meta: Any) -> Any:
    """Call the ``on_join`` of a room.

    Parameters:
        meta: what others would see of the client.

    Returns:
        What they see of it.

    Raises:
        HTTPError: if the client may not join, or ``on_join`` failed.
    """
    declared = room.declared
    assert declared is not None
    bound = declared.joins
    assert bound is not None
    wanted = bound.arguments({"room": room, "meta": meta, **room.params})
    what = f"on_join of the room {room.name!r}"
    value, error = await attempt(partial(bound.function, client, **wanted))
    if error is not None:
        if isinstance(error, HTTPError) or client._is_over(error):
            raise error
        report(_log, "%s raised for %r", what, client, error=error)
        await client._tell_on_error(error, declared.on_error_function)
        raise HTTPError(500, "Internal Server Error")
    if value is None:
        return meta
    refused = refusal(value, what, client)
    if refused is not None:
        raise refused
    return value


def cannot_be_shown(user: UserId | None, meta: Any) -> str | None:
    """Why others cannot be told of a client; None if they can. One entry that has no JSON form
    would keep all others from joining."""
    try:
        encode((user, meta))
    except Exception as error:
        return why_no_json((user, meta)) or str(error)
    return None
