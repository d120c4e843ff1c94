"""One process of clients: it holds a number of them, replaces those that leave, and has them talk.

It is told what to do, and tells what it saw, through a pipe.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec
import trio

from benchmarks import frames
from tests.soak import goodbyes, villains
from tests.soak.app import HURRY, Said
from tests.soak.crowd import Crowd, Talker
from tests.soak.goodbyes import BAD, GOOD, Goodbye
from tests.soak.ledger import EVERYBODY, Ledger
from tests.soak.line import Line, Wrong, message
from tests.soak.villains import VILLAINS, Target, Villain

_OPENING: Final = 64  # clients that connect at the same time
_PATIENCE: Final = 30.0  # seconds within which whatever is said must have come
_RAW_SHARE: Final = 0.05
_STAYING_SHARE: Final = 0.5
_SAYS: Final = 0.01  # messages to rooms a second, for each client
_ECHOES: Final = 0.02
_PING_BURSTS: Final = 0.0005
_BROADCASTS: Final = 0.5  # a second, of the whole world
_ODDITIES: Final = 0.001  # messages that are no use, a second, for each client


@dataclass(frozen=True)
class Share:
    """What a world does.

    Attributes:
        name: unlike that of any other world.
        clients: how many WebSockets it holds.
        churn: of how many of them leave in a minute, to be replaced.
        rooms: how many rooms there are among all worlds.
        villains: how many misbehave, as a share of the rates that ``VILLAINS`` gives; a world with
            any also says something to everybody now and then.
    """

    address: tuple[str, int]
    name: str
    clients: int
    churn: float
    rooms: int
    villains: float
    seed: int


@dataclass
class News:
    """What a world has seen so far."""

    held: int = 0
    connects: int = 0
    leaves: int = 0
    sent: int = 0
    delivered: int = 0
    echoes: int = 0
    pongs: int = 0
    lost: int = 0
    lost_at_goodbye: int = 0
    duplicated: int = 0
    reordered: int = 0
    outstanding: int = 0
    slowest: float = 0.0
    stories: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    patience: dict[str, tuple[float, float]] = field(default_factory=dict)
    state: str = "filling"


class _Answer(msgspec.Struct):
    path: str
    status: int
    data: msgspec.Raw


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_said = msgspec.json.Decoder(Said).decode


def run(share: Share, pipe: Connection) -> None:
    """A world's process."""
    os.nice(9)  # the server comes first: it is the one that is watched
    trio.run(World(share, pipe).main)


class World:
    """The clients of one process."""

    def __init__(self, share: Share, pipe: Connection) -> None:
        self._share = share
        self._target = Target(share.address)
        self._pipe = pipe
        self._random = random.Random(share.seed)
        self._names = count()
        self._crowd = Crowd(self._on_message, self._on_lost)
        self._talkers: dict[str, Talker] = {}
        self._staying: list[Talker] = []
        self._leaving: list[Talker] = []  # those that will leave some day
        self._ledger = Ledger(_PATIENCE)
        self._news = News()
        self._missing = share.clients  # to be opened
        self._opened = trio.CapacityLimiter(_OPENING)
        self._stories = 0  # that are going on
        self._active = trio.CancelScope()  # everything that begins something new
        self._told = ""

    async def main(self) -> None:
        """Live until told to end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._crowd.run)
            nursery.start_soon(self._tell)
            with self._active:
                async with trio.open_nursery() as busy:
                    busy.start_soon(self._wait_for_quiet)
                    busy.start_soon(self._fill, nursery)
                    await self._wait_until(lambda: len(self._crowd) >= self._share.clients)
                    self._news.state = "full"
                    for rate, action in self._habits():
                        busy.start_soon(self._paced, rate, action)
                    leave = partial(self._one_leaves, nursery)
                    busy.start_soon(self._paced, self._share.churn / 60, leave)
                    for villain, rate in VILLAINS.items():
                        if HURRY and villain in villains.NOT_IN_A_HURRY:
                            continue
                        begin = partial(self._misbehave, nursery, villain)
                        busy.start_soon(self._paced, rate / 60 * self._share.villains, begin)
            await self._settle()
            self._news.state = "quiet"
            await self._command("end")
            await self._say_goodbye_to_all(nursery)
            self._tell_now("over")
            nursery.cancel_scope.cancel()
        self._crowd.close()

    # What happens all the time

    def _habits(self) -> Iterator[tuple[float, Callable[[], None]]]:
        clients = self._share.clients
        yield clients * _SAYS, self._say
        yield clients * _ECHOES, self._ask_echo
        yield clients * _PING_BURSTS, self._ping
        yield clients * _ODDITIES, self._be_odd
        if self._share.villains:
            yield _BROADCASTS, self._broadcast

    async def _paced(self, rate: float, action: Callable[[], None]) -> None:
        """Do something at a rate a second; what was missed is made up for."""
        if not rate:
            return
        begun = trio.current_time()
        for number in count():
            action()
            await trio.sleep_until(begun + (number + self._random.random()) / rate)

    async def _wait_until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await trio.sleep(0.05)

    # Coming

    async def _fill(self, nursery: trio.Nursery) -> None:
        while True:
            while self._missing:
                self._missing -= 1
                await self._opened.acquire_on_behalf_of(token := object())
                nursery.start_soon(self._open, token)
            await trio.sleep(0.02)

    async def _open(self, token: object) -> None:
        number = next(self._names)
        raw = number % round(1 / _RAW_SHARE) == 1
        failed = True
        try:
            with self._story("open"), trio.fail_after(_PATIENCE):
                line = await Line.connect(self._target.address)
                await line.upgrade(self._target.host, "/raw" if raw else "/ws")
                room = None if raw else self._random.randrange(self._share.rooms)
                if room is not None:
                    await line.send(message("join", room))
                talker = Talker(line, f"{self._share.name}{number}", room, number < self._stayers)
                self._news.connects += 1
                self._talkers[talker.name] = talker
                (self._staying if talker.stays else self._leaving).append(talker)
                self._crowd.add(talker)
                failed = False
        finally:
            self._missing += failed
            self._opened.release_on_behalf_of(token)

    @property
    def _stayers(self) -> float:
        return self._share.clients * _STAYING_SHARE

    # Going

    def _one_leaves(self, nursery: trio.Nursery) -> None:
        if not self._leaving:
            return
        at = self._random.randrange(len(self._leaving))
        self._leaving[at], self._leaving[-1] = self._leaving[-1], self._leaving[at]
        talker = self._leaving.pop()
        weights = {
            goodbye: weight
            for goodbye, weight in (GOOD | BAD).items()
            if not (talker.room is None and goodbye in goodbyes.NOT_FOR_RAW)
            and not (HURRY and goodbye in goodbyes.NOT_IN_A_HURRY)
        }
        goodbye = self._random.choices(list(weights), list(weights.values()))[0]
        self._leave(nursery, talker, goodbye)
        self._missing += 1

    def _leave(self, nursery: trio.Nursery, talker: Talker, goodbye: Goodbye) -> None:
        self._check_silence(talker)
        if talker.unsent:
            goodbye = goodbyes.reset  # its last words would be cut off
        if talker.room is not None and goodbye in GOOD:
            self._say_as(talker)
        line = self._crowd.remove(talker)
        self._forget(talker, forgive=goodbye in BAD)
        nursery.start_soon(self._tell_story, goodbye, partial(goodbye, line))

    def _forget(self, talker: Talker, *, forgive: bool) -> None:
        self._news.leaves += 1
        del self._talkers[talker.name]
        self._ledger.leave(talker.name, trio.current_time())
        if forgive:
            self._ledger.forgive(talker.name, talker.room)
        else:
            self._ledger.say_goodbye(talker.name)

    def _on_lost(self, talker: Talker, how: str) -> None:
        """The server ended the connection of somebody who behaves."""
        self._news.wrong[how] += 1
        self._forget(talker, forgive=True)
        group = self._staying if talker.stays else self._leaving
        group.remove(talker)
        self._missing += 1

    async def _say_goodbye_to_all(self, nursery: trio.Nursery) -> None:
        for number, talker in enumerate(list(self._talkers.values())):
            self._leave(nursery, talker, goodbyes.close)
            if number % 100 == 0:
                await trio.sleep(0.01)
        await self._wait_until(lambda: not self._stories)

    # Talking

    def _anybody(self) -> Talker | None:
        group = self._staying if self._random.random() < 0.5 else self._leaving
        return self._random.choice(group) if group else None

    def _say(self) -> None:
        talker = self._anybody()
        if talker is not None and talker.room is not None:
            self._say_as(talker)

    def _say_as(self, talker: Talker) -> None:
        self._send_said(talker, talker.name, talker.room)

    def _broadcast(self) -> None:
        talker = next((one for one in self._staying if one.room is not None), None)
        if talker is not None:
            self._send_said(talker, f"{talker.name}*", EVERYBODY)

    def _send_said(self, talker: Talker, stream: str, room: int | None) -> None:
        number = self._ledger.send(stream, room, trio.current_time())
        self._news.sent += 1
        said = {"stream": stream, "n": number, "room": room}
        self._crowd.send(talker, message("say", said))

    def _ask_echo(self) -> None:
        talker = self._anybody()
        if talker is None or len(talker.expected) > 4:
            return
        size = int(self._random.paretovariate(0.6) * 10) % 40_000
        if not talker.expected:
            talker.asked = trio.current_time()
        if talker.room is None:
            data = self._random.randbytes(size)
            talker.expected.append(data)
            self._crowd.send(talker, self._raw_frames(data))
        else:
            text = self._random.choice("abcdefgh") * size
            talker.expected.append(f'"{text}"'.encode())
            self._crowd.send(talker, message("echo", text))

    def _raw_frames(self, data: bytes) -> bytes:
        """A binary message, sometimes in fragments."""
        if self._random.random() < 0.7:
            return frames.client_frame(data, frames.BINARY)
        cut = self._random.randrange(len(data) + 1)
        first = bytearray(frames.client_frame(data[:cut], frames.BINARY))
        first[0] &= 0x7F  # more follows
        ping = frames.client_frame(b"", frames.PONG)
        return bytes(first) + ping + frames.client_frame(data[cut:], frames.CONTINUATION)

    def _ping(self) -> None:
        talker = self._anybody()
        if talker is None or talker.pings:
            return
        talker.pings = [b"%d" % number for number in range(self._random.randrange(1, 200))]
        burst = b"".join(frames.client_frame(ping, frames.PING) for ping in talker.pings)
        self._crowd.send(talker, burst)

    def _be_odd(self) -> None:
        """Messages that are answered with an error, or by a thread, or late."""
        talker = self._anybody()
        if talker is None or talker.room is None:
            return
        odd = self._random.choices(
            (
                frames.client_frame(b"no json"),
                message("nowhere", None),
                frames.client_frame(b'{"data":1}'),
                message("think", 12),
                message("wait", 0.2),
                message("fail", False),
                message("fail", True),
            ),
            # trio keeps an idle thread for 10 s, and the end would wait for that
            (10, 10, 10, 0 if HURRY else 10, 10, 10, 1),
        )
        self._crowd.send(talker, odd[0])

    # Hearing

    def _on_message(self, talker: Talker, opcode: int, payload: bytes) -> None:
        if opcode == frames.PONG:
            self._on_pong(talker, payload)
        elif talker.room is None:
            self._on_echo(talker, payload)
        else:
            answer = _decode_answer(payload)
            if answer.path == "said":
                said = _decode_said(answer.data)
                self._ledger.receive(talker.name, said.stream, said.n, trio.current_time())
            elif answer.path == "echo":
                self._on_echo(talker, bytes(answer.data))
            elif answer.path == "join":
                self._ledger.join(talker.name, talker.room, EVERYBODY)

    def _on_pong(self, talker: Talker, payload: bytes) -> None:
        if not talker.pings or talker.pings.pop(0) != payload:
            self._news.wrong["a pong that is not the answer to the next ping"] += 1
        self._news.pongs += 1

    def _on_echo(self, talker: Talker, payload: bytes) -> None:
        if not talker.expected or talker.expected.pop(0) != payload:
            self._news.wrong["an echo of something else"] += 1
        talker.asked = trio.current_time()
        self._news.echoes += 1

    def _check_silence(self, talker: Talker) -> None:
        if talker.expected and trio.current_time() - talker.asked > _PATIENCE:
            self._news.wrong["no echo came"] += 1

    # Misbehaving

    def _misbehave(self, nursery: trio.Nursery, villain: Villain) -> None:
        nursery.start_soon(self._tell_story, villain, partial(villain, self._target))

    async def _tell_story(
        self, who: Callable[..., Any], story: Callable[[], Awaitable[float | None]]
    ) -> None:
        name = who.__name__
        with self._story(name):
            took = await story()
            if took is not None:
                least, most = self._news.patience.get(name, (took, took))
                self._news.patience[name] = min(least, took), max(most, took)

    @contextmanager
    def _story(self, name: str) -> Iterator[None]:
        self._stories += 1
        try:
            yield
            self._news.stories[name] += 1
        except (Wrong, OSError, trio.TooSlowError) as error:
            self._news.wrong[f"{name}: {error!r}"] += 1
        finally:
            self._stories -= 1

    # The conductor

    async def _wait_for_quiet(self) -> None:
        await self._command("quiet")
        self._active.cancel()

    async def _command(self, wanted: str) -> None:
        while self._told != wanted:
            await trio.lowlevel.wait_readable(self._pipe.fileno())
            self._told = self._pipe.recv()

    async def _settle(self) -> None:
        """Wait for what is under way; what has not come then is lost."""
        with trio.move_on_after(_PATIENCE):
            await self._wait_until(lambda: not self._ledger.outstanding and not self._waiting())
        for talker in self._talkers.values():
            if talker.expected:
                self._news.wrong["no echo came"] += 1
            if talker.pings:
                self._news.wrong["no pong came"] += 1
        self._ledger.close()
        await self._wait_until(lambda: not self._stories)

    def _waiting(self) -> bool:
        return any(talker.expected or talker.pings for talker in self._talkers.values())

    async def _tell(self) -> None:
        conductor = os.getppid()
        while os.getppid() == conductor:
            self._tell_now(self._news.state)
            await trio.sleep(1)
        raise SystemExit("the conductor is gone")

    def _tell_now(self, state: str) -> None:
        news, ledger = self._news, self._ledger
        news.state = state
        news.held = len(self._crowd)
        news.delivered = ledger.delivered
        news.lost = ledger.lost
        news.lost_at_goodbye = ledger.lost_at_goodbye
        news.duplicated, news.reordered = ledger.duplicated, ledger.reordered
        news.outstanding, news.slowest = ledger.outstanding, ledger.slowest
        self._pipe.send(news)
