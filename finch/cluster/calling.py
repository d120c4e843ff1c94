"""Calls: asks the clients of other processes, and brings back their answers.

The question goes out on the channel of an audience. Each process that hears it says at once how
many clients it asks, and then sends the answers as they come to the channel of the process that
has asked. Redis says how many processes have heard the question, so it is known when all have
answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from finch.cluster.backplane import Asking, Channel, Local
from finch.cluster.layout import VERSION, Names, Note, encode_note
from finch.cluster.posting import Post, Posting


class _Question(Post):
    """The command that asks."""

    __slots__ = ("calls", "hears", "ref")

    def __init__(self, calls: Calls, ref: int, channel: Channel, text: bytes) -> None:
        super().__init__(lambda: calls.question(self, channel, text))
        self.calls = calls
        self.ref = ref
        self.hears = False  # whether this process is among those that hear it

    def answered(self, result: int) -> None:
        super().answered(result)
        self.calls.heard_by(self.ref, result - self.hears)

    def fail(self, error: str) -> None:
        super().fail(error)
        self.calls.end(self.ref, error)


class _Call:
    """A call of this process that is not over.

    Attributes:
        asking: who waits for the answers.
        channel: whom it is for.
        heard_by: how many other processes have heard it; None if that is not known yet.
        open: by process, how many of its clients have not answered.
    """

    __slots__ = ("asking", "channel", "heard_by", "open")

    def __init__(self, asking: Asking, channel: Channel) -> None:
        self.asking = asking
        self.channel = channel
        self.heard_by: int | None = None
        self.open: dict[str, int] = {}

    @property
    def over(self) -> bool:
        return len(self.open) == self.heard_by and not any(self.open.values())


class _Asked(NamedTuple):
    """A call of another process.

    Attributes:
        cancel: ends it.
        left: the ids of clients that have not answered.
    """

    cancel: Callable[[], None]
    left: set[str]


class Hears(Protocol):
    """Which channels this process hears."""

    def __contains__(self, channel: Channel) -> bool: ...


class Calls:
    """The calls that go from process to process.

    Parameters:
        node: the id of this process.
        posting: what is published.
        local: the clients of this process.
        names: the names of channels.
        hears: which channels this process hears.
    """

    def __init__(
        self, node: str, posting: Posting, local: Local, names: Names, hears: Hears
    ) -> None:
        self._node = node
        self._posting = posting
        self._local = local
        self._names = names
        self._hears = hears
        self._calls: dict[int, _Call] = {}
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._last_ref = 0

    # This process asks

    def ask(self, channel: Channel, path: str, data: bytes, asking: Asking) -> Callable[[], None]:
        """See :meth:`finch.cluster.backplane.Backplane.ask`."""
        self._last_ref = ref = self._last_ref + 1
        self._calls[ref] = _Call(asking, channel)
        client = str(channel.name) if channel.kind == "client" else None
        raw = msgspec.Raw(data)
        note = Note(
            v=VERSION, node=self._node, do="ask", ref=ref, path=path, data=raw, client=client
        )
        question = _Question(self, ref, channel, encode_note(note))
        if self._posting.down is not None:
            question.fail(self._posting.down)
        elif not self._posting.post_now(question):
            question.fail("too many messages wait for Redis already")
        return lambda: self._give_up(ref)

    def question(self, post: _Question, channel: Channel, text: bytes) -> tuple[bytes, ...]:
        """The command that asks, as it is sent now."""
        post.hears = channel in self._hears
        return (b"PUBLISH", self._names.of(channel), text)

    def heard_by(self, ref: int, nodes: int) -> None:
        """So many other processes have heard a question."""
        call = self._calls.get(ref)
        if call is not None:
            call.heard_by = nodes
            self._end_if_over(ref, call)

    def end(self, ref: int, error: str | None) -> None:
        """A call is over."""
        call = self._calls.pop(ref, None)
        if call is not None:
            call.asking.end(error)

    def _give_up(self, ref: int) -> None:
        call = self._calls.pop(ref, None)
        if call is not None:
            note = Note(v=VERSION, node=self._node, do="unask", ref=ref)
            command = (b"PUBLISH", self._names.of(call.channel), encode_note(note))
            self._posting.post_now(Post(command))

    def _end_if_over(self, ref: int, call: _Call) -> None:
        if call.over:
            self.end(ref, None)

    def went_down(self) -> None:
        """The connection has ended, and answers with it."""
        for ref in list(self._calls):
            self.end(ref, "the connection to Redis ended before all answers came")

    # Others ask, or answer

    def heard(self, channel: Channel, note: Note) -> bool:
        """Another process has said something. Returns whether it was about calls."""
        if note.do == "ask":
            self._others_ask(channel, note)
        elif note.do == "unask":
            asked = self._asked.pop((note.node, note.ref), None)
            if asked is not None:
                asked.cancel()
        elif note.do == "asked":
            self._others_begin(note)
        elif note.do == "answer":
            self._others_answer(note)
        else:
            return False
        return True

    def _others_ask(self, channel: Channel, note: Note) -> None:
        which = (note.node, note.ref)
        answering = _Answering(self, note.node, note.ref)
        clients, cancel = self._local.ask(channel, note.path, bytes(note.data), answering)
        if clients:
            self._asked[which] = _Asked(cancel, set(clients))
        self._tell(
            Note(v=VERSION, node=self._node, do="asked", ref=note.ref, count=len(clients)),
            note.node,
        )

    def answer(self, node: str, ref: int, client: str, answer: Note) -> None:
        """A client of this process has answered, or has left."""
        asked = self._asked.get((node, ref))
        if asked is None or client not in asked.left:
            return
        asked.left.discard(client)
        if not asked.left:
            del self._asked[node, ref]
        self._tell(answer, node)

    def _tell(self, note: Note, node: str) -> None:
        self._posting.post_now(Post((b"PUBLISH", self._names.node(node), encode_note(note))))

    def _others_begin(self, note: Note) -> None:
        call = self._calls.get(note.ref)
        if call is not None:
            call.open[note.node] = note.count or 0
            self._end_if_over(note.ref, call)

    def _others_answer(self, note: Note) -> None:
        call = self._calls.get(note.ref)
        if call is None or not call.open.get(note.node) or note.client is None:
            return
        call.open[note.node] -= 1
        call.asking.answer(note.client, note.user, note.status, bytes(note.data))
        self._end_if_over(note.ref, call)

    def bury(self, node: str) -> None:
        """A process has died."""
        for ref, call in list(self._calls.items()):
            if node in call.open:
                call.open[node] = 0
                self._end_if_over(ref, call)
        for which in [which for which in self._asked if which[0] == node]:
            self._asked.pop(which).cancel()


class _Answering(Asking):
    """Sends the answers of this process's clients to the process that has asked."""

    def __init__(self, calls: Calls, node: str, ref: int) -> None:
        self._calls = calls
        self._node = node
        self._ref = ref

    def answer(self, client: str, user: str | int | None, status: int, data: bytes) -> None:
        note = Note(
            v=VERSION,
            node=self._calls._node,
            do="answer",
            ref=self._ref,
            client=client,
            user=user,
            status=status,
            data=msgspec.Raw(data),
        )
        self._calls.answer(self._node, self._ref, client, note)

    def end(self, error: str | None) -> None:
        pass  # each client answers, or leaves
