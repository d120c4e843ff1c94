"""Supervisor: starts the worker processes of one machine, and replaces those that die.

It does nothing but supervise: it imports no application, and reads no connection. It keeps every
listening socket open, so connections wait in the socket's queue while a worker is replaced, and are
not refused.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol

import trio

from finch.cluster.backoff import Backoff
from finch.cluster.orders import Failed, Lead, Ready, Report, Resigned
from finch.cluster.worker import Worker, how_it_ended, start_worker
from finch.net.notify import notify, reloading

_log = logging.getLogger("finch.workers")

_SIGNALS: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


class Sockets(Protocol):
    """Where the listening sockets come from: :class:`finch.net.listeners.Doors`."""

    def open(self) -> list[socket.socket]: ...
    def shut(self, listeners: Sequence[socket.socket]) -> None: ...
    def close(self) -> None: ...


class Post:
    """One place in the crew: its number and its sockets stay, its workers come and go."""

    def __init__(self, number: int, listeners: list[socket.socket]) -> None:
        self.number = number
        self.listeners = listeners
        self.backoff = Backoff()
        self.worker: Worker | None = None
        self.coming: Worker | None = None  # replaces the worker as soon as it is ready


class Supervisor:
    """Keeps a number of workers running until it is told to stop.

    SIGHUP replaces them one by one, by new processes with new code. SIGTTIN adds one, SIGTTOU
    removes one. SIGTERM and SIGINT let all end gracefully; a second one ends them at once.

    Parameters:
        command: what a worker runs; ``{place}`` in it becomes its place (``cluster.control``).
        sockets: the listening sockets.
        count: how many workers.
        ready: called once when all workers are ready, with the banner and the number of workers.
        failed: called if no worker can start at the beginning, with what one of them said.

    Example::

        code = trio.run(Supervisor(command, doors, 4, ready=print, failed=print).run)
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sockets,
        count: int,
        *,
        ready: Callable[[str, int], None],
        failed: Callable[[str], None],
    ) -> None:
        self._command = command
        self._sockets = sockets
        self._count = count
        self._tell_ready = ready
        self._tell_failed = failed
        self._posts: list[Post] = []
        self._workers: set[Worker] = set()  # those that live, also those that are about to end
        self._leader: Worker | None = None
        self._complete = False  # whether all were ready once
        self._stopping = False
        self._code = 0
        self._over = trio.Event()
        self._asked_to_reload = trio.Event()
        self._had_terminal = _has_terminal()  # its end is a SIGHUP as well, and the end of all
        self._nursery: trio.Nursery

    async def run(self) -> int:
        """Supervise until all workers have ended.

        Returns:
            The exit code: 0 after a graceful stop; if the workers cannot start, that of the first
            which said so.
        """
        try:
            with obeying(self._signalled):
                async with trio.open_nursery() as self._nursery:
                    for _ in range(self._count):
                        self._add()
                    self._nursery.start_soon(self._reload_when_asked)
                    await self._over.wait()
                    self._nursery.cancel_scope.cancel()
        finally:
            self._sockets.close()
        return self._code

    # Starting

    def _add(self) -> None:
        if self._stopping:
            return
        try:
            listeners = self._sockets.open()
        except OSError as error:
            _log.error("a worker more has no socket: %s", error.strerror)
            return
        post = Post(len(self._posts) + 1, listeners)
        self._posts.append(post)
        self._fill(post)

    def _fill(self, post: Post) -> None:
        post.worker = self._start(post)
        if post.worker is None:
            self._fill_again(post, 0.0)

    def _start(self, post: Post) -> Worker | None:
        count = max(self._count, len(self._posts))
        try:
            worker = start_worker(self._command, post.number, count, post.listeners)
        except OSError as error:
            _log.error("worker %d cannot be started: %s", post.number, error.strerror)
            if not self._complete:
                self._give_up(1)
            return None
        self._workers.add(worker)
        self._nursery.start_soon(self._watch, post, worker)
        return worker

    def _fill_again(self, post: Post, ran: float) -> None:
        pause = post.backoff.after(ran)
        if pause:
            _log.info("worker %d starts again in %g s", post.number, pause)
        self._nursery.start_soon(self._fill_later, post, pause)

    async def _fill_later(self, post: Post, pause: float) -> None:
        await trio.sleep(pause)
        if self._is_empty(post):
            self._fill(post)

    def _is_empty(self, post: Post) -> bool:
        """Whether somebody is missing here."""
        wanted = post in self._posts and not self._stopping
        return wanted and post.worker is None and post.coming is None

    # What happens to a worker

    async def _watch(self, post: Post, worker: Worker) -> None:
        code = await worker.run(partial(self._take, post))
        self._workers.discard(worker)
        if post.worker is worker:
            post.worker = None
        first = not self._complete and worker.said is None
        if worker.leaving:
            if self._complete:
                _log.info("%s %s", worker, how_it_ended(code))
        elif first and worker.failed:
            self._tell_failed(worker.failed)
        elif not (first and code >= 0):  # then it has said why, and need not be blamed again
            reason = f": {worker.failed}" if worker.failed else ""
            _log.error("%s %s%s", worker, how_it_ended(code), reason)
        if first and not worker.leaving:
            self._give_up(code if code >= 0 else 128 - code)
        elif self._is_empty(post):
            self._fill_again(post, trio.current_time() - worker.since if worker.said else 0.0)
        self._elect()
        self._end_if_empty()

    def _take(self, post: Post, worker: Worker, report: Report) -> None:
        """A worker has reported something."""
        if isinstance(report, Failed):
            worker.failed = report.text
        elif isinstance(report, Resigned):
            worker.leaving = worker.resigned = True
        elif isinstance(report, Ready) and worker.said is None:
            worker.said = report
            worker.since = trio.current_time()
            worker.ready.set()
            if not worker.leaving:
                _log.info("%s is ready", worker)
            if not self._complete and all(one.worker and one.worker.said for one in self._posts):
                self._complete = True
                self._tell_ready(report.banner, len(self._posts))
        self._elect()

    def _elect(self) -> None:
        """See that one worker leads: the first that serves, once the last leader has resigned."""
        leader = self._leader
        if leader is not None and not leader.over.is_set() and not leader.resigned:
            return
        serving = (post.worker for post in self._posts if post.worker and post.worker.serves)
        self._leader = None if self._stopping else next(serving, None)
        if self._leader is not None:
            self._leader.tell(Lead())

    # What the supervisor is told

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP and (not self._had_terminal or _has_terminal()):
            self._asked_to_reload.set()
        elif number == signal.SIGTTIN:
            self._grow()
        elif number == signal.SIGTTOU:
            self._shrink()
        else:
            _log.info("%s: the workers end", signal.Signals(number).name)
            self._stop()

    def _grow(self) -> None:
        for worker in self._workers:
            if worker.said and worker.said.alone:
                _log.error("SIGTTIN adds no worker: %s", worker.said.alone)
                return
        if self._complete:
            self._add()

    def _shrink(self) -> None:
        if len(self._posts) == 1 or not self._complete:
            _log.info("SIGTTOU removes no worker: the last worker stays")
            return
        post = self._posts.pop()
        for worker in (post.worker, post.coming):
            if worker is not None:
                worker.drain(restart=True)
        self._sockets.shut(post.listeners)

    async def _reload_when_asked(self) -> None:
        while True:
            await self._asked_to_reload.wait()
            self._asked_to_reload = trio.Event()  # one that comes from now on means newer code
            if self._complete and not self._stopping:
                reloading()
                await self._reload()
                notify("READY=1")

    async def _reload(self) -> None:
        """Replace the workers one by one. If a new one cannot start, the others stay."""
        _log.info("SIGHUP: the workers are replaced")
        for post in list(self._posts):
            if post not in self._posts or self._stopping:
                continue
            post.coming = worker = self._start(post)
            if worker is not None:
                await _first_of(worker.ready, worker.over)
            post.coming = None
            old = post.worker
            if worker is None or worker.over.is_set():
                if worker is None or not worker.leaving:
                    _log.error("the other workers are not replaced: see what is wrong with the new")
                    if old is None:
                        self._fill_again(post, 0.0)
                return
            if self._stopping or post not in self._posts:
                return
            post.worker = worker
            if old is not None:
                old.drain(restart=True)
            self._elect()
        _log.info("the workers are replaced")

    def _stop(self) -> None:
        if self._stopping:
            for worker in self._workers:
                worker.hurry()
            return
        self._stopping = True
        notify("STOPPING=1")
        for worker in self._workers:
            worker.drain(restart=False)
        # After that: the workers still take what is in their queues.
        self._sockets.close()
        self._end_if_empty()

    def _give_up(self, code: int) -> None:
        """The first start has failed."""
        if not self._stopping:
            self._code = code
            self._stop()

    def _end_if_empty(self) -> None:
        if self._stopping and not self._workers:
            self._over.set()


def _has_terminal() -> bool:
    """Whether this process has a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _first_of(*events: trio.Event) -> None:
    """Wait until one of them is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


@contextmanager
def obeying(obey: Callable[[int], None]) -> Iterator[None]:
    """Call a function for each signal, in trio's thread. Afterwards they are ignored, so that a
    late one does not change the exit code."""
    token = trio.lowlevel.current_trio_token()

    def handle(number: int, frame: object) -> None:
        # One Ctrl-C may come twice, from the terminal and from a parent process. But two SIGTTIN
        # are two workers.
        once = number not in (signal.SIGTTIN, signal.SIGTTOU)
        token.run_sync_soon(obey, number, idempotent=once)

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def cores() -> int:
    """How many processes can compute at the same time: the cores that this process may use, and
    no more than the control group's share of time.

    Source: sched_getaffinity(2); the kernel's documentation of cgroup v2, ``cpu.max``.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        share = -(-int(quota) // int(period))
    except (OSError, ValueError):  # no such group, or "max": no limit
        return count or 1
    return max(1, min(count or 1, share))
