"""A server behind each kind of connection that Finch serves, and a bystander who uses it meanwhile.

The sockets are real and the time is not: the clock leaps to the next deadline when nothing has
happened for a moment. A limit of twenty seconds is crossed in half a real one, and no measured
duration decides a test.
"""

import ssl
from contextlib import asynccontextmanager
from functools import cache, partial

import trio
import trustme
from websockets.frames import Frame, Opcode

from benchmarks.frames import first_frame
from finch import FinchApp, Limits
from finch.net.listeners import load_tls, open_listeners
from finch.server import Server

KINDS = ("hub", "task", "tls", "unix")
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
)

_PATIENCE = 200  # virtual seconds that a test waits for the server at the most


def app_with(**limits):
    """An application with these limits, and something to ask for."""
    app = FinchApp(limits=Limits(**limits))

    @app.get("/")
    async def index(request):
        return "hello"

    @app.post("/echo")
    async def echo(request):
        return await request.body()

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    return app


async def read_until(stream, end):
    """Everything up to these bytes, and what has come with them; they must come."""
    data = b""
    with trio.fail_after(10):
        while end not in data:
            piece = await stream.receive_some()
            assert piece, f"closed after {data!r}"
            data += piece
    return data


class Peer:
    """One client of the server: it says what it is told to, and nothing by itself."""

    def __init__(self, stream):
        self.stream = stream
        self._heard = b""  # and not yet told

    async def say(self, data):
        await self.stream.send_all(data)

    async def say_if_it_goes(self, data):
        """Send to a server that may have closed already."""
        try:
            await self.stream.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def hear(self, end):
        """Everything up to these bytes, which must come."""
        with trio.fail_after(_PATIENCE):
            while end not in self._heard:
                piece = await self.stream.receive_some()
                assert piece, f"closed after {self._heard[-200:]!r}"
                self._heard += piece
        told, end, self._heard = self._heard.partition(end)
        return told + end

    async def hear_all(self):
        """Everything until the server closes, which it must: in order, and not by a reset."""
        pieces, self._heard = [self._heard], b""
        with trio.fail_after(_PATIENCE):
            while piece := await self.stream.receive_some():
                pieces.append(piece)
        return b"".join(pieces)

    async def hear_the_rest(self):
        """What is left to hear of a server that has dropped us."""
        pieces, self._heard = [self._heard], b""
        with trio.fail_after(_PATIENCE):
            try:
                while piece := await self.stream.receive_some():
                    pieces.append(piece)
            except trio.BrokenResourceError:
                pass
        return b"".join(pieces)

    async def statuses(self):
        """The status of each response until the server closes."""
        return [int(part[:3]) for part in (await self.hear_all()).split(b"HTTP/1.1 ")[1:]]

    async def upgrade(self, path=b"/raw", extra=b""):
        await self.say(HANDSHAKE % (path, extra))
        answer = await self.hear(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101"), answer

    async def frames(self):
        """Each frame until the server closes: opcode and payload."""
        buffer = bytearray(await self.hear_the_rest())
        frames = []
        while (found := first_frame(buffer)) is not None:
            frames.append((found.opcode, bytes(buffer[found.start : found.end])))
            del buffer[: found.end]
        return frames

    async def close_code(self):
        """The code that the server closes with. Nothing may follow its Close."""
        opcode, payload = (await self.frames())[-1]
        assert opcode == Opcode.CLOSE
        return int.from_bytes(payload[:2], "big")


def masked(opcode, payload, *, fin=True):
    """A frame as clients send it."""
    return Frame(opcode, payload, fin).serialize(mask=True)


class Reached:
    """A server that runs, and how it is reached."""

    def __init__(self, server, dial, trusting, cancel):
        self.server = server
        self.cancel = cancel
        self._dial = dial
        self._trusting = trusting
        self._streams = []

    async def connect(self, *, shake_hands=True):
        """A new client; without its TLS handshake if so told."""
        stream = await self._dial()
        self._streams.append(stream)
        if self._trusting is not None and shake_hands:
            stream = trio.SSLStream(
                stream, self._trusting, server_hostname="localhost", https_compatible=True
            )
            await stream.do_handshake()
        return Peer(stream)

    async def open(self, path=b"/raw", extra=b""):
        """A new client with an open WebSocket."""
        peer = await self.connect()
        await peer.upgrade(path, extra)
        return peer

    async def hang_up(self):
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def serving_over(kind, folder, app, *, bystander=True):
    """Serve an application by one of ``KINDS`` while a bystander's echo goes on all the time.

    The bystander lives on ``/raw`` of :func:`app_with`; it fails the test where an echo does not
    come.
    """
    server = Server(app, hub=kind != "task")
    tls = trusting = None
    if kind == "unix":
        path = str(folder / "socket")
        listeners = open_listeners(unix=path)
        dial = partial(trio.open_unix_socket, path)
    else:
        listeners = open_listeners("127.0.0.1", 0)
        dial = partial(trio.open_tcp_stream, *listeners[0].getsockname()[:2])
    if kind == "tls":
        tls, trusting = certificates(folder)
    running = trio.CancelScope()

    async def run(task_status):
        with running:
            await server.run(listeners, tls=tls, task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        reached = Reached(server, dial, trusting, running.cancel)
        try:
            async with trio.open_nursery() as beside:
                if bystander:
                    peer = await reached.open()
                    beside.start_soon(_echo_on, peer)
                yield reached
                beside.cancel_scope.cancel()
        finally:
            await reached.hang_up()
            server.stop()


async def _echo_on(peer):
    while True:
        await peer.say(masked(Opcode.TEXT, b"still here"))
        with trio.fail_after(1):
            await peer.hear(b"still here")
        await trio.sleep(0.5)


@cache
def _authority():
    return trustme.CA()


def certificates(folder):
    """The TLS settings of the server, and of a client that trusts it."""
    path = folder / "certificate.pem"
    _authority().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    trusting = ssl.create_default_context()
    _authority().configure_trust(trusting)
    return load_tls(str(path)), trusting
