"""A Redis server of the tests: a real one, on a port of its own, that keeps nothing on disk."""

import itertools
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.conftest import need

# Below the ports that systems give to clients and to port 0: until the server that it is for has
# started, and while it starts again, nobody else is given such a port.
_PORTS = range(20_000, 32_000)
_tried = itertools.count(random.SystemRandom().randrange(len(_PORTS)))


def free_port():
    """A port that nobody listens on, and that this process has not given away before."""
    for number in itertools.islice(_tried, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class RedisServer:
    """A ``redis-server`` that can be started again, paused and wiped."""

    def __init__(self, folder: Path, *options):
        self.port = free_port()
        self._program = need("redis-server", "apt-get install redis-server")
        self._folder = folder
        self._options = options
        self._process = None

    def url(self, prefix="finch", db=0):
        return f"redis://127.0.0.1:{self.port}/{db}?prefix={prefix}"

    def start(self):
        command = [
            *(self._program, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
            *self._options,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                return self
        raise AssertionError("redis-server did not start")

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def say(self, *words):
        """Send a command over a connection of its own. Returns the answer as it is."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        command = b"*%d\r\n" % len(parts)
        for part in parts:
            command += b"$%d\r\n%b\r\n" % (len(part), part)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(command)
            return sock.recv(65536)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def wait_until(true, what, seconds=10.0):
    """Wait in a thread until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it never came to that: {what}"
        time.sleep(0.01)
