"""Who listens to events, for servers on asyncio: a queue for each client, as in asyncio's docs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Listeners(Generic[T]):
    """The queues of all clients."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[T]] = set()

    def listen(self) -> AsyncIterator[T]:
        """The events from now on."""
        queue: asyncio.Queue[T] = asyncio.Queue(16)
        self._queues.add(queue)
        return self._events(queue)

    async def _events(self, queue: asyncio.Queue[T]) -> AsyncIterator[T]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    def publish(self, event: T) -> None:
        """Give an event to all of them."""
        for queue in self._queues:
            queue.put_nowait(event)
