"""Hearing: the channels that this process's clients hear, each with a mirror of its history.

A channel is subscribed to before its first client hears it, and as long as there is one. What
arrives is given to the clients in the order of its numbers. What is missing is read from Redis
before anything newer is given away, also after a connection has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import trio

from finch.cluster.attendance import Attendance
from finch.cluster.backplane import Channel, Draft, Local, Missed
from finch.cluster.connection import Refused
from finch.cluster.history import Archive, History, Position, new_epoch
from finch.cluster.layout import READ, Names, lifetimes
from finch.cluster.line import Broken, Line
from finch.cluster.posting import Post
from finch.cluster.sequence import Lost, Next
from finch.cluster.sequence import Sequence as Numbers
from finch.errors import Unavailable
from finch.turns import account
from finch.wire.envelope import Envelope

_log = logging.getLogger("finch.cluster")

_AT_ONCE: Final = 256  # channels that are asked for before the first answer is awaited
_AGAIN: Final = 0.05  # seconds until something that is still missing is read once more


class Numbered(Post):
    """A message that Redis numbers. It is settled when the clients of this process have it.

    Attributes:
        channel, draft: what it is.
        reached: how many clients of this process it was given to.
        position: its position.
        was_cut: whether the connection has ended before the answer came. It may have a number.
    """

    __slots__ = ("channel", "draft", "numbered", "position", "reached", "was_cut")

    def __init__(
        self,
        channel: Channel,
        draft: Draft,
        command: Callable[[], tuple[Any, ...]],
        numbered: Callable[[Numbered, Position], None],
    ) -> None:
        super().__init__(command)
        self.channel = channel
        self.draft = draft
        self.numbered = numbered
        self.reached = 0
        self.position: Position | None = None
        self.was_cut = False

    def answered(self, result: Any) -> None:
        epoch, seq = result
        self.numbered(self, Position(bytes(epoch).decode(), int(seq)))

    def given(self, reached: int, position: Position) -> None:
        """It was given to the clients of this process."""
        if not self.settled.is_set():
            self.reached, self.position = reached, position
            self.settled.set()

    def cut(self) -> None:
        self.was_cut = True


class Entry(NamedTuple):
    """A numbered message that has come.

    Attributes:
        draft: the message; None if this process cannot read it.
        post: who waits for it, if it comes from here.
        at: when it was sent, by trio's clock.
    """

    draft: Draft | None
    post: Numbered | None
    at: float


class Heard:
    """One channel.

    Attributes:
        channel: the channel.
        history: which of its messages are kept; None for none.
        clients: the ids of the clients that hear it or are about to.
        ready: set when nothing more is missed.
        numbers: which messages were given away; None before the first answer of Redis.
        archive: the mirror of its history: what was given away.
        reading: whether something that is missing is being read.
    """

    __slots__ = ("archive", "channel", "clients", "history", "numbers", "reading", "ready")

    def __init__(self, channel: Channel, history: History | None) -> None:
        self.channel = channel
        self.history = history
        self.clients: set[str] = set()
        self.ready = trio.Event()
        self.numbers: Numbers[Entry] | None = None
        self.archive: Archive[Envelope] | None = None
        self.reading = False


class Hearing:
    """The channels that are heard.

    Parameters:
        line: the connection to Redis.
        local: the clients of this process.
        names: the names of channels and keys.
        entry: makes an entry of the text of a message.
        attendance: who hears the channels.
        patience: seconds for which somebody waits.
    """

    def __init__(
        self,
        line: Line,
        local: Local,
        names: Names,
        entry: Callable[[Channel, bytes], Entry],
        attendance: Attendance,
        patience: float,
    ) -> None:
        self._attendance = attendance
        self._line = line
        self._local = local
        self._names = names
        self._entry = entry
        self._patience = patience
        self._heard: dict[Channel, Heard] = {}
        self._by_name: dict[bytes, Heard] = {}
        self._nursery: trio.Nursery | None = None  # there is one as long as there is a connection

    def named(self, name: bytes) -> Heard | None:
        """The channel with this name in Redis, if it is heard."""
        return self._by_name.get(name)

    def __contains__(self, channel: Channel) -> bool:
        return channel in self._heard

    def __len__(self) -> int:
        return len(self._heard)

    # Who hears what

    async def hear(self, channel: Channel, client: str, history: History | None) -> None:
        """See :meth:`finch.cluster.backplane.Backplane.hear`."""
        heard = self.want(channel, client, history)
        if not heard.ready.is_set():
            await self._until_ready(heard)

    def want(self, channel: Channel, client: str, history: History | None) -> Heard:
        """The same without waiting until it is heard."""
        heard = self._heard.get(channel)
        if heard is None:
            heard = self._heard[channel] = Heard(channel, history)
            name = self._names.channel(channel)
            self._by_name[name] = heard
            if self._nursery is not None:
                self._line.tell(b"SUBSCRIBE", name)
                self._nursery.start_soon(self._begin, heard)
            elif history is None:
                heard.ready.set()  # nothing to wait for: its clients hear this process
        heard.clients.add(client)
        return heard

    def leave(self, channel: Channel, client: str) -> None:
        """See :meth:`finch.cluster.backplane.Backplane.leave`."""
        heard = self._heard.get(channel)
        if heard is None or client not in heard.clients:
            return
        heard.clients.remove(client)
        if not heard.clients:
            name = self._names.channel(channel)
            del self._heard[channel], self._by_name[name]
            self._attendance.forget(channel)
            self._line.tell(b"UNSUBSCRIBE", name)

    async def _until_ready(self, heard: Heard) -> None:
        with trio.move_on_after(self._patience):
            await heard.ready.wait()
            return
        if heard.history is not None:
            raise self._unavailable()

    def _unavailable(self) -> Unavailable:
        why = f"no answer in {self._patience:g} s" if self._line.up else self._line.why
        return Unavailable(why, "what was missed is not known")

    async def _begin(self, heard: Heard) -> None:
        try:
            asked = self._attendance.ask(heard.channel)  # answered behind SUBSCRIBE
            answer = None if heard.history is None else self._ask(heard)
            await self._attendance.learn(heard.channel, asked)
            if heard.channel not in self._heard:
                self._attendance.forget(heard.channel)
            if answer is not None:
                self._learn(heard, await answer)
            heard.ready.set()
        except (Broken, Refused):
            pass  # the next look, or the next connection, tries again

    async def missed(
        self, channel: Channel, history: History, since: Position | None, last: int
    ) -> Missed:
        """See :meth:`finch.cluster.backplane.Backplane.missed`."""
        heard = self._heard.get(channel)
        if heard is None:
            heard = Heard(channel, history)
            await self._read_once(heard)
        elif not heard.ready.is_set():
            await self._until_ready(heard)
        # from here on, nothing waits
        numbers, archive = heard.numbers, heard.archive
        assert numbers is not None
        assert archive is not None
        now = trio.current_time()
        messages = None if since is None else archive.since(since, now)
        if messages is not None:
            return Missed(numbers.position, True, messages)
        return Missed(numbers.position, False, archive.last(last, now) if last else [])

    async def _read_once(self, heard: Heard) -> None:
        """Read the history of a channel that nobody hears here."""
        with trio.move_on_after(self._patience):
            while not heard.ready.is_set():
                try:
                    await self.read([heard])
                except Broken:
                    await trio.sleep(_AGAIN)
        if not heard.ready.is_set():
            raise self._unavailable()

    # What arrives

    def offer(self, heard: Heard, position: Position, entry: Entry) -> None:
        """A numbered message has come. It is given away if it is the next one."""
        numbers = heard.numbers
        if numbers is None:
            return  # it is in what is being read
        self._apply(heard, numbers.offer(*position, entry))
        if numbers.asks and not heard.reading and self._nursery is not None:
            heard.reading = True
            self._nursery.start_soon(self._fill, heard)

    def number(self, post: Numbered, position: Position) -> None:
        """Redis has numbered a message of this process."""
        heard = self._heard.get(post.channel)
        if heard is not None and heard.numbers is not None:
            self.offer(heard, position, Entry(post.draft, post, trio.current_time()))
            if heard.numbers.asks:
                return  # others come before it, and it comes with what is read
        post.given(0, position)

    async def _fill(self, heard: Heard) -> None:
        """Read what is missing."""
        try:
            while heard.numbers is not None and heard.numbers.asks:
                await self.read([heard])
                if heard.numbers.asks:
                    await trio.sleep(_AGAIN)
        except Broken:
            pass
        finally:
            heard.reading = False

    def _apply(self, heard: Heard, events: Iterable[Next[Entry] | Lost]) -> None:
        for event in events:
            assert heard.history is not None
            if isinstance(event, Lost):
                heard.archive = Archive(heard.history, event.position.epoch)
                heard.archive.begin(event.position.seq, ())
                self._local.lost(heard.channel, event.position)
                continue
            assert heard.archive is not None
            assert heard.numbers is not None
            seq, (draft, post, at) = event
            if draft is None:
                heard.archive.begin(seq, ())
                continue
            envelope = draft.make(seq)
            heard.archive.append(envelope, at)
            reached = self._local.deliver(heard.channel, envelope, draft)
            if post is not None:
                post.given(reached, Position(heard.numbers.epoch, seq))

    # Reading from Redis

    async def came_up(self, nursery: trio.Nursery) -> None:
        """There is a connection: subscribe to all that is heard, and read what was missed.

        Raises:
            Refused: if Redis does not allow that.
        """
        self._nursery = nursery
        names = iter(list(self._by_name))
        while chunk := list(islice(names, _AT_ONCE)):
            self._line.tell(b"SUBSCRIBE", *chunk)
        channels = iter(list(self._heard))
        while several := list(islice(channels, _AT_ONCE)):
            for channel, asked in [(one, self._attendance.ask(one)) for one in several]:
                await self._attendance.learn(channel, asked)
                if channel not in self._heard:
                    self._attendance.forget(channel)
        for heard in self._heard.values():
            if heard.history is None:
                heard.ready.set()
        await self.look()

    def went_down(self) -> None:
        """The connection has ended."""
        self._nursery = None
        for heard in self._heard.values():
            if heard.history is None:
                heard.ready.set()

    async def look(self) -> None:
        """Read what is missing in any channel.

        Raises:
            Broken: if the connection ends.
        """
        await self.read([one for one in self._heard.values() if one.history is not None])

    async def read(self, channels: Sequence[Heard]) -> None:
        """Read what came after that which was given away.

        Raises:
            Broken: if the connection ends.
        """
        rest = iter(channels)
        while chunk := list(islice(rest, _AT_ONCE)):
            for heard, answer in [(one, self._ask(one)) for one in chunk]:
                try:
                    self._learn(heard, await answer)
                except Refused as error:
                    _log.warning("Redis refuses the history of %r: %s", heard.channel, error)
                await self._local.rest()
                if account.spend():
                    await trio.lowlevel.checkpoint()

    def _ask(self, heard: Heard) -> Awaitable[Any]:
        assert heard.history is not None
        epoch, seq = ("", 0) if heard.numbers is None else heard.numbers.position
        _, lifetime = lifetimes(heard.history)
        keys = self._names.keys(heard.channel)
        script = self._line.script(READ, keys, new_epoch(), lifetime, epoch, seq)
        return self._line.ask(*script)

    def _learn(self, heard: Heard, answer: Any) -> None:
        epoch, seq, at, found = answer
        head = Position(bytes(epoch).decode(), int(seq))
        offset = trio.current_time() - int(at) / 1000
        read: list[tuple[int, Entry]] = []
        for id, fields in found:
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            entry = self._entry(heard.channel, bytes(values[b"m"]))
            sent_at = int(values[b"t"]) / 1000 + offset
            read.append((int(bytes(id).partition(b"-")[0]), entry._replace(at=sent_at)))
        if heard.numbers is not None:
            self._apply(heard, heard.numbers.read(head, read))
            return
        assert heard.history is not None
        heard.numbers = Numbers(head)
        heard.archive = Archive(heard.history, head.epoch)
        heard.archive.begin(head.seq, _without_holes(head.seq, read))
        for number, entry in read:
            if entry.post is not None:
                entry.post.given(0, Position(head.epoch, number))
        heard.ready.set()


def _without_holes(seq: int, read: list[tuple[int, Entry]]) -> list[tuple[float, Envelope]]:
    """The messages that are kept up to a number, from behind the last hole."""
    kept: list[tuple[float, Envelope]] = []
    for number, entry in reversed(read):
        if number != seq - len(kept) or entry.draft is None:
            break
        kept.append((entry.at, entry.draft.make(number)))
    kept.reverse()
    return kept
