"""The story that most of the tests about faults tell.

Four senders send numbered messages to a room all the time, while something goes wrong. The page
must hear each number exactly once. If the server cannot give what was missed, it must hear of a
``gap``.
"""

from contextlib import contextmanager

NEVER = 1000  # a factor for the pauses before reconnects, so that they last for all of a test
FASTER = 5  # the page's timers run so much faster

# heard: numbers and gaps in the order in which the page hears them; joins: answers to its joins
LISTEN = """
window.heard = [];
window.joins = [];
window.states = [];
window.finch = connect("/ws", { token: () => "reader" });
for (const state of ["waiting", "connecting", "open", "closed"])
  finch.addEventListener(state, ({ detail }) => states.push([state, detail?.code]));
finch.on("number", ([sender, number], { room }) => heard.push([room, sender, number]));
finch.addEventListener("gap", ({ detail }) => heard.push(["gap", detail.room]));
window.room = finch.join(args[0]);
room.addEventListener("joined", ({ detail }) => joins.push(detail));
await room.joined;
"""


def heard_in(page, room):
    """What was heard of a room: ``(sender, number)``, and ``"gap"``."""
    heard = page.run("return heard")
    return ["gap" if one[0] == "gap" else tuple(one[1:]) for one in heard if room in one[:2]]


@contextmanager
def senders(page, server, name):
    """Four senders, in the block; after it, the page must have heard each number once."""
    room = f"numbers/{name}"
    server.post(f"/start/{name}")
    yield
    last = server.post(f"/stop/{name}")
    heard = up_to(page, room, last)
    for sender, number in enumerate(last):
        assert [one[1] for one in heard if one[0] == sender] == list(range(1, number + 1))
    assert "gap" not in heard
    joins = page.run("return joins.slice(1)")
    assert [one["recovered"] for one in joins] == [True] * len(joins)


def up_to(page, room, last):
    """What was heard of a room up to the last number of each sender."""
    ends = [f"{room},{sender},{number}" for sender, number in enumerate(last)]
    page.until("arguments[0].every((end) => heard.some((one) => String(one) === end))", ends)
    page.run("await finch.call('me')")  # whatever would come twice has come
    return heard_in(page, room)


def hears(page, count=20):
    """Wait until the page has heard so many numbers more."""
    now = page.run("return heard.length")
    page.until("heard.length >= arguments[0]", now + count)


def comes_back(page, times=1):
    """Wait until the page has joined its room so many times again."""
    page.until("joins.length > arguments[0]", times)


@contextmanager
def away(page, relay):
    """The page has no network in the block, and comes back after it."""
    joins = page.run("return joins.length")
    relay.down = True
    relay.cut()
    page.until("finch.state !== 'open'")
    yield
    relay.down = False
    comes_back(page, joins)
