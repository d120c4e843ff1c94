"""Plays the exchanges of ``vectors.json``: compares messages, knows what placeholders stand for."""

import base64
import json
import re
from pathlib import Path

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
EXCHANGES = {exchange["name"]: exchange["steps"] for exchange in VECTORS["exchanges"]}
HEARD_WITHIN = 5  # seconds

PLACEHOLDER = re.compile(r"<(timestamp|text|id|call|client|epoch)(-\w+)?>")
KINDS = {
    "timestamp": lambda value: type(value) is int and value > 1_600_000_000_000,
    "text": lambda value: isinstance(value, str) and value != "",
    "id": lambda value: value is not None,
    "call": lambda value: isinstance(value, str) and value != "",
    "client": lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]{22}", value),
    "epoch": lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]{1,32}", value),
}
EACH_TIME_ANOTHER = {"timestamp", "text"}


class Known:
    """What the placeholders of one exchange stand for.

    Parameters:
        new_id: makes the ``id`` of a client's message from a number.
    """

    def __init__(self, new_id):
        self._values = {}
        self._new_id = new_id

    def filled(self, value):
        """What a client says, with each placeholder replaced."""
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, str):
            return value
        whole = PLACEHOLDER.fullmatch(value)
        if whole:
            return self._value(whole)
        return PLACEHOLDER.sub(lambda found: str(self._value(found)), value)

    def _value(self, found):
        if found[1] == "id" and found[0] not in self._values:
            self._values[found[0]] = self._new_id(len(self._values) + 1)
        return self._values[found[0]]

    def fits(self, expected, got):
        """Whether a message is the expected one. The order of keys counts."""
        if isinstance(expected, str) and (found := PLACEHOLDER.fullmatch(expected)):
            if not KINDS[found[1]](got):
                return False
            if found[1] in EACH_TIME_ANOTHER:
                return True
            return self._values.setdefault(found[0], got) == got
        if isinstance(expected, dict):
            return (
                isinstance(got, dict)
                and list(expected) == list(got)
                and all(self.fits(expected[key], got[key]) for key in expected)
            )
        if isinstance(expected, list):
            return (
                isinstance(got, list)
                and len(expected) == len(got)
                and all(map(self.fits, expected, got))
            )
        return type(expected) is type(got) and expected == got

    def remember(self, expected, got):
        """Compare a message that has come with what is expected.

        Raises:
            AssertionError: if they differ.
        """
        assert any(self.fits(one, got) for one in expected), (expected, got, self._values)


def payload(says):
    """What a client sends: a text, or the bytes of a binary message."""
    if isinstance(says, str):
        return says
    if list(says) == ["binary"]:
        return base64.b64decode(says["binary"])
    return json.dumps(says)


async def play(steps, door, new_id, *, exact=False):
    """Play one exchange.

    Parameters:
        door: opens connections: ``await door.open(target)`` gives the connection, or the status
            with which it is refused.
        new_id: see :class:`Known`.
        exact: whether "or" does not count: no client is ever behind.
    """
    known = Known(new_id)
    clients = {}
    for step in steps:
        name = step["client"]
        if "opens" in step:
            opened = await door.open(known.filled(step["opens"]))
            if "refused" in step:
                assert opened == step["refused"], step
            else:
                clients[name] = opened
        elif "says" in step:
            await clients[name].send(payload(known.filled(step["says"])))
        elif "hears" in step:
            got = json.loads(await clients[name].receive())
            known.remember([step["hears"]] if exact else [step["hears"], step.get("or")], got)
        elif "closes" in step:
            await clients.pop(name).close(step["closes"])
        else:
            assert await clients.pop(name).closed() == step["closed"], step
    for client in clients.values():  # nothing else has come, and each still answers
        await client.send(json.dumps({"path": "echo", "data": "end", "id": "end"}))
        got = json.loads(await client.receive())
        assert (got["data"], got.get("reply")) == ("end", "end"), got
