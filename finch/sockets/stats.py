"""Stats: what a manager does now and has done so far, in figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from finch.sockets.members import EVERYONE, USER

if TYPE_CHECKING:
    from finch.sockets.manager import SocketManager


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one manager in one process. What is counted "so far" begins with the process.

    Attributes:
        clients: connected clients.
        users: users with a client.
        rooms: rooms with a client.
        busy: clients whose handlers run, or wait for their turn.
        waiting: messages that wait for handlers.
        paused: clients that Finch does not read from, because too many of their messages wait.
        pending: bytes that wait for clients to read.
        lag: seconds by which the slowest client is behind: see :attr:`finch.SocketClient.lag`.
        received: messages of clients that were handled so far, joins and the like among them.
        delivered: copies of messages to audiences that clients were given so far; answers, and
            volatile messages that a client gets later, are not counted.
        failed: exceptions of callbacks so far; an ``HTTPError`` is an answer, and is not counted.
        replaced: volatile messages that clients never got so far, because newer ones replaced them.
        dropped_answers: answers to calls so far that nobody waited for any longer.
        backplane: ``connected``, ``connecting`` or ``degraded``; ``connected`` for one process.
        channels: audiences that are heard on the backplane.
        peers: other processes that are known to live: those that have, or had, clients.
        unsent: messages that wait to be sent to the backplane, or for its answer.
        lost: messages so far that were on their way when the connection ended: other processes may
            not have got them.

    Example::

        @app.get("/stats")
        async def stats(request):
            return app.socket_manager.stats()
    """

    clients: int
    users: int
    rooms: int
    busy: int
    waiting: int
    paused: int
    pending: int
    lag: float
    received: int
    delivered: int
    failed: int
    replaced: int
    dropped_answers: int
    backplane: str
    channels: int
    peers: int
    unsent: int
    lost: int


class Measured:
    """The part of a manager that tells figures."""

    dropped_answers = 0
    """How many answers came to calls that nobody waited for any longer."""
    replaced = 0
    """How many volatile messages clients never got, because newer ones replaced them."""

    def stats(self) -> Stats:
        """Its figures in this process, such as ``stats().clients``: see :class:`finch.Stats`."""
        return _stats_of(cast("SocketManager", self))


def _stats_of(manager: SocketManager) -> Stats:
    """The figures of a manager. This looks at each client once."""
    members, table, backplane = manager.members, manager.table, manager.backplane
    busy = waiting = paused = pending = 0
    behind = 0.0
    for client in members:
        queued, inbox, outlet = client.load
        busy += queued
        waiting += inbox
        paused += outlet.paused
        pending += outlet.transport.pending
        behind = max(behind, client.lag)
    shared = backplane.figures()
    return Stats(
        clients=len(members),
        users=members.count_users,
        rooms=len(members.rooms) - (EVERYONE in members.rooms) - (USER in members.rooms),
        busy=busy,
        waiting=waiting,
        paused=paused,
        pending=pending,
        lag=behind,
        received=table.received,
        delivered=manager.delivery.delivered,
        failed=table.failed,
        replaced=manager.replaced,
        dropped_answers=manager.dropped_answers,
        backplane=backplane.state,
        channels=shared.channels,
        peers=shared.peers,
        unsent=shared.unsent,
        lost=shared.lost,
    )
