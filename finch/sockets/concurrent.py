"""A message of a path that was registered with ``concurrent=True``: it is handled beside the other
messages of its client."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from finch.sockets.event import Handlers
from finch.sockets.states import Life
from finch.sockets.workers import Job, Worker
from finch.wire.message import Message

if TYPE_CHECKING:
    from finch.sockets.inbox import Inbox


class ConcurrentCall(Job):
    """The job of handling such a message."""

    __slots__ = ("_client", "_handlers", "_message", "_wanted")

    def __init__(
        self,
        client: Inbox,
        handlers: Handlers,
        message: Message,
        wanted: Mapping[str, Any] | None,
    ) -> None:
        self._client = client
        self._handlers = handlers
        self._message = message
        self._wanted = wanted

    @property
    def context(self) -> Context | None:  # type: ignore[override]  # read only
        return self._client.context

    def keep(self, context: Context) -> None:
        self._client.keep(context)

    def left_open(self) -> None:
        self._client.left_open()

    async def serve(self, worker: Worker) -> None:
        client = self._client
        client._workers += (worker,)
        try:
            if client._life is not Life.CANCELLED:
                worker.message = self._message
                await client._run(self._handlers, self._message, self._wanted)
        except BaseException:  # cancelled, perhaps in a group
            client._say_cancelled(worker)
            raise
        finally:
            worker.message = None
            client._dismiss(worker)
            client.call_done()
