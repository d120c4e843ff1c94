"""The backplane of one process: everything is in memory, and nothing waits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import trio

from finch.cluster.backplane import Asking, Backplane, Channel, Draft, Local, Missed, Sent
from finch.cluster.history import Archive, History, Position, epoch_of, new_epoch
from finch.cluster.views import People, Seen, Who
from finch.wire.envelope import Envelope


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
            return Sent(self._local.deliver(channel, draft.make(), draft))
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

    async def count_everywhere(self, channel: Channel) -> int:
        return self._local.count(channel)

    def counted(self, channel: Channel) -> None:
        pass

    def attend(self, channel: Channel, changes: list[tuple[Who, Seen | None]]) -> People | None:
        return None

    def ask(
        self, channel: Channel, path: str, data: bytes, asking: Asking
    ) -> Callable[[], None] | None:
        return None

    async def farewell(self) -> None:
        pass

    async def hear(self, channel: Channel, client: str, history: History | None) -> None:
        pass

    def leave(self, channel: Channel, client: str) -> None:
        pass

    async def run(
        self,
        everyone: History | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        task_status.started()

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
