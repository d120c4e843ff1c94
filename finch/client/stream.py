"""Stream: a streamed answer, part by part.

Leaving a stream early must cancel the handler on the server. An async generator would do this only
when it is closed, and a loop that is left with ``break`` does not close it: Python leaves that to
the garbage collector, which may run anywhere. So a stream is an object with both ways of use:

- ``async with finch.stream(...) as words: async for word in words:`` cancels at the end of the
  block, at once and in every case. Use it if the handler is expensive.
- ``async for word in finch.stream(...):`` is fine if it runs to the end. If it is left early, the
  client notices at the next part that nobody holds the stream any more, and cancels then.
"""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar

import msgspec

from finch.client.calls import Call, value_of
from finch.client.core import Core, check_path
from finch.client.mailbox import Mailbox
from finch.client.pending import decoder_of
from finch.client.said import NOTHING
from finch.errors import FinchError

T = TypeVar("T")


class Stream(Generic[T], Mailbox[msgspec.Raw]):
    """The parts of a streamed answer. An answer that is not streamed is one part.

    The message is sent when the block or the loop begins. If parts are not read, they wait, and
    then the client stops reading.

    Raises, while it is iterated over:
        CallFailed: if the answer ends with an error, or a part has another type.
        ConnectionLost: if the connection is cut before the end.
        ConnectionClosed: if it is closed for good.

    Example::

        async with finch.stream("ask", "why?", as_type=str) as words:
            async for word in words:
                print(word)
    """

    def __init__(self, core: Core, path: str, data: Any, room: str | None, as_type: Any) -> None:
        check_path(path)
        super().__init__(core.options.buffer, core.resume)
        self._core = core
        self._path = path
        self._data = data
        self._room = room
        self._decode = decoder_of(as_type)
        self._call: Call | None = None
        self._came = False  # a part has come

    def item(self, data: msgspec.Raw) -> None:
        """A part has come."""
        self._came = True
        self.put(data)

    def answered(self, data: msgspec.Raw, error: FinchError | None) -> None:
        """The answer has ended: what was not streamed is its only part."""
        if error is None and not self._came and bytes(data) != bytes(NOTHING):
            self.put(data)
        self.end(error)

    async def _begin(self) -> None:
        if self._call is None and not self._ended:
            await self._core.ready()
            self._call = self._core.begin(self._path, self._data, self._room, False, self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._begin()
        with self._core.awaiting():
            raw = await self.take()
        value: T = value_of(raw, self._decode)
        return value

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop: the handler is cancelled, unless it has ended. Does not wait for it."""
        self.clear()
        if self._call is not None:
            self._core.cancel(self._call)
