"""The backplane over Redis: every process hears what its clients need, numbered by Redis.

Messages that are kept are numbered by a script, which publishes them in the same step. So they
arrive in the order of their numbers, in the process that has sent them, too. All other messages go
to the clients of this process first, and then to Redis.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import trio

from finch.cluster.address import Address
from finch.cluster.attendance import LEASE, Attendance
from finch.cluster.backplane import Asking, Backplane, Channel, Draft, Local, Missed, Sent
from finch.cluster.calling import Calls
from finch.cluster.connection import Refused
from finch.cluster.election import Election
from finch.cluster.figures import Figures
from finch.cluster.hearing import Entry, Heard, Hearing, Numbered
from finch.cluster.history import History, Position, new_epoch
from finch.cluster.layout import (
    ELECT,
    NODE,
    NUMBER,
    READ,
    RESIGN,
    Names,
    Note,
    lifetimes,
    opening,
    packed,
    packed_close,
    read_note,
    read_numbered,
)
from finch.cluster.leader import Leader
from finch.cluster.line import Broken, Line
from finch.cluster.passing import Passing
from finch.cluster.posting import PATIENCE, Post, Posting
from finch.cluster.views import People, Seen, Who
from finch.errors import Unavailable
from finch.logs import Seldom
from finch.wire.posted import Belongs

_log = logging.getLogger("finch.cluster")

_EVERYONE: Final = Channel("everyone")
_LOOK: Final = 5.0  # seconds between two looks at what may be missing
_AGAIN: Final = 0.05  # seconds until something that has failed is tried again
_FAREWELL: Final = 1.0  # seconds that the end of this process may wait for Redis


class Redis(Backplane):
    """The world of several processes.

    Parameters:
        local: the clients of this process.
        address: where Redis is.
        mount: the path of a further manager of the application.
        patience: seconds that a message waits for Redis.
        look: seconds between two looks at what may be missing.
        lease: seconds after which a process that has died is forgotten.

    Attributes:
        node: the id of this process: random, new at each start.
    """

    shared = True

    def __init__(
        self,
        local: Local,
        address: Address,
        mount: str = "",
        *,
        patience: float = PATIENCE,
        look: float = _LOOK,
        lease: float = LEASE,
    ) -> None:
        self._patience = patience
        self._lease = lease
        self.node = secrets.token_urlsafe(NODE)[:NODE]
        self._echo = opening(self.node)
        self._local = local
        self._names = Names(address.prefix, address.db, mount)
        self._line = Line(address, self, (NUMBER, READ, ELECT, RESIGN), look)
        self._posting = Posting(self._line, patience)
        self._line.ails = self._posting.ails
        self._attendance = Attendance(self.node, self._line, local, self._names, lease)
        self._hearing = Hearing(
            self._line, local, self._names, self._entry, self._attendance, patience
        )
        self._calls = Calls(self.node, self._posting, local, self._names, self._hearing)
        self._attendance.on_death = self._calls.bury
        self._passing = Passing(self.node, self._posting, local, self._names, patience)
        self._nursery: trio.Nursery | None = None
        self._own: dict[int, Numbered] = {}  # messages of this process that wait for their number
        self._last_ref = 0
        self._seldom = Seldom(_log)

    # Sending

    async def publish(self, channel: Channel, draft: Draft, history: History | None) -> Sent:
        if channel.kind == "client":
            return await self._publish_to_client(channel, draft)
        if history is not None and not draft.volatile:
            return await self._publish_numbered(channel, draft, history)
        command = (b"PUBLISH", self._names.channel(channel), packed(draft, self.node))
        sent = Sent(self._local.deliver(channel, draft.make(), draft))
        if draft.volatile:
            self._posting.post_newest((channel, draft.path, draft.key), Post(command))
        else:
            await self._posting.post(Post(command), "only the clients of this process have got it")
        return sent

    async def _publish_numbered(self, channel: Channel, draft: Draft, history: History) -> Sent:
        self._last_ref = ref = self._last_ref + 1
        text = packed(draft, self.node, ref)
        command = partial(self._number, channel, text, history)
        post = self._own[ref] = Numbered(channel, draft, command, self._hearing.number)
        try:
            await self._posting.post(post, "the message was not sent", wait=True)
        finally:
            del self._own[ref]
        sent = Sent(post.reached)
        sent.position = post.position
        return sent

    def _number(self, channel: Channel, text: bytes, history: History) -> tuple[Any, ...]:
        return self._line.script(
            NUMBER,
            self._names.keys(channel),
            new_epoch(),
            history.messages,
            *lifetimes(history),
            text,
            self._names.channel(channel),
        )

    async def _publish_to_client(self, channel: Channel, draft: Draft) -> Sent:
        """The id of a client says in which process it is."""
        id = str(channel.name)
        if id[:NODE] == self.node or self._local.count(channel):
            return Sent(self._local.deliver(channel, draft.make(), draft))
        return Sent(await self._tell_node(id, packed(draft, self.node, client=id)))

    async def _tell_node(self, client: str, text: bytes) -> int:
        """Tell the process of a client something. Returns whether there is such a process."""
        post = Post((b"PUBLISH", self._names.node(client[:NODE]), text))
        await self._posting.post(post, "the client has not got it", wait=True)
        return int(post.result > 0)

    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        if channel.kind == "client":
            id = str(channel.name)
            if id[:NODE] == self.node or self._local.count(channel):
                return await self._local.close(channel, code, reason, skip)
            return await self._tell_node(id, packed_close(code, reason, self.node, client=id))
        closed = await self._local.close(channel, code, reason, skip)
        text = packed_close(code, reason, self.node, skip=skip)
        post = Post((b"PUBLISH", self._names.channel(channel), text))
        done = "only the connections of this process are closed"
        await self._posting.post(post, done, wait=True)
        return closed

    # Asking

    async def missed(
        self, channel: Channel, history: History, since: Position | None, last: int
    ) -> Missed:
        return await self._hearing.missed(channel, history, since, last)

    def count(self, channel: Channel) -> int:
        return self._local.count(channel) + self._attendance.count(channel)

    async def count_everywhere(self, channel: Channel) -> int:
        if self._attendance.people(channel) is not None:
            return self.count(channel)
        with trio.move_on_after(self._patience):
            while True:
                try:
                    elsewhere = await self._attendance.count_elsewhere(channel)
                    return self._local.count(channel) + elsewhere
                except (Broken, Refused):
                    await trio.sleep(_AGAIN)
        raise Unavailable(self._line.why, "the others are not counted")

    def counted(self, channel: Channel) -> None:
        self._attendance.counted(channel)

    def attend(self, channel: Channel, changes: list[tuple[Who, Seen | None]]) -> People | None:
        self._attendance.present(channel, changes)
        return self._attendance.people(channel)

    def ask(
        self, channel: Channel, path: str, data: bytes, asking: Asking
    ) -> Callable[[], None] | None:
        if channel.kind == "client" and str(channel.name)[:NODE] == self.node:
            return None
        return self._calls.ask(channel, path, data, asking)

    async def pass_on(self, belongs: Belongs, lines: str) -> int:
        return await self._passing.pass_on(belongs, lines)

    def candidate(self, leader: Leader) -> Callable[[], Awaitable[None]]:
        return Election(self._line, self._names, self.node, self._lease, leader).run

    async def farewell(self) -> None:
        with trio.move_on_after(_FAREWELL):
            try:
                await self._attendance.farewell()
            except (Broken, Refused):
                pass  # the others notice it when the lease ends

    async def hear(self, channel: Channel, client: str, history: History | None) -> None:
        await self._hearing.hear(channel, client, history)

    def leave(self, channel: Channel, client: str) -> None:
        self._hearing.leave(channel, client)

    def new_client_id(self) -> str:
        return self.node + secrets.token_urlsafe(12)

    @property
    def state(self) -> str:  # type: ignore[override]  # read only
        return self._line.state

    def figures(self) -> Figures:
        return Figures(
            channels=len(self._hearing),
            peers=self._attendance.peers,
            unsent=self._posting.unsent,
            lost=self._posting.lost,
        )

    # The connection

    async def run(
        self,
        everyone: History | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        self._hearing.want(_EVERYONE, "", everyone)
        self._hearing.want(Channel("node", self.node), "", None)
        await self._line.run(task_status=task_status)

    async def came_up(self, nursery: trio.Nursery) -> None:
        """There is a connection."""
        self._nursery = nursery
        await self._hearing.came_up(nursery)
        for post in list(self._own.values()):
            if post.was_cut:  # it is not among what was read
                post.fail("the connection ended before the answer came")
        nursery.start_soon(self._posting.run)
        nursery.start_soon(self._attendance.run)

    def went_down(self) -> None:
        """The connection has ended."""
        self._nursery = None
        self._posting.cut()
        self._calls.went_down()
        self._hearing.went_down()

    async def look(self) -> None:
        """It is time to look whether something is missing."""
        await self._hearing.look()

    async def rest(self) -> None:
        """Let other tasks have their turns."""
        await self._local.rest()

    # What others say

    def heard(self, channel: bytes, text: bytes) -> None:
        """Something was published on a channel."""
        heard = self._hearing.named(channel)
        if heard is None:
            return  # it was left meanwhile
        if text.startswith(self._echo):
            return  # our own clients have got it before it was published
        try:
            if not text.startswith(b"{"):
                epoch, seq, text = read_numbered(text)
                entry = self._entry(heard.channel, text)
                self._hearing.offer(heard, Position(epoch, seq), entry)
                return
            note = read_note(text)
        except ValueError as error:
            self._seldom.warning("something on the channel %r is ignored: %s", channel, error)
            return
        if note is None:
            self._say_newer()
        elif note.node != self.node:
            self._follow(heard, note)

    def _follow(self, heard: Heard, note: Note) -> None:
        channel = heard.channel if note.client is None else Channel("client", note.client)
        if note.node:
            self._attendance.met(note.node)
        assert self._nursery is not None  # it is heard over a connection
        if self._calls.heard(channel, note) or self._passing.heard(note, self._nursery.start_soon):
            return
        if note.do == "attend":
            self._attendance.heard(channel, note)
        elif not note.do:
            draft = note.draft(self._local.label(channel), _now())
            self._local.deliver(channel, draft.make(), draft)
        elif note.do == "close":
            self._nursery.start_soon(self._local.close, channel, note.code, note.reason, note.skip)
        else:
            self._seldom.warning("a process asks for %r, which this one does not know", note.do)

    def _entry(self, channel: Channel, text: bytes) -> Entry:
        """What is known of a numbered message."""
        at = trio.current_time()
        try:
            note = read_note(text)
        except ValueError as error:
            self._seldom.warning("a message of %r is left out: %s", channel, error)
            return Entry(None, None, at)
        if note is None:
            self._say_newer()
            return Entry(None, None, at)
        if note.node == self.node and note.ref in self._own:
            post = self._own[note.ref]
            return Entry(post.draft, post, at)
        return Entry(note.draft(self._local.label(channel), _now()), None, at)

    def _say_newer(self) -> None:
        self._seldom.warning(
            "a message of a newer version of Finch is ignored: update this process, too"
        )


def _now() -> int:
    return time.time_ns() // 1_000_000
