"""Publishing from programs that are no Finch application, such as Django, Celery or cron."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import trio
from coredis.exceptions import RedisError

from finch.cluster.backplane import Channel, Draft
from finch.cluster.connection import Connection
from finch.cluster.history import History, new_epoch
from finch.cluster.layout import NUMBER, Names, lifetimes, packed
from finch.cluster.line import Address, Refused, run_id_of
from finch.errors import Unavailable

_KINDS: Final = ("room", "user", "client")


def channel_of(to: object) -> Channel:
    """The channel of what a caller writes.

    Raises:
        TypeError: if it is no audience.
    """
    if to == "everyone":
        return Channel("everyone")
    if isinstance(to, tuple) and len(to) == 2 and to[0] in _KINDS:
        kind, name = to
        if isinstance(name, str) or (kind == "user" and type(name) is int):
            return Channel(kind, name)
    raise TypeError(
        "publish sends to 'everyone', ('room', name), ('user', id) or ('client', id), not "
        f"{to!r}; write publish(url, ('room', 'chat/lobby'), data)"
    )


def publish_from_outside(
    url: str, channel: Channel, draft: Draft, history: History | None, timeout: float
) -> int | None:
    """Publish one message over a connection of its own. Returns its number, if it has one.

    Raises:
        Unavailable: if that is not done in ``timeout`` seconds, or Redis refuses it.
    """
    return trio.run(partial(_publish, Address(url), channel, draft, history, timeout))


async def _publish(
    address: Address, channel: Channel, draft: Draft, history: History | None, timeout: float
) -> int | None:
    why = None
    with trio.move_on_after(timeout) as scope:
        try:
            async with trio.open_nursery() as nursery:
                connection = address.connection()
                await nursery.start(connection.run)
                seq = await _send(connection, address, channel, draft, history)
                nursery.cancel_scope.cancel()
                return seq
        except* (RedisError, Refused, OSError) as group:
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            why = str(error)
    if why is None or scope.cancel_called:
        why = f"no answer in {timeout:g} s"
    raise Unavailable(why, "perhaps nothing was sent")


async def _send(
    connection: Connection,
    address: Address,
    channel: Channel,
    draft: Draft,
    history: History | None,
) -> int | None:
    names = Names(address.prefix, address.db)
    client = str(channel.name) if channel.kind == "client" else None
    text, name = packed(draft, "", client=client), names.of(channel)
    if history is None or draft.volatile or client is not None:
        await connection.ask(b"PUBLISH", name, text)
        return None
    run_id = await run_id_of(connection)
    arguments = (run_id, new_epoch(), history.messages, *lifetimes(history), text, name)
    answer: Any = await connection.ask(b"EVAL", NUMBER, 2, *names.keys(channel), *arguments)
    return int(answer[1])
