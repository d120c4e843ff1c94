"""How old is what a slow client sees? ``python -m benchmarks.freshness`` measures it in real time.

Twenty volatile messages a second go to two clients of another library (``websockets``). One reads
two messages a second, the other all. Each message carries the time at which it was sent.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from functools import partial

import trio
import websockets.exceptions
import websockets.sync.client

from finch import FinchApp
from finch.net.listeners import open_listeners
from finch.server import Server

_RATE = 20  # messages a second


class Reader(threading.Thread):
    """A client in a thread: reads a message, then waits.

    Parameters:
        url: the server's socket.
        pause: seconds between two messages.
    """

    def __init__(self, url: str, pause: float) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._pause = pause
        self.ages: list[float] = []
        self.numbers: list[int] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        # max_queue: what the client itself keeps before it stops reading from the network
        with websockets.sync.client.connect(self._url, max_queue=0) as socket:
            while not self.stopped.is_set():
                try:
                    said = json.loads(socket.recv())["data"]
                except websockets.exceptions.ConnectionClosed:
                    return
                self.ages.append(time.time() - said["at"])
                self.numbers.append(said["number"])
                self.stopped.wait(self._pause)


async def measure(seconds: float, volatile: bool) -> None:
    """Serve, send and print what each client saw."""
    app = FinchApp()
    app.on_message(lambda socket, data: None)
    async with trio.open_nursery() as nursery:
        server = Server(app)
        [url] = await nursery.start(partial(server.run, open_listeners("127.0.0.1", 0)))
        url = url.replace("http", "ws", 1) + "/ws"
        slow, fast = Reader(url, 0.5), Reader(url, 0)
        slow.start()
        fast.start()
        while app.everyone.count < 2:
            await trio.sleep(0.01)
        begin = trio.current_time()
        number = 0
        while trio.current_time() < begin + seconds:
            number += 1
            data = {"at": time.time(), "number": number, "padding": "x" * 1000}
            await app.everyone.send(data, path="price", volatile=volatile)
            await trio.sleep_until(begin + number / _RATE)
        for reader in (slow, fast):
            reader.stopped.set()
        kind = "volatile" if volatile else "durable"
        print(
            f"{kind:>8}: the slow client read {len(slow.ages)} of {number}, the last "
            f"{slow.ages[-1]:.2f} s old, the oldest of the last ten {max(slow.ages[-10:]):.2f} s; "
            f"the fast one read {len(fast.ages)}, missing "
            f"{number - len(set(fast.numbers))}, the oldest {max(fast.ages):.3f} s"
        )
        nursery.cancel_scope.cancel()


def main() -> None:
    """Measure volatile messages, and durable ones for comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    seconds = parser.parse_args().seconds
    for volatile in (True, False):
        trio.run(measure, seconds, volatile)


if __name__ == "__main__":
    main()
