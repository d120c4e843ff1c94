"""A worker as its supervisor sees it: a process, and the line to it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import trio

from finch.cluster.control import Place
from finch.cluster.orders import Drain, Hurry, Lines, Order, Ready, Report, line_of

_log = logging.getLogger("finch.workers")

_MORE: Final = 5.0  # seconds that a worker gets beyond what it said; then it hangs
_UNREADY: Final = 30.0  # seconds for one that has said nothing yet

KEPT_FROM_WORKERS: Final = {signal.SIGINT, signal.SIGHUP}
"""Signals that a terminal sends to all processes at once. The supervisor alone obeys them. A worker
is born with them blocked, so that they cannot hit it before it can ignore them."""


class Worker:
    """One process that serves.

    Parameters:
        number: its number, from 1 on; 0 for the only process of a reloader.
        process: the process.
        line: the supervisor's end of the line.

    Attributes:
        ready: it serves.
        over: its process has ended.
        said: what it said when it was ready.
        failed: why it cannot start, if it said so.
        leaving: it was told to end, or ends by itself.
        since: when it was ready, by trio's clock.
    """

    def __init__(self, number: int, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self.number = number
        self.pid = process.pid
        self.ready = trio.Event()
        self.over = trio.Event()
        self.said: Ready | None = None
        self.failed = ""
        self.leaving = False
        self.resigned = False
        self.since = 0.0
        self._process = process
        self._line = line
        self._lines = Lines[Report](Report)
        self._patience = trio.CancelScope()

    def __str__(self) -> str:
        name = f"worker {self.number}" if self.number else "the application"
        return f"{name} (pid {self.pid})"

    @property
    def serves(self) -> bool:
        """Whether it is ready, and not about to end."""
        return self.said is not None and not self.leaving and not self.over.is_set()

    def tell(self, order: Order) -> None:
        """Send it an order. A worker that is gone needs none."""
        try:
            self._line.send(line_of(order), socket.MSG_DONTWAIT)
        except OSError:
            pass

    def drain(self, restart: bool) -> None:
        """Tell it to end gracefully. If it does not in time, it is killed."""
        if self.over.is_set():
            return
        self.leaving = True
        if self.said is None:
            self._process.terminate()  # it may not read the line yet
            self.kill_after(_UNREADY)
            return
        self.tell(Drain(restart))
        if self.said.patience is not None:
            self.kill_after(self.said.patience + _MORE)

    def hurry(self) -> None:
        """Tell it to end at once."""
        self.leaving = True
        self.tell(Hurry())
        if self.said is None:
            self._process.terminate()
        self.kill_after((0 if self.said is None else self.said.haste) + _MORE)

    def kill_after(self, seconds: float) -> None:
        """Kill it if it has not ended by then. The earliest time counts."""
        self._patience.deadline = min(self._patience.deadline, trio.current_time() + seconds)

    async def run(self, take: Callable[[Worker, Report], None]) -> int:
        """Wait for its end.

        Parameters:
            take: called with the worker and everything that it reports.

        Returns:
            Its exit code; negative if a signal killed it.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear, take)
            with self._patience:
                await self._wait()
            if self._process.returncode is None:
                _log.error("%s does not end, and is killed", self)
                self._process.kill()
                await self._wait()
            nursery.cancel_scope.cancel()
        self._read(take)  # what it reported last
        self._line.close()
        self.over.set()
        return self._process.returncode

    async def _wait(self) -> None:
        await trio.to_thread.run_sync(
            self._process.wait, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )

    async def _hear(self, take: Callable[[Worker, Report], None]) -> None:
        going = True
        while going:
            await trio.lowlevel.wait_readable(self._line)
            going = self._read(take)

    def _read(self, take: Callable[[Worker, Report], None]) -> bool:
        """Read what has come; False if no more will come."""
        while True:
            try:
                data = self._line.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            try:
                for report in self._lines.feed(data):
                    take(self, report)
            except msgspec.DecodeError as error:
                _log.error("%s reports nonsense: %s", self, error)
                return False


def start_worker(
    command: Sequence[str],
    number: int,
    count: int,
    listeners: Sequence[socket.socket],
    stdin: int | None = subprocess.DEVNULL,
) -> Worker:
    """Start the process of a worker.

    Parameters:
        command: what it runs; ``{place}`` in it becomes the worker's :class:`Place`.
        number: its number.
        count: how many workers there are to be.
        listeners: the sockets that it serves.
        stdin: what it reads from; None for what this process reads from (for a debugger).

    Raises:
        OSError: if the process cannot be started.
    """
    ours, theirs = socket.socketpair()
    descriptors = tuple(listener.fileno() for listener in listeners)
    place = str(Place(number, count, theirs.fileno(), descriptors))
    environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, KEPT_FROM_WORKERS)
    try:
        process = subprocess.Popen(
            [part.replace("{place}", place) for part in command],
            stdin=stdin,
            pass_fds=(theirs.fileno(), *descriptors),
            env=environment,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return Worker(number, process, ours)


def how_it_ended(code: int) -> str:
    """An exit code in words: the signal's name, or the code."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = f"signal {-code}"
    return f"was killed by {name}"
