"""Publishing from programs that are no Finch application, such as Django, Celery or cron."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import trio
from coredis.exceptions import RedisError

from finch.cluster.address import Address
from finch.cluster.backplane import Channel, Draft
from finch.cluster.connection import Connection, Refused
from finch.cluster.history import History, new_epoch
from finch.cluster.layout import NUMBER, Names, lifetimes, packed
from finch.cluster.shards import Shards, connect
from finch.errors import Unavailable


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
                connection, run_of = await connect(address, nursery)
                seq = await _send(connection, run_of, address, channel, draft, history)
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
    connection: Connection | Shards,
    run_of: Callable[[bytes], str],
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
    keys = names.keys(channel)
    arguments = (run_of(keys[0]), new_epoch(), history.messages, *lifetimes(history), text, name)
    answer: Any = await connection.ask(b"EVAL", NUMBER, 2, *keys, *arguments)
    return int(answer[1])
