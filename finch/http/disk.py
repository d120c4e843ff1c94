"""Threads that wait for disks. They are not those of ``def`` handlers, which must go on if a disk
hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio

T = TypeVar("T")

THREADS: Final = 16
"""How many threads of one kind may wait for disks at a time, in one process."""


class DiskThreads:
    """Threads of one kind.

    Parameters:
        name: for whoever looks at trio's variables.
        abandons: whether a function is left to itself if its caller is cancelled. Whatever it
            opens, it must close then.
    """

    __slots__ = ("_abandons", "_limiter")

    def __init__(self, name: str, *, abandons: bool) -> None:
        self._limiter = trio.lowlevel.RunVar[trio.CapacityLimiter](name)
        self._abandons = abandons

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function that waits for a disk.

        Raises:
            BaseException: whatever the function raises.
        """
        try:
            limiter = self._limiter.get()
        except LookupError:
            limiter = trio.CapacityLimiter(THREADS)
            self._limiter.set(limiter)
        return await trio.to_thread.run_sync(
            work, abandon_on_cancel=self._abandons, limiter=limiter
        )
