"""What goes wrong, one after the other. Each function does it, and undoes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from tests.soak.cluster.world import World, start_all


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: what the table says.
        run: does it and undoes it.
        forgets: whether Redis forgets the messages, so that clients may be told of a gap.
    """

    name: str
    run: Callable[[Scene], Awaitable[None]]
    forgets: bool = False


@dataclass
class Scene:
    """What a fault may touch.

    Attributes:
        world: the processes.
        proxy: between the first process and Redis.
        here: how many clients are connected, by the number of the process.
        seconds: how long a fault lasts.
        killed: the processes that were killed, whose clients lose their connections.
    """

    world: World
    proxy: Any
    here: Counter[int]
    seconds: float
    killed: set[int] = field(default_factory=set)


async def _nothing(scene: Scene) -> None:
    await trio.sleep(scene.seconds)


def _kill(many: int) -> Callable[[Scene], Awaitable[None]]:
    async def kill(scene: Scene) -> None:
        numbers = [number for number, _ in scene.here.most_common(many)]
        scene.killed.update(numbers)
        workers = [scene.world.workers[number] for number in numbers]
        for worker in workers:
            worker.kill()
        await trio.sleep(scene.seconds / 2)
        await trio.to_thread.run_sync(start_all, workers)

    return kill


async def _cut(scene: Scene) -> None:
    for _ in range(3):
        for kind in ("normal", "pubsub"):
            scene.world.redis.say("CLIENT", "KILL", "TYPE", kind)
        await trio.sleep(scene.seconds / 3)


async def _separate(scene: Scene) -> None:
    scene.proxy.refuses = True
    await scene.proxy.cut()
    await trio.sleep(scene.seconds)
    scene.proxy.refuses = False


async def _pause(scene: Scene) -> None:
    scene.world.redis.pause()
    await trio.sleep(scene.seconds)
    scene.world.redis.go_on()


async def _pause_for_long(scene: Scene) -> None:
    scene.world.redis.pause()
    await trio.sleep(scene.seconds + 8)  # than messages wait, and than a connection may be silent
    scene.world.redis.go_on()


async def _sleep(scene: Scene) -> None:
    await trio.to_thread.run_sync(scene.world.redis.say, "DEBUG", "SLEEP", scene.seconds)


async def _restart(scene: Scene) -> None:
    scene.world.redis.stop()
    await trio.sleep(scene.seconds)
    await trio.to_thread.run_sync(scene.world.redis.start)


async def _wipe(scene: Scene) -> None:
    scene.world.redis.say("FLUSHALL")
    await trio.sleep(scene.seconds / 2)


FAULTS: Final = {
    "none": Fault("nothing goes wrong", _nothing),
    "kill": Fault("SIGKILL of the process with most clients", _kill(1)),
    "machine": Fault("SIGKILL of two processes at once", _kill(2)),
    "cut": Fault("all connections to Redis cut, 3 times", _cut),
    "separate": Fault("one process cannot reach Redis", _separate),
    "pause": Fault("Redis paused (SIGSTOP)", _pause),
    "long-pause": Fault("Redis paused, 8 s longer", _pause_for_long),
    "sleep": Fault("Redis busy (DEBUG SLEEP)", _sleep),
    "restart": Fault("Redis restarted, without its data", _restart, forgets=True),
    "wipe": Fault("Redis wiped (FLUSHALL)", _wipe, forgets=True),
}
