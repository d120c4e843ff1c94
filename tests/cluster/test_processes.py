"""The verbs of the audiences across two real processes, started as a user starts them."""

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.processes import finch

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def process(url):
    options = ("--port", 0, "--backplane", url)
    with finch("tests.cluster.served:app", *options, cwd=ROOT) as running:
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
