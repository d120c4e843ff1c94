"""A client that reads nothing, among others that read: it costs little, and the others nothing."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from finch import FinchApp, Limits
from finch.testing import TestClient
from tests.sockets.doors import narrow
from tests.sockets.peer import Peer

BROADCASTS = 10_000
OTHERS = 10
KEYS = 5
LIMITS = Limits(max_outbox=64 * 1024)
settled = trio.testing.wait_all_tasks_blocked


@asynccontextmanager
async def frozen_among_others(reader):
    """Those who read, the one that does not, the same one as the server has it, and the app."""
    app = FinchApp(limits=LIMITS)
    sockets = []

    @app.on_connect
    async def greet(socket):
        sockets.append(socket)

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        peers = []
        for _ in range(OTHERS + 1):
            peers.append(Peer(narrow(client, reader)))
            nursery.start_soon(peers[-1].run)
            await settled()
        *others, frozen = peers
        frozen.freeze()
        await settled()
        yield others, frozen, sockets[-1], app
        nursery.cancel_scope.cancel()


async def broadcast(app, peers, socket, **options):
    """Send to everyone; the most bytes that have waited for one client."""
    most = 0
    for number in range(BROADCASTS):
        await app.everyone.send([number, "x" * 40], **options, key=number % KEYS)
        waiting = 0 if socket._waiting is None else socket._waiting.size
        most = max(most, socket._outlet.transport.pending + waiting)
        if number % 10 == 0:  # nothing may depend on how many are sent at a time
            await settled()
    await settled()
    return most


def numbers(peer):
    return [message["data"][0] for message in peer.heard]


async def test_with_durable_messages_it_is_closed_and_nobody_else_notices(reader, autojump_clock):
    async with frozen_among_others(reader) as (others, frozen, socket, app):
        most = await broadcast(app, others, socket)
        assert LIMITS.max_outbox - 200 < most < LIMITS.max_outbox + 200  # with its Close
        for peer in others:
            assert numbers(peer) == list(range(BROADCASTS))
        frozen.thaw()
        await settled()
        assert frozen.closed == 1013
        heard = numbers(frozen)
        assert heard == list(range(len(heard)))
        assert app.everyone.count == OTHERS


@pytest.mark.parametrize("in_one_turn", [False, True])
async def test_with_volatile_messages_it_gets_the_newest_of_each_key(
    reader, in_one_turn, autojump_clock
):
    async with frozen_among_others(reader) as (others, frozen, socket, app):
        if in_one_turn:  # then those who read are behind, too, and get the newest
            for number in range(BROADCASTS):
                await app.everyone.send([number], volatile=True, key=number % KEYS)
            await settled()
        else:
            most = await broadcast(app, others, socket, volatile=True)
            assert most <= LIMITS.max_outbox // 2
        newest = list(range(BROADCASTS - KEYS, BROADCASTS))
        for peer in others:
            heard = numbers(peer)
            assert heard == sorted(set(heard))
            assert heard[-KEYS:] == newest
        frozen.thaw()
        await settled()
        assert frozen.open
        assert numbers(frozen) == [0, *newest]  # the first one was sent before it was behind
        assert socket.replaced == BROADCASTS - 1 - KEYS
        assert socket.lag == 0


async def test_who_reads_between_two_volatile_messages_gets_every_one(reader, autojump_clock):
    async with frozen_among_others(reader) as (others, _, _, app):
        for number in range(500):
            await app.everyone.send([number], volatile=True, key=number % KEYS)
            await settled()
        for peer in others:
            assert numbers(peer) == list(range(500))
