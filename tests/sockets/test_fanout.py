"""The tight loop of a broadcast does to every client what one push after the other does."""

import socket
from functools import partial

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given, settings

from finch.config import Limits
from finch.net.flusher import Flusher
from finch.net.plain import SocketTransport
from finch.net.streams import StreamTransport
from finch.sockets.fanout import send_to_all
from finch.sockets.link import Link
from finch.sockets.states import State
from finch.wire.envelope import Envelope
from finch.wire.extensions import Deflate
from finch.wire.websocket import WebSocketProtocol

KEY = b"k" * 22
SIZES = [0, 5, 300, 70_000]
TROUBLES = (
    "none",
    "compressed",
    "stream",
    "closing",
    "answering",
    "gone",
    "dropped",
    "cut",
    "full",
    "tight",
)


class Silent:
    """An owner that does nothing."""

    def deliver(self, message):
        pass

    def peer_left(self):
        pass

    def cancel(self):
        pass


class Member:
    """A client as the loop sees it, on a pair of sockets or of streams."""

    def __init__(self, host, trouble, language, before):
        self.host = host
        self._language = language
        self._key = KEY
        ours, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        if trouble == "stream":
            ours = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
            self.transport = StreamTransport(ours, host.spawn, 1)
        else:
            if trouble in ("full", "tight"):
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            buffer = memoryview(bytearray(100))
            self.transport = SocketTransport(ours, host.spawn, host.flusher, buffer)
        extensions = [Deflate()] if trouble == "compressed" else []
        for extension in extensions:
            extension.accept("permessage-deflate")
        protocol = WebSocketProtocol(max_message_size=1000, max_fragments=10, extensions=extensions)
        self._outlet = Link(self.transport, protocol, host)
        self._outlet.open(Silent())
        if trouble == "full":
            self.transport.write(b"x" * 40_000)  # more than the kernel takes
        if before:
            self.transport.write(b"y" * before)
        if trouble == "closing":
            self._outlet.close(1000, "")
        elif trouble == "answering":
            self._outlet._leave(1000, "")
        elif trouble == "gone":
            self.peer.close()
        elif trouble == "cut":
            self.transport.close()
        elif trouble == "dropped":
            self._outlet.drop()

    def heard(self):
        pieces = []
        try:
            while piece := self.peer.recv(1 << 20):
                pieces.append(piece)
        except OSError:
            pass
        return b"".join(pieces)


class Room:
    """The host of a few members."""

    def __init__(self, nursery, members, limits):
        self.limits = limits
        self.lagging = {}
        self.flusher = Flusher(lambda: True)
        self.spawn = nursery.start_soon
        self.members = [Member(self, *member) for member in members]

    def release(self, link):
        pass


def push_each(members, envelope):
    return sum(m._outlet.push(envelope, m._language, m._key) for m in members)


async def outcome(send, members, limits, sizes):
    """What is left of a broadcast, after the end of the turn: for each member."""
    async with trio.open_nursery() as nursery:
        room = Room(nursery, members, limits)
        trio.lowlevel.add_instrument(room.flusher)
        try:
            reached = [send(room.members, Envelope("x" * n, "p", 200, 0)) for n in sizes]
            await trio.testing.wait_all_tasks_blocked()  # streams need a few turns
            told = [
                (m._outlet.state, m._outlet.close_code, m.transport.pending, m.transport.lost)
                for m in room.members
            ]
            heard = [member.heard() for member in room.members]
        finally:
            trio.lowlevel.remove_instrument(room.flusher)
            for member in room.members:
                member.transport.close()
                member.peer.close()
            nursery.cancel_scope.cancel()
    return reached, told, heard


members = st.lists(
    st.tuples(
        st.sampled_from(TROUBLES), st.sampled_from(["en", "de"]), st.sampled_from([0, 0, 10])
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(
    members,
    st.sampled_from([Limits(), Limits(max_outbox=150), Limits(max_outbox=45_000)]),
    st.lists(st.sampled_from(SIZES), min_size=1, max_size=3),
)
def test_both_ways_have_the_same_effect(members, limits, sizes):
    slowly = trio.run(outcome, push_each, members, limits, sizes)
    gathered = trio.run(outcome, partial(send_to_all, at_once=False), members, limits, sizes)
    assert gathered == slowly


@settings(max_examples=60, deadline=None)
@given(members, st.sampled_from(SIZES))
def test_at_once_is_only_earlier(members, size):
    slowly = trio.run(outcome, push_each, members, Limits(), [size])
    at_once = trio.run(outcome, partial(send_to_all, at_once=True), members, Limits(), [size])
    assert at_once == slowly


@pytest.mark.parametrize("at_once", [True, False])
async def test_it_is_sent_at_once_or_at_the_end_of_the_turn(nursery, at_once):
    room = Room(nursery, [("none", "en", 0)] * 3, Limits())
    envelope = Envelope("hello", "p", 200, 0)
    assert send_to_all(room.members, envelope, at_once=at_once) == 3
    frame = envelope.frame("en", KEY)
    assert [member.heard() for member in room.members] == [frame if at_once else b""] * 3
    room.flusher.before_io_wait(0)
    assert [member.heard() for member in room.members] == [b"" if at_once else frame] * 3
    assert all(member._outlet.state is State.OPEN for member in room.members)
    for member in room.members:
        member.transport.close()
        member.peer.close()
