"""One connection to the loaded server: TCP, TLS, the opening handshake, messages, GET.

It is made to cost little: the server is to be measured, not its clients. So it speaks only what
servers send to clients that asked for no extension.

Error handling: whatever goes wrong on the connection is :class:`Broken`, whose text says what.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

import trio

from finch.loading.frames import CLOSE, PING, PONG, client_frame, first_frame, handshake
from finch.loading.target import Target

_CHUNK: Final = 64 * 1024  # bytes that are read at once
_HEAD: Final = 64 * 1024  # bytes of a response's head
_MESSAGE: Final = 64 * 1024 * 1024  # bytes of a message or a body


class Broken(Exception):
    """The connection is over; the text says why, in a few words."""


class Connection:
    """One connection.

    Parameters:
        stream: the bytes.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._parts = bytearray()  # of a message in fragments
        self._sending = trio.Lock()  # a pong may meet a message

    async def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            Broken: if the connection is over.
        """
        async with self._sending:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Broken("closed by the server") from None

    async def _read(self) -> None:
        try:
            data = await self._stream.receive_some(_CHUNK)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Broken("cut off by the server") from None
        if not data:
            raise Broken("closed by the server")
        self._buffer += data
        if len(self._buffer) > _MESSAGE:
            raise Broken(f"more than {_MESSAGE} bytes at once")

    # WebSocket

    async def open(self, target: Target, headers: Sequence[tuple[str, str]]) -> None:
        """Make the opening handshake.

        Raises:
            Broken: if the server does not upgrade.
        """
        request = handshake(target.authority, target.path)
        await self.send(_with(request, headers))
        line, _ = await self._head()
        if line.split(" ")[1:2] != ["101"]:
            raise Broken(f"no upgrade: {line[:60]}")

    async def receive(self) -> list[bytes]:
        """The next messages, at least one. Pings are answered meanwhile.

        Raises:
            Broken: if the connection is over.
        """
        found: list[bytes] = []
        while True:
            pongs = b""
            while (frame := first_frame(self._buffer)) is not None:
                payload = bytes(self._buffer[frame.start : frame.end])
                del self._buffer[: frame.end]
                if frame.opcode == PING:
                    pongs += client_frame(payload, PONG)
                elif frame.opcode == CLOSE:
                    code = int.from_bytes(payload[:2], "big") or 1005
                    raise Broken(f"closed with {code}")
                elif frame.opcode == PONG:
                    pass
                elif frame.final and not self._parts:
                    found.append(payload)
                else:
                    self._parts += payload
                    if len(self._parts) > _MESSAGE:
                        raise Broken(f"a message of more than {_MESSAGE} bytes")
                    if frame.final:
                        found.append(bytes(self._parts))
                        self._parts.clear()
            if pongs:
                await self.send(pongs)
            if found:
                return found
            await self._read()

    # HTTP

    async def get(self, request: bytes) -> tuple[int, bool]:
        """Send a request and read its response to the end.

        Returns:
            The status, and whether the connection can be used again.

        Raises:
            Broken: if the connection is over before the end.
        """
        await self.send(request)
        line, fields = await self._head()
        words = line.split(" ")
        if len(words) < 2 or not words[1].isdigit():
            raise Broken(f"no response of HTTP: {line[:60]}")
        status = int(words[1])
        again = words[0] != "HTTP/1.0" and fields.get("connection", "").lower() != "close"
        if status in (204, 304):
            return status, again
        if "chunked" in fields.get("transfer-encoding", "").lower():
            await self._skip_chunks()
        elif (length := fields.get("content-length", "")).isdigit():
            await self._skip(int(length))
        else:
            await self._skip_all()
            again = False
        return status, again

    async def _head(self) -> tuple[str, dict[str, str]]:
        """The first line of a response, and its fields by their names in small letters."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD:
                raise Broken("a response without an end of its head")
            await self._read()
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        pairs = (line.partition(":") for line in lines)
        return first, {name.strip().lower(): value.strip() for name, _, value in pairs}

    async def _skip(self, length: int) -> None:
        while length:
            if not self._buffer:
                await self._read()
            taken = min(length, len(self._buffer))
            del self._buffer[:taken]
            length -= taken

    async def _skip_chunks(self) -> None:
        while True:
            line = await self._line()
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise Broken("a chunk without a size") from None
            if size == 0:
                break
            await self._skip(size + 2)
        while await self._line():
            pass  # trailers

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _HEAD:
                raise Broken("a line without an end")
            await self._read()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _skip_all(self) -> None:
        try:
            while True:
                self._buffer.clear()
                await self._read()
        except Broken:
            pass

    async def aclose(self) -> None:
        """Close it, at once."""
        await trio.aclose_forcefully(self._stream)


def _with(request: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """A request with further header lines."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return request[:-2] + lines.encode("latin-1") + b"\r\n"


def get_request(target: Target, headers: Sequence[tuple[str, str]]) -> bytes:
    """The bytes of a GET."""
    request = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nAccept: */*\r\n\r\n"
    return _with(request.encode("ascii"), headers)


async def connect(target: Target, context: ssl.SSLContext | None) -> Connection:
    """Open a connection.

    Parameters:
        context: for TLS, if the target has it.

    Raises:
        Broken: if there is none.
    """
    try:
        plain = await trio.open_tcp_stream(target.host, target.port)
    except OSError as error:
        raise Broken(f"cannot connect: {_why(error)}") from None
    if not target.tls:
        return Connection(plain)
    trusted = context or ssl.create_default_context()
    stream = trio.SSLStream(plain, trusted, server_hostname=target.host, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(plain)
        raise Broken(f"TLS fails: {error.__cause__ or error}") from None
    except BaseException:
        await trio.aclose_forcefully(plain)
        raise
    return Connection(stream)


def _why(error: OSError) -> str:
    causes = [error, error.__cause__]
    if isinstance(error.__cause__, BaseExceptionGroup):
        causes = list(error.__cause__.exceptions)
    words = (one.strerror for one in causes if isinstance(one, OSError) and one.strerror)
    return next(words, str(error))
