"""``python -m benchmarks.floods``: what the others notice while one client floods the server.

A canary sends JSON echoes and then GETs at a fixed rate, and a latency counts from when its message
was due. Meanwhile a process of its own floods the server over one connection, or in one loop of
connections. Server on one core, flood and canary on another.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks import dialects, frames, load
from benchmarks.crowd import Crowd
from benchmarks.latency import Histogram
from benchmarks.peers import Peer, Server, running
from benchmarks.process import cores, cpu_seconds, pin

_PORT: Final = 8380  # and those after it
_CLIENTS: Final = 8
_RATE: Final = 200.0  # messages a second of the canary
_HOST: Final = "flood"
_RESET: Final = struct.pack("ii", 1, 0)
_HEAD: Final = f"Host: {_HOST}\r\n".encode()
_FLOODED: Final = Peer(
    "finch",
    "Finch",
    lambda port: [
        *(sys.executable, "-m", "finch", "benchmarks.servers.flooded_app:app"),
        *("--no-access-log", "--port", str(port)),
    ],
)

Flood = Callable[[tuple[str, int], int], None]
"""Floods a server over so many connections until it is ended."""


def _pour(opening: bytes, data: bytes, address: tuple[str, int], connections: int) -> None:
    """Send the same bytes over and over and read whatever comes back.

    Parameters:
        opening: sent first, and its answer waited for.
    """
    poll = select.epoll()
    socks: dict[int, socket.socket] = {}
    places: dict[int, int] = {}
    view = memoryview(data)
    while True:
        while len(socks) < connections:
            sock = socket.create_connection(address)
            if opening:
                sock.sendall(opening)
                sock.recv(4096)
            sock.setblocking(False)
            socks[sock.fileno()] = sock
            places[sock.fileno()] = 0
            poll.register(sock, select.EPOLLIN | select.EPOLLOUT)
        for number, event in poll.poll():
            sock = socks[number]
            try:
                if event & ~select.EPOLLOUT and not sock.recv(1 << 20):
                    raise ConnectionResetError
                if event & select.EPOLLOUT:
                    at = places[number]
                    places[number] = (at + sock.send(view[at : at + (1 << 18)])) % len(data)
            except BlockingIOError:
                pass
            except OSError:
                del socks[number]
                sock.close()


def _knock(says: bytes, address: tuple[str, int], connections: int) -> None:
    """Connect, say something, hear the answer, and leave: over and over."""
    while True:
        socks = [socket.create_connection(address) for _ in range(connections)]
        for sock in socks:
            with suppress(OSError):
                sock.sendall(says)
        for sock in socks:
            with suppress(OSError):
                if says:
                    sock.recv(4096)
                # without a port left in TIME_WAIT, of which there are 28,000
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()


def _piece(opcode: int, payload: bytes = b"") -> bytes:
    """A frame that is not its message's last."""
    return bytes([opcode]) + frames.client_frame(payload)[1:]


def _packed(payload: bytes) -> bytes:
    """A compressed message (RFC 7692, section 7.2.1)."""
    packer = zlib.compressobj(9, wbits=-15)
    data = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    return b"\xc1" + frames.client_frame(data.removesuffix(b"\0\0\xff\xff"))[1:]


def _handshake(path: str, header: bytes) -> bytes:
    return frames.handshake(_HOST, path)[:-2] + header + b"\r\n\r\n"


def _on_socket(path: str, data: bytes) -> Flood:
    return partial(_pour, frames.handshake(_HOST, path), data)


def _on_packed(data: bytes) -> Flood:
    opening = _handshake("/packed", b"Sec-WebSocket-Extensions: permessage-deflate")
    return partial(_pour, opening, data)


def _requests(request: bytes, body: bytes = b"") -> Flood:
    whole = request + _HEAD + b"\r\n" + body
    return partial(_pour, b"", whole * (1 + 100_000 // len(whole)))


_GET: Final = b"GET / HTTP/1.1\r\n"
_HEADERS: Final = b"".join(b"X-%02d: %b\r\n" % (number, b"x" * 150) for number in range(95))
_FRAGMENTS: Final = 100_000
_TEXT: Final = _piece(frames.TEXT)
_LAST: Final = frames.client_frame(b"", frames.CONTINUATION)
_PING: Final = frames.client_frame(b"", frames.PING)
_BETWEEN: Final = _piece(frames.CONTINUATION) * 255 + _PING

FLOODS: Final[dict[str, Flood]] = {
    "tiny messages": _on_socket("/raw", frames.client_frame(b"x") * 10_000),
    "unknown paths": _on_socket("/ws", frames.client_frame(b'{"path":"nowhere"}') * 1000),
    "large messages": _on_socket(
        "/ws", frames.client_frame(b'{"path":"nowhere","data":"%b"}' % (b"x" * 1_000_000))
    ),
    "fragments": _on_socket("/raw", _TEXT + _piece(frames.CONTINUATION, b"x") * _FRAGMENTS + _LAST),
    "fragments, pings": _on_socket("/raw", _TEXT + _BETWEEN * (_FRAGMENTS // 256) + _LAST),
    "pings": _on_socket("/raw", _PING * 10_000),
    "compressed": _on_packed(_packed(b"x") * 10_000),
    "inflated 1000:1": _on_packed(_packed(bytes(1 << 20))),
    "pipelined GETs": _requests(_GET),
    "long heads": _requests(_GET + _HEADERS),
    "1-byte chunks": _requests(
        b"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
        b"1\r\nx\r\n" * _FRAGMENTS + b"0\r\n\r\n",
    ),
    "upgrades": partial(_knock, frames.handshake(_HOST, "/ws")),
    "quoted cookies": partial(_knock, _handshake("/ws", b'Cookie: a="%b"' % (b"\\" * 15_000))),
    "refused requests": partial(_knock, b"nonsense\r\n\r\n"),
    "connections": partial(_knock, b""),
}
"""What one client does to hurt the others."""


@contextmanager
def _flooding(flood: Flood | None, server: Server, connections: int) -> Iterator[None]:
    if flood is None:
        yield
        return
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_flood, args=(flood, server.address, connections), daemon=True)
    child.start()
    try:
        yield
        if not child.is_alive():
            raise RuntimeError("the flood ended before its time")
    finally:
        child.kill()
        child.join()


def _flood(flood: Flood, address: tuple[str, int], connections: int) -> None:
    os.nice(5)  # the canary shares its core, and is not to wait for it
    flood(address, connections)


@dataclass
class Noticed:
    """What the others noticed: latencies, what went wrong, the server's share of its core."""

    echo: Histogram
    get: Histogram
    errors: int
    cpu_share: float

    @property
    def p99(self) -> float:
        """The greater one, in milliseconds."""
        return max(self.echo.percentile(99), self.get.percentile(99)) / 1000


def measure(server: Server, flood: Flood | None, seconds: float, connections: int) -> Noticed:
    """The canary's latencies while a flood goes on, or at rest."""
    with _flooding(flood, server, connections):
        time.sleep(0.3)
        cpu, begun = cpu_seconds(server.pid), time.perf_counter()
        echo, wrong = _canary(server, server.echo(), seconds)
        get, also_wrong = _canary(server, dialects.http_get(_HOST, "/", b"hello"), seconds)
        share = (cpu_seconds(server.pid) - cpu) / (time.perf_counter() - begun)
    return Noticed(echo, get, wrong + also_wrong, share)


def _canary(server: Server, dialect: dialects.Dialect, seconds: float) -> tuple[Histogram, int]:
    crowd = Crowd(server.address, [dialect], _CLIENTS)
    try:
        crowd.connect(10)
        missing = _CLIENTS - len(crowd.ready)
        measured = load.open_loop(crowd, load.Bounds(seconds), _RATE)
        return measured.latency, missing + sum(crowd.errors.values())
    finally:
        crowd.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every flood; 0 where none raised the canary's p99 past ``--most``, 1 otherwise."""
    options = _parser().parse_args(arguments)
    names = [name.strip() for name in options.only.split(",")] if options.only else list(FLOODS)
    unknown = [name for name in names if name not in FLOODS]
    if unknown:
        print(f"no flood {', '.join(unknown)}; there are {', '.join(FLOODS)}", file=sys.stderr)
        return 2
    server_core, load_core = cores()
    pin(load_core)
    results = {}
    _say("| ms | echo p50 | p99 | worst | GET p50 | p99 | worst | server CPU | errors |")
    _say("|---|---|---|---|---|---|---|---|---|")
    for port, name in enumerate(("at rest", *names), _PORT):
        # a new one each time: a flood leaves much to be read behind
        with running(_FLOODED, port, server_core) as server:
            noticed = measure(server, FLOODS.get(name), options.seconds, options.connections)
        results[name] = noticed
        _say(_row(name, noticed))
    if options.json:
        print(json.dumps({name: _figures(noticed) for name, noticed in results.items()}, indent=2))
    late = [name for name, noticed in results.items() if noticed.p99 > options.most]
    if late:
        _say(f"p99 past {options.most:g} ms: {', '.join(late)}")
    return 1 if late else 0


def _row(name: str, noticed: Noticed) -> str:
    cells = [
        f"{histogram.percentile(percent) / 1000:.1f}"
        for histogram in (noticed.echo, noticed.get)
        for percent in (50, 99, 100)
    ]
    return f"| {name} | {' | '.join(cells)} | {noticed.cpu_share:.0%} | {noticed.errors} |"


def _figures(noticed: Noticed) -> dict[str, object]:
    return {
        "echo_us": noticed.echo.summary(),
        "get_us": noticed.get.summary(),
        "server_cpu_share": noticed.cpu_share,
        "errors": noticed.errors,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.floods",
        description="What the others notice while one client floods the server.",
    )
    add = parser.add_argument
    add("--seconds", type=float, default=2.0, help="of echoes, and of GETs (%(default)s)")
    add("--connections", type=int, default=1, help="of the flooding client (%(default)s)")
    add("--most", type=float, default=50.0, help="milliseconds of p99 allowed (%(default)s)")
    add("--only", help=f"of: {', '.join(FLOODS)}")
    add("--json", action="store_true", help="print every figure as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
