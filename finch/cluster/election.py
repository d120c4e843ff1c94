"""Election: which of all processes that share one Redis leads.

The leader has a lease: a key that lives for some seconds and that it renews. Who does not lead asks
for it again and again, and gets it when it has ended. A leader that cannot renew it stops by itself
before it ends. So there is at most one, also if processes die or cannot reach Redis; and there is
none for some seconds after that.

What it rests on: the clocks of Redis and of the leader measure the same seconds, and a process is
not stopped for longer than a lease while it leads. A task that is cancelled must end soon.
"""

from __future__ import annotations

import logging
import math
from typing import Final

import trio

from finch.cluster.connection import Refused
from finch.cluster.layout import ELECT, RESIGN, Names
from finch.cluster.leader import Leader
from finch.cluster.line import Broken, Line
from finch.logs import Seldom

_log = logging.getLogger("finch.cluster")

_PART: Final = 1 / 5  # of a lease: between two requests; and what is left when the leader stops
_GOODBYE: Final = 1.0  # seconds that giving up the lease may take


class Election:
    """One process as a candidate.

    Parameters:
        line: the connection to Redis.
        names: the names of keys.
        node: the id of this process.
        lease: seconds.
        leader: is appointed and dismissed.

    Example::

        nursery.start_soon(Election(line, names, node, 15.0, leader).run)
    """

    def __init__(self, line: Line, names: Names, node: str, lease: float, leader: Leader) -> None:
        self._line = line
        self._keys = names.leader()
        self._node = node
        self._lease = lease
        self._leader = leader
        self._until = math.inf  # when the leader must have stopped, by trio's clock
        self._seldom = Seldom(_log)

    async def run(self) -> None:
        """Be a candidate, or lead, until this is cancelled. Then what runs because this process
        leads is cancelled, and the lease is given up as soon as that has ended."""
        try:
            while True:
                began = trio.current_time()
                won = await self._ask(began)
                now = trio.current_time()
                if won:
                    self._until = began + self._lease * (1 - _PART)
                    self._leader.appoint()
                elif won is False or now >= self._until:
                    self._stop()
                await trio.sleep_until(min(now + self._lease * _PART, self._until))
        finally:
            with trio.CancelScope(shield=True):
                await self._resign()

    async def _ask(self, now: float) -> bool | None:
        """Whether this process has the lease; None if Redis does not say it."""
        if not self._line.up:
            return None
        milliseconds = int(self._lease * 1000)
        with trio.move_on_at(min(now + self._lease * _PART, self._until)):
            try:
                script = self._line.script(
                    ELECT, self._keys, self._node, milliseconds, int(self._leader.leads)
                )
                return bool(await self._line.ask(*script))
            except Broken:
                pass
            except Refused as error:
                self._seldom.warning("Redis refuses the election of a leader: %s", error)
        return None

    def _stop(self) -> None:
        if self._leader.leads:
            _log.warning(
                "this process leads no longer: it has lost its lease. What runs once is cancelled "
                "here, and begins in the next leader"
            )
            self._leader.dismiss()
        self._until = math.inf

    async def _resign(self) -> None:
        led = self._leader.leads
        self._leader.dismiss()
        with trio.move_on_at(self._until):  # after that, somebody else may lead anyway
            await self._leader.wait_idle()
        if led and self._line.up:
            with trio.move_on_after(_GOODBYE):
                try:
                    await self._line.ask(*self._line.script(RESIGN, self._keys, self._node))
                except (Broken, Refused):
                    pass  # the lease ends by itself
