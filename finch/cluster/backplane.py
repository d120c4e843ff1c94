"""The one door from an audience to the world: publish, number, keep, count.

An application begins in one process, and later runs in several. All that an audience needs of the
others goes through :class:`Backplane`. Its form for one process keeps everything in memory, and
never waits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import trio

from finch.cluster.history import Archive, History, Position, epoch_of, new_epoch
from finch.wire.envelope import Envelope


class Channel(NamedTuple):
    """Whom something is for.

    Attributes:
        kind: ``everyone``, ``user``, ``room`` or ``client``.
        name: the user, the room or the client; empty for everyone.
    """

    kind: str
    name: str | int = ""


class Draft(NamedTuple):
    """A message that is about to be sent. Its number is not known yet.

    Attributes:
        make: makes the envelope; it is given the number, or None for a message without one.
        volatile: whether only the newest matters.
        key: with the path, what a volatile message is the newest of.
        path: the channel on the clients' side.
        skip: the id of the client that does not get it, or None.
        late: makes the envelope that a client gets instead, if it was behind; None for the same.
    """

    make: Callable[[int | None], Envelope]
    path: str
    volatile: bool = False
    key: Any = None
    skip: str | None = None
    late: Callable[[], Envelope] | None = None


class Sent(int):
    """How many clients a message was sent to. It is an int, and knows the message's position.

    Attributes:
        position: epoch and number of the message; None if its audience has no history, or if it is
            volatile. ``str(position)`` is what a client sends as ``since``.
        seq: the number alone, or None.
    """

    position: Position | None = None

    @property
    def seq(self) -> int | None:
        return None if self.position is None else self.position.seq


class Missed(NamedTuple):
    """What a client has missed.

    Attributes:
        position: the position of the newest message.
        recovered: whether ``messages`` are all that it has missed.
        messages: pairs of number and message, in order.
    """

    position: Position
    recovered: bool
    messages: list[tuple[int, Envelope]]


class Backplane(ABC):
    """What an audience needs of the world."""

    @abstractmethod
    async def publish(self, channel: Channel, draft: Draft, history: History | None) -> Sent:
        """Number a message, keep it, and give it to all who hear this channel."""

    @abstractmethod
    async def missed(
        self, channel: Channel, history: History, since: Position | None, last: int
    ) -> Missed:
        """What was published after a position; or, if that cannot be told, the last ``last``."""

    @abstractmethod
    def count(self, channel: Channel) -> int:
        """How many clients hear this channel, as far as is known here."""

    @abstractmethod
    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        """Close the connections of all who hear this channel, but one; how many they were."""


class Local(Protocol):
    """The clients of this process."""

    def deliver(self, channel: Channel, envelope: Envelope, draft: Draft) -> int:
        """Give a message to those who hear a channel; how many they were."""

    def count(self, channel: Channel) -> int:
        """How many hear a channel."""

    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        """Close the connections of those who hear a channel, but one; how many they were."""


class InProcess(Backplane):
    """The world of one process. Nothing here waits.

    Parameters:
        local: the clients of this process.
    """

    def __init__(self, local: Local) -> None:
        self._local = local
        # the archives, the one that was looked at longest ago first
        self._archives: OrderedDict[Channel, Archive[Envelope]] = OrderedDict()
        # those that nothing was written to
        self._unwritten: OrderedDict[Channel, Archive[Envelope]] = OrderedDict()
        # What the epochs of new archives are made of. It changes whenever an archive with messages
        # is forgotten. An archive without messages may begin anew with the same epoch: a client
        # whose position in it is 0 has still missed nothing.
        self._epoch = new_epoch()

    async def publish(self, channel: Channel, draft: Draft, history: History | None) -> Sent:
        if history is None or draft.volatile:
            return Sent(self._local.deliver(channel, draft.make(None), draft))
        now = trio.current_time()
        archive = self._archive(channel, history, now)
        envelope = draft.make(archive.next_seq)
        seq = archive.append(envelope, now)
        if seq == 1:
            del self._unwritten[channel]
            self._archives[channel] = archive
        sent = Sent(self._local.deliver(channel, envelope, draft))
        sent.position = Position(archive.epoch, seq)
        return sent

    async def missed(
        self, channel: Channel, history: History, since: Position | None, last: int
    ) -> Missed:
        now = trio.current_time()
        archive = self._archive(channel, history, now)
        position = Position(archive.epoch, archive.seq)
        messages = None if since is None else archive.since(since, now)
        if messages is not None:
            return Missed(position, True, messages)
        return Missed(position, False, archive.last(last, now) if last else [])

    def count(self, channel: Channel) -> int:
        return self._local.count(channel)

    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        return await self._local.close(channel, code, reason, skip)

    def _archive(self, channel: Channel, history: History, now: float) -> Archive[Envelope]:
        archive = self._archives.get(channel) or self._unwritten.get(channel)
        if archive is None:
            epoch = epoch_of(self._epoch, repr(channel))
            archive = self._unwritten[channel] = Archive(history, epoch)
        if self._forget(self._archives, channel, now):
            self._epoch = new_epoch()
        self._forget(self._unwritten, channel, now)
        return archive

    def _forget(
        self, archives: OrderedDict[Channel, Archive[Envelope]], but: Channel, now: float
    ) -> bool:
        """Forget archives of which nothing is kept any longer. Returns whether there were any.

        Each call looks at two archives and adds one at the most. So even a client that joins new
        rooms all the time cannot make many.
        """
        forgotten = False
        for _ in range(min(2, len(archives))):
            name, oldest = next(iter(archives.items()))
            if name == but or not oldest.expired(now) or self._local.count(name):
                archives.move_to_end(name)
            else:
                del archives[name]
                forgotten = True
        return forgotten
