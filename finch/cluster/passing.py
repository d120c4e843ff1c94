"""Passing: messages that were posted to one process, and belong to a stream of another one.

The id of a client says in which process it is. The POST waits here until that process has answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import trio

from finch.cluster.backplane import Local
from finch.cluster.layout import NODE, VERSION, Names, Note, encode_note
from finch.cluster.posting import Post, Posting
from finch.errors import Unavailable
from finch.wire.posted import Belongs

_GONE, _FULL = 410, 429
_MOST: Final = 16 * 1024 * 1024  # characters that are on their way: whoever posts may be anybody
_SHARE: Final = 0.6  # of the time that an answer may take, how much the stream may wait for room

_posted: Final = msgspec.json.Decoder(tuple[str, int, str])


class Passing:
    """The POSTs that go from process to process.

    Parameters:
        node: the id of this process.
        posting: what is published.
        local: the clients of this process.
        names: the names of channels.
        patience: seconds that a POST waits for the answer of another process.
    """

    def __init__(
        self, node: str, posting: Posting, local: Local, names: Names, patience: float
    ) -> None:
        self._node = node
        self._posting = posting
        self._local = local
        self._names = names
        self._patience = patience
        self._waiting: dict[int, trio.MemorySendChannel[int]] = {}
        self._size = 0  # characters of what waits
        self._last_ref = 0

    async def pass_on(self, belongs: Belongs, lines: str) -> int:
        """See :meth:`finch.cluster.backplane.Backplane.pass_on`."""
        node = belongs.client[:NODE]
        if node == self._node:
            return _GONE
        if self._size and self._size + len(lines) > _MOST:
            return _FULL
        self._last_ref = ref = self._last_ref + 1
        data = msgspec.Raw(msgspec.json.encode((belongs.secret, belongs.number, lines)))
        note = Note(
            v=VERSION, node=self._node, do="post", ref=ref, client=belongs.client, data=data
        )
        post = Post((b"PUBLISH", self._names.node(node), encode_note(note)))
        send, receive = trio.open_memory_channel[int](1)
        self._waiting[ref] = send
        self._size += len(lines)
        try:
            await self._posting.post(post, "the messages were not passed on", wait=True)
            if not post.result:
                return _GONE  # nobody hears the channel: the process has ended
            with trio.move_on_after(self._patience):
                return await receive.receive()
        finally:
            del self._waiting[ref]
            self._size -= len(lines)
            send.close()
            receive.close()
        why = f"the process of the stream has not answered in {self._patience:g} s"
        raise Unavailable(why, "nobody knows whether the messages were taken")

    def heard(self, note: Note, spawn: Callable[[Callable[[], Awaitable[None]]], None]) -> bool:
        """Another process has said something. Returns whether it was about POSTs.

        Parameters:
            spawn: starts a task.
        """
        if note.do == "post":
            spawn(partial(self._take, note))
        elif note.do == "posted":
            waiting = self._waiting.get(note.ref)
            if waiting is not None:
                try:
                    waiting.send_nowait(note.status)
                except trio.WouldBlock:
                    pass  # it was answered twice
        else:
            return False
        return True

    async def _take(self, note: Note) -> None:
        try:
            secret, number, lines = _posted.decode(note.data)
        except msgspec.DecodeError:
            return  # whoever waits will say that nobody answers
        belongs = Belongs(note.client or "", secret, number)
        status = await self._local.take(belongs, lines, self._patience * _SHARE)
        answer = Note(v=VERSION, node=self._node, do="posted", ref=note.ref, status=status or _GONE)
        post = Post((b"PUBLISH", self._names.node(note.node), encode_note(answer)))
        self._posting.post_now(post)
