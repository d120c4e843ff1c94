"""Runs all clients of a load: connects them, lets them warm up, measures, and ends them in time.

Error handling: a client whose connection is over is counted under its reason, and comes no more.
The run ends early if no client is left.
"""

from __future__ import annotations

import gc
import resource
import ssl
import time
from collections.abc import Callable
from typing import Final

import trio

from finch.loading.clients import Caller, Crew, Member, get, listen
from finch.loading.connection import Broken, Connection, connect
from finch.loading.pace import Pace
from finch.loading.plan import Plan, Tally

_WINDOW: Final = 64  # connections that are opened at the same time

Say = Callable[[str], None]


async def conduct(plan: Plan, say: Say) -> Tally:
    """Do a run.

    Parameters:
        say: called with a line of progress about once a second.

    Raises:
        Broken: if not a single client could connect.
    """
    _allow_descriptors(plan.clients + 100)
    return await Conductor(plan, say).run()


class Conductor:
    """One run. Parameters: as for :func:`conduct`."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._tally = Tally()
        self._crews: dict[str, Crew] = {}
        self._ready: dict[int, Connection] = {}
        self._living = 0
        self._nobody = trio.Event()
        self._context = _tls(plan) if plan.target.tls else None

    async def run(self) -> Tally:
        """Do it."""
        plan, tally = self._plan, self._tally
        try:
            await self._connect_all()
            if not self._ready:
                why = next(iter(tally.errors), "nobody could connect")
                raise Broken(why)
            self._say(f"{tally.connected:,} connected in {tally.connecting:.2f} s")
            gc.disable()  # a pause here would look like one of the server
            async with trio.open_nursery() as nursery:
                start = trio.current_time()
                self._living = len(self._ready)
                for number, connection in sorted(self._ready.items()):
                    nursery.start_soon(self._let_run, number, connection, start)
                await self._until(start + plan.warm_up)
                await self._measure()
                nursery.cancel_scope.cancel()
        finally:
            gc.enable()
            with trio.CancelScope(shield=True):
                for connection in self._ready.values():
                    await connection.aclose()
        return tally

    # Connecting

    async def _connect_all(self) -> None:
        begun = trio.current_time()
        told = begun
        limiter = trio.CapacityLimiter(_WINDOW)
        async with trio.open_nursery() as nursery:
            for number in range(self._plan.clients):
                await limiter.acquire_on_behalf_of(number)
                nursery.start_soon(self._connect, number, limiter)
                if trio.current_time() - told >= 1:
                    told = trio.current_time()
                    self._say(f"{len(self._ready):,} of {self._plan.clients:,} connected")
        self._tally.connecting = trio.current_time() - begun
        self._tally.connected = len(self._ready)

    async def _connect(self, number: int, limiter: trio.CapacityLimiter) -> None:
        connection: Connection | None = None
        try:
            with trio.fail_after(self._plan.timeout):
                connection = await connect(self._plan.target, self._context)
                if self._plan.target.web_socket:
                    await connection.open(self._plan.target, self._plan.headers)
                    if room := self._plan.room_of(number):
                        pace = self._pace(number, 0.0)
                        await self._member(number, connection, room, pace).join()
            self._ready[number] = connection
            return
        except Broken as error:
            self._tally.errors[str(error)] += 1
        except trio.TooSlowError:
            self._tally.errors[f"not connected within {self._plan.timeout:g} s"] += 1
        finally:
            limiter.release_on_behalf_of(number)
        if connection is not None:
            await connection.aclose()

    def _pace(self, number: int, start: float) -> Pace:
        plan = self._plan
        if plan.room is not None:  # one speaks in each room
            speakers = min(plan.rooms, plan.clients)
            return Pace(plan.rate, speakers, number % speakers, start)
        return Pace(plan.rate, plan.clients, number, start)

    def _member(self, number: int, connection: Connection, room: str, pace: Pace) -> Member:
        crew = self._crews.setdefault(room, Crew())
        return Member(connection, self._plan, self._tally, pace, room, crew)

    # Running

    async def _let_run(self, number: int, connection: Connection, start: float) -> None:
        plan, tally = self._plan, self._tally
        pace = self._pace(number, start)
        try:
            while True:
                if not plan.target.web_socket:
                    await get(connection, plan, tally, pace)
                    await connection.aclose()  # the server does not keep it
                    connection = await connect(plan.target, self._context)
                    self._ready[number] = connection
                elif room := plan.room_of(number):
                    await self._member(number, connection, room, pace).run()
                elif plan.path is not None:
                    await Caller(connection, plan, tally, pace).run()
                else:
                    await listen(connection, tally)
        except Broken as error:
            tally.errors[str(error)] += 1
        self._living -= 1
        if not self._living:
            self._nobody.set()

    async def _until(self, when: float) -> None:
        with trio.move_on_at(when):
            await self._nobody.wait()

    async def _measure(self) -> None:
        plan, tally = self._plan, self._tally
        tally.restart()
        begun, worked = trio.current_time(), time.process_time()
        end = begun + plan.seconds
        while (now := trio.current_time()) < end and not self._nobody.is_set():
            await self._until(min(now + 1, end))
            at = trio.current_time() - begun
            second = tally.end_second(at)
            self._say(
                f"{at:5.1f} of {plan.seconds:g} s  {second.rate:>9,.0f}/s"
                f"  p50 {second.half / 1000:.2f} ms  p99 {second.most / 1000:.2f} ms"
                f"  {sum(tally.errors.values())} errors"
            )
        tally.seconds = trio.current_time() - begun
        if tally.seconds:
            tally.busy = (time.process_time() - worked) / tally.seconds


def _tls(plan: Plan) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not plan.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _allow_descriptors(wanted: int) -> None:
    """Allow this process so many descriptors, if that is possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
