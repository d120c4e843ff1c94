"""The door: what is written leaves in order, at the end of the turn, and nobody waits for it."""

import os
import socket

import pytest
import trio
import trio.testing

from finch.net.flusher import Flusher
from finch.net.plain import SocketTransport
from finch.net.slices import FileEnded, FileSlice


@pytest.fixture
async def door(nursery):
    """A transport, the other end of its socket, and what each send held."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    flusher = Flusher(lambda: True)
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


class Sleeps(trio.abc.Instrument):
    """Notes how often trio was about to sleep although a task could run."""

    def __init__(self):
        self.wrongly = 0

    def before_io_wait(self, timeout):
        seen = trio.lowlevel.current_statistics()
        self.wrongly += bool(
            timeout > 0 and seen.tasks_runnable and not seen.run_sync_soon_queue_size
        )


async def test_trio_does_not_sleep_over_those_who_wait_for_the_end_of_the_turn(door):
    """They wait for what another task has written, and it is sent when trio knows of no task."""
    transport, peer = door
    sleeps = Sleeps()
    trio.lowlevel.add_instrument(sleeps)  # behind the flusher
    transport.write(b"x" * 3_000_000)

    async def wait_and_write():
        await transport.drain()
        transport.write(b"more")

    async def read_on():
        while transport.pending or read(peer):
            read(peer)
            await trio.sleep(0.001)

    async with trio.open_nursery() as waiting:
        for _ in range(4):
            waiting.start_soon(transport.drain)
            waiting.start_soon(wait_and_write)
        waiting.start_soon(read_on)
    trio.lowlevel.remove_instrument(sleeps)
    assert sleeps.wrongly == 0


class OpenDescriptors:
    """Stands in for the hub: notes what it is told to forget, and whether it was still open."""

    def __init__(self):
        self.forgotten = []

    def forget(self, number):
        os.fstat(number)  # raises if it is closed
        self.forgotten.append(number)


async def test_closing_tells_the_hub_while_the_descriptor_is_still_ours(door):
    transport, _ = door
    hub = transport.hub = OpenDescriptors()
    number = transport.fileno()
    transport.close()
    transport.close()
    assert hub.forgotten == [number]


# Files


@pytest.fixture
def numbers(tmp_path):
    """A file of 3 MB, open: more than the kernel takes for a peer that reads nothing."""
    path = tmp_path / "numbers"
    path.write_bytes(b"".join(b"%07d\n" % number for number in range(375_000)))
    with path.open("rb") as file:
        yield file


def part_of(file, offset, size):
    return FileSlice(file.fileno(), offset, size, "numbers")


async def read_all(peer, size):
    data = b""
    with trio.fail_after(10):
        while len(data) < size:
            piece = read(peer)
            assert piece != b""
            data += piece or b""
            await trio.sleep(0)
    return data


async def test_a_part_of_a_file_leaves_after_what_was_written_and_before_what_is(door, numbers):
    transport, peer = door
    transport.write(b"before ")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send_file, part_of(numbers, 80, 2_000_000))
        await trio.testing.wait_all_tasks_blocked()
        transport.write(b" after")
        assert transport.pending > 1_000_000
        data = await read_all(peer, 2_000_013)
    numbers.seek(80)
    assert data == b"before " + numbers.read(2_000_000) + b" after"
    assert transport.pending == 0


async def test_a_peer_that_takes_nothing_of_a_file_is_known_for_it(door, numbers):
    transport, _peer = door
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send_file, part_of(numbers, 0, 3_000_000))
        await trio.testing.wait_all_tasks_blocked()
        now = trio.current_time()
        assert not transport.stalled(now, 20)
        assert transport.stalled(now + 20, 20)
        transport.close()
    assert transport.pending == 0


async def test_sending_a_file_goes_on_when_the_reader_is_interrupted(door, numbers):
    transport, peer = door
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send_file, part_of(numbers, 0, 3_000_000))
        await trio.testing.wait_all_tasks_blocked()
        transport.interrupt()
        await trio.testing.wait_all_tasks_blocked()
        assert len(await read_all(peer, 3_000_000)) == 3_000_000


async def test_a_peer_that_leaves_while_a_file_is_sent_is_lost(door, numbers):
    transport, peer = door
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send_file, part_of(numbers, 0, 3_000_000))
        await trio.testing.wait_all_tasks_blocked()
        peer.close()
    assert transport.lost
    assert transport.pending == 0
    await transport.send_file(part_of(numbers, 0, 10))  # nothing raises


async def test_what_is_written_while_a_file_is_sent_leaves_if_that_is_cancelled(door, numbers):
    transport, peer = door
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transport.send_file, part_of(numbers, 0, 3_000_000))
        await trio.testing.wait_all_tasks_blocked()
        transport.write(b"the end")
        nursery.cancel_scope.cancel()
    assert transport.pending == len(b"the end")
    data = b""
    with trio.fail_after(10):
        while not data.endswith(b"the end"):
            data += read(peer) or b""
            await trio.sleep(0)
    assert transport.pending == 0


async def test_a_file_that_is_shorter_than_its_part_is_an_error(door, numbers):
    transport, peer = door
    with pytest.raises(FileEnded, match="numbers became shorter"):
        await transport.send_file(part_of(numbers, 2_999_990, 20))
    assert read(peer) == b"8\n0374999\n"
    assert transport.pending == 0


async def test_a_file_that_cannot_be_read_is_an_error_and_the_peer_stays(door, tmp_path):
    transport, peer = door
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Invalid argument|Is a directory"):
            await transport.send_file(FileSlice(folder, 0, 10, "folder"))
    finally:
        os.close(folder)
    transport.write(b"still here")
    await trio.sleep(0)
    assert read(peer) == b"still here"
