"""A Redis server of the tests: a real one, on a port of its own, that keeps nothing on disk."""

import itertools
import random
import signal
import socket
import subprocess
import time
from itertools import permutations
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
        self.cluster_port = None

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


class RedisCluster:
    """A Redis Cluster of three main nodes, which share the slots."""

    def __init__(self, folder: Path):
        self.servers = []
        for number in range(3):
            home = folder / str(number)
            home.mkdir()
            port = free_port()  # where the nodes speak to each other
            options = ("--cluster-enabled", "yes", "--cluster-port", str(port))
            self.servers.append(RedisServer(home, *options, "--cluster-node-timeout", "2000"))
            self.servers[-1].cluster_port = port

    def url(self, prefix="finch"):
        return self.servers[0].url(prefix)

    def __enter__(self):
        bounds = (0, 5461, 10923, 16384)
        for server, first, end in zip(self.servers, bounds, bounds[1:], strict=False):
            server.start()
            server.say("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for one, other in permutations(self.servers, 2):  # each, or the last hear of it late
            one.say("CLUSTER", "MEET", "127.0.0.1", other.port, other.cluster_port)
        for server in self.servers:
            wait_until(lambda server=server: self._is_complete(server), "the cluster works")
        return self

    def _is_complete(self, server):
        info = server.say("CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info

    def owner(self, name):
        """The server that has a key or channel."""
        return next(one for one in self.servers if one.say("EXISTS", name) == b":0\r\n")

    def move(self, name):
        """Move the slot of a key or channel to another server, which is returned."""
        slot = int(self.servers[0].say("CLUSTER", "KEYSLOT", name)[1:])
        old = self.owner(name)
        new = next(one for one in self.servers if one is not old)
        ids = {one: one.say("CLUSTER", "MYID").split(b"\r\n")[1] for one in self.servers}
        new.say("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[old])
        old.say("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
        keys = old.say("CLUSTER", "GETKEYSINSLOT", slot, 100).split(b"\r\n")[2::2]
        if keys:
            moved = old.say("MIGRATE", "127.0.0.1", new.port, "", 0, 5000, "KEYS", *keys)
            assert moved == b"+OK\r\n", moved
        for server in (new, *self.servers):
            said = server.say("CLUSTER", "SETSLOT", slot, "NODE", ids[new])
            assert said == b"+OK\r\n", said
        return new

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()


def wait_until(true, what, seconds=10.0):
    """Wait in a thread until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"it never came to that: {what}"
        time.sleep(0.01)
