"""Control: a worker's side of the line to its supervisor.

The line is a socket that the worker inherits. The supervisor says what to do; if the line ends, the
supervisor is gone, and the worker ends too, so that no process is left behind.
"""

from __future__ import annotations

import logging
import socket
from typing import NamedTuple, Protocol

import trio

from finch.cluster.leader import Leader
from finch.cluster.orders import Drain, Failed, Hurry, Lead, Lines, Order, Report, Resigned, line_of

_log = logging.getLogger("finch.workers")


class Place(NamedTuple):
    """What a supervisor passes to a worker on its command line, as ``2/4:7:5,6``.

    Attributes:
        number: the worker's number, from 1 on; 0 for the only process of a reloader.
        total: how many workers there are to be, as far as known at its start.
        line: the descriptor of the line to the supervisor.
        listeners: the descriptors of its listening sockets.
    """

    number: int
    total: int
    line: int
    listeners: tuple[int, ...]

    def __str__(self) -> str:
        listeners = ",".join(map(str, self.listeners))
        return f"{self.number}/{self.total}:{self.line}:{listeners}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """The place that a text says.

        Raises:
            ValueError: if it says none.
        """
        who, line, listeners = text.split(":")
        number, total = who.split("/")
        return cls(int(number), int(total), int(line), tuple(map(int, listeners.split(","))))


class Ending(Protocol):
    """What ends a worker's server."""

    def begin(self, why: str, restart: bool = False) -> None:
        """End gracefully. If the server ends already, nothing changes."""

    def hurry(self) -> None:
        """End at once."""


class Control:
    """The line to the supervisor.

    Parameters:
        line: the worker's end, a connected socket.

    Attributes:
        leader: leads if the supervisor says so, and as long as the worker does not end.
    """

    def __init__(self, line: socket.socket) -> None:
        line.set_inheritable(False)  # else a process that the application starts would hold it
        self._line = line
        self.leader = Leader(leads=False)
        self._leaving = trio.Event()

    def report(self, message: Report) -> None:
        """Tell the supervisor. If it is gone, nothing happens; :meth:`run` notices that."""
        try:
            self._line.sendall(line_of(message))
        except OSError:
            pass

    def failed(self, text: str) -> None:
        """The worker cannot start. The supervisor prints why, once for all workers."""
        self.report(Failed(text))

    def leaving(self) -> None:
        """The worker's server ends: another worker should lead, as soon as nothing runs here."""
        self.leader.dismiss()
        self._leaving.set()

    async def run(self, ending: Ending) -> None:
        """Do what the supervisor says, until it is gone or this is cancelled."""
        orders = Lines[Order](Order)
        while True:
            await trio.lowlevel.wait_readable(self._line)
            try:
                data = self._line.recv(4096)
            except OSError:
                data = b""
            if not data:
                _log.warning("the supervisor is gone, so this worker ends")
                ending.begin("the end of the supervisor")
                return
            for order in orders.feed(data):
                self._obey(order, ending)

    def _obey(self, order: Order, ending: Ending) -> None:
        if isinstance(order, Lead):
            if not self._leaving.is_set():
                self.leader.appoint()
        elif isinstance(order, Drain):
            ending.begin("", order.restart)
        elif isinstance(order, Hurry):
            ending.hurry()

    async def resign(self) -> None:
        """Tell the supervisor when nothing runs here that another worker must not run too."""
        await self._leaving.wait()
        await self.leader.wait_idle()
        self.report(Resigned())
