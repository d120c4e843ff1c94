"""Who sends and who listens, each with a connection of its own, as ``finch.client`` makes it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from finch.client import CallFailed, ConnectionLost, Finch, connect
from tests.soak.cluster.app import ROOM
from tests.soak.cluster.ledger import Ledger

_URL: Final = "ws://127.0.0.1/ws"


class Dialer:
    """Connects to any process that lives, as through a load balancer.

    Parameters:
        ports: where the processes are.
        first: which one is tried first, at the first time.
        here: how many are connected, by the number of the process.
        cuts: how many connections have ended, by the number of the process.
    """

    def __init__(
        self, ports: Sequence[int], first: int, here: Counter[int], cuts: Counter[int]
    ) -> None:
        self._ports = ports
        self._first = first
        self._counted = here
        self._cuts = cuts
        self._here: int | None = None

    async def __call__(self) -> trio.abc.Stream:
        """A connection to a process that accepts one.

        Raises:
            OSError: if there is none.
        """
        if self._here is not None:
            self._cuts[self._here] += 1
            self._counted[self._here] -= 1
            self._here = None
            self._first = random.randrange(len(self._ports))
        for place in range(len(self._ports)):
            number = (self._first + place) % len(self._ports)
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", self._ports[number])
            except OSError:
                continue
            self._here = number
            self._counted[number] += 1
            return stream
        raise OSError("no process accepts connections")


class Crowd:
    """Everybody.

    Parameters:
        ports: where the processes are.
        clients: how many listen.
        senders: how many send.
        rate: messages a second that all senders send together.
        ledger: where everything is written down.

    Attributes:
        here: how many listeners are connected, by the number of the process.
        cuts: connections of listeners that have ended, by the number of the process.
        said: by sender, how many messages it has sent so far.
    """

    def __init__(
        self, ports: Sequence[int], clients: int, senders: int, rate: float, ledger: Ledger
    ) -> None:
        self._ports = ports
        self._clients = clients
        self._senders = senders
        self._pause = senders / rate
        self._ledger = ledger
        self._joined = 0
        self._done = trio.Event()
        self.here: Counter[int] = Counter()
        self.cuts: Counter[int] = Counter()
        self.said: dict[int, int] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Begin to listen, then to send. Started when everybody listens."""
        async with trio.open_nursery() as nursery:
            for number in range(self._clients):
                nursery.start_soon(self._listen, number)
            while self._joined < self._clients:
                await trio.sleep(0.02)
            for number in range(self._senders):
                nursery.start_soon(self._send, number)
            task_status.started()

    def stop_sending(self) -> None:
        """Send nothing more."""
        self._done.set()

    async def _listen(self, number: int) -> None:
        dial = Dialer(self._ports, number, self.here, self.cuts)
        async with connect(_URL, open_stream=dial) as finch, finch.join(ROOM) as room:
            assert room.position is not None
            self._ledger.join(number, room.position.seq, trio.current_time())
            self._joined += 1
            with room.messages("said", "finch.gap") as messages:
                async for message in messages:
                    if message.path == "finch.gap":
                        self._ledger.tell_gap(number)
                        continue
                    assert message.seq is not None
                    sender, n = message.data
                    self._ledger.hear(number, message.seq, sender, n, trio.current_time())

    async def _send(self, sender: int) -> None:
        dial = Dialer(self._ports, sender, Counter(), Counter())
        async with connect(_URL, open_stream=dial) as finch:
            while not self._done.is_set():
                began = trio.current_time()
                await self._say(finch, sender)
                with trio.move_on_at(began + self._pause):
                    await self._done.wait()

    async def _say(self, finch: Finch, sender: int) -> None:
        n = self.said[sender] = self.said.get(sender, 0) + 1
        try:
            seq = await finch.call("say", [sender, n], as_type=int)
        except (CallFailed, ConnectionLost):
            self._ledger.fail(sender, n)
        else:
            self._ledger.acknowledge(sender, n, seq)


async def count_becomes(ports: Sequence[int], wanted: int, seconds: float) -> float | None:
    """How long it takes until all processes count this many members of the room.

    Returns:
        Seconds; None if it takes longer than ``seconds``.
    """
    began = trio.current_time()
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for port in ports:
                nursery.start_soon(_count_until, port, wanted)
        return trio.current_time() - began
    return None


async def _count_until(port: int, wanted: int) -> None:
    open_stream = partial(trio.open_tcp_stream, "127.0.0.1", port)
    async with connect(_URL, open_stream=open_stream) as finch:
        while True:
            try:
                if await finch.call("count", as_type=int) == wanted:
                    return
            except (CallFailed, ConnectionLost):
                pass
            await trio.sleep(0.1)
