"""Starts the server and the worlds, kills some of these, takes samples, and ends it all."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import trio

from tests.soak import world
from tests.soak.line import Line, message
from tests.soak.server import Sample, Server
from tests.soak.verdict import Evidence, gather
from tests.soak.world import News, Share

Say = Callable[[str], None]

_MORTAL_SHARE: Final = 0.02  # of all clients, for each process that is killed some day
_ROOM: Final = 10  # clients in a room, on average
_FIRST: Final = 64  # clients that come and go before anything is counted
_SETTLE_WITHIN: Final = 90.0


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        clients: WebSockets that are held.
        churn: of how many of them leave in a minute, and as many come.
        seconds: from when all are there until they say goodbye.
        every: seconds between two samples.
        kill_every: seconds between two kills of a process.
        mortals: processes of clients that are killed one after the other.
    """

    clients: int = 10_000
    churn: int = 5_000
    seconds: float = 1800.0
    every: float = 10.0
    kill_every: float = 30.0
    mortals: int = 5


@dataclass
class _Process:
    """A world, seen from here."""

    share: Share
    process: BaseProcess
    pipe: Connection
    news: News


class Conductor:
    """One run.

    Parameters:
        plan: what it does.
        log: where the server's log goes.
        say: gets a line of text now and then.
    """

    def __init__(self, plan: Plan, log: Path, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._server = Server(log)
        self._seeds = count(1)
        self._worlds: list[_Process] = []
        self._past: list[News] = []  # of worlds that were killed
        self._kills = 0
        self._told: set[str] = set()  # what went wrong and was said
        self.samples: list[Sample] = []
        """The server while all clients were there."""

    def run(self) -> Evidence:
        """From the first client to the last."""
        try:
            trio.run(_first_clients, self._server.address)
            start = self._settled(lambda sample: sample.held == 0)
            self._say(f"the server serves {self._server.address[0]}:{self._server.address[1]}")
            self._start_worlds()
            self._soak()
            news = self._end_worlds()
            end = self._settled(
                lambda sample: (
                    (sample.descriptors, sample.tasks, sample.threads)
                    == (start.descriptors, start.tasks, start.threads)
                )
            )
            code = self._server.stop()
            return Evidence(
                clients=self._plan.clients,
                start=start,
                running=self.samples,
                end=end,
                news=news,
                complaints=self._server.complaints(),
                exit_code=code,
            )
        finally:
            for one in self._worlds:
                one.process.kill()
                one.process.join()
            self._server.kill()

    # The worlds

    def _start_worlds(self) -> None:
        plan = self._plan
        mortal = round(plan.clients * _MORTAL_SHARE)
        killed = 60 / plan.kill_every * mortal  # a minute, who count as churn
        churn = max(0.0, plan.churn - killed)
        rest = plan.clients - mortal * plan.mortals
        self._start_world(rest, churn * rest / plan.clients, villains=plan.clients / 10_000)
        for _ in range(plan.mortals):
            self._start_world(mortal, churn * mortal / plan.clients)
        while not self._are_all("full"):
            self._listen(0.2)

    def _start_world(self, clients: int, churn: float, villains: float = 0.0) -> None:
        seed = next(self._seeds)
        share = Share(
            address=self._server.address,
            name=f"{seed}-",
            clients=clients,
            churn=churn,
            rooms=max(1, self._plan.clients // _ROOM),
            villains=villains,
            seed=seed,
        )
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe()
        process = context.Process(target=world.run, args=(share, theirs), daemon=True)
        process.start()
        theirs.close()
        self._worlds.append(_Process(share, process, ours, News()))

    def _kill_one(self) -> None:
        """SIGKILL: the kernel ends its connections in the middle of whatever they did."""
        victim = self._worlds.pop(1)
        victim.process.kill()
        victim.process.join()
        self._kills += 1
        news = victim.news
        news.leaves += news.held
        self._past.append(news)
        self._start_world(victim.share.clients, victim.share.churn)

    def _listen(self, seconds: float) -> None:
        """Take the worlds' news for a while.

        Raises:
            SystemExit: where a world or the server has ended by itself.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            talking = {one.pipe: one for one in self._worlds if one.news.state != "over"}
            if not talking:
                return
            for pipe in wait(list(talking), left):
                assert isinstance(pipe, Connection)
                try:
                    talking[pipe].news = pipe.recv()
                except (EOFError, OSError):
                    name = talking[pipe].share.name
                    raise SystemExit(f"the world {name} has ended by itself") from None
        if not self._server.alive:
            raise SystemExit("the server has ended by itself")

    def _are_all(self, state: str) -> bool:
        return all(one.news.state == state for one in self._worlds)

    def _end_worlds(self) -> News:
        for command, state in (("quiet", "quiet"), ("end", "over")):
            for one in self._worlds:
                one.pipe.send(command)
            while not self._are_all(state):
                self._listen(0.2)
        for one in self._worlds:
            one.process.join()
        return self.news()

    def news(self) -> News:
        """What all worlds saw so far, those that were killed included."""
        return gather([*self._past, *(one.news for one in self._worlds)])

    # The samples

    def _soak(self) -> None:
        plan = self._plan
        begun = time.monotonic()
        next_sample = begun
        next_kill = begun + plan.kill_every
        while (now := time.monotonic()) < begun + plan.seconds:
            if now >= next_kill:
                next_kill += plan.kill_every
                self._kill_one()
            if now >= next_sample:
                next_sample += plan.every
                self._take_sample(now - begun)
            self._listen(max(0.05, min(next_sample, next_kill) - time.monotonic()))

    def _take_sample(self, seconds: float) -> None:
        sample = self._server.sample()
        before = self.samples[-1] if self.samples else None
        self.samples.append(sample)
        news = self.news()
        busy = churn = 0.0
        if before is not None:
            passed = sample.at - before.at
            busy = (sample.cpu - before.cpu) / passed
            churn = (sample.left - before.left) / passed * 60
        self._say(
            f"{seconds:6.0f} s  {sample.held:>6,} held  {sample.rss / 2**20:6.1f} MiB  "
            f"{sample.descriptors:>6,} fds  {sample.tasks:>4} tasks  {sample.threads:>2} threads  "
            f"{busy:4.0%} cpu  {churn:>6,.0f} left/min  {self._kills:>2} kills  "
            f"{news.delivered:>10,} delivered  {news.lost + news.lost_at_goodbye} lost  "
            f"{sum(news.wrong.values())} wrong  {sample.answered_in * 1000:4.0f} ms"
        )
        for what in news.wrong.keys() - self._told:
            self._told.add(what)
            self._say(f"          {what}")

    def _settled(self, holds: Callable[[Sample], bool]) -> Sample:
        """The server when nothing changes any more, or when it had its time for that."""
        until = time.monotonic() + _SETTLE_WITHIN
        before = self._server.sample()
        while True:
            time.sleep(0.5)
            sample = self._server.sample()
            same = (sample.descriptors, sample.tasks, sample.threads) == (
                (before.descriptors, before.tasks, before.threads)
            )
            if (same and holds(sample)) or time.monotonic() > until:
                return sample
            before = sample


async def _first_clients(address: tuple[str, int]) -> None:
    """What the first clients have a server make stays: its stand-by workers, and what is imported
    late. So there is a first crowd before anything is counted."""
    lines = []
    for number in range(_FIRST):
        line = await Line.connect(address)
        await line.upgrade("{}:{}".format(*address), "/raw" if number % 8 == 0 else "/ws")
        await line.send(message("wait", 0.3))
        lines.append(line)
    await trio.sleep(0.5)
    for line in lines:
        line.close()
