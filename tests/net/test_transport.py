"""The door: what is written leaves in order, at the end of the turn, and nobody waits for it."""

import socket

import pytest
import trio

from finch.net.flusher import Flusher
from finch.net.transport import SocketTransport


@pytest.fixture
async def door(nursery):
    """A transport, the other end of its socket, and what each send held."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    flusher = Flusher()
    trio.lowlevel.add_instrument(flusher)
    transport = SocketTransport(ours, nursery.start_soon, flusher, memoryview(bytearray(1024)))
    yield transport, theirs
    transport.close()
    theirs.close()
    trio.lowlevel.remove_instrument(flusher)


def read(sock):
    try:
        return sock.recv(1 << 20)
    except BlockingIOError:
        return None


async def test_what_is_written_in_one_turn_leaves_together_when_it_ends(door):
    transport, peer = door
    for piece in (b"one ", b"two ", b"three"):
        transport.write(piece)
    assert read(peer) is None
    assert transport.pending == 13
    await trio.sleep(0)
    assert read(peer) == b"one two three"
    assert transport.pending == 0


async def test_much_does_not_wait_for_the_end_of_the_turn(door):
    transport, peer = door
    transport.write(b"x" * 100_000)
    assert read(peer) is not None


async def test_finishing_and_closing_send_what_was_written(door):
    transport, peer = door
    transport.write(b"last")
    transport.finish()
    assert read(peer) == b"last"
    assert read(peer) == b""
    transport.write(b"too late")
    transport.close()
    assert read(peer) == b""


async def test_a_slow_peer_gets_everything_in_order_and_drain_waits_for_it(door):
    transport, peer = door
    pieces = [bytes([65 + number % 26]) * 50_000 for number in range(60)]
    for piece in pieces:
        transport.write(piece)
    assert transport.pending > 0
    assert not transport.stalled(trio.current_time(), 20)
    assert transport.stalled(trio.current_time() + 20, 20)
    received = b""
    with trio.fail_after(10):
        while len(received) < 3_000_000:
            received += read(peer) or b""
            await trio.sleep(0)
        await transport.drain()
    assert received == b"".join(pieces)
    assert transport.pending == 0


async def test_draining_ends_when_the_peer_is_gone(door):
    transport, peer = door
    transport.write(b"x" * 5_000_000)
    peer.close()
    with trio.fail_after(5):
        await transport.drain()
        assert await transport.receive() == b""
    assert transport.lost


async def test_writing_to_a_peer_that_is_gone_does_nothing_and_the_reader_learns_it(door):
    transport, peer = door
    peer.close()
    transport.write(b"hello")
    await trio.sleep(0)
    assert transport.lost
    assert await transport.receive() == b""


async def test_closing_tells_with_the_descriptor_while_it_is_still_ours(door):
    transport, _ = door
    number = transport.fileno()
    told = []
    transport.on_close = told.append
    transport.close()
    transport.close()
    assert told == [number]
