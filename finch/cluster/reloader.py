"""Reloader: runs one worker, and starts it again whenever code has changed. For development.

It imports no application, so a mistake in the code cannot end it. It keeps the listening sockets
open: connections wait in the socket's queue while the application starts again, and are not
refused.

Order: the old process ends before the new one starts. So nothing that the application holds (a
port, a lock, a database file) is held twice.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final

import trio

from finch.cluster.orders import Failed, Lead, Ready, Report
from finch.cluster.supervisor import Sockets, obeying
from finch.cluster.worker import Worker, how_it_ended, start_worker
from finch.errors import ConfigurationError
from finch.net.listeners import start_listening

_log = logging.getLogger("finch.reload")

_GRACE: Final = 3.0  # seconds in which requests may end by themselves; then they are cut off
_PATIENCE: Final = 5.0  # seconds after which a process that still runs is killed

# Not everything: an application writes databases, uploads and logs of its own.
_CODE: Final = (".py", ".toml", ".html", ".jinja", ".jinja2", ".j2")

Changes = AsyncIterator[Iterable[str]]
"""Paths that have changed, each time that some have."""

Watch = Callable[[trio.Event], Changes]
"""Begins to watch for changes, until the event."""


class Reloader:
    """Keeps one process running that serves an application, always with its newest code.

    SIGINT, SIGTERM and SIGHUP end both; a second one ends them at once.

    Parameters:
        command: what the process runs; ``{place}`` in it becomes its place (``cluster.control``).
        sockets: the listening sockets.
        watch: gives the changes.
        ready: called when the application serves for the first time, with the banner.
        failed: called whenever it cannot start, with what it said.

    Example::

        code = trio.run(Reloader(command, doors, watch, ready=print, failed=print).run)
    """

    def __init__(
        self,
        command: Sequence[str],
        sockets: Sockets,
        watch: Watch,
        *,
        ready: Callable[[str], None],
        failed: Callable[[str], None],
    ) -> None:
        self._command = command
        self._sockets = sockets
        self._begin_watch = watch
        self._tell_ready = ready
        self._tell_failed = failed
        self._worker: Worker | None = None
        self._changed = trio.Event()
        self._over = trio.Event()
        self._what = ""  # has changed
        self._served = False  # once
        self._stopping = False
        self._code = 0

    async def run(self) -> int:
        """Serve until a signal comes.

        Returns:
            The exit code: 0, or 1 if the folders cannot be watched.
        """
        try:
            listeners = self._sockets.open()
            start_listening(listeners)  # so that clients wait, also for code that cannot start yet
            with obeying(self._signalled):
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._watch)
                    while not self._stopping:
                        self._changed = trio.Event()  # a change from now on is not imported
                        await self._serve(listeners)
                        if not self._stopping:
                            await self._changed.wait()
                    self._over.set()  # a thread that watches cannot be cancelled
        finally:
            self._sockets.close()
        return self._code

    async def _watch(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()  # the first step of the iterator begins to watch, without waiting
        try:
            async for paths in self._begin_watch(self._over):
                self._note(min(paths))
        except ConfigurationError as error:
            self._tell_failed(f"finch: {error}")
            self._code = 1
            self._stop()

    def _note(self, path: str) -> None:
        if not self._changed.is_set():
            self._what = os.path.relpath(path)
            self._changed.set()

    async def _serve(self, listeners: Sequence[socket.socket]) -> None:
        """Let a worker serve until it ends: because of a change, a signal, or by itself."""
        try:
            self._worker = worker = start_worker(self._command, 0, 1, listeners, stdin=None)
        except OSError as error:
            _log.error("the application cannot be started: %s", error.strerror)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end_at_change, worker)
            code = await worker.run(self._take)
            nursery.cancel_scope.cancel()
        self._worker = None
        if self._stopping or worker.leaving:
            return
        if worker.failed:
            self._tell_failed(worker.failed)
        elif worker.said is not None or code < 0:
            _log.error("%s %s", worker, how_it_ended(code))
        _log.info("waiting for a change")

    async def _end_at_change(self, worker: Worker) -> None:
        await self._changed.wait()
        if self._stopping:
            return
        _log.info("%s has changed: starting again", self._what)
        worker.drain(restart=True)
        worker.kill_after(_PATIENCE)
        await trio.sleep(_GRACE)
        worker.hurry()

    def _take(self, worker: Worker, report: Report) -> None:
        """The worker has reported something."""
        if isinstance(report, Failed):
            worker.failed = report.text
        elif isinstance(report, Ready):
            worker.said = report
            worker.tell(Lead())
            if self._served:
                _log.info("the application serves again")
            else:
                self._served = True
                self._tell_ready(report.banner)

    def _signalled(self, number: int) -> None:
        if self._stopping:
            if self._worker is not None:
                self._worker.hurry()
            return
        if number in (signal.SIGTTIN, signal.SIGTTOU):
            return  # those of a supervisor
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        if self._worker is not None:
            self._worker.drain(restart=False)
        self._changed.set()


def watch_in(folders: Sequence[str]) -> Watch:
    """What watches for changes of code in some folders, and in the folders inside them.

    Raises:
        ConfigurationError: if there is no such folder, or watchfiles is not installed.
    """
    for folder in folders:
        if not os.path.isdir(folder):
            raise ConfigurationError(f"there is no folder {folder} to watch; see --reload-dir")
    try:
        import watchfiles  # an extra, for development only
    except ImportError:
        raise ConfigurationError(
            "--reload needs watchfiles: pip install 'finch-trio[reload]'"
        ) from None
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what has changed is said here
    wanted = watchfiles.DefaultFilter()

    async def watch(over: trio.Event) -> Changes:
        try:
            async for found in watchfiles.awatch(
                *folders,
                watch_filter=lambda change, path: is_code(path) and wanted(change, path),
                stop_event=over,
            ):
                yield [path for _, path in found]
        except OSError as error:  # too many folders, for example
            raise ConfigurationError(f"the folders cannot be watched: {error}") from None

    return watch


def is_code(path: str) -> bool:
    """Whether a change of a file starts the application again."""
    return path.endswith(_CODE)
