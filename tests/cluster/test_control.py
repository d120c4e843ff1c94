"""Control: a worker obeys its supervisor, and notices its end."""

import socket

import pytest
import trio
import trio.testing

from finch.cluster.control import Control, Place
from finch.cluster.orders import Drain, Failed, Hurry, Lead, Lines, Report, Resigned, line_of


class Ending:
    """What the worker's server was told."""

    def __init__(self, control):
        self.told = []
        self._control = control

    def begin(self, why, restart=False):
        self.told.append(("begin", restart))
        self._control.leaving()

    def hurry(self):
        self.told.append("hurry")


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Control(theirs)


async def test_orders_are_obeyed(line, nursery):
    supervisor, control = line
    ending = Ending(control)
    nursery.start_soon(control.run, ending)
    nursery.start_soon(control.resign)
    supervisor.sendall(line_of(Lead()))
    await trio.testing.wait_all_tasks_blocked()
    assert control.leader.leads
    supervisor.sendall(line_of(Drain(restart=True)) + line_of(Lead()) + line_of(Hurry()))
    await trio.testing.wait_all_tasks_blocked()
    assert ending.told == [("begin", True), "hurry"]
    assert not control.leader.leads  # who is about to end is not appointed again
    assert Lines(Report).feed(supervisor.recv(1000)) == [Resigned()]
    nursery.cancel_scope.cancel()


async def test_it_resigns_only_when_nothing_runs_any_longer(line, nursery):
    supervisor, control = line
    supervisor.setblocking(False)
    may_end = trio.Event()

    async def once():
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await may_end.wait()

    nursery.start_soon(control.resign)
    nursery.start_soon(control.leader.run, once, "once")
    control.leader.appoint()
    await trio.testing.wait_all_tasks_blocked()
    control.leaving()
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(BlockingIOError):
        supervisor.recv(1)
    may_end.set()
    await trio.testing.wait_all_tasks_blocked()
    assert Lines(Report).feed(supervisor.recv(1000)) == [Resigned()]
    nursery.cancel_scope.cancel()


async def test_without_a_supervisor_it_ends(line, caplog):
    supervisor, control = line
    supervisor.close()
    ending = Ending(control)
    await control.run(ending)
    assert ending.told == [("begin", False)]
    assert "the supervisor is gone" in caplog.text
    control.failed("nobody hears this")


def test_why_it_cannot_start_is_reported(line):
    supervisor, control = line
    control.failed("no database")
    assert Lines(Report).feed(supervisor.recv(1000)) == [Failed("no database")]


@pytest.mark.parametrize("place", [Place(2, 4, 7, (5, 6)), Place(1, 1, 3, (4,))])
def test_a_place_is_written_and_read(place):
    assert Place.parse(str(place)) == place


@pytest.mark.parametrize("text", ["", "2", "2/4", "2/4:7", "2/4:7:", "2:7:5", "a/4:7:5"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ValueError):
        Place.parse(text)
