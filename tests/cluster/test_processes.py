"""The verbs of the audiences across two real processes, started as a user starts them."""

import json
import signal
from contextlib import contextmanager

import pytest
import trio
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.cluster.nodes import counts, heard, node, present
from tests.pages import ROOT
from tests.processes import finch


@contextmanager
def process(url, lease=None):
    """A process; with a lease of so many seconds, or the usual one."""
    options, environment = ("--backplane", url), {}
    if lease is not None:
        options, environment = (), {"LEASE": str(lease), "BACKPLANE": url}
    serve = ("tests.cluster.served:app", "--port", 0, *options)
    with finch(*serve, cwd=ROOT, **environment) as running:
        yield running


class Client:
    """A client of one of the processes."""

    def __init__(self, process, user):
        self._connection = connect(f"{process.ws}/ws?user={user}")
        self._socket = self._connection.__enter__()
        self._kept = []
        self._asked = 0
        self.id = self.ask("who")

    def say(self, path, data=None, **more):
        self._socket.send(json.dumps({"path": path, "data": data, **more}))

    def receive(self):
        return json.loads(self._socket.recv(timeout=10))

    def ask(self, path, data=None, **more):
        self._asked += 1
        self.say(path, data, id=self._asked, **more)
        while (message := self.receive()).get("reply") != self._asked:
            self._kept.append(message)
        assert message["path"] != "error", message
        return message if path.startswith("finch.") else message["data"]

    def hears(self):
        """The data of the next message that somebody has sent."""
        while True:
            message = self._kept.pop(0) if self._kept else self.receive()
            if message["path"] == "said":
                return message["data"]

    def is_asked(self):
        while "id" not in self.receive():
            pass

    def is_closed(self):
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self.receive()
        self.leave()
        return closed.value.rcvd.code

    def leave(self):
        self._connection.__exit__(None, None, None)


def test_every_verb_of_every_audience_across_two_processes(redis_server):
    with process(redis_server.url("twoprocs")) as one, process(redis_server.url("twoprocs")) as two:
        every_verb(one, two)


def every_verb(one, two):
    """All that an audience can do, from each of two processes to the other one."""
    ann, bob = Client(one, "ann"), Client(two, "bob")
    for room in ("chat/a", "plain/a"):
        for client in (ann, bob):
            client.ask("finch.join", room=room)
    for to in (
        ("everyone", ""),
        ("user", "bob"),
        ("room", "chat/a"),
        ("room", "plain/a"),
        ("client", bob.id),
    ):
        for volatile in (False, True):
            data = {"to": to, "data": [*to, volatile], "volatile": volatile}
            ann.ask("send", data)
            assert bob.hears() == data["data"]
            if to[0] in ("everyone", "room"):
                assert ann.hears() == data["data"]
    # numbered in both, and read in the other one
    for number, client in enumerate((ann, bob, ann, bob)):
        assert client.ask("send", {"to": ("room", "chat/a"), "data": number}) == number + 2
    assert bob.ask("history", {"to": ("room", "chat/a")})[-4:] == [0, 1, 2, 3]
    # who comes back in the other process has missed nothing
    position = ann.ask("finch.join", room="chat/a")
    since = f"{position['epoch']}:{position['seq'] - 2}"
    ann_again = Client(two, "ann")
    joined = ann_again.ask("finch.join", room="chat/a", since=since)
    assert (joined["data"]["recovered"], joined["data"]["missed"]) == (True, 2)
    assert [ann_again.hears() for _ in "ab"] == [2, 3]
    # logged out everywhere
    bob.ask("close", {"to": ("user", "ann")})
    assert [ann.is_closed(), ann_again.is_closed()] == [4401, 4401]
    ann = Client(one, "ann")
    ann.ask("close", {"to": ("everyone", "")})
    assert bob.is_closed() == 4401
    assert ann.ask("who") == ann.id
    ann.leave()


async def test_of_a_process_that_is_killed_nothing_is_left_after_its_lease(url):
    times = {"patience": 5.0, "lease": 1.0}
    async with node(url, **times) as here:
        ann, room = await here.connect("ann"), here.app.room("people/a")
        await ann.join("people/a")
        with process(url, lease=1.0) as other:
            for user in ("ann", "bob"):
                Client(other, user).ask("finch.join", room="people/a")
            await counts(here.app.everyone, 3)
            await counts(here.app.user("ann"), 2)
            await present(room, {"ann": 2, "bob": 1})
            other.signal(signal.SIGKILL)
        killed = trio.current_time()
        while (await heard(ann, "finch.presence")).data["count"] > 1:
            pass
        assert trio.current_time() - killed < 12.0  # of 15, which the lease usually lasts
        await counts(here.app.everyone, 1)
        await counts(here.app.user("ann"), 1)
        await present(room, {"ann": 1})
        assert await here.app.user("bob").count_everywhere() == 0
        # and whoever comes later is told nothing of it
        async with node(url, **times) as late:
            cyn = await late.connect("cyn")
            joined = await cyn.join("people/a")
            assert {who["user"] for who in joined.presence} == {"ann", "cyn"}
            await counts(late.app.everyone, 2)


async def test_a_process_that_ends_is_not_counted_until_its_lease_ends(url):
    async with node(url) as here:
        ann = await here.connect("ann")
        await ann.join("people/a")
        with process(url) as other:
            Client(other, "bob").ask("finch.join", room="people/a")
            await present(here.app.room("people/a"), {"ann": 1, "bob": 1})
            other.signal(signal.SIGTERM)
            await counts(here.app.everyone, 1)
            await present(here.app.room("people/a"), {"ann": 1})


async def test_nobody_waits_for_the_answers_of_a_process_that_is_killed(url):
    async with node(url, patience=5.0, lease=1.0) as here:
        with process(url, lease=1.0) as other:
            silent = Client(other, "silent")
            silent.ask("finch.join", room="plain/a")
            answers = here.app.room("plain/a").call("?", path="ask")
            await trio.to_thread.run_sync(silent.is_asked)
            other.signal(signal.SIGKILL)
        with trio.fail_after(10), pytest.raises(StopAsyncIteration):
            await anext(answers)
