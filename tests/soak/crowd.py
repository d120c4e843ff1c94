"""The clients that stay: thousands of open WebSockets, read by one task with one epoll."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final

import trio

from benchmarks import frames
from tests.soak.line import Line

_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT
_EVENTS: Final = 256  # sockets read before everybody else has a turn


class Talker:
    """A client that behaves.

    Attributes:
        name: unlike that of any other client.
        room: where it is; None for a raw socket.
        stays: whether it is there from the beginning to the end.
        expected: the echoes that it waits for, in order.
        asked: since when it waits for the first of them.
        pings: how many pongs it waits for.
    """

    __slots__ = ("asked", "expected", "line", "name", "pings", "room", "stays", "unsent")

    def __init__(self, line: Line, name: str, room: int | None, stays: bool) -> None:
        self.line = line
        self.name = name
        self.room = room
        self.stays = stays
        self.expected: list[bytes] = []
        self.asked = 0.0
        self.pings: list[bytes] = []
        self.unsent = b""


class Crowd:
    """Open WebSockets, each read as soon as something comes.

    Parameters:
        on_message: called with a talker, opcode and payload of each frame that is neither ping nor
            Close.
        on_lost: called with a talker whose connection the server ended, and how.
    """

    def __init__(
        self,
        on_message: Callable[[Talker, int, bytes], None],
        on_lost: Callable[[Talker, str], None],
    ) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._epoll = select.epoll()
        self._talkers: dict[int, Talker] = {}

    def __len__(self) -> int:
        return len(self._talkers)

    def add(self, talker: Talker) -> None:
        """Read a talker's line from now on."""
        number = talker.line.raw.fileno()
        self._talkers[number] = talker
        self._epoll.register(number, _IN)
        self._take_frames(talker)

    def remove(self, talker: Talker) -> Line:
        """Leave a talker's line to somebody else."""
        number = talker.line.raw.fileno()
        del self._talkers[number]
        self._epoll.unregister(number)
        return talker.line

    def send(self, talker: Talker, frame: bytes) -> None:
        """Send, or keep for later what the kernel does not take."""
        if talker.unsent:
            talker.unsent += frame
            return
        try:
            taken = talker.line.raw.send(frame)
        except BlockingIOError:
            taken = 0
        except OSError:
            return  # reading tells
        if taken < len(frame):
            talker.unsent = frame[taken:]
            self._epoll.modify(talker.line.raw.fileno(), _IN | _OUT)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for number, event in self._epoll.poll(0, _EVENTS):
                talker = self._talkers.get(number)
                if talker is None:
                    continue
                if event & _OUT:
                    frame, talker.unsent = talker.unsent, b""
                    self._epoll.modify(number, _IN)
                    self.send(talker, frame)
                if event & ~_OUT:
                    self._read(talker)
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close every line, at once."""
        for talker in self._talkers.values():
            talker.line.reset()
        self._talkers.clear()
        self._epoll.close()

    def _read(self, talker: Talker) -> None:
        try:
            data = talker.line.raw.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(talker, f"lost: {error.strerror}")
            return
        if not data:
            self._lose(talker, "lost: closed by the server")
            return
        talker.line.buffer += data
        self._take_frames(talker)

    def _take_frames(self, talker: Talker) -> None:
        buffer = talker.line.buffer
        number = talker.line.raw.fileno()
        while (found := frames.first_frame(buffer)) is not None:
            payload = bytes(buffer[found.start : found.end])
            del buffer[: found.end]
            if found.opcode == frames.PING:
                self.send(talker, frames.client_frame(payload, frames.PONG))
            elif found.opcode == frames.CLOSE:
                self._lose(talker, f"lost: closed with {int.from_bytes(payload[:2], 'big')}")
                return
            else:
                self._on_message(talker, found.opcode, payload)
            if self._talkers.get(number) is not talker:
                return  # it was removed meanwhile

    def _lose(self, talker: Talker, how: str) -> None:
        self.remove(talker).reset()
        self._on_lost(talker, how)
