"""``python -m benchmarks.workers``: what ``--workers`` gains for ``GET /``, beside one process.

The load generator needs a core too. So it is made as light as possible: it keeps several requests
under way on each connection (pipelining), and counts the bytes of the answers. The CPU time that
the workers used says how much they would serve if they had all cores for themselves.
"""

from __future__ import annotations

import argparse
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.process import cpu_seconds

APP = """
from finch import FinchApp
app = FinchApp()

@app.get("/")
async def index(request):
    return "hi"
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Measured(NamedTuple):
    """One run: requests a second, and CPU seconds of the servers and of the generator."""

    rate: float
    servers: float
    generator: float


def load(port: int, seconds: float, connections: int, depth: int) -> int:
    """Ask as fast as the answers come; how many answers there were."""
    with socket.create_connection(("127.0.0.1", port)) as first:
        first.sendall(REQUEST)
        size = len(first.recv(65536))
    poll = select.epoll()
    clients = {}
    for _ in range(connections):
        client = socket.create_connection(("127.0.0.1", port))
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN)
    waits = dict.fromkeys(clients, depth * size)  # bytes that are still to come
    for client in clients.values():
        client.sendall(REQUEST * depth)
    received = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, _ in poll.poll(1):
            count = len(clients[number].recv(65536))
            received += count
            waits[number] -= count
            if waits[number] <= 0:
                waits[number] = depth * size
                clients[number].sendall(REQUEST * depth)
    for client in clients.values():
        client.close()
    poll.close()
    return received // size


def measure(workers: int, arguments: argparse.Namespace) -> Measured:
    """Serve with so many workers (0: the process alone), and load it."""
    command = [sys.executable, "-m", "finch", "app:app", "--port", "0", "--no-access-log"]
    if workers:
        command += ["--workers", str(workers)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APP)
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = 0
            for line in server.stdout:
                if found := re.search(r"serves http://127.0.0.1:(\d+)", line):
                    port = int(found[1])
                if "Stop it" in line:
                    break
            load(port, 1.0, arguments.connections, arguments.depth)  # warm
            before, own = cpu_seconds(server.pid), time.process_time()
            count = load(port, arguments.seconds, arguments.connections, arguments.depth)
            used, own = cpu_seconds(server.pid) - before, time.process_time() - own
            server.terminate()
    return Measured(count / arguments.seconds, used, own)


def main() -> None:
    """Measure in turn, and print the median of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--depth", type=int, default=16)
    arguments = parser.parse_args()
    runs: dict[int, list[Measured]] = {count: [] for count in arguments.workers}
    for _ in range(arguments.rounds):
        for count in arguments.workers:
            runs[count].append(measure(count, arguments))
    for count, measured in runs.items():
        rate, servers, generator = sorted(measured)[len(measured) // 2]
        each = rate * arguments.seconds / servers
        print(
            f"{count or 'no'} workers: {rate:,.0f} requests/s; CPU: {servers:.1f} s of the "
            f"servers, {generator:.1f} s of the generator; {each:,.0f} requests a CPU second"
        )


if __name__ == "__main__":
    main()
