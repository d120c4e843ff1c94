"""The exchanges of ``tests/wire/vectors.json``: the conversation plays the clients, the file plays
the server.

Whatever a client says in the file, the conversation must say too, except the ``id``; and it must
understand whatever the client hears.
"""

import json

import pytest

from finch.client.conversation import Conversation
from finch.client.events import Arrived, Asked, Ended, Gap, Item, Joined, Refused
from finch.cluster.history import read_position
from tests.wire.vectors import EXCHANGES

SAMPLES = {"timestamp": 1_700_000_000_000, "epoch": "k3Jd_9xA"}

# Exchanges in which a client does what no correct one does, or what the API cannot say.
UNSAYABLE = {
    "unknown keys of a message are ignored",
    "a message that is not JSON is 400",
    "a message that is not an object is 400",
    "a path that is not text is 400",
    "a message without a path is 400",
    "a binary message is 400",
    "finch.cancel of what is answered already, or of an unknown id, does nothing",
    "finch.join and finch.leave without an id are answered without a reply",
    "a room that is not declared is 404",  # leaves a room in which it is not
    "only a member may address a room or leave it",  # the same
    "a room that is not text is 400",
    "a client that joins a room again is recovered, and gets nothing twice",  # joins twice
    "a malformed position is 400, and the client has not joined",
}


class UnsayableError(Exception):
    """The API has no way to say this."""


def sample(value):
    """A value with samples for its placeholders."""
    if isinstance(value, dict):
        return {key: sample(one) for key, one in value.items()}
    if isinstance(value, list):
        return [sample(one) for one in value]
    if not isinstance(value, str) or "<" not in value:
        return value
    if value.startswith("<") and value.endswith(">"):
        return SAMPLES.get(value[1:-1].partition("-")[0], value)
    before, _, rest = value.partition("<")
    name, _, after = rest.partition(">")
    return f"{before}{SAMPLES[name.partition('-')[0]]}{after}"


class Client:
    """One client of an exchange."""

    def __init__(self):
        self._talk = Conversation()
        self._talk.opened(0.0)
        self._asked = {}  # the server's calls, by id
        self._calls = {}  # the client's calls, by the id that the file gives them
        self._ids = {}  # the client's own ids, by that of the file
        self._done = set()  # calls that were answered, or cancelled

    def say(self, message):
        """Say what the file says, by the API; nothing else may be said."""
        if not isinstance(message, dict) or not isinstance(message.get("path"), str):
            raise UnsayableError
        self._say(**message)
        said = json.loads(self._talk.take())
        assert self._talk.take() is None
        if "id" in message:
            assert self._ids.setdefault(message["id"], said["id"]) == said["id"]
        for key in ("id", "once", *({"data", "last"} - set(message))):
            said.pop(key, None)
        assert said == {key: one for key, one in message.items() if key not in ("id", "once")}

    def _say(self, path, data=None, id=None, room=None, **more):
        talk = self._talk
        if room is not None and (not isinstance(room, str) or room == ""):
            raise UnsayableError
        if path == "finch.join" and id is not None and room not in talk.rooms:
            talk.join(room, *self._options(more), data, self._since(more), 0.0)
        elif path == "finch.leave" and id is not None and room in talk.rooms:
            talk.leave(room, 0.0)
        elif path == "finch.cancel" and id in self._calls and id not in self._done:
            self._done.add(id)
            talk.cancel(self._calls[id], 0.0)
        elif "reply" in more and more["reply"] in self._asked:
            talk.answer(self._asked[more.pop("reply")], data, more.pop("status", 200), 0.0)
        elif id is None and not path.startswith("finch."):
            talk.send(path, data, 0.0, room=room)
        elif id is not None and path not in ("finch.join", "finch.leave", "finch.cancel"):
            if id in self._calls:
                raise UnsayableError
            retry = more.pop("once", None) is not None
            self._calls[id] = talk.call(path, data, 0.0, room=room, retry=retry)
        else:
            raise UnsayableError
        if more:
            raise UnsayableError  # a key that the API does not know

    def _options(self, more):
        last = more.pop("last", 0)
        if type(last) is not int or last < 0:
            raise UnsayableError
        return (last,)

    def _since(self, more):
        since = more.pop("since", None)
        try:
            return None if since is None else read_position(since)
        except ValueError:
            raise UnsayableError from None

    def hear(self, message):
        """Hear what the file says, and compare what the conversation makes of it."""
        key = message.get("reply")
        said = {**message, "reply": self._ids[key]} if key is not None else message
        happened = list(self._talk.receive(json.dumps(said)))
        kinds = [type(one) for one in happened]
        if key in self._calls:
            if key in self._done:
                assert kinds == []
            elif message.get("more"):
                assert kinds == [Item]
            else:
                self._done.add(key)
                [ended] = happened
                assert isinstance(ended, Ended)
                failed = 0 if ended.error is None else ended.error.status
                assert failed == (message["status"] if message["status"] >= 400 else 0)
        elif key is not None:  # of a join or a leave
            left = message["path"] == "finch.leave"
            last = [] if left else [Refused if message["status"] >= 400 else Joined]
            assert kinds[-1:] == last
        elif "id" in message:
            [asked] = happened
            assert isinstance(asked, Asked)
            self._asked[message["id"]] = asked
        else:
            assert [kind for kind in kinds if kind is not Gap][-1:] == [Arrived]
            assert happened[-1].message.data == message["data"]


def play(steps):
    """Play one exchange."""
    clients = {}
    for step in sample(steps):
        if "opens" in step:
            clients[step["client"]] = Client()
        elif "says" in step:
            clients[step["client"]].say(step["says"])
        elif "hears" in step:
            clients[step["client"]].hear(step["hears"])


@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange(name):
    if name in UNSAYABLE:
        with pytest.raises(UnsayableError):
            play(EXCHANGES[name])
    else:
        play(EXCHANGES[name])
