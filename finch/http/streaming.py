"""Chunks of a response, made in a task of their own.

An application's async generator may open a nursery or a cancel scope and keep it open while it
yields. In a task that goes on to do something else, trio would take all of that for the
generator's; so each generator has a task to itself, in which it begins, yields and is closed. It
is cancelled, with whatever it waits for, when its client leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

from finch.failures import close_iterator, failure_of

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
Sink = Callable[[Any], Awaitable[None]]


class Stream:
    """An async iterator whose chunks another task makes, one at a time, as they are asked for.

    Parameters:
        chunks: an application's; what it raises is raised to whoever reads.
        spawn: starts the task, which outlives the caller.

    Example::

        stream = Stream(generator, server.spawn)
        await stream.begin()
        await stream.send_to(write)
    """

    def __init__(self, chunks: AsyncIterator[Any], spawn: Spawn) -> None:
        self._chunks = chunks
        self._spawn = spawn
        self._scope = trio.CancelScope()
        self._begun = False
        self._first: list[Any] = []  # what begin() has made
        self._sink: Sink | None = None
        self._wanted = trio.Event()
        self._made = trio.Event()  # there is a chunk, or there will be none
        self._chunk: Any = None
        self._error: BaseException | None = None
        self._closing = False
        self._ended = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._first:
            return self._first.pop()
        self._start()
        if not self._ended:
            self._made = trio.Event()
            self._wanted.set()
            await self._wait(self._made)
        if self._ended:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        return self._chunk

    async def begin(self, check: Callable[[Any], object]) -> None:
        """Have the first chunk made, so that what goes wrong before it can still be answered.

        Parameters:
            check: called with the chunk; raises if it cannot be sent.

        Raises:
            BaseException: whatever the iterator or ``check`` raises.
        """
        try:
            chunk = await self.__anext__()
        except StopAsyncIteration:
            return
        check(chunk)
        self._first = [chunk]

    async def send_to(self, sink: Sink) -> None:
        """Hand each chunk to a function, until the last.

        Parameters:
            sink: awaited for each; what it raises ends the iterator.

        Raises:
            BaseException: whatever the iterator or the sink raises.
        """
        if self._first:
            await sink(self._first.pop())
        self._sink = sink
        self._start()
        self._made = trio.Event()
        self._wanted.set()
        if not self._ended:
            await self._wait(self._made)
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Stop it wherever it waits."""
        self._scope.cancel()

    async def aclose(self) -> None:
        """Close the iterator, and wait until it is closed.

        Raises:
            BaseException: whatever it raises then.
        """
        if self._ended:
            return
        if not self._begun:
            self._begun = self._ended = True
            await close_iterator(self._chunks)
            return
        self._closing = True
        self._made = trio.Event()
        self._wanted.set()
        await self._wait(self._made)
        if self._error is not None:
            raise self._error

    def _start(self) -> None:
        if not self._begun:
            self._begun = True
            self._spawn(self._run)

    async def _wait(self, event: trio.Event) -> None:
        try:
            await event.wait()
        except trio.Cancelled:
            self.cancel()
            raise

    async def _run(self) -> None:
        try:
            with self._scope:
                try:
                    await self._make()
                finally:
                    await close_iterator(self._chunks)
        except BaseException as raised:
            self._error = raised
            self._error = failure_of(raised)
        finally:
            self._ended = True
            self._made.set()

    async def _make(self) -> None:
        while True:
            if self._sink is None:
                await self._wanted.wait()
                self._wanted = trio.Event()
                if self._closing:
                    return
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                return
            if self._sink is not None:
                await self._sink(chunk)
            else:
                self._chunk = chunk
                self._made.set()
