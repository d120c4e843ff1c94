"""Whatever the network and the server do: each message comes once and in order, or a gap is told.

Four senders number their messages. A listener's connection is cut at any byte, frozen or half
closed, and its server is restarted. At the end, what the listener has heard of each sender has no
hole but where it was told of a gap.
"""

import signal
from functools import partial
from itertools import pairwise
from random import Random

import pytest
import trio
import trio.testing

from finch import FinchApp, History
from finch.client import StateChanged, connect
from finch.net.listeners import open_listeners
from tests.client.world import until, world
from tests.conftest import serving
from tests.processes import finch
from tests.transports import certificates

SENDERS = 4
GAP = ("gap",)


def new_app(messages=1000):
    app = FinchApp()
    chat = app.rooms("chat", history=History(messages=messages))
    app.handled = []

    @chat.socket("say")
    async def say(socket, data, room):
        app.handled.append(data)
        await room.send(data, path="said")

    return app


class Listener:
    """Hears the room, and writes down each message and each gap."""

    def __init__(self, client):
        self.heard = []
        self._client = client
        self._done = dict.fromkeys(range(SENDERS), False)

    async def listen(self, task_status):
        async with self._client.join("chat", last=1000) as chat:
            task_status.started()
            async for message in chat.messages("said", "finch.gap"):
                if message.path == "finch.gap":
                    self.heard.append(GAP)
                    continue
                sender, number, last = message.data
                self.heard.append((sender, number))
                self._done[sender] = last
                if self.has_all:
                    return

    @property
    def has_all(self):
        """Whether it has heard the last message of each sender."""
        return all(self._done.values())

    def check(self, of):
        """What was heard, against the numbers that each sender has sent."""
        for sender in range(SENDERS):
            mine = [one[-1] for one in self.heard if one == GAP or one[0] == sender]
            for before, after in pairwise(mine):
                if "gap" not in (before, after):
                    assert after == before + 1, mine
            assert mine[-1] == of - 1
        return self.heard.count(GAP)


async def send_all(client, sender, of, pause):
    """Say numbered messages; each is handled once, whatever happens."""
    async with client.join("chat") as chat:
        for number in range(of):
            await chat.call("say", [sender, number, number == of - 1], retry=True)
            await trio.sleep(pause)


async def disturb(there, random, times):
    """Do bad things to the newest connections."""
    for _ in range(times):
        await trio.sleep(random.uniform(0.1, 8))
        wire = random.choice(there.wires[-3:])
        bad = random.choice(["cut", "cut at a byte", "freeze"])
        if bad == "freeze":
            wire.freeze()
        else:
            wire.cut(0 if bad == "cut" else random.randrange(1, 400))


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_doubled(seed, reader, autojump_clock):
    app, random, of = new_app(), Random(seed), 40
    async with world(app) as there, there.connect() as client:
        listener = Listener(client)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(disturb, there, random, 25)
            await nursery.start(listener.listen)
            async with trio.open_nursery() as senders:
                for sender in range(SENDERS):
                    mine = await senders.start(_keep, there)
                    senders.start_soon(send_all, mine, sender, of, 1)
                senders.start_soon(_stop_when, senders, listener)
        assert listener.check(of) == 0
        assert len(there.wires) > 10
        # handled once, though their calls were cut as well
        assert sorted(map(tuple, app.handled)) == sorted(
            (sender, number, number == of - 1) for sender in range(SENDERS) for number in range(of)
        )


async def _keep(there, task_status):
    async with there.connect() as client:
        task_status.started(client)
        await trio.sleep_forever()


async def _stop_when(nursery, listener):
    while not listener.has_all:
        await trio.sleep(1)
    nursery.cancel_scope.cancel()


async def test_where_messages_were_trimmed_or_the_server_restarted_a_gap_is_told(
    reader, autojump_clock
):
    app, again = new_app(messages=5), new_app()

    async def send(app, numbers):
        for number in numbers:
            for sender in range(SENDERS):
                await app.room("chat").send([sender, number, number == 29], path="said")
            await trio.sleep(0.1)

    async with world(app) as there, there.connect() as client:
        listener = Listener(client)
        async with trio.open_nursery() as nursery:
            await nursery.start(listener.listen)
            await send(app, range(10))
            there.closed = True
            there.wires[-1].cut()
            await send(app, range(10, 15))  # the last five of 20 are kept
            there.closed = False
            await trio.sleep(60)
            assert listener.heard[-1] == (3, 14)
            await send(app, range(15, 20))
            async with there.serving(again):
                there.wires[-1].cut()
                await trio.sleep(60)
                await send(again, range(20, 30))
        assert listener.check(30) == 2


async def test_a_peer_that_is_frozen_is_given_up_and_nothing_is_lost(reader, autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        events = client.events()
        async with client.join("chat") as chat:
            said = chat.messages("said", "finch.gap")
            there.wires[-1].freeze()
            for number in range(3):
                await app.room("chat").send(number, path="said")
            assert [(await anext(said)).data for _ in range(3)] == [0, 1, 2]
            assert 40 <= trio.current_time() <= 45
    changes = [event async for event in events if isinstance(event, StateChanged)]
    assert (changes[0].code, changes[0].reason) == (1006, "silent for 40 s")


async def test_a_server_that_has_half_closed_is_left(reader, autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.join("chat") as chat:
            said = chat.messages("said")
            there.wires[-1].half_close()
            await app.room("chat").send("missed", path="said")
            assert (await anext(said)).data == "missed"
            assert len(there.wires) == 2


@pytest.mark.parametrize("kind", ["hub", "task", "tls"])
async def test_over_real_sockets(kind, tmp_path, monkeypatch):
    """The same with a proxy between that cuts: real bytes, real time, real TLS records."""
    monkeypatch.setattr("finch.client.keeper.random", lambda: 0.01)
    app, random, of = new_app(), Random(3), 60
    tls = trusting = None
    if kind == "tls":
        tls, trusting = certificates(tmp_path)
    async with serving(app, hub=kind != "task", tls=tls) as running, trio.open_nursery() as nursery:
        wires = []

        async def open_stream():
            wires.append(await trio.open_tcp_stream("127.0.0.1", running.port))
            return wires[-1]

        url = f"{'wss' if tls else 'ws'}://localhost:{running.port}/ws"
        options = {"ssl_context": trusting, "open_stream": open_stream}
        async with connect(url, **options) as client:
            listener = Listener(client)
            await nursery.start(listener.listen)
            for number in range(of):
                for sender in range(SENDERS):
                    await app.room("chat").send([sender, number, number == of - 1], path="said")
                if number % 20 == 10:
                    wires[-1].socket.shutdown(random.choice([0, 1, 2]))
                await trio.sleep(0.005)
            with trio.fail_after(20):
                while not listener.has_all:
                    await trio.sleep(0.01)
        assert listener.check(of) == 0
        assert len(wires) > 1


APP = """
from finch import FinchApp, History

app = FinchApp()
chat = app.rooms("chat", history=History())

@chat.socket("say")
async def say(socket, data, room):
    await room.send(data, path="said")
"""


async def test_a_server_process_that_is_killed_and_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr("finch.client.keeper.random", lambda: 0.01)
    (tmp_path / "killed_app.py").write_text(APP)
    [free] = open_listeners("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    start = partial(finch, "killed_app:app", "--port", port, cwd=tmp_path)
    with trio.fail_after(30), start() as process:
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url) as client, client.join("chat") as chat:
            events, said = client.events(), chat.messages("said", "finch.gap")
            for number in range(3):
                await chat.call("say", number)
            process.signal(signal.SIGKILL)
            process.wait()
            await until(events, "waiting")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(chat.call, "say", 3)  # waits for the next process
                await trio.testing.wait_all_tasks_blocked()
                with start():
                    heard = [await anext(said) for _ in range(5)]
                    nursery.cancel_scope.cancel()
            assert [one.data for one in heard] == [0, 1, 2, None, 3]
            assert heard[3].path == "finch.gap"
