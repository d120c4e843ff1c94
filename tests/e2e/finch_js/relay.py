"""A bad network between a browser and a server: a test cuts it, stalls it and slows it down."""

import socket
import time
from contextlib import suppress
from threading import Lock, Thread

SMALL = 4096  # bytes: the buffers of a slow connection, which thus soon is felt at the other end


class Relay:
    """Passes TCP connections on to a server.

    Parameters:
        url: the server's, such as ``http://127.0.0.1:8080``.

    Attributes:
        url: its own.
        target: where new connections go.
        down: whether new connections are refused.
        cuts_upgrades: whether connections that ask for a WebSocket are cut.
        slow: whether bytes are passed on in small pieces, about 50 KB a second.
        cuts: how many connections ``cut_after`` has cut.
    """

    def __init__(self, url):
        self.down = self.slow = self.cuts_upgrades = False
        self.upgrades = 0  # that were cut
        self.cuts = 0
        self._cut_after = {}  # bytes that still pass, by direction
        self._pairs = []
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lead_to(url)
        self._run(self._accept)

    def lead_to(self, url):
        """Pass new connections on to another server."""
        self.target = ("127.0.0.1", int(url.rpartition(":")[2]))

    def cut(self):
        """End all connections."""
        for pair in self._pairs:
            pair.cut()

    def cut_after(self, direction, count):
        """End a connection as soon as so many bytes more have passed, ``up`` or ``down``."""
        with self._lock:
            self._cut_after = {direction: count}

    def stall(self):
        """From now on the connections that are there lose everything, and nobody is told."""
        for pair in self._pairs:
            pair.stalled = True

    def close(self):
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for pair in self._pairs:
            pair.close()

    def _run(self, function, *args):
        thread = Thread(target=function, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.down:
                client.close()
                continue
            pair = _Pair(client, self.target, self.slow)
            self._pairs.append(pair)
            self._run(self._pump, pair, client, pair.server, "up")
            self._run(self._pump, pair, pair.server, client, "down")

    def _pump(self, pair, source, sink, direction):
        with suppress(OSError):
            while data := source.recv(256 if self.slow else 65536):
                if pair.stalled:
                    continue
                if self.cuts_upgrades and b"Upgrade: websocket" in data:
                    self.upgrades += 1
                    break
                passing = data[: self._passing(direction, len(data))]
                sink.sendall(passing)
                if len(passing) < len(data):
                    self.cuts += 1
                    break
                if self.slow:
                    time.sleep(0.005)  # this is the slowness, and nothing waits for it
        if not pair.stalled:
            pair.cut()

    def _passing(self, direction, count):
        """How many of these bytes pass: all, unless the cut is among them."""
        with self._lock:
            left = self._cut_after.get(direction, count)
            if left < count:
                self._cut_after = {}
            elif direction in self._cut_after:
                self._cut_after[direction] = left - count
            return min(left, count)


class _Pair:
    def __init__(self, client, target, slow):
        self.client = client
        self.server = socket.socket()
        self.stalled = False
        if slow:
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        try:
            self.server.connect(target)
        except OSError:
            self.cut()

    def cut(self):
        for one in (self.client, self.server):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.client.close()
        self.server.close()
