"""Delivery: gives one envelope to many clients of this process, without waiting for any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import trio

from finch.cluster.backplane import Asking, Channel, Draft, Missed
from finch.cluster.history import Position
from finch.sockets.calls import ask_client
from finch.sockets.client import SocketClient
from finch.sockets.fanout import send_to_all
from finch.sockets.members import EVERYONE, USER, Members
from finch.sockets.outgoing import joined_envelope
from finch.turns import account
from finch.wire.envelope import Envelope

if TYPE_CHECKING:
    from finch.wire.posted import Belongs


class Delivery:
    """Sends to the members of a manager, and notes that they may not have read it yet.

    Parameters:
        members: the manager's clients.
        kept, user_kept: whether messages to everyone, or to a user, are kept for those who come
            back.
        renumber: called with the name of a room and a position: see :meth:`lost`. Returns what its
            members are told of who is there.
        attended: called with the name of a room if who is present elsewhere has changed.

    Attributes:
        delivered: how many copies of messages clients were given so far.
    """

    def __init__(
        self,
        members: Members[SocketClient],
        renumber: Callable[[str, Position], dict[str, Any]],
        attended: Callable[[str], None],
        *,
        kept: bool = False,
        user_kept: bool = False,
    ) -> None:
        self._renumber = renumber
        self._attended = attended
        self._members = members
        self.kept = kept
        self.user_kept = user_kept
        self.delivered = 0
        self._owed = 0  # turns that the others should get
        # the channels that something was sent to and not noted yet, with the time of the first
        self._sent: dict[Channel, float] = {}

    def hearing(self, channel: Channel) -> Sequence[SocketClient]:
        """The clients that hear a channel now."""
        kind, name = channel
        rooms = self._members.rooms
        if kind == "everyone":
            # where messages are kept, only those who have got what they missed
            if self.kept:
                return list(rooms.of(EVERYONE).values())
            return self._members.reachable()
        if kind == "room":
            return list(rooms.of(str(name)).values())
        if kind == "user":
            clients = self._members.of_user(name)
            if not self.user_kept:
                return clients
            arrived = rooms.of(USER)
            return [client for client in clients if client.id in arrived]
        client = self._members.get(str(name))
        return () if client is None else (client,)

    def count(self, channel: Channel) -> int:
        """How many clients hear a channel. In everyone and users, those that leave still count."""
        kind, name = channel
        if kind == "everyone":
            return len(self._members)
        if kind == "room":
            return len(self._members.rooms.of(str(name)))
        if kind == "user":
            return self._members.devices(name)
        return self._members.get(str(name)) is not None

    def deliver(self, channel: Channel, envelope: Envelope, draft: Draft) -> int:
        """Send an envelope to the clients that hear a channel; how many it went to."""
        clients = self.hearing(channel)
        skip = draft.skip
        if skip is not None:
            clients = [client for client in clients if client.id != skip]
        reached = self._push(clients, channel, envelope, draft) if clients else 0
        self.delivered += reached
        self._owed += account.broadcast(reached, envelope.size)
        return reached

    def _push(
        self, clients: Sequence[SocketClient], channel: Channel, envelope: Envelope, draft: Draft
    ) -> int:
        host = clients[0].host
        if draft.volatile:
            reached = sum(client.push_volatile(envelope, draft) for client in clients)
        else:
            reached = send_to_all(clients, envelope, at_once=host.claim_turn())
        if channel not in self._sent:
            self._sent[channel] = trio.current_time()
        if self not in host.lagging:
            host.lagging[self] = None
        return reached

    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        """Close the connections of those who hear a channel, but one; how many they were."""
        closed = 0
        for client in self.hearing(channel):
            if client.id != skip:
                await client.close(code, reason)
                closed += 1
        return closed

    def label(self, channel: Channel) -> str | None:
        """The ``room`` that messages of a channel carry."""
        if channel.kind == "room":
            return str(channel.name)
        if channel.kind == "everyone":
            return EVERYONE if self.kept else None
        return USER if channel.kind == "user" and self.user_kept else None

    def lost(self, channel: Channel, position: Position) -> None:
        """Tell those who hear a channel that they may have missed messages, and that from now on
        they get what comes after this position."""
        people = self._renumber(str(channel.name), position) if channel.kind == "room" else {}
        missed = Missed(position, False, [])
        envelope = joined_envelope(self.label(channel), None, missed, people)
        for client in self.hearing(channel):
            client.push(envelope)

    def ask(
        self, channel: Channel, path: str, data: bytes, asking: Asking
    ) -> tuple[list[str], Callable[[], None]]:
        """Ask those who hear a channel. Returns their ids, and what gives up waiting for them."""
        asked = list(self.hearing(channel))
        scopes = [ask_client(client, path, data, asking) for client in asked]

        def cancel() -> None:
            for scope in scopes:
                scope.cancel()

        return [client.id for client in asked], cancel

    async def take(self, belongs: Belongs, lines: str, patience: float) -> int | None:
        """Take the messages of a POST, if this process has the stream to which it belongs.

        Returns:
            The status of its answer; None if there is no such client here.
        """
        client = self._members.get(belongs.client)
        if client is None:
            return None
        return await client._outlet.take(belongs, lines, patience)

    def attended(self, channel: Channel) -> None:
        """Who is present elsewhere has changed: those who hear a channel must be told."""
        if channel.kind == "room":
            self._attended(str(channel.name))

    async def rest(self) -> None:
        """Let the others have the turns that a delivery has used up."""
        while self._owed > 0:
            self._owed -= 1
            await trio.lowlevel.checkpoint()  # the transports send what was written

    def probe(self) -> bool:
        """Note for every client that it has something to read. The server calls this some time
        after a broadcast, so that the broadcast itself does not do it for each client."""
        sent, self._sent = self._sent, {}
        for channel, at in sent.items():
            for client in self.hearing(channel):
                client.note_sent(at)
        return False
