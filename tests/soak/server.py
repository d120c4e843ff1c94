"""The server's process, started as a user starts it, and what can be seen of it from outside."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.process import cpu_seconds, resident_bytes

ROOT: Final = Path(__file__).parents[2]
_ARGUMENTS: Final = ("tests.soak.app:app", "--port", "0", "--no-access-log")
_ANSWER_WITHIN: Final = 60.0


@dataclass
class Sample:
    """The server at one moment.

    Attributes:
        at: seconds since the beginning.
        rss: resident memory in bytes.
        descriptors, threads: as the kernel counts them.
        tasks: of trio's; ``tree`` are those of them that hang together.
        clients: of the manager; ``raw`` sockets beside them.
        connects, disconnects: callbacks of the manager so far.
        left: how many clients have left so far, of raw sockets too.
        answered_in: seconds that the answer to a request took.
        longest_ms: how long the longest flood of each kind went on.
    """

    at: float
    rss: int
    descriptors: int
    threads: int
    cpu: float
    tasks: int
    tree: int
    clients: int
    raw: int
    in_rooms: int
    streams: int
    connects: int
    disconnects: int
    left: int
    answered_in: float
    longest_ms: dict[str, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many WebSockets are open."""
        return self.clients + self.raw

    def to_json(self) -> dict[str, Any]:
        """Everything, ready for ``json.dumps``."""
        return asdict(self)


class Server:
    """``python -m finch`` with the application of this folder, in a process of its own.

    Parameters:
        log: where it writes.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self._begun = time.monotonic()
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "finch", *_ARGUMENTS],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.address = self._wait_for_address()

    def _wait_for_address(self) -> tuple[str, int]:
        while self._process.poll() is None:
            found = re.search(r"serves http://([\d.]+):(\d+)", self.log.read_text())
            if found:
                return found[1], int(found[2])
            time.sleep(0.05)
        raise SystemExit(f"the server did not start:\n{self.log.read_text()}")

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def sample(self) -> Sample:
        """Look at it.

        Raises:
            OSError: where it does not answer.
        """
        asked = time.monotonic()
        connection = http.client.HTTPConnection(*self.address, timeout=_ANSWER_WITHIN)
        try:
            connection.request("GET", "/state", headers={"connection": "close"})
            state = json.loads(connection.getresponse().read())
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"the server gave no answer: {error!r}") from error
        finally:
            connection.close()
        now = time.monotonic()
        pid = self._process.pid
        counts = state["counts"]
        return Sample(
            at=now - self._begun,
            rss=resident_bytes(pid),
            descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            threads=len(os.listdir(f"/proc/{pid}/task")),
            cpu=cpu_seconds(pid),
            tasks=state["tasks"],
            tree=state["tree"],
            clients=state["clients"],
            raw=counts.get("raw", 0),
            in_rooms=state["in_rooms"],
            streams=counts.get("streams", 0),
            connects=counts.get("connects", 0),
            disconnects=counts.get("disconnects", 0),
            left=counts.get("disconnects", 0) + counts.get("raw left", 0),
            answered_in=now - asked,
            longest_ms=state["longest_ms"],
        )

    def stop(self) -> int:
        """SIGTERM, as a service manager does it; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.alive:
            self._process.kill()
        self._process.wait()

    def complaints(self) -> Counter[str]:
        """What its log should not hold: a bug, or what nobody raised on purpose."""
        found: Counter[str] = Counter()
        for entry in re.split(r"\n(?=\d{4}-\d\d-\d\d )", self.log.read_text(errors="replace")):
            if "RuntimeError: raised on purpose" in entry and "a bug in Finch" not in entry:
                continue
            if re.search(r" (WARNING|ERROR|CRITICAL) |Traceback|a bug in Finch", entry):
                lines = entry.strip().splitlines()
                text = re.sub(r"^\S+ \S+ ", "", lines[0])
                found[f"{text} ... {lines[-1]}" if len(lines) > 1 else text] += 1
        return found
