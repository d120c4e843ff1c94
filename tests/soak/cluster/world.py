"""The processes: ``python -m finch`` on several ports, as on several machines, and a Redis."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.cluster import server as theirs
from tests.soak.server import ROOT

_START_WITHIN: Final = 20.0

_make_redis: Any = theirs.RedisServer
free_port: Any = theirs.free_port


class Worker:
    """One process, which can be killed and started again on its port.

    Parameters:
        backplane: the URL of Redis.
        log: where it writes.
    """

    def __init__(self, backplane: str, log: Path) -> None:
        self.port: int = free_port()
        self._backplane = backplane
        self._log = log
        self._begin = 0  # where the log of this start begins
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it."""
        self._begin = self._log.stat().st_size if self._log.exists() else 0
        arguments = ("--port", str(self.port), "--no-access-log", "--backplane", self._backplane)
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "finch", "tests.soak.cluster.app:app", *arguments],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def wait(self) -> None:
        """Wait until it serves."""
        assert self._process is not None
        end = time.monotonic() + _START_WITHIN
        while "serves http" not in (said := self._log.read_text()[self._begin :]):
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"a process did not start:\n{said}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def bugs(self) -> list[str]:
        """Lines of its log that tell of a bug."""
        text = self._log.read_text() if self._log.exists() else ""
        return re.findall(r"^.*(?:a bug in Finch|Traceback).*$", text, re.MULTILINE)


class World:
    """Everything that is started.

    Parameters:
        workers: how many processes.
        folder: for logs.

    Attributes:
        workers: the processes.
        redis: a ``RedisServer`` of the tests.
    """

    def __init__(self, workers: int, folder: Path) -> None:
        # DEBUG SLEEP is off by default since Redis 7
        self.redis = _make_redis(folder, "--enable-debug-command", "yes")
        self._count = workers
        self._folder = folder
        self.workers: list[Worker] = []

    def start(self, first_url: str | None = None) -> None:
        """Start the processes, after Redis.

        Parameters:
            first_url: how the first one reaches Redis; as the others if None.
        """
        for number in range(self._count):
            url = first_url if number == 0 and first_url else self.redis.url()
            self.workers.append(Worker(url, self._folder / f"process{number}.log"))
        start_all(self.workers)

    def stop(self) -> None:
        """End all of them."""
        for worker in self.workers:
            worker.kill()
        self.redis.stop()

    def bugs(self) -> Sequence[str]:
        """What the logs tell of bugs."""
        return [line for worker in self.workers for line in worker.bugs()]


def start_all(workers: Sequence[Worker]) -> None:
    """Start processes, and wait until all serve."""
    for worker in workers:
        worker.begin()
    for worker in workers:
        worker.wait()
