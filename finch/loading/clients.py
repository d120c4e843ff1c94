"""What one client of a load does: GET, calls, rooms, or listening only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
import trio

from finch.loading.connection import Broken, Connection, get_request
from finch.loading.frames import client_frame
from finch.loading.pace import Pace
from finch.loading.plan import Plan, Tally

IN_FLIGHT: Final = 64
"""Messages of one client that may wait for their answers, if there is a rate."""


class Heard(msgspec.Struct):
    """A message of the server, as far as a load looks at it."""

    path: str = ""
    status: int = 200
    reply: int | None = None
    room: str | None = None
    more: bool = False


_decode: Final = msgspec.json.Decoder(Heard).decode


def read(message: bytes) -> Heard | None:
    """A message of the server; None if it is not one of Finch's."""
    try:
        return _decode(message)
    except msgspec.DecodeError:
        return None


def frame_of(path: str, number: int, data: bytes, room: str | None = None) -> bytes:
    """The frame of a call."""
    fields: dict[str, object] = {"path": path, "id": number, "data": msgspec.Raw(data)}
    if room is not None:
        fields["room"] = room
    return client_frame(msgspec.json.encode(fields))


class Waiting:
    """Waits until a number of things are over, such as the deliveries of a message."""

    def __init__(self) -> None:
        self.left = 0
        self._over = trio.Event()

    def begin(self, count: int) -> None:
        """Something begins that is over after so many times."""
        self.left = count
        self._over = trio.Event()

    def one(self) -> bool:
        """One is over; False if nobody waits for it."""
        if not self.left:
            return False
        self.left -= 1
        if not self.left:
            self._over.set()
        return True

    async def wait(self) -> None:
        await self._over.wait()


async def get(connection: Connection, plan: Plan, tally: Tally, pace: Pace) -> None:
    """Ask for the target again and again, until the server closes the connection."""
    request = get_request(plan.target, plan.headers)
    again = True
    while again:
        begun = await pace.wait()
        with trio.move_on_after(plan.timeout) as patience:
            status, again = await connection.get(request)
        if patience.cancelled_caught:
            raise Broken(_late(plan))
        if status >= 400:
            tally.errors[f"status {status}"] += 1
        else:
            tally.answers += 1
            tally.note(trio.current_time() - begun)


async def listen(connection: Connection, tally: Tally) -> None:
    """Count what comes."""
    while True:
        tally.deliveries += len(await connection.receive())


async def _together(*tasks: Callable[[], Awaitable[None]]) -> None:
    """Run tasks side by side, until one of them says that the connection is over.

    Raises:
        Broken: as the task did.
    """
    broken: list[Broken] = []

    async def run(task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Broken as error:
            broken.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(run, task)
    if broken:
        raise broken[0]


def _late(plan: Plan) -> str:
    return f"no answer within {plan.timeout:g} s"


class Caller:
    """A client that calls one path. An answer is the message whose ``reply`` is the call's id,
    whatever its data; of a streamed answer, the last part."""

    def __init__(self, connection: Connection, plan: Plan, tally: Tally, pace: Pace) -> None:
        assert plan.path is not None
        self._connection = connection
        self._plan = plan
        self._tally = tally
        self._pace = pace
        self._path = plan.path
        self._number = 0
        self._waiting: dict[int, float] = {}  # since when each call counts
        self._answered = trio.Event()

    async def run(self) -> None:
        """Call until the connection is over."""
        try:
            await _together(self._hear, self._watch, self._call)
        except Broken:
            if self._waiting:
                self._tally.errors["unanswered"] += len(self._waiting)
            raise

    async def _call(self) -> None:
        most = 1 if self._plan.rate is None else IN_FLIGHT
        while True:
            begun = await self._pace.wait()
            while len(self._waiting) >= most:
                self._answered = trio.Event()
                await self._answered.wait()
                if self._plan.rate is None:
                    begun = trio.current_time()
            self._number += 1
            self._waiting[self._number] = begun
            await self._connection.send(frame_of(self._path, self._number, self._plan.data))

    async def _hear(self) -> None:
        while True:
            for message in await self._connection.receive():
                heard = read(message)
                if heard is None:
                    self._tally.errors["a message that is not Finch's"] += 1
                elif heard.reply is None:
                    self._tally.deliveries += heard.status < 400
                    if heard.status >= 400:
                        self._tally.errors[f"status {heard.status}"] += 1
                elif not heard.more:
                    self._take(heard)

    def _take(self, heard: Heard) -> None:
        begun = self._waiting.pop(heard.reply or 0, None)
        self._answered.set()
        if begun is None:
            self._tally.errors["an answer that nobody waits for"] += 1
        elif heard.status >= 400:
            self._tally.errors[f"status {heard.status}"] += 1
        else:
            self._tally.answers += 1
            self._tally.note(trio.current_time() - begun)

    async def _watch(self) -> None:
        while True:
            await trio.sleep(self._plan.timeout / 4)
            oldest = next(iter(self._waiting.values()), None)
            if oldest is not None and trio.current_time() - oldest > self._plan.timeout:
                raise Broken(_late(self._plan))


class Crew:
    """The clients of one room: what is said there, and who has heard it.

    Attributes:
        members: how many are in it.
    """

    def __init__(self) -> None:
        self.members = 0
        self.speaks = False  # whether somebody is chosen to speak
        self.begun = 0.0
        self.heard = Waiting()


class Member:
    """A client in a room. One member speaks; what counts is when each member hears it."""

    def __init__(
        self, connection: Connection, plan: Plan, tally: Tally, pace: Pace, room: str, crew: Crew
    ) -> None:
        self._connection = connection
        self._plan = plan
        self._tally = tally
        self._pace = pace
        self._room = room
        self._crew = crew

    async def join(self) -> None:
        """Join the room.

        Raises:
            Broken: if the server does not let it in.
        """
        await self._connection.send(frame_of("finch.join", 1, b"null", self._room))
        while True:
            for message in await self._connection.receive():
                heard = read(message)
                if heard is not None and heard.reply == 1 and not heard.more:
                    if heard.status >= 400:
                        raise Broken(f"not let into {self._room}: status {heard.status}")
                    self._crew.members += 1
                    return

    async def run(self) -> None:
        """Hear, and speak if nobody else does, until the connection is over."""
        tasks: list[Callable[[], Awaitable[None]]] = [self._hear]
        if self._plan.path is not None and not self._crew.speaks:
            self._crew.speaks = True
            tasks.append(partial(self._speak, self._plan.path))
        try:
            await _together(*tasks)
        except Broken:
            self._crew.members -= 1
            raise

    async def _speak(self, path: str) -> None:
        number = 1
        crew, tally = self._crew, self._tally
        while True:
            crew.begun = await self._pace.wait()
            crew.heard.begin(crew.members)
            number += 1
            await self._connection.send(frame_of(path, number, self._plan.data, self._room))
            with trio.move_on_after(self._plan.timeout) as patience:
                await crew.heard.wait()
            if patience.cancelled_caught:
                tally.errors["a delivery that did not come"] += crew.heard.left

    async def _hear(self) -> None:
        tally = self._tally
        while True:
            for message in await self._connection.receive():
                heard = read(message)
                if heard is None:
                    tally.errors["a message that is not Finch's"] += 1
                elif heard.status >= 400:
                    tally.errors[f"status {heard.status}"] += 1
                elif heard.reply is not None:
                    tally.answers += 1
                elif heard.room == self._room and not heard.path.startswith("finch."):
                    tally.deliveries += 1
                    if self._crew.heard.one():
                        tally.note(trio.current_time() - self._crew.begun)
