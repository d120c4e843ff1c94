"""Delivery: gives one envelope to many clients, without waiting for any of them."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from finch.sockets.client import SocketClient
from finch.sockets.members import Members
from finch.turns import account
from finch.wire.envelope import Envelope


class Delivery:
    """Sends to the members of a manager, and notes that they may not have read it yet.

    Parameters:
        members: the manager's clients.
    """

    def __init__(self, members: Members[SocketClient]) -> None:
        self._members = members
        self._sent_at = 0.0

    async def send_each(self, clients: Iterable[SocketClient], envelope: Envelope) -> int:
        """Send an envelope to each of these clients; how many it went to."""
        reached = 0
        client = None
        for client in clients:
            reached += client.push(envelope)
        if client is not None and self not in client.host.lagging:
            self._sent_at = trio.current_time()
            client.host.lagging[self] = None
        for _ in range(account.broadcast(reached, envelope.size)):
            await trio.lowlevel.checkpoint()  # the transports send what was written
        return reached

    def probe(self) -> bool:
        """Note for every client that it has something to read. The server calls this some time
        after a broadcast, so that the broadcast itself does not do it for each client."""
        for client in self._members:
            client.note_sent(self._sent_at)
        return False
