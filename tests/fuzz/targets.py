"""The targets by name, and how one is run: as many inputs as one likes, each within its time."""

import hashlib
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz import (
    against_llhttp,
    against_websockets,
    connection,
    envelope,
    forwarded,
    handshake,
    head,
    inputs,
    proxy_header,
    rooms,
    websocket,
)

FOLDER: Final = Path(__file__).parent
FINDINGS: Final = FOLDER / "findings"
REGRESSIONS: Final = FOLDER / "regressions"
PATIENCE: Final = 20.0
"""Seconds for one input. The slowest takes a few hundredths of one."""


class Hang(BaseException):
    """An input took too long. No ``except Exception`` on the way may take it."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes:
        function: takes any bytes; raises where Finch did what it must not.
        valid: makes an input that Finch should take.
    """

    name: str
    function: Callable[[bytes], None]
    valid: Callable[[Random], bytes]

    def an_input(self, random: Random) -> bytes:
        """A valid input now and then, mostly a broken one."""
        data = self.valid(random)
        if random.random() < 0.15:
            return data
        return inputs.broken(data, random, self.valid(random))

    def run(self, data: bytes) -> None:
        """Try one input.

        Raises:
            Hang: where it takes longer than ``PATIENCE``.
            Exception: whatever the target raises.
        """
        with _alarm(self.name):
            self.function(data)


TARGETS: Final = {
    target.name: target
    for target in (
        Target("head", head.target, inputs.requests),
        Target("connection", connection.target, inputs.connection),
        Target("websocket", websocket.target, inputs.stream),
        Target("handshake", handshake.target, inputs.handshake),
        Target("envelope", envelope.target, inputs.message),
        Target("proxy_header", proxy_header.target, inputs.proxy_header),
        Target("rooms", rooms.target, rooms.valid),
        Target("forwarded", forwarded.target, inputs.forwarded),
        Target("against_llhttp", against_llhttp.target, inputs.requests),
        Target("against_websockets", against_websockets.target, inputs.stream),
    )
}


@contextmanager
def _alarm(name: str) -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise Hang(f"{name} took longer than {PATIENCE:g} s for one input")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def failure(target: Target, data: bytes) -> BaseException | None:
    """What the input leads to, where that is wrong."""
    try:
        target.run(data)
    except (Exception, Hang) as error:
        return error
    return None


def shrunk(target: Target, data: bytes, seconds: float = 30.0) -> bytes:
    """A smaller input that fails in the same way, as far as it is found in that time."""
    where = _where(failure(target, data))
    until = time.monotonic() + seconds
    size = len(data) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            shorter = data[:at] + data[at + size :]
            if _where(failure(target, shorter)) == where:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def _where(error: BaseException | None) -> tuple[type, str, int | None] | None:
    if error is None:
        return None
    last = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), last.filename, last.lineno


def keep(target: Target, data: bytes) -> Path:
    """Write a failing input where it is found again."""
    path = FINDINGS / target.name / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def regressions() -> list[tuple[Target, Path]]:
    """Every input that has failed once, with the target that it failed."""
    return [(TARGETS[path.parent.name], path) for path in sorted(REGRESSIONS.glob("*/*.bin"))]
