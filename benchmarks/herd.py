"""How do many clients come back? ``python -m benchmarks.herd`` measures it with real sockets.

A server in a process of its own is killed and started again. Clients of ``finch.client`` are in a
room meanwhile. It prints how many connections were made in each second after the kill, and whether
each client is in its room again.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import trio

from benchmarks.process import raise_file_limit
from finch.client import State, StateChanged, connect
from finch.net.listeners import open_listeners

_APP: Final = "benchmarks.servers.herd_app:app"
_BACK: Final = 120.0  # seconds after which a client that is not back is counted as lost


class Herd:
    """The clients, and when each of them was connected.

    Parameters:
        url: where they connect to.
        size: how many they are.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._size = size
        self._ready = 0
        self.ready = trio.Event()
        """Set when all are in the room for the first time."""
        self.back: list[float] = []
        """When each was connected again, in seconds."""

    async def run(self) -> None:
        """Connect all, and keep them until they are back."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._size):
                nursery.start_soon(self._one)

    async def _one(self) -> None:
        async with connect(self._url) as client, client.join("herd"):
            events = client.events()
            self._ready += 1
            if self._ready == self._size:
                self.ready.set()
            with trio.move_on_after(_BACK):
                async for event in events:
                    if isinstance(event, StateChanged) and event.state is State.OPEN:
                        self.back.append(trio.current_time())
                        break


@contextmanager
def serving(port: int) -> Iterator[subprocess.Popen[Any]]:
    """A server in a process of its own."""
    command = [sys.executable, "-m", "finch", _APP, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until_it_listens(port: int) -> None:
    """Wait for a server."""
    with trio.fail_after(30):
        while True:
            try:
                await trio.aclose_forcefully(await trio.open_tcp_stream("127.0.0.1", port))
                return
            except OSError:
                await trio.sleep(0.05)


async def measure(size: int, down: float) -> list[int]:
    """Kill and restart a server.

    Parameters:
        size: how many clients.
        down: seconds between the kill and the start.

    Returns:
        How many clients were connected in each second after the kill.
    """
    [free] = open_listeners("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    herd = Herd(f"ws://127.0.0.1:{port}/ws", size)
    async with trio.open_nursery() as nursery:
        with serving(port):
            await until_it_listens(port)
            nursery.start_soon(herd.run)
            await herd.ready.wait()
        killed = trio.current_time()
        await trio.sleep(down)
        with serving(port):
            while len(herd.back) < size and trio.current_time() < killed + _BACK:
                await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
    counts = Counter(int(at - killed) for at in herd.back)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns 1 if a client did not come back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--down", type=float, default=1.0, help="seconds without a server")
    given = parser.parse_args(arguments)
    logging.getLogger("finch.client").setLevel(logging.ERROR)  # a line for each failed attempt
    raise_file_limit(2 * given.clients + 100)
    seconds = trio.run(measure, given.clients, given.down)
    print("| second after the kill | connections |\n|---|---|")
    for second, count in enumerate(seconds):
        print(f"| {second} | {count} |")
    back = sum(seconds)
    print(f"{back} of {given.clients} are back; at most {max(seconds, default=0)} in a second")
    return 0 if back == given.clients else 1


if __name__ == "__main__":
    sys.exit(main())
