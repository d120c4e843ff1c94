"""The ways into a server, from both ends: plain TCP by either reader, TLS, a unix socket."""

import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import trio
import trustme

KINDS: Final = ("hub", "task", "tls", "unix")

_ROOT: Final = Path(__file__).parent.parent.parent
_APP: Final = ("tests.fuzz.app:app", "--no-access-log")
_FINCH: Final = ("-m", "finch")
_FINCH_WITHOUT_HUB: Final = (  # as where there is no epoll
    "-c",
    "import sys, finch.server; finch.server.HAS_HUB = False; "
    "from finch.cli import main; sys.exit(main())",
)
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Door:
    """Where and how a server is reached; goes to other processes.

    Attributes:
        address: host and port, or the path of a unix socket.
        trusted: the certificate that is trusted, as PEM; None without TLS.
    """

    address: Any
    trusted: str | None = None

    @property
    def _family(self) -> socket.AddressFamily:
        return socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET

    def connect(self, timeout: float) -> socket.socket:
        """A connection that blocks."""
        sock = socket.socket(self._family)
        sock.settimeout(timeout)
        sock.connect(self.address)
        if self._family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.trusted is None:
            return sock
        context = ssl.create_default_context(cadata=self.trusted)
        return context.wrap_socket(sock, server_hostname="localhost")

    async def open(self, context: ssl.SSLContext | None) -> "Line":
        """A connection in trio; OSError where there is none."""
        sock = trio.socket.socket(self._family)
        try:
            await sock.connect(self.address)
            if context is None:
                return PlainLine(sock)
            line = TLSLine(sock, context)
            await line.shake_hands()
        except BaseException:
            sock.close()
            raise
        return line

    def context(self) -> ssl.SSLContext | None:
        """What :meth:`open` wants, made once for many."""
        return None if self.trusted is None else ssl.create_default_context(cadata=self.trusted)


class Line(Protocol):
    """One connection of an attacker's. All of these raise OSError where it is gone."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes:
        """Some bytes; ``b""`` at the end."""

    async def half_close(self) -> None:
        """Say that nothing more will be sent; the answer is still read."""

    def close(self) -> None: ...

    def reset(self) -> None:
        """End it, not by a FIN but by a reset."""


class PlainLine:
    """A socket."""

    def __init__(self, sock: trio.socket.SocketType) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        while data:
            data = data[await self._sock.send(data) :]

    async def receive(self) -> bytes:
        return await self._sock.recv(65536)

    async def half_close(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._sock.close()

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._sock.close()


class TLSLine(PlainLine):
    """TLS over a socket, which can close one side alone: trio's streams cannot."""

    def __init__(self, sock: trio.socket.SocketType, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    async def shake_hands(self) -> None:
        await self._do(self._ssl.do_handshake)

    async def send(self, data: bytes) -> None:
        if data:
            await self._do(self._ssl.write, data)

    async def receive(self) -> bytes:
        try:
            return bytes(await self._do(self._ssl.read, 65536))
        except ssl.SSLZeroReturnError:
            return b""

    async def half_close(self) -> None:
        try:
            self._ssl.unwrap()
        except ssl.SSLWantReadError:
            pass  # close_notify is written; the peer's comes when it has answered
        await self._flush()

    async def _do(self, step: Any, *arguments: Any) -> Any:
        while True:
            try:
                result = step(*arguments)
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await super().receive() or self._no_more())
            else:
                await self._flush()
                return result

    def _no_more(self) -> bytes:
        self._incoming.write_eof()
        return b""

    async def _flush(self) -> None:
        await super().send(self._outgoing.read())


class RunningServer:
    """The server's process, and what the system knows of it."""

    def __init__(self, popen: subprocess.Popen[bytes], door: Door, log: Path) -> None:
        self.popen = popen
        self.door = door
        self.log = log

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.popen.pid}/fd"))

    def memory(self) -> int:
        """KiB of resident memory."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+([0-9]+)", status)
        return int(found[1]) if found else 0


@contextmanager
def running(kind: str) -> Iterator[RunningServer]:
    """A server of ``tests.fuzz.app``, reached in that way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, path = folder / "log", str(folder / "socket")
        where, trusted = ["--port", "0"], None
        if kind == "unix":
            where = ["--unix", path]
        elif kind == "tls":
            authority = trustme.CA()
            trusted = authority.cert_pem.bytes().decode()
            certificate = str(folder / "certificate.pem")
            authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
                certificate
            )
            where += ["--certfile", certificate]
        how = _FINCH_WITHOUT_HUB if kind == "task" else _FINCH
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [sys.executable, *how, *_APP, *where], cwd=_ROOT, stdout=out, stderr=out
            )
        try:
            url = _url(popen, log)
            port = re.fullmatch(r"https?://127\.0\.0\.1:([0-9]+)/?", url)
            address = ("127.0.0.1", int(port[1])) if port else path
            yield RunningServer(popen, Door(address, trusted), log)
        finally:
            popen.kill()
            popen.wait()


def _url(popen: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 30
    while not (found := re.search(r"Finch serves (\S+)", log.read_text())):
        if time.monotonic() > until or popen.poll() is not None:
            raise RuntimeError(f"the server did not start: {log.read_text()}")
        time.sleep(0.05)
    return found[1]
