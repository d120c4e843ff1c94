"""Many clients of one server in one task: raw sockets, one epoll, no protocol library.

A :class:`Crowd` connects them, hands every whole answer to ``on_answer`` and counts what goes
wrong. What is sent when is decided by :mod:`benchmarks.load`.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from benchmarks.dialects import Dialect, Kind

_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_RESET: Final = struct.pack("ii", 1, 0)
_PORTS: Final = 14_000
"""Connections from one source address. Linux has about 28,000 ports for each and looks for a free
one among every second of them first; past half of them each ``connect`` takes milliseconds."""
_BIND_ADDRESS_NO_PORT: Final = 24


class Client:
    """One connection."""

    __slots__ = ("buffer", "fast", "fd", "group", "late", "read", "sent", "sock", "step", "unsent")

    def __init__(self, sock: socket.socket, group: int) -> None:
        self.sock = sock
        self.group = group
        """Which of the crowd's dialects it speaks."""
        self.fd = sock.fileno()
        self.read: Callable[[memoryview], int] = sock.recv_into
        self.step = 0
        self.fast = False
        """Whether it is open and holds no half of a frame."""
        self.buffer = bytearray()
        self.unsent = b""
        self.sent = 0
        """When its message went out, or was to go out, in nanoseconds."""
        self.late: list[int] = []
        """The same for each message after that, where it does not wait for the answer."""


class Crowd:
    """Up to ``count`` clients of one server.

    Parameters:
        address: host and port.
        dialects: what they speak; if there are several, the clients are dealt out to them in turn.
        count: how many.
        first: the number of the first among all processes' clients, which chooses its source
            address.
        window: how many connect at the same time.
        address_of: which server the client with a number connects to, if there are several.

    Attributes:
        dialect: the first of the dialects.
        on_answer: called with the client and whether the answer was right.
        errors: what went wrong, and how often.
    """

    def __init__(
        self,
        address: tuple[str, int],
        dialects: Sequence[Dialect],
        count: int,
        *,
        first: int = 0,
        window: int = 64,
        address_of: Callable[[int], tuple[str, int]] | None = None,
    ) -> None:
        self.dialects = dialects
        self.dialect = dialects[0]
        self.errors: Counter[str] = Counter()
        self.on_answer: Callable[[Client, bool], None] = _ignore
        self.ready: list[Client] = []
        self._family, self._address = _resolve(*address)
        self._count = count
        self._first = first
        self._address_of = address_of
        self._window = window
        self._begun = 0
        self._failed = 0
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._view = memoryview(bytearray(1 << 18))
        # of the last right answer, and of the last one of another size: the next one is most likely
        # as long as one of them
        self._size = self._other_size = -1

    # Connecting

    def connect(self, timeout: float, progress: Callable[[int], None] | None = None) -> float:
        """Open every connection.

        Parameters:
            timeout: seconds after which those that are not open are given up.
            progress: called now and then with how many are open.

        Returns:
            How many seconds it took.
        """
        begun = time.perf_counter()
        deadline = begun + timeout
        told = begun
        while len(self.ready) + self._failed < self._count:
            while (
                self._begun < self._count
                and self._begun - len(self.ready) - self._failed < self._window
            ):
                self._open()
            self.turn(0.05)
            now = time.perf_counter()
            if progress is not None and now - told >= 1:
                progress(len(self.ready))
                told = now
            if now > deadline:
                self.errors["not connected in time"] += self._count - len(self.ready) - self._failed
                break
        return time.perf_counter() - begun

    def _open(self) -> None:
        number = self._first + self._begun
        self._begun += 1
        try:
            address = self._address if self._address_of is None else self._address_of(number)
            sock = socket_from(self._family, address, number // _PORTS)
        except OSError as error:
            self._failed += 1
            self.errors[f"socket: {error.strerror}"] += 1
            return
        try:
            with suppress(BlockingIOError):
                sock.connect(address)
        except OSError as error:
            self._failed += 1
            self.errors[f"connect: {error.strerror}"] += 1
            sock.close()
            return
        client = Client(sock, number % len(self.dialects))
        client.unsent = self.dialects[client.group].hello
        self._clients[client.fd] = client
        self._epoll.register(client.fd, _IN | _OUT)

    # Turning

    def wait(self, seconds: float) -> None:
        """Wait until there is something to take. Epoll counts in milliseconds, this in less."""
        select.select([self._epoll], [], [], max(0.0, seconds))

    def turn(self, timeout: float) -> None:
        """Take what the server sent, waiting for it up to ``timeout`` seconds."""
        clients = self._clients
        view = self._view
        on_answer = self.on_answer
        for fd, event in self._epoll.poll(timeout):
            client = clients.get(fd)
            if client is None:
                continue
            if event != _IN and not self._unusual(client, event):
                continue
            try:
                size = client.read(view)
            except BlockingIOError:
                continue
            except OSError as error:
                self._lose(client, error.strerror or "error")
                continue
            if (size == self._size or size == self._other_size) and client.fast:
                on_answer(client, True)
            elif size:
                self._read_slowly(client, size)
            else:
                self._lose(client, "closed by the server")

    def _unusual(self, client: Client, event: int) -> bool:
        if event & _OUT:
            if not self.dialects[client.group].steps and not client.fast:
                self._epoll.modify(client.fd, _IN)
                client.fast = True
                self.ready.append(client)
            else:
                unsent, client.unsent = client.unsent, b""
                self._epoll.modify(client.fd, _IN)
                self.send(client, unsent)
        return bool(event & ~_OUT) and client.fd in self._clients

    def _read_slowly(self, client: Client, size: int) -> None:
        if client.fast and self._size > 0 and size % self._size == 0:
            for _ in range(size // self._size):
                self.on_answer(client, True)
            return
        buffer = client.buffer
        buffer += self._view[:size]
        dialect = self.dialects[client.group]
        while buffer and client.fd >= 0:
            piece = dialect.next_piece(buffer, client.step)
            if piece is None:
                break
            size, kind, reply, problem = piece
            del buffer[:size]
            if problem:
                self.errors[problem] += 1
            if reply:
                self.send(client, reply)
            if kind is Kind.STEP:
                client.step += 1
                if client.step == dialect.steps:
                    self.ready.append(client)
            elif kind is Kind.ANSWER:
                if size != self._size:
                    self._size, self._other_size = size, self._size
                self.on_answer(client, True)
            elif kind is Kind.WRONG:
                self.on_answer(client, False)
            elif kind is Kind.END:
                self._lose(client, "")
        client.fast = not buffer and client.step == dialect.steps

    def send(self, client: Client, frame: bytes) -> None:
        """Send, or keep what the kernel does not take for later."""
        if client.unsent:
            client.unsent += frame
            return
        try:
            taken = client.sock.send(frame)
        except BlockingIOError:
            taken = 0
        except OSError as error:
            self._lose(client, error.strerror or "error")
            return
        if taken < len(frame):
            client.unsent = frame[taken:]
            self._epoll.modify(client.fd, _IN | _OUT)

    # Leaving

    def _lose(self, client: Client, problem: str) -> None:
        if client.fd < 0:
            return
        if problem:
            self.errors[problem] += 1
        self._clients.pop(client.fd, None)
        client.fd = -1
        client.fast = False
        client.sock.close()
        self._failed += 1
        if client in self.ready:
            self.ready.remove(client)

    def close(self) -> None:
        """Close every connection, at once and without leaving ports in TIME_WAIT."""
        for client in self._clients.values():
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.sock.close()
        self._clients.clear()
        self.ready.clear()
        self._epoll.close()


def socket_from(family: socket.AddressFamily, server: tuple[str, int], place: int) -> socket.socket:
    """A non-blocking TCP socket that will connect from a source address of its own.

    Parameters:
        server: where it is to connect to.
        place: the number of the source address: each has about 28,000 ports. Only a server on
            127.0.0.0/8 is connected to from other places than 0.
    """
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if place and server[0].startswith("127."):
                sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
                sock.bind((f"127.0.0.{1 + place}", 0))
    except OSError:
        sock.close()
        raise
    return sock


def _ignore(client: Client, right: bool) -> None:
    """An answer that nobody waits for."""


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, (str(address[0]), int(address[1]))
