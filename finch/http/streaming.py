"""Streamed responses: the response, and the task of its own in which its chunks are made.

An application's async generator may open a nursery or a cancel scope, and keep it open while it
yields. If the task that runs it then did something else, trio would count that as part of the open
nursery or scope. So each generator has a task for itself: it starts, yields and is closed there.
When the client leaves, the task is cancelled, and so is everything that the generator waits for.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, Self

import trio

from finch.explain import kind, where
from finch.failures import close_iterator, failure_of
from finch.headers import HeaderItems
from finch.http.advice import stream_advice
from finch.http.response import TEXT, Response

Spawn = Callable[[Callable[[], Awaitable[None]]], None]
Sink = Callable[[Any], Awaitable[None]]


class StreamingResponse(Response):
    """A response whose body is sent while it is made. It can be returned only once.

    Parameters:
        chunks: an async iterator of bytes or text. It is closed when the client leaves.
        content_type: ``text/plain`` by default.

    Attributes:
        origin: the iterator or function that makes the chunks; error messages name it.
        keep_alive: None, except for a stream of events: seconds of silence after which a comment
            is sent.

    Raises:
        TypeError: if ``chunks`` is not an async iterable.

    Example::

        async def ticks():
            while True:
                yield f"{time()}\\n"
                await trio.sleep(1)

        return StreamingResponse(ticks(), content_type="text/csv")
    """

    keep_alive: float | None = None

    def __init__(
        self,
        chunks: AsyncIterable[bytes | str],
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str = TEXT,
    ) -> None:
        self._body = b""
        self.chunks = chunks
        self._begin(status, headers, content_type)

    @property
    def chunks(self) -> AsyncIterator[bytes | str]:
        """The iterator of what is sent. You may set it to any async iterable."""
        return self._chunks

    @chunks.setter
    def chunks(self, chunks: AsyncIterable[bytes | str]) -> None:
        self._chunks = _iterator(chunks)
        self.origin: object = chunks

    def fresh(self) -> Self:
        """A copy for one request.

        Raises:
            RuntimeError: if it was copied before: its iterator belongs to another request.
        """
        if self._returned:
            raise RuntimeError(
                f"this StreamingResponse of {where(self.origin)} was returned before, and its "
                "chunks can be sent only once; make a new one for each request"
            )
        return super().fresh()


def _iterator(chunks: Any) -> AsyncIterator[bytes | str]:
    if isinstance(chunks, AsyncIterable):
        return aiter(chunks)
    raise TypeError(
        f"a StreamingResponse takes an async iterator, not {kind(chunks)}; {stream_advice(chunks)}"
    )


class Stream:
    """An async iterator that runs another one in a task of its own, one chunk at a time, on demand.

    Parameters:
        chunks: the application's iterator. The reader of the stream gets the exceptions it raises.
        spawn: starts a task that may run longer than the caller.

    Example::

        stream = Stream(generator, server.spawn)
        await stream.begin()
        await stream.send_to(write)
    """

    def __init__(self, chunks: AsyncIterator[Any], spawn: Spawn) -> None:
        self.source = chunks
        """The iterator that it runs."""
        self._chunks = chunks
        self._spawn = spawn
        self._scope = trio.CancelScope()
        self._begun = False
        self._first: list[Any] = []  # the chunk that begin() has fetched
        self._sink: Sink | None = None
        self._wanted = trio.Event()  # the reader wants a chunk, or wants the iterator closed
        self._made = trio.Event()  # there is a chunk, or there will not be another one
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
            # First a new event, then "wanted". The old event may be set already: if we waited for
            # that one, we would return at once, with the old chunk.
            self._made = trio.Event()
            self._wanted.set()
            await self._wait(self._made)
        if self._ended:
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration
        return self._chunk

    async def begin(self, check: Callable[[Any], object]) -> None:
        """Fetch the first chunk now. If that fails, an error response can still be sent.

        Parameters:
            check: called with the chunk; it raises if the chunk cannot be sent.

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
        """Give each chunk to a function, until the last.

        Parameters:
            sink: awaited for each chunk. If it raises, the iterator is closed.

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
        """Stop the iterator, whatever it waits for."""
        self._scope.cancel()

    async def aclose(self) -> None:
        """Close the iterator, and wait until it is closed.

        Raises:
            BaseException: whatever the iterator raises while it is closed.
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
            self.cancel()  # the task is not in our nursery: our cancellation does not reach it
            raise

    async def _run(self) -> None:
        try:
            with self._scope:
                try:
                    await self._make()
                finally:
                    await close_iterator(self._chunks)
        except BaseException as raised:
            # Twice, since failure_of() raises a cancellation of this task again. The reader must
            # get an error even then, or it would take the body for complete.
            self._error = raised
            self._error = failure_of(raised)
        finally:
            self._ended = True
            self._made.set()

    async def _make(self) -> None:
        while True:
            # With a sink, this task sends each chunk itself: no switch of tasks for each chunk.
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
