"""A rolling restart of workers that Redis joins: every socket comes back, and nothing is missed."""

import os
import signal

import httpx
import pytest
import trio

from finch.client import Gap, connect
from tests.cluster.server import RedisServer
from tests.processes import finch

APP = """
import os
from finch import FinchApp, History
app = FinchApp()
chat = app.rooms("chat/{name}", history=History(messages=10_000))

@app.post("/say")
async def say(request):
    await app.room("chat/lobby").send(await request.json(), path="said")
    return "said"

@chat.socket("hello")
async def hello(socket, data, room):
    return os.getpid()
"""

LISTENERS, SENDERS = 12, 4


class Story:
    """Some say numbers by HTTP; the clients in the room must hear each number once, in order."""

    def __init__(self, process):
        self.ws = f"{process.ws}/ws"
        self.url = process.url
        self.enough = trio.Event()
        self.said = dict.fromkeys(range(SENDERS), 0)
        self.heard = [{sender: [] for sender in range(SENDERS)} for _ in range(LISTENERS)]
        self.gaps = []
        self.rooms = []

    async def speak(self, sender):
        async with httpx.AsyncClient() as client:
            while not self.enough.is_set():
                answer = await client.post(f"{self.url}/say", json=[sender, self.said[sender]])
                assert answer.status_code == 200
                self.said[sender] += 1
                await trio.sleep(0.005)

    async def listen(self, heard, *, task_status):
        async with connect(self.ws) as client, client.join("chat/lobby") as room:
            events = client.events()
            messages = room.messages("said")
            self.rooms.append(room)
            task_status.started()
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def watch():
                    async for event in events:
                        if isinstance(event, Gap):
                            self.gaps.append(event)

                async for message in messages:
                    sender, number = message.data
                    heard[sender].append(number)

    async def where(self, room):
        """The process that a client is connected to."""
        return await room.call("hello", retry=True)

    async def all_have_said(self, more):
        """Wait until each sender has said some more numbers."""
        before = dict(self.said)
        while any(self.said[sender] < before[sender] + more for sender in before):
            await trio.sleep(0.01)

    @property
    def complete(self):
        return all(sum(map(len, one.values())) >= sum(self.said.values()) for one in self.heard)


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path) as server:
        yield server


async def test_sockets_come_back_and_miss_nothing(redis, tmp_path):
    (tmp_path / "rolling.py").write_text(APP)
    words = ("rolling", "--port", 0, "--workers", 2, "--backplane", redis.url(), "--no-access-log")
    with finch(*words, cwd=tmp_path) as process:
        with trio.fail_after(60):
            story = Story(process)
            async with trio.open_nursery() as nursery:
                for heard in story.heard:
                    await nursery.start(story.listen, heard)
                async with trio.open_nursery() as senders:
                    for sender in story.said:
                        senders.start_soon(story.speak, sender)
                    await story.all_have_said(20)
                    before = {await story.where(room) for room in story.rooms}
                    os.kill(process.popen.pid, signal.SIGHUP)
                    await trio.to_thread.run_sync(process.wait_for, "the workers are replaced")
                    await trio.to_thread.run_sync(process.wait_for, "the workers are replaced")
                    await story.all_have_said(20)
                    after = {await story.where(room) for room in story.rooms}
                    story.enough.set()
                while not story.complete:
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
        assert story.gaps == []
        assert before.isdisjoint(after)  # all have come back, to the new processes
        assert story.heard == [_all_of(story.said)] * LISTENERS


def _all_of(said):
    return {sender: list(range(count)) for sender, count in said.items()}
