"""A world of tabs, users and rooms, and a plain model of what each of them must hear.

A story is a list of steps. A step is done by a real server or by real clients. Some steps wait
until nothing moves any longer; then everything that the clients have heard is held against the
model. Other steps follow each other at once, so that they interleave.

The model knows what was published, when, and under which number. From that follows what a client
hears, message by message, and whether it is ``recovered``.
"""

import logging
import time
from collections import Counter, deque
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import NamedTuple

import trio
import trio.testing

from finch import (
    CallFailed,
    ClientGone,
    FinchApp,
    History,
    HTTPError,
    Identity,
    Limits,
    SocketManager,
)
from finch.cluster.backplane import Channel
from finch.testing import TestClient
from tests.sockets.doors import narrow
from tests.sockets.peer import Peer

TABS = ("ann", "ann", "bob", 7, None, None)  # the user of each
ROOMS = (
    *("chat/a",) * 4,
    *("log/c",) * 2,
    "chat/b",
    "crowd/d",
    "plain/e",
    "chat/staff",  # nobody may join it
    "nowhere/f",  # no pattern has it
    "hidden",  # only the server lets clients in
)
WHO = (0, 0, 0, 0, 1, 1, 2, 3, 4, 5)  # some do more than others, so that more happens to them
DECLARED = [name for name in dict.fromkeys(ROOMS) if "/" in name and not name.startswith("nowhere")]
GRACE = 3.0
LIMITS = Limits(max_outbox=16 * 1024, backpressure=4 * 1024, max_rooms=4)
HISTORIES = {
    "finch.everyone": History(messages=8, seconds=30),
    "finch.user": History(messages=5, seconds=20),
    "chat": History(messages=6, seconds=10),
    "log": History(messages=3, seconds=60),
}
WAITS = (0.01, 0.06, 0.06, 0.7, 3.3, 3.3, 9, 26)
ALONE = {"connect", "publish", "tick", "burst", "thaw", "wait", "poll", "log_out", "restart"}
SILENT = (3, 6, 7)  # modes of calls that are never answered

VERBS = (
    *("connect",) * 4,
    *("come_back",) * 5,
    *("join",) * 7,
    *("leave",) * 2,
    *("say",) * 5,
    *("move",) * 4,
    *("publish",) * 6,
    *("tick",) * 5,
    "burst",
    "whisper",
    *("freeze", "swamp") * 2,
    *("thaw",) * 2,
    *("cut",) * 2,
    "part",
    *("wait",) * 4,
    "call",
    "poll",
    "ask",
    "slow",
    "cancel",
    "let_in",
    "put_out",
    "log_out",
    "renew",
    "restart",
)


class Step(NamedTuple):
    """One step: what, by which tab, two numbers that say how, whether all then comes to rest."""

    verb: str
    who: int
    what: int
    how: int
    rest: bool


def a_step(random: Random) -> Step:
    """Any step."""
    return Step(
        random.choice(VERBS),
        random.choice(WHO),
        random.randrange(len(ROOMS)),
        random.randrange(8),
        random.random() < 0.6,
    )


class Said(NamedTuple):
    """A message of a history: when it was sent, which one it is, and who did not get it."""

    at: float
    n: int
    skip: str | None


class Request(NamedTuple):
    """What a client has asked for, and is not answered."""

    id: int
    verb: str
    room: str | None = None
    since: str | None = None
    last: int = 0
    data: object = None


class Heard:
    """How far a client has heard one audience."""

    def __init__(self, epoch=None, next=None):
        self.epoch = epoch
        self.next = next  # the number that comes next; None without a history
        self.last = None  # without a history: the last message


class Call:
    """A call to a client, and what became of it."""

    def __init__(self, peer, socket, mode, n):
        self.peer = peer
        self.socket = socket
        self.mode = mode
        self.n = n
        self.result = None


class Tab(Peer):
    """A connection of one of the ``TABS``, and what the model knows of it."""

    def __init__(self, stream, on_call, number, positions):
        super().__init__(stream, on_call)
        self.number = number
        self.user = TABS[number]
        self.positions = positions  # outlives this connection
        self.since = {}  # what its handshake said
        self.expected = 101
        self.id = None
        self.rooms = {}  # how far it has heard each audience that it is in
        self.requests = deque()
        self.cancelled = set()
        self.newest = 0  # of all volatile messages
        self.moved = {}  # the newest volatile message of each audience and key
        self.wanted = {}  # the ones that it must hear, or newer ones
        self.whispered = deque()
        self.let_in = {}  # by room: the last number before the server has let it in
        self.people = {}  # by room: who is present, as it was told
        self.count = {}
        self.codes = set()  # with which it may be closed
        self.parting = False  # it has sent a Close
        self.froze = 0
        self.froze_until = []  # from which message to which one it was frozen
        self.late = Counter()  # volatile messages from such a time, by what they are about
        self.suspect = False  # it has been frozen, so it may be closed for that
        self.expires = None

    def sure_of(self, label):
        """Whether it certainly hears this audience, and will until it asks otherwise."""
        return (
            self.open
            and not self.parting
            and self.id is not None
            and label in self.rooms
            and all(request.room != label for request in self.requests)
        )


class World:
    """A server, its clients, and the model.

    Parameters:
        reader: ``task`` or ``hub``: what reads the sockets.
    """

    def __init__(self, reader="task"):
        self.reader = reader
        self.tabs = [None] * len(TABS)
        self.positions = [{} for _ in TABS]
        self.steps = 0
        self.number = 0
        self.errors = []

    def begin(self):
        """A server begins: nothing is known."""
        self.everybody = []
        self.history = {}  # by channel and epoch: its messages by number
        self.loose = {}  # by channel: the messages without number
        self.sockets = {}
        self.gone = set()
        self.joined = {}  # by client and room: when on_join let it in
        self.came, self.went = Counter(), Counter()
        self.running = Counter()
        self.last_join = {}
        self.calls = []
        self.connected_at = {}
        self.rested = True
        self.app = self.make_app()

    # The application

    def make_app(self):
        app = FinchApp(limits=LIMITS)
        self.manager = SocketManager(
            app,
            path="/ws",
            history=HISTORIES["finch.everyone"],
            user_history=HISTORIES["finch.user"],
        )
        manager = self.manager
        chat = manager.rooms("chat/{name}", history=HISTORIES["chat"], presence=True, grace=GRACE)
        log = manager.rooms("log/{name}", history=HISTORIES["log"])
        crowd = manager.rooms("crowd/{name}", presence="count", grace=GRACE)
        plain = manager.rooms("plain/{name}")

        @manager.authorize
        async def authorize(request):
            user = request.query.get("user")
            if user == "banned":
                raise HTTPError(401)
            ttl = request.query.get("ttl")
            expires = None if ttl is None else time.time() + float(ttl)
            return Identity(int(user) if user and user.isdigit() else user or None, expires)

        @manager.renew
        async def renew(socket, data):
            return Identity(data["user"], time.time() + 30)

        @manager.on_connect
        async def on_connect(socket):
            self.sockets[socket.id] = socket
            self.connected_at[socket.id] = trio.current_time()

        @manager.on_disconnect
        async def on_disconnect(socket):
            assert socket.id not in self.gone, "on_disconnect has run twice"
            self.gone.add(socket.id)

        @manager.socket("slow")
        async def slow(socket, data):
            await trio.sleep(0.5)
            return data

        @manager.socket("ask")
        async def ask(socket, data):
            with trio.move_on_after(2):
                try:
                    return await socket.call(data, path="confirm", as_type=int)
                except CallFailed as error:
                    return -error.status

        for rooms in (chat, log, crowd, plain):
            self.add_handlers(rooms)
        return app

    def add_handlers(self, rooms):
        @rooms.on_join
        async def on_join(socket, room, name):
            if name == "staff":
                raise HTTPError(403)
            self.joined.setdefault((socket.id, room.name), deque()).append(trio.current_time())
            self.came[socket.id, room.name] += 1
            self.last_join[room.name] = trio.current_time()

        @rooms.on_leave
        async def on_leave(socket, room):
            self.went[socket.id, room.name] += 1
            assert self.went[socket.id, room.name] <= self.came[socket.id, room.name]

        @rooms.task
        async def task(room):
            self.running[room.name] += 1
            try:
                await trio.sleep_forever()
            finally:
                self.running[room.name] -= 1

        @rooms.socket("say")
        async def say(socket, data, room):
            await self.send(room, skip=socket if data else None)

        @rooms.socket("move")
        async def move(socket, data, room):
            await self.send(room, volatile=True, key=data)

    async def send(self, audience, *, volatile=False, key=None, skip=None, pad=0):
        """Publish a message, and note who must hear it."""
        self.number += 1
        n = self.number
        channel = audience.channel
        if volatile:
            label = audience.label
            for tab in self.hearers(audience):
                tab.wanted[label, key] = n
        elif audience.kept is None:
            self.loose.setdefault(channel, []).append((n, skip and skip.id))
        sent = await audience.send(
            {"n": n, "key": key, "pad": "x" * pad},
            path="moved" if volatile else "said",
            skip=skip,
            volatile=volatile,
            key=key,
        )
        assert (sent.position is None) == (volatile or audience.kept is None)
        if sent.position is not None:
            numbers = self.history.setdefault(channel, {}).setdefault(sent.position.epoch, {})
            assert sent.seq not in numbers, "a number was given twice"
            numbers[sent.seq] = Said(trio.current_time(), n, skip and skip.id)
        return sent

    def hearers(self, audience):
        """The tabs that certainly hear an audience."""
        kind, name = audience.channel
        return [
            tab
            for tab in self.tabs
            if tab is not None
            and tab.sure_of(audience.label)
            and (kind != "user" or tab.user == name)
        ]

    # Steps

    async def run(self, steps):
        """Live through a story, and check all of it."""
        watching = logging.getLogger("finch")
        handler = _Errors(self.errors)
        watching.addHandler(handler)
        try:
            rest = deque(steps)
            async with _children() as nursery:
                self.nursery = nursery
                while True:
                    self.begin()
                    async with TestClient(self.app) as client:
                        self.client = client
                        while rest and not self.ends_with(step := rest.popleft()):
                            await self.step(step)
                        await self.rest()
                        if not rest:
                            await self.farewell()
                            return
                        if step.how % 2:
                            for tab in self.live():
                                await tab.hang_up()
                        for tab in self.live():
                            tab.codes.add(1001)
                    for tab in self.everybody:
                        tab.thaw()
                    await self.rest(check=False)
                    for tab in self.everybody:
                        assert not tab.open, f"{tab.number} is left open by a server that is gone"
                    self.tabs = [None] * len(TABS)
        finally:
            watching.removeHandler(handler)

    def ends_with(self, step):
        """Whether the server is restarted now; mostly it goes on."""
        return step.verb == "restart" and step.how < 2

    def live(self):
        return [tab for tab in self.tabs if tab is not None]

    async def step(self, step):
        """Do one step."""
        self.steps += 1
        tab = self.tabs[step.who % len(TABS)]
        if tab is not None and not tab.open:
            tab = None
        verb = step.verb
        if tab is None and verb not in ALONE and step.how < 4:
            verb = "come_back"
        await getattr(self, f"do_{verb}")(step.who % len(TABS), tab, step.what, step.how)
        if step.rest:
            await self.rest()
        else:
            self.rested = False
            for _ in range(step.how % 3):
                await trio.lowlevel.checkpoint()

    async def do_connect(self, who, tab, what, how):
        if tab is not None:
            return
        query = {} if TABS[who] is None else {"user": TABS[who]}
        expected = 101
        if how == 7:
            query["user"] = "banned"
            expected = 401
        since = {}
        for label in ("finch.everyone", "finch.user"):
            position = self.position(who, label, what % 8)
            if position is not None and how < 7:
                since[label] = position
        if what % 8 == 6 and since:
            expected = 400
        text = "&".join(f"{name}={value}" for name, value in query.items())
        for label, position in since.items():
            text += f"&since={label.removeprefix('finch.')}:{position}"
        if how == 6:
            text += "&ttl=5"
        stream = narrow(self.client, self.reader)
        tab = self.tabs[who] = Tab(stream, self.answer, who, self.positions[who])
        tab.since, tab.expected = since, expected
        if how == 6:
            tab.expires = trio.current_time() + 5
        self.everybody.append(tab)
        self.nursery.start_soon(tab.run, f"?{text}" if text else "")

    async def do_come_back(self, who, tab, what, how):
        """As a good client does: with all its positions, to all its rooms."""
        if tab is None:
            await self.do_connect(who, None, 0, how)
            if self.tabs[who].expected != 101:
                return
            for label in self.positions[who] or ["chat/a"]:
                if not label.startswith("finch."):
                    since = self.position(who, label, 0)
                    last = 50 * (how % 2)
                    await self.request(self.tabs[who], "join", room=label, since=since, last=last)

    def position(self, who, label, how):
        """A position of this tab: the one that it has, or another one."""
        epoch, seq = self.positions[who].get(label, ("abcdefgh", 0))
        return (
            f"{epoch}:{seq}",
            f"{epoch}:{seq}",
            None,
            f"{epoch}:{max(0, seq - 1 - self.number % 5)}",
            f"{epoch}:{seq + 1 + self.number % 3}",
            f"other:{seq}",
            f"{epoch}",
            f"{epoch}:0",
        )[how]

    async def request(self, tab, verb, data=None, room=None, since=None, last=0):
        self.number += 1
        asked = Request(self.number, verb, room, since, last, data)
        path = f"finch.{verb}" if verb in ("join", "leave") else verb
        message = {"path": path, "id": asked.id, "data": data}
        if verb == "renew":
            message["path"] = "finch.auth"
        for name in ("room", "since", "last"):
            if value := getattr(asked, name):
                message[name] = value
        tab.requests.append(asked)
        await tab.say(message)

    async def do_join(self, who, tab, what, how):
        if tab is not None:
            name = ROOMS[what]
            last = (0, 0, 2, 50, 1)[self.number % 5]
            await self.request(
                tab, "join", room=name, since=self.position(who, name, how), last=last
            )

    async def do_leave(self, who, tab, what, how):
        if tab is not None:
            await self.request(tab, "leave", room=self.a_room(tab, what))

    async def do_say(self, who, tab, what, how):
        if tab is not None:
            await self.request(tab, "say", how == 0, room=self.a_room(tab, what))

    async def do_move(self, who, tab, what, how):
        if tab is not None:
            await self.request(tab, "move", how % 3, room=self.a_room(tab, what))

    def a_room(self, tab, what):
        """A room; mostly one that it is in."""
        names = [name for name in tab.rooms if not name.startswith("finch.")]
        return names[what % len(names)] if names and what < 9 else ROOMS[what]

    def audience(self, what, how):
        if how == 7:
            return self.manager.everyone
        if how == 6:
            return self.manager.user(("ann", "bob", 7)[what % 3])
        return self.manager.room(ROOMS[what])

    async def do_publish(self, who, tab, what, how):
        skip = None if tab is None or how else self.manager.get_client(tab.id or "")
        audience = self.audience(what, how)
        members = self.hearers(audience)
        sent = await self.send(audience, skip=skip, pad=3000 if how == 1 else 0)
        self.check_reached(sent, members, skip)

    async def do_tick(self, who, tab, what, how):
        audience = self.audience(what, how)
        members = self.hearers(audience)
        sent = await self.send(audience, volatile=True, key=how % 3)
        self.check_reached(sent, members, None)

    def check_reached(self, sent, members, skip):
        if not self.rested:
            return
        sure = [tab for tab in members if tab.reads and not (skip and tab.id == skip.id)]
        assert len(sure) <= sent <= len(self.live()) + sum(not tab.open for tab in self.everybody)

    async def do_burst(self, who, tab, what, how):
        for _ in range(12):
            await self.do_tick(who, tab, what, how)
            await self.do_publish(who, tab, what, 2 + how % 2)

    async def do_whisper(self, who, tab, what, how):
        if tab is not None and tab.id is not None and tab.reads:
            await self.whisper(tab)

    async def whisper(self, tab, pad=0):
        """Send to one client."""
        self.number += 1
        n = self.number
        if await self.manager.send_to_client(tab.id, {"n": n, "pad": "x" * pad}, path="whisper"):
            tab.whispered.append(n)

    async def do_freeze(self, who, tab, what, how):
        if tab is not None:
            if not tab.frozen:
                tab.froze = self.number
            tab.freeze()
            tab.suspect = True

    async def do_swamp(self, who, tab, what, how):
        """So much waits for a client that answers to it wait, too."""
        if tab is not None and tab.id is not None:
            await self.do_freeze(who, tab, what, how)
            for _ in range(2 + how % 3):
                await self.whisper(tab, 3000)

    async def do_thaw(self, who, tab, what, how):
        for tab in self.live():
            if tab.frozen:
                tab.froze_until.append((tab.froze, self.number))
            tab.thaw()

    async def do_cut(self, who, tab, what, how):
        if tab is not None:
            await tab.hang_up()

    async def do_part(self, who, tab, what, how):
        if tab is not None:
            tab.codes.add(1000)
            tab.parting = True
            await tab.leave()

    async def do_wait(self, who, tab, what, how):
        await trio.sleep(WAITS[how])

    async def do_call(self, who, tab, what, how):
        socket = None if tab is None else self.manager.get_client(tab.id or "")
        if socket is not None:
            self.number += 1
            call = Call(tab, socket, how, self.number)
            self.calls.append(call)
            self.nursery.start_soon(self.ask, socket, call)

    async def ask(self, socket, call):
        with trio.move_on_after(6):
            try:
                call.result = await socket.call(
                    {"mode": call.mode, "n": call.n}, path="confirm", as_type=int
                )
            except CallFailed as error:
                call.result = -error.status
            except ClientGone:
                call.result = "gone"
        if call.result is None:
            call.result = "too late"

    async def do_poll(self, who, tab, what, how):
        room = self.manager.room(ROOMS[what])
        if not (self.rested and not any(tab.requests for tab in self.live())):
            return
        sure = [tab.id for tab in self.hearers(room) if tab.reads]
        self.number += 1
        n = self.number
        answers = {}
        with trio.move_on_after(0.01):
            async for client, answer in room.call({"mode": 0, "n": n}, path="confirm", as_type=int):
                assert client.id not in answers
                answers[client.id] = answer
        assert set(answers.values()) <= {n}
        assert set(sure) <= set(answers)

    async def answer(self, tab, message):
        """A client answers a call."""
        mode, n = message["data"]["mode"], message["data"]["n"]
        reply = {"path": message["path"], "reply": message["id"], "data": n}
        if mode == 1:
            reply |= {"status": 400, "data": "no"}
        elif mode == 2:
            reply["data"] = "no number"
        elif mode in SILENT:
            return
        elif mode == 4:  # an answer to nothing is nothing to the server
            for other in self.live():
                if other is not tab and other.open and other.status == 101:
                    await other.say(reply | {"data": -1, "reply": "s999"})
        await tab.say(reply)
        if mode == 5:
            await tab.say(reply | {"data": -2})

    async def do_ask(self, who, tab, what, how):
        if tab is not None:
            self.number += 1
            await self.request(tab, "ask", {"mode": how, "n": self.number})

    async def do_slow(self, who, tab, what, how):
        if tab is not None:
            await self.request(tab, "slow", how)

    async def do_cancel(self, who, tab, what, how):
        if tab is not None and tab.requests:
            asked = tab.requests[how % len(tab.requests)]
            tab.cancelled.add(asked.id)
            await tab.say({"path": "finch.cancel", "id": asked.id})

    async def do_let_in(self, who, tab, what, how):
        socket = None if tab is None else self.manager.get_client(tab.id or "")
        if socket is not None and not tab.requests:
            self.nursery.start_soon(self.let_in, tab, socket, ROOMS[what])

    async def let_in(self, tab, socket, name):
        try:
            if name not in socket.rooms:
                await self.join(socket, name)
                if name in ("hidden", "nowhere/f"):  # which is not told
                    tab.rooms[name] = Heard()
        except ClientGone:
            pass
        except RuntimeError as error:
            if "max_rooms" not in str(error):
                raise

    async def join(self, socket, name):
        may_come = len(socket.rooms) < LIMITS.max_rooms and not socket._outlet.left
        if may_come and socket.manager.room(name).declared is not None:
            self.came[socket.id, name] += 1
            self.last_join[name] = trio.current_time()
        await socket.join(name)

    async def do_put_out(self, who, tab, what, how):
        if tab is None or not (self.rested and tab.reads and not tab.requests):
            return
        names = [name for name in tab.rooms if not name.startswith("finch.")]
        if names and (socket := self.manager.get_client(tab.id)) is not None:
            name = names[what % len(names)]
            await socket.leave(name)
            self.forget(tab, name)

    async def do_log_out(self, who, tab, what, how):
        if how:
            return
        user = ("ann", "bob", 7)[what % 3]
        for other in self.everybody:
            if other.user == user:
                other.codes.add(4001)
        await self.manager.user(user).close(4001, "logged out")

    async def do_renew(self, who, tab, what, how):
        if tab is not None:
            user = tab.user if how else "eve"
            if user != tab.user:
                tab.codes.add(4500)
            await self.request(tab, "renew", {"user": user})

    async def do_restart(self, who, tab, what, how):
        pass

    # The model

    async def rest(self, check=True):
        """Wait until nothing moves any longer, and check everything."""
        await trio.testing.wait_all_tasks_blocked()
        for tab in self.everybody:
            heard, tab.heard = tab.heard, []
            for message in heard:
                self.hear(tab, message)
        if check:
            self.check()
        for number, tab in enumerate(self.tabs):
            if tab is not None and not tab.open:
                self.tabs[number] = None
        self.rested = True

    def channel_of(self, tab, label):
        if label == "finch.everyone":
            return Channel("everyone")
        return Channel("user", tab.user) if label == "finch.user" else Channel("room", label)

    def hear(self, tab, message):
        """Hold one message that a tab has heard against the model."""
        tab.id = tab.id or message["client"]
        assert message["client"] == tab.id
        path, label = message["path"], message.get("room")
        if "reply" in message:
            self.hear_reply(tab, message)
        elif path == "finch.join":
            self.hear_joined(tab, message, None)
        elif path == "finch.presence":
            self.hear_presence(tab, label, message["data"])
        elif path == "whisper":
            assert message["data"]["n"] == tab.whispered.popleft()
        elif path == "confirm":
            pass
        elif path == "moved":
            self.hear_moved(tab, label, message["data"])
        else:
            assert path == "said", message
            self.hear_said(tab, label, message)

    def hear_reply(self, tab, message):
        status = message["status"]
        if status == 499:
            [asked] = [one for one in tab.requests if one.id == message["reply"]]
            assert asked.id in tab.cancelled, "nobody has cancelled it"
            tab.requests.remove(asked)
            if asked.verb == "leave":
                self.forget(tab, asked.room)
            return
        while tab.parting and len(tab.requests) > 1 and tab.requests[0].id != message["reply"]:
            tab.requests.popleft()  # not everything is done for a client that has left
        asked = tab.requests.popleft()
        assert message["reply"] == asked.id, "answers are out of order"
        expected = self.status_of(tab, asked)
        assert status == expected, f"{asked} is answered with {status}, not {expected}"
        if status != 200:
            return
        if asked.verb == "join":
            assert message["room"] == asked.room
            self.hear_joined(tab, message, asked)
        elif asked.verb == "leave":
            self.forget(tab, asked.room)
        elif asked.verb == "slow":
            assert message["data"] == asked.data
        elif asked.verb == "ask":
            result = self.result_of(**asked.data)
            assert message["data"] == result or (tab.suspect and message["data"] is None)
        elif asked.verb == "renew":
            tab.expires = None
            tab.codes.add(4401)  # later

    def result_of(self, mode, n):
        return None if mode in SILENT else {1: -400, 2: -422}.get(mode, n)

    def status_of(self, tab, asked):
        """How a request must be answered."""
        name, known = asked.room, asked.room in tab.rooms
        if asked.verb == "join":
            if asked.since is not None and ":" not in asked.since:
                return 400
            if name in ("nowhere/f", "hidden"):
                return 404
            rooms = [one for one in tab.rooms if not one.startswith("finch.")]
            if not known and len(rooms) >= LIMITS.max_rooms:
                return 429
            return 403 if name == "chat/staff" and not known else 200
        if asked.verb in ("leave", "say", "move") and not known:
            return 404 if name in ("nowhere/f", "hidden") else 403
        if asked.verb in ("say", "move") and name in ("hidden", "nowhere/f"):
            return 404
        if asked.verb == "renew" and asked.data["user"] != tab.user:
            return 403
        return 200

    def forget(self, tab, label):
        tab.rooms.pop(label, None)
        tab.let_in.pop(label, None)
        tab.people.pop(label, None)
        tab.count.pop(label, None)
        for about in list(tab.wanted):
            if about[0] == label:
                del tab.wanted[about]

    def hear_joined(self, tab, message, asked):
        label, data = message["room"], message["data"]
        recovered = data["recovered"]
        history = HISTORIES.get(label) or HISTORIES.get(label.partition("/")[0])
        known = tab.rooms.get(label)
        if "presence" in data:
            tab.people[label] = {_who(entry) for entry in data["presence"]}
            assert data["count"] == len(tab.people[label])
        if "count" in data:
            tab.count[label] = data["count"]
        stamps = None if asked is None or known else self.joined.get((tab.id, label))
        if history is None:
            assert "seq" not in message
            assert not recovered
            if stamps:
                stamps.popleft()
            tab.rooms.setdefault(label, Heard())
            return
        seq, epoch = message["seq"], message["epoch"]
        if known:
            since = None if asked is None else asked.since
            begins = tab.let_in.get(label)
            heard_all = begins is None or since is None or begins <= read(since, epoch, seq)
            assert recovered == heard_all
            assert not data["missed"]
            assert epoch == known.epoch
            self.skipped(tab, label, known, seq + 1)
            return
        since, last = (tab.since.get(label), 0) if asked is None else (asked.since, asked.last)
        at = stamps.popleft() if stamps else self.connected_at[tab.id]
        if asked is None and not label.startswith("finch."):
            since = None
            tab.let_in[label] = seq
        numbers = self.history.get(self.channel_of(tab, label), {}).get(epoch, {})
        kept = 0
        while kept < min(history.messages, seq) and at - numbers[seq - kept].at <= history.seconds:
            kept += 1
        able = False
        if since is not None:
            known_seq = read(since, epoch, seq)
            able = known_seq >= seq - kept and known_seq >= 0
        assert recovered == able, (label, since, f"{epoch}:{seq}", kept)
        first = known_seq + 1 if able else seq - min(last, kept) + 1
        assert data["missed"] == seq + 1 - first
        tab.rooms[label] = Heard(epoch, first)
        tab.positions[label] = (epoch, first - 1)

    def skipped(self, tab, label, heard, until):
        """The numbers up to here were not for this client."""
        numbers = self.history.get(self.channel_of(tab, label), {}).get(heard.epoch, {})
        for number in range(heard.next, until):
            assert numbers[number].skip == tab.id, f"{label}:{number} is lost"
        assert heard.next <= until, f"{label} goes back to {until}"
        heard.next = until
        tab.positions[label] = (heard.epoch, until - 1)

    def hear_said(self, tab, label, message):
        assert label in tab.rooms, f"a message of {label}, which it is not in"
        heard, n = tab.rooms[label], message["data"]["n"]
        channel = self.channel_of(tab, label)
        if "seq" in message:
            seq = message["seq"]
            if heard.next != seq:
                self.skipped(tab, label, heard, seq)
            assert self.history[channel][heard.epoch][seq].n == n
            heard.next = seq + 1
            tab.positions[label] = (heard.epoch, seq)
        else:
            assert heard.next is None
            self.check_loose(tab, channel, heard, n)
            heard.last = n

    def check_loose(self, tab, channel, heard, until):
        """Without numbers, too: nothing between the last message and this one is missing."""
        if heard.last is not None:
            assert heard.last < until
            for n, skip in self.loose[channel]:
                assert not heard.last < n < until or skip == tab.id, f"{n} is lost"

    def hear_moved(self, tab, label, data):
        assert label in tab.rooms, f"a volatile message of {label}, which it is not in"
        assert data["n"] > tab.newest, "a volatile message is late, or comes twice"
        for window in tab.froze_until:
            if window[0] < data["n"] <= window[1]:
                about = window, label, data["key"]
                tab.late[about] += 1
                assert tab.late[about] <= 3, "it gets old volatile messages, too"
        tab.newest = tab.moved[label, data["key"]] = data["n"]

    def hear_presence(self, tab, label, data):
        assert label in tab.rooms, f"presence of {label}, which it is not in"
        tab.count[label] = data["count"]
        if "presence" in data:
            tab.people[label] = {_who(entry) for entry in data["presence"]}
        elif "joins" in data:
            people = tab.people[label]
            people |= {_who(entry) for entry in data["joins"]}
            people -= {_who(entry) for entry in data["leaves"]}

    def check(self):
        """What must be so whenever nothing moves."""
        assert not self.errors, self.errors
        for tab in self.everybody:
            self.check_end(tab)
        for channel, epochs in self.history.items():
            for numbers in epochs.values():
                assert sorted(numbers) == list(range(1, len(numbers) + 1)), f"holes in {channel}"
        for tab in self.live():
            if tab.reads and not tab.parting and tab.id is not None:
                self.check_up_to_date(tab)
        self.check_server()
        for call in self.calls:
            if call.result is None:
                assert call.mode in SILENT or not call.peer.reads, "an answer was lost"
                left = call.socket._outlet.left
                assert not left or call.peer.suspect, "nobody is told that the client has left"
            elif isinstance(call.result, int):
                assert call.result == self.result_of(call.mode, call.n)
        self.calls = [call for call in self.calls if call.result is None]

    def check_end(self, tab):
        if tab.status is None and tab.closed is None:
            assert tab.frozen, "no response"
        elif tab.status is not None:
            assert tab.status == tab.expected
        if tab.expires is not None and trio.current_time() >= tab.expires:
            tab.codes.add(4401)
            assert not tab.reads or trio.current_time() < tab.expires + 1, "it has expired"
        if tab.closed is None or tab.cut or tab.status != 101:
            return
        frozen = {1006, 1011, 1013} if tab.suspect else set()
        assert tab.closed in tab.codes | frozen, f"closed with {tab.closed}"

    def check_up_to_date(self, tab):
        """It has heard everything that it must have heard by now."""
        if tab.requests:
            assert tab.requests[0].verb in ("slow", "ask"), f"no answer to {tab.requests[0]}"
        assert not tab.whispered
        for label, heard in tab.rooms.items():
            channel = self.channel_of(tab, label)
            if heard.next is None:
                self.check_loose(tab, channel, heard, self.number + 1)
            else:
                numbers = self.history.get(channel, {}).get(heard.epoch, {})
                self.skipped(tab, label, heard, len(numbers) + 1)
        for about, n in tab.wanted.items():
            assert tab.moved.get(about, 0) >= n, f"the newest of {about} is lost"
        socket = self.sockets[tab.id]
        assert not socket._waiting
        assert socket.lag == 0
        if not tab.requests:
            rooms = {name for name in tab.rooms if not name.startswith("finch.")}
            assert set(socket.rooms) == rooms
            for name in rooms:
                self.check_people(tab, name)

    def check_people(self, tab, name):
        hall = self.manager.halls.get(name)
        if hall is None or hall.presence is None:
            return
        if trio.current_time() - self.last_join[name] <= 0.051:
            return  # it is not told yet
        present = {user if user is not None else key for user, key in hall.presence._people}
        assert tab.count[name] == len(present), f"{name} counts {tab.count[name]}, not {present}"
        if name in tab.people:
            assert tab.people[name] == present

    def check_server(self):
        """Nothing is left behind on the server, and nothing piles up."""
        manager = self.manager
        open_ids = {tab.id for tab in self.everybody if tab.open}
        rooms = manager.members.rooms
        for label in rooms:
            for key, socket in rooms.of(label).items():
                assert not socket._outlet.left, f"{key} has left, but is in {label}"
                unnoticed = socket._outlet.paused or key not in {t.id for t in self.everybody}
                assert key in open_ids or unnoticed, f"{key} is gone, but is in {label}"
        for name in DECLARED:
            assert self.running[name] == (name in rooms), f"{self.running[name]} tasks of {name}"
        for socket in manager.members:
            assert socket._outlet.transport.pending <= LIMITS.max_outbox + 4096
            if socket._waiting is not None:
                assert socket._waiting.size <= LIMITS.max_outbox // 2

    async def farewell(self):
        """All clients leave, one way or the other. Then nothing is left."""
        for number, tab in enumerate(self.live()):
            if tab.open:
                tab.codes.add(1000)
                tab.parting = True
                await (tab.hang_up() if number % 2 else tab.leave())
                tab.thaw()
        await trio.sleep(120)
        await self.rest()
        manager, server = self.manager, self.client._server
        assert not self.live()
        assert not len(manager.members)
        assert not manager.count_users
        assert not len(manager.members.rooms)
        assert not len(manager.halls)
        assert not server.lagging
        assert not server._watched
        assert not manager.identities._expiring
        assert not +self.running
        assert self.came == self.went, "on_leave has not run once for each on_join"
        assert self.gone == set(self.sockets)
        assert not self.calls
        for socket in self.sockets.values():
            assert not socket._asks
            assert not socket.rooms
            assert not socket._waiting


def read(since, epoch, newest):
    """The number of a position; -1 if it is of another epoch, or of the future."""
    before, _, seq = since.partition(":")
    return int(seq) if before == epoch and int(seq) <= newest else -1


def _who(entry):
    return entry["user"] if entry["user"] is not None else entry["client"]


class _Errors(logging.Handler):
    def __init__(self, errors):
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record):
        self._errors.append(self.format(record))


@asynccontextmanager
async def _children():
    """A nursery that ends with its block, and raises what the block raises."""
    failed = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except BaseException as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


def live_through(steps, reader="task"):
    """Live through a story in a world of its own; how many steps it had."""
    world = World(reader)
    trio.run(partial(world.run, steps), clock=trio.testing.MockClock(autojump_threshold=0))
    return world.steps
