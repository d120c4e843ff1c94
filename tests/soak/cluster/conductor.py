"""The conductor: starts everything, lets one thing after the other go wrong, and measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from tests.cluster import proxy as theirs
from tests.soak.cluster.app import LEASE
from tests.soak.cluster.crowd import Crowd, count_becomes
from tests.soak.cluster.faults import FAULTS, Fault, Scene
from tests.soak.cluster.ledger import WRONG, Ledger
from tests.soak.cluster.world import World

_RECOVERS_WITHIN: Final = 60.0  # seconds; else it does not

_make_proxy: Any = theirs.Proxy


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        workers, clients, senders: how many.
        rate: messages a second.
        seconds: how long a fault lasts.
        faults: their names, in order. They are repeated until there are enough deliveries.
        deliveries: how many messages clients must have heard at the end.
    """

    workers: int
    clients: int
    senders: int
    rate: float
    seconds: float
    faults: Sequence[str]
    deliveries: int


@dataclass
class Phase:
    """What was seen while one thing went wrong, each time together.

    Attributes:
        fault: what went wrong.
        times: how often.
        counts: as of the ledger; ``cut`` are connections of clients that have ended, ``foreign``
            those of them whose process was not killed.
        longest: seconds between two messages that a client has heard.
        caught_up: seconds after its end until everybody had heard something newer; None if never.
        counted: seconds after its end until all processes counted right; None if never.
    """

    fault: Fault
    times: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    caught_up: float | None = 0.0
    counted: float | None = 0.0

    def wrong(self) -> list[str]:
        """What should not be."""
        found = [f"{self.counts[what]} {what}" for what in WRONG if self.counts[what]]
        if self.counts["foreign"]:
            found.append(f"{self.counts['foreign']} connections of others were cut")
        if self.counts["gaps"] and not self.fault.forgets:
            found.append(f"{self.counts['gaps']} gaps, though Redis has forgotten nothing")
        if self.caught_up is None:
            found.append("not everybody came back")
        if self.counted is None:
            found.append("it was counted wrong to the end")
        return found


class Conductor:
    """One run.

    Parameters:
        plan: what is to be done.
        folder: for logs.
        say: told how it goes.
    """

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._say = say
        self._ledger = Ledger(plan.clients)
        self._world = World(plan.workers, folder)
        self.phases: dict[str, Phase] = {}

    def run(self) -> list[str]:
        """Do it all.

        Returns:
            What should not be; nothing if all holds.
        """
        try:
            self._world.redis.start()
            trio.run(self._run)
        finally:
            self._world.stop()
        wrong = [
            f"{phase.fault.name}: {what}"
            for phase in self.phases.values()
            for what in phase.wrong()
        ]
        return wrong + [f"in a log: {line}" for line in self._world.bugs()]

    @property
    def delivered(self) -> int:
        """How many messages were heard, each as often as there were clients to hear it."""
        return self._ledger.delivered

    async def _run(self) -> None:
        plan, world = self._plan, self._world
        async with trio.open_nursery() as nursery:
            proxy = _make_proxy(world.redis.port)
            await nursery.start(proxy.run)
            await trio.to_thread.run_sync(world.start, proxy.url("finch"))
            ports = [worker.port for worker in world.workers]
            crowd = Crowd(ports, plan.clients, plan.senders, plan.rate, self._ledger)
            await nursery.start(crowd.run)
            scene = Scene(world, proxy, crowd.here, plan.seconds)
            while True:
                for name in plan.faults:
                    await self._phase(name, scene, crowd, ports)
                if self.delivered >= plan.deliveries:
                    break
            nursery.cancel_scope.cancel()

    async def _phase(self, name: str, scene: Scene, crowd: Crowd, ports: Sequence[int]) -> None:
        phase = self.phases.setdefault(name, Phase(FAULTS[name]))
        ledger = self._ledger
        ledger.begin()
        crowd.cuts.clear()
        scene.killed.clear()
        await phase.fault.run(scene)
        marks = dict(crowd.said)
        counted: float | None = None
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def count() -> None:
                nonlocal counted
                counted = await count_becomes(ports, self._plan.clients, LEASE * 2)

            caught_up = await self._catch_up(marks)
        phase.times += 1
        phase.counts += ledger.counts
        phase.counts["cut"] += crowd.cuts.total()
        phase.counts["foreign"] += sum(
            cuts for number, cuts in crowd.cuts.items() if number not in scene.killed
        )
        phase.longest = max(phase.longest, ledger.longest)
        phase.caught_up = _longer(phase.caught_up, caught_up)
        phase.counted = _longer(phase.counted, counted)
        self._say(f"{self.delivered:>10,} deliveries; {phase.fault.name}: {_said(phase)}")

    async def _catch_up(self, marks: dict[int, int]) -> float | None:
        """How long it takes until everybody has heard something newer; None for too long."""
        began = trio.current_time()
        with trio.move_on_after(_RECOVERS_WITHIN):
            while not self._ledger.all_heard_after(marks):
                await trio.sleep(0.02)
            return trio.current_time() - began
        return None


def _longer(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


def _said(phase: Phase) -> str:
    return "; ".join(phase.wrong()) or "as it should be"


COLUMNS: Final = (
    *("fault", "times", "sent", "delivered", "failed", "lost", "doubled", "out of order"),
    *("told of a gap", "cut", "longest silence", "caught up after", "counted right after"),
)


def table(phases: Sequence[Phase]) -> str:
    """All phases, as a table in Markdown."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS)]
    for phase in phases:
        counts = phase.counts
        numbers = [counts[what] for what in ("sent", "delivered", "failed", *WRONG, "gaps", "cut")]
        seconds = [phase.longest, phase.caught_up, phase.counted]
        rows.append(
            (
                phase.fault.name,
                str(phase.times),
                *(f"{number:,}" for number in numbers),
                *("never" if one is None else f"{one:.1f} s" for one in seconds),
            )
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
