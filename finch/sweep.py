"""The sweep: looks at every connection once per tick, so that all share one timer."""

from __future__ import annotations

import logging
from collections.abc import Collection

import trio

from finch.config import Limits
from finch.drain import Watched
from finch.failures import report
from finch.sockets.outlet import Prober
from finch.turns import account

_log = logging.getLogger("finch.server")


async def sweep(watched: Collection[Watched], lagging: dict[Prober, None], limits: Limits) -> None:
    """Drop connections that take nothing, tell those whose deadline has come, and probe.

    Others have their turns meanwhile: pings to many clients in one go would hold up messages.

    Parameters:
        watched: the connections. The server adds and removes them meanwhile.
        lagging: what is probed, until its ``probe`` returns False.
        limits: the limits; only ``tick`` and ``write_timeout`` are used.
    """
    tick = limits.tick
    while True:
        due = trio.current_time() + tick
        await trio.sleep_until(due)
        if trio.current_time() > due + tick:
            # This process was held up, and so it has not yet read what peers sent meanwhile.
            # Let it read and handle that first; else it would drop peers that are not late.
            await trio.sleep(tick)
        now = trio.current_time()
        for item in list(watched):
            if item not in watched:
                continue  # it has ended, or became a WebSocket, while others had their turn
            due = item.deadline <= now + tick
            try:
                if item.transport.stalled(now + tick, limits.write_timeout):
                    item.drop()
                elif due:
                    item.expire(now)
            except Exception as error:
                report(_log, "a bug in Finch: the sweep of %r failed", item, error=error)
            if due and account.spend():  # most are pinged now
                await trio.lowlevel.checkpoint()
        for prober in list(lagging):
            try:
                again = prober.probe()
            except Exception as error:
                report(_log, "a bug in Finch: the probe of %r failed", prober, error=error)
                again = False
            if not again:
                lagging.pop(prober, None)
            if account.spend():
                await trio.lowlevel.checkpoint()
