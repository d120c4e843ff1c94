"""Every cell of the two tables: what each event does to a link, and to a client, in each state.

The tables are written out here once more, as a reader of the RFC would write them. Then a real link
is led into every state, and gets every event there.
"""

import math

import pytest
import trio

from finch import Limits
from finch.sockets.link import Link
from finch.sockets.outlet import Owner
from finch.sockets.states import LIFE, LINK, Event, Life, State, Step
from finch.wire.websocket import WebSocketProtocol


@pytest.fixture(autouse=True)
def reader():
    """No reader feeds these links."""


# "-" is an event that changes nothing
LINK_GRID = """
           CLOSE    LEAVE      LOSE  FINISH    RELEASE
OPEN       CLOSING  ANSWERING  LOST  -         -
CLOSING    -        LEAVING    LOST  -         -
ANSWERING  -        -          LOST  FINISHED  -
LEAVING    -        -          LOST  FINISHED  -
LOST       -        -          -     OVER      -
FINISHED   -        -          OVER  -         -
OVER       -        -          -     -         GONE
GONE       -        -          -     -         -
"""

LIFE_GRID = """
           GREET     GREETED  LEAVE    CANCEL     DONE
WAITING    GREETING  -        -        CANCELLED  -
GREETING   -         SERVING  -        CANCELLED  -
SERVING    -         -        LEAVING  CANCELLED  -
LEAVING    -         -        -        CANCELLED  GONE
CANCELLED  -         -        -        -          GONE
GONE       -         -        -        -          -
"""


def cells(grid, states, events):
    head, *rows = [line.split() for line in grid.strip().splitlines()]
    assert head == [event.name for event in events]
    assert [row[0] for row in rows] == [state.name for state in states]
    for name, *targets in rows:
        for event, target in zip(events, targets, strict=True):
            yield pytest.param(
                states[name], event, None if target == "-" else states[target], id=f"{name}-{event}"
            )


LINK_CELLS = list(cells(LINK_GRID, State, Event))
LIFE_CELLS = list(cells(LIFE_GRID, Life, Step))


@pytest.mark.parametrize(("state", "event", "target"), LINK_CELLS)
def test_a_cell_of_the_links_table(state, event, target):
    assert LINK[state].get(event) is target


@pytest.mark.parametrize(("life", "step", "target"), LIFE_CELLS)
def test_a_cell_of_the_clients_table(life, step, target):
    assert LIFE[life].get(step) is target


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.written = b""
        self.pending = 0
        self.drained = True
        self.closed = self.finished = False

    def write(self, data):
        assert not self.finished, "nothing is written after the end"
        self.written += data

    def flush(self): ...

    def finish(self):
        self.finished = True

    def close(self):
        self.closed = True

    def hung_up(self):
        return False


class Server:
    """A host that counts what is released."""

    limits = Limits()

    def __init__(self):
        self.released = 0

    def release(self, link):
        self.released += 1


class Person(Owner):
    """An owner that does nothing by itself."""

    def __init__(self):
        self.heard = []
        self.left = self.cancelled = 0

    def deliver(self, message):
        self.heard.append(message)

    def pong(self, payload): ...

    def leave(self):
        self.left += 1

    def cancel(self):
        self.cancelled += 1


def masked(opcode, payload):
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


SAID = masked(1, b"hello")
CLOSE_FRAME = masked(8, b"\x03\xe8")


class Scene:
    """A link with its surroundings, and how each event comes about."""

    def __init__(self):
        self.wire, self.server, self.owner = Wire(), Server(), Person()
        protocol = WebSocketProtocol(max_message_size=1000, max_fragments=10)
        self.link = Link(self.wire, protocol, self.server)
        self.link.open(self.owner)

    def happen(self, event):
        link = self.link
        if event is Event.CLOSE:
            link.close(1000, "enough")
        elif event is Event.LEAVE:
            link.receive(CLOSE_FRAME, trio.current_time())
            link.pump()
        elif event is Event.LOSE:
            link.eof()
        elif event is Event.FINISH:
            link.finish()
        else:
            self.wire.closed = True
            link.release()


PATHS = {
    State.OPEN: [],
    State.CLOSING: [Event.CLOSE],
    State.ANSWERING: [Event.LEAVE],
    State.LEAVING: [Event.CLOSE, Event.LEAVE],
    State.LOST: [Event.LOSE],
    State.FINISHED: [Event.LEAVE, Event.FINISH],
    State.OVER: [Event.LOSE, Event.FINISH],
    State.GONE: [Event.LOSE, Event.FINISH, Event.RELEASE],
}


def scene_in(state):
    scene = Scene()
    for event in PATHS[state]:
        scene.happen(event)
    assert scene.link.state is state
    return scene


@pytest.mark.parametrize(("state", "event", "target"), LINK_CELLS)
async def test_a_link_obeys_the_cell(state, event, target):
    scene = scene_in(state)
    written = scene.wire.written
    scene.happen(event)
    assert scene.link.state is (target or state)
    if target is None:
        assert scene.wire.written == written  # an event that changes nothing says nothing


@pytest.mark.parametrize("state", State)
async def test_a_message_is_handled_only_while_open_and_sent_only_while_somebody_listens(state):
    scene = scene_in(state)
    scene.link.receive(SAID, trio.current_time())
    scene.link.pump()
    assert scene.owner.heard == (["hello"] if state is State.OPEN else [])
    assert scene.link.send("answer") is (state in (State.OPEN, State.ANSWERING))


@pytest.mark.parametrize("state", State)
async def test_nothing_is_sent_after_our_close(state):
    """RFC 6455, section 5.5.1."""
    scene = scene_in(state)
    scene.link.send("answer")
    for event in (Event.CLOSE, Event.LEAVE, Event.FINISH):
        scene.happen(event)
        if b"\x88" in scene.wire.written:
            break
    closed_with = scene.wire.written
    scene.link.send("late")
    scene.link.ping(b"1")
    assert scene.wire.written.count(b"\x88") <= 1
    if b"\x88" in closed_with:
        assert scene.wire.written == closed_with


@pytest.mark.parametrize("state", State)
async def test_an_owner_is_told_once_that_the_peer_has_left(state):
    scene = scene_in(state)
    for event in (Event.LEAVE, Event.LOSE, Event.FINISH, Event.LOSE):
        scene.happen(event)
    assert scene.owner.left == 1


@pytest.mark.parametrize("state", State)
async def test_a_deadline_that_passes_leads_on_in_every_state(state):
    """No state is a trap: after at most three deadlines nothing is left."""
    scene = scene_in(state)
    for _ in range(3):
        scene.link.expire(trio.current_time() + 1000)
        if state is not State.GONE and scene.link.state in (State.LEAVING, State.ANSWERING):
            assert scene.link.deadline < math.inf
    if state is State.ANSWERING or state is State.LEAVING or state is State.LOST:
        assert scene.owner.cancelled == 1
    scene.happen(Event.FINISH)
    scene.happen(Event.RELEASE)
    scene.link.eof()
    assert scene.link.state is State.GONE
    assert scene.server.released == 1


async def test_a_link_is_released_only_when_stream_and_owner_have_ended():
    scene = scene_in(State.FINISHED)
    scene.link.release()
    assert scene.server.released == 0  # the peer may still get our last bytes
    scene.link.eof()
    assert (scene.link.state, scene.server.released) == (State.GONE, 1)
