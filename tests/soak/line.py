"""One connection of a client that may do what no library would: halves, resets, silence."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
from typing import Final

import trio

from benchmarks import frames
from benchmarks.crowd import socket_from

_SOURCES: Final = 16  # addresses that clients come from, each with ports of its own
_places = itertools.count()

_RESET: Final = struct.pack("ii", 1, 0)


class Wrong(Exception):
    """The server did what it should not, or did not do what it should."""


class Line:
    """A TCP connection to the server, and what came over it and is not used yet.

    Parameters:
        sock: connected.
    """

    __slots__ = ("buffer", "raw", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.raw = sock
        self.sock = trio.socket.from_stdlib_socket(sock)
        self.buffer = bytearray()

    @classmethod
    async def connect(cls, address: tuple[str, int], *, receive_buffer: int = 0) -> Line:
        """Connect from one of several source addresses, each in turn.

        Parameters:
            receive_buffer: bytes the kernel may hold for us; its own choice where 0.
        """
        sock = socket_from(socket.AF_INET, address, next(_places) % _SOURCES)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        line = cls(sock)
        try:
            await line.sock.connect(address)
        except BaseException:
            line.close()
            raise
        return line

    async def send(self, data: bytes) -> None:
        """Send all of it. Where the server is gone it is lost; reading tells."""
        view = memoryview(data)
        with contextlib.suppress(OSError):
            while view:
                view = view[await self.sock.send(view) :]

    async def receive(self) -> bool:
        """Add what comes next to the buffer; False at the end."""
        try:
            data = await self.sock.recv(65536)
        except OSError:
            return False
        self.buffer += data
        return bool(data)

    async def skip(self) -> bool:
        """Throw away what comes next; False at the end."""
        going_on = await self.receive()
        self.buffer.clear()
        return going_on

    async def frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame, or None at the end."""
        while (found := frames.first_frame(self.buffer)) is None:
            if not await self.receive():
                return None
        payload = bytes(self.buffer[found.start : found.end])
        del self.buffer[: found.end]
        return found.opcode, payload

    async def response(self) -> bytes:
        """A whole HTTP response with a content-length, or what came until the end."""
        while True:
            head, end, _ = bytes(self.buffer).partition(b"\r\n\r\n")
            if end:
                size = len(head) + 4
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        size += int(line[15:])
                if len(self.buffer) >= size:
                    response = bytes(self.buffer[:size])
                    del self.buffer[:size]
                    return response
            if not await self.receive():
                rest = bytes(self.buffer)
                self.buffer.clear()
                return rest

    async def upgrade(self, host: str, target: str) -> None:
        """The opening handshake.

        Raises:
            Wrong: where it is not accepted.
        """
        await self.send(frames.handshake(host, target))
        answer = await self.response()
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise Wrong(f"no upgrade but {answer[:40]!r}")

    async def close_code(self) -> int | None:
        """Read to the server's Close; its code, or None where the stream ends without one."""
        while (found := await self.frame()) is not None:
            if found[0] == frames.CLOSE:
                return int.from_bytes(found[1][:2], "big") or 1005
        return None

    async def end(self) -> None:
        """Read to the end of the stream."""
        while await self.skip():
            pass

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            self.raw.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close, with a reset where something came that was not read."""
        self.sock.close()

    def reset(self) -> None:
        """Close without any of TCP's courtesies."""
        with contextlib.suppress(OSError):
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


def message(path: str, data: object) -> bytes:
    """The frame of a message to a socket's path."""
    text = json.dumps({"path": path, "data": data}, separators=(",", ":"))
    return frames.client_frame(text.encode())
