"""The servers under test: how each is started, what it can do, and how it is installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final

from benchmarks import dialects
from benchmarks.process import cores, pin, raise_file_limit
from benchmarks.servers.news import TEXT
from benchmarks.servers.orders import ORDER, TOTAL

ROOT: Final = Path(__file__).resolve().parent.parent
SERVERS: Final = Path(__file__).resolve().parent / "servers"
HOST: Final = "127.0.0.1"
_START_TIMEOUT: Final = 20.0
_NODE_MODULES: Final = "NODE_PATH"


class NotStarted(Exception):
    """A server that did not come up; says why."""


@dataclass(frozen=True)
class Peer:
    """One server under test.

    Attributes:
        name: short, as on the command line.
        title: as in tables.
        command: what starts it on a port.
        modules: what must be importable (for Node: resolvable).
        packages: whose versions the report names.
        can: of "messages" (JSON echo and broadcast), "envelope" (these as Finch's messages;
            otherwise Socket.IO's), "raw", "rooms", "http", "files", "typed" (a JSON body that is
            converted to a type), "events" (server-sent ones) and "log".
        logging: what starts it with its access log on, if it has one.
    """

    name: str
    title: str
    command: Callable[[int], list[str]]
    modules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    can: frozenset[str] = frozenset({"messages", "envelope", "raw", "http"})
    node: bool = False
    logging: Callable[[int], list[str]] | None = None

    def missing(self) -> str:
        """What to do before it can be started; empty where it is installed."""
        if not self.node:
            absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
            if not absent:
                return ""
            return f"no {', '.join(absent)}: pip install -r benchmarks/requirements.txt"
        if shutil.which("node") is None:
            return "no node: install Node.js"
        script = "".join(f"require.resolve({name!r});" for name in self.modules)
        if not _node_says(script)[0]:
            return ""
        return (
            f"no Node package {', '.join(self.modules)}: npm install --prefix DIR"
            f" {' '.join(self.modules)}, and {_NODE_MODULES}=DIR/node_modules"
        )

    def versions(self) -> str:
        """Names and versions of what it is made of."""
        if self.node:
            script = "".join(
                f"try{{p=require('{name}/package.json');v.push(p.name+' '+p.version)}}catch{{}}"
                for name in self.modules
            )
            script = f"let p,v=['node '+process.versions.node];{script}console.log(v.join(', '))"
            return _node_says(script)[1]
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in self.packages)


def _node_says(script: str) -> tuple[int, str]:
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip()


def _python(module: str, *arguments: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        return [
            sys.executable,
            "-m",
            module,
            *(argument.replace("PORT", str(port)) for argument in arguments),
        ]

    return command


def _node(script: str) -> Callable[[int], list[str]]:
    return lambda port: ["node", str(SERVERS / script), str(port)]


def uvicorn(
    *arguments: str, app: str = "starlette_app:app", log: bool = False
) -> Callable[[int], list[str]]:
    """The command that serves an application of ``benchmarks.servers``."""
    quiet = () if log else ("--no-access-log", "--log-level", "warning")
    return _python("uvicorn", f"benchmarks.servers.{app}", "--port", "PORT", *quiet, *arguments)


def _finch(*arguments: str) -> Callable[[int], list[str]]:
    return _python("finch", "benchmarks.servers.finch_app:app", "--port", "PORT", *arguments)


def _hypercorn(*arguments: str) -> Callable[[int], list[str]]:
    return _python(
        "hypercorn", "-k", "trio", "-b", "127.0.0.1:PORT", *arguments,
        "benchmarks.servers.starlette_app:app",
    )  # fmt: skip


_SOCKETS_ONLY = frozenset({"messages", "envelope", "raw"})
_AIOHTTP = frozenset({"messages", "envelope", "raw", "http", "typed", "events", "log"})
_STARLETTE = _AIOHTTP | {"files"}
_STANDARD = ("--loop", "uvloop", "--http", "httptools")
_PURE = ("--loop", "asyncio", "--http", "h11", "--ws", "wsproto")

PEERS: Final = (
    Peer(
        "finch",
        "Finch",
        _finch("--no-access-log"),
        ("finch",),
        ("finch-trio", "trio", "h11", "wsproto", "msgspec"),
        _STARLETTE | {"rooms"},
        logging=_finch(),
    ),
    Peer(
        "websockets",
        "websockets (asyncio)",
        _python("benchmarks.servers.websockets_app", "PORT"),
        ("websockets",),
        ("websockets",),
        _SOCKETS_ONLY,
    ),
    Peer(
        "aiohttp",
        "aiohttp",
        _python("benchmarks.servers.aiohttp_app", "PORT"),
        ("aiohttp",),
        ("aiohttp",),
        _AIOHTTP,
        logging=_python("benchmarks.servers.aiohttp_app", "PORT", "log"),
    ),
    Peer(
        "uvicorn",
        "Starlette, uvicorn[standard]",
        uvicorn(*_STANDARD),
        ("starlette", "uvicorn", "uvloop", "httptools", "websockets"),
        ("starlette", "uvicorn", "uvloop", "httptools", "websockets"),
        _STARLETTE,
        logging=uvicorn(*_STANDARD, log=True),
    ),
    Peer(
        "fastapi",
        "FastAPI, uvicorn[standard]",
        uvicorn(*_STANDARD, app="fastapi_app:app"),
        ("fastapi", "uvicorn", "uvloop", "httptools"),
        ("fastapi", "pydantic", "starlette", "uvicorn", "uvloop", "httptools"),
        frozenset({"http", "typed", "log"}),
        logging=uvicorn(*_STANDARD, app="fastapi_app:app", log=True),
    ),
    Peer(
        "sse-starlette",
        "sse-starlette, uvicorn[standard]",
        uvicorn(*_STANDARD, app="sse_starlette_app:app"),
        ("sse_starlette", "uvicorn", "uvloop", "httptools"),
        ("sse-starlette", "starlette", "uvicorn", "uvloop", "httptools"),
        frozenset({"events"}),
    ),
    Peer(
        "uvicorn-h11",
        "Starlette, uvicorn h11 + wsproto",
        uvicorn(*_PURE),
        ("starlette", "uvicorn", "h11", "wsproto"),
        ("starlette", "uvicorn", "h11", "wsproto"),
        _STARLETTE,
        logging=uvicorn(*_PURE, log=True),
    ),
    Peer(
        "hypercorn-trio",
        "Starlette, hypercorn (trio)",
        _hypercorn("--log-level", "warning"),
        ("starlette", "hypercorn", "trio"),
        ("starlette", "hypercorn", "trio"),
        _STARLETTE - {"events"},  # its queues are asyncio's
        logging=_hypercorn("--access-logfile", "-"),
    ),
    Peer(
        "socketio",
        "python-socketio, uvicorn[standard]",
        uvicorn(*_STANDARD, app="socketio_app:app"),
        ("socketio", "uvicorn", "uvloop", "httptools", "websockets"),
        ("python-socketio", "uvicorn", "uvloop", "websockets"),
        frozenset({"messages", "rooms"}),
    ),
    Peer(
        "trio-websocket",
        "trio-websocket",
        _python("benchmarks.servers.trio_websocket_app", "PORT"),
        ("trio_websocket",),
        ("trio-websocket", "trio", "wsproto"),
        _SOCKETS_ONLY,
    ),
    Peer(
        "picows",
        "picows (Cython, uvloop)",
        _python("benchmarks.servers.picows_app", "PORT"),
        ("picows", "uvloop"),
        ("picows", "uvloop"),
        _SOCKETS_ONLY,
    ),
    Peer("ws", "ws (Node)", _node("node_ws.js"), ("ws",), node=True),
    Peer(
        "node-socketio",
        "Socket.IO (Node)",
        _node("node_socketio.js"),
        ("socket.io",),
        can=frozenset({"messages", "rooms"}),
        node=True,
    ),
)


def named(names: str) -> list[Peer]:
    """The peers of a comma-separated list; ValueError for a name that is none."""
    known = {peer.name: peer for peer in PEERS}
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ValueError(f"no peer {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in chosen]


@dataclass
class Server:
    """A running server.

    Attributes:
        cold_start: seconds from its start to its first answer.
        log: the file that its log is in, if that is on.
    """

    peer: Peer
    pid: int
    port: int
    cold_start: float = 0.0
    log: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return HOST, self.port

    @property
    def host(self) -> str:
        """The Host header."""
        return f"{HOST}:{self.port}"

    def echo(self, size: int = 64) -> dialects.WebSocketDialect:
        """What asks for an echo of JSON."""
        return self._event("echo", size)

    def broadcast(self) -> dialects.WebSocketDialect:
        """What asks for a broadcast of JSON."""
        return self._event("broadcast", 64)

    def order(self) -> dialects.HTTPDialect:
        """What posts an order as JSON, and asks what it costs."""
        return dialects.http_post(self.host, "/orders", ORDER, TOTAL)

    def publishes(self) -> dialects.HTTPDialect:
        """What asks for an event to all clients that listen."""
        return dialects.http_post(self.host, "/publish", b'{"say":"it"}', b"said")

    def events(self) -> dialects.EventsDialect:
        """What listens to events."""
        return dialects.events(self.host, "/events", TEXT.encode())

    def in_rooms(self, count: int) -> list[dialects.WebSocketDialect]:
        """For each room, what joins it and then asks for messages to it."""
        if "envelope" in self.peer.can:
            return [dialects.envelope_in_room(self.host, "/ws", name) for name in _names(count)]
        return [dialects.socketio_in_room(self.host, name) for name in _names(count)]

    def joins(self, count: int) -> list[dialects.WebSocketDialect]:
        """For each room, what joins it and leaves it."""
        if "envelope" in self.peer.can:
            return [dialects.envelope_joins(self.host, "/ws", name) for name in _names(count)]
        return [dialects.socketio_joins(self.host, name) for name in _names(count)]

    def _event(self, name: str, size: int) -> dialects.WebSocketDialect:
        if "envelope" in self.peer.can:
            return dialects.envelope(self.host, "/ws", name, size)
        return dialects.socketio(self.host, name, size)

    def raw(self, size: int = 64) -> dialects.WebSocketDialect:
        """What asks for an echo of the text itself."""
        return dialects.raw_echo(self.host, "/raw", size)


def _names(count: int) -> list[str]:
    # all are equally long, so that all answers are
    return [f"lounge/{number:04}" for number in range(count)]


@contextmanager
def running(peer: Peer, port: int, *on: int, log: Path | None = None) -> Iterator[Server]:
    """Start a server, wait until it answers, and end it afterwards.

    Parameters:
        on: the cores to which it is bound; the first one where left out.
        log: the file that gets its access log; none where left out.

    Raises:
        NotStarted: where it does not answer.
    """
    command = peer.command if log is None or peer.logging is None else peer.logging
    begun = time.perf_counter()
    with open(log or os.devnull, "wb") as output:
        child = _start(command(port), output, on or cores()[:1])
    server = Server(peer, child.pid, port, log=log)
    try:
        _wait_until_up(server, child)
        server.cold_start = time.perf_counter() - begun
        yield server
    finally:
        _end(child)


def _start(command: list[str], output: IO[bytes], on: Sequence[int]) -> subprocess.Popen[bytes]:
    raise_file_limit(20_000)
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "NODE_ENV": "production"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=partial(pin, *on),  # noqa: PLW1509  # there are no threads here
    )


def _wait_until_up(server: Server, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    hello = server.echo().hello
    if server.peer.can & {"http", "events"}:
        hello = dialects.http_get(server.host, "/", b"").message
    while True:
        if child.poll() is not None:
            command = " ".join(server.peer.command(server.port))
            raise NotStarted(f"{server.peer.name} ended with {child.returncode}: {command}")
        if _answers(server.address, hello):
            return
        if time.monotonic() > deadline:
            raise NotStarted(f"{server.peer.name} does not answer on port {server.port}")
        time.sleep(0.002)


def _answers(address: tuple[str, int], hello: bytes) -> bool:
    try:
        with socket.create_connection(address, timeout=2) as sock:
            sock.sendall(hello)
            return sock.recv(4096).startswith(b"HTTP/1.1 ")
    except OSError:
        return False


def _end(child: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            child.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(3)
    with suppress(ProcessLookupError):
        # what it left behind: the group is that of the session that was begun for it
        os.killpg(child.pid, signal.SIGKILL)
