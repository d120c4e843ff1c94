"""A server in memory that a client connects to, and the network between them: it can be cut at any
byte, frozen, or closed for new connections; the server can be restarted."""

from contextlib import asynccontextmanager

import trio

from finch.client import StateChanged, connect
from finch.testing import TestClient

URL = "ws://example.org/ws"


class Wire(trio.abc.Stream):
    """The client's end of one connection."""

    def __init__(self, inner):
        self._inner = inner
        self._left = float("inf")  # bytes that still come
        self._cut = trio.Event()
        self.frozen = False

    def cut(self, after=0):
        """Cut the connection when so many more bytes have come."""
        self._left = after
        if after <= 0:
            self._cut.set()

    async def send_all(self, data):
        if self._cut.is_set():
            raise trio.BrokenResourceError
        if not self.frozen:
            await self._inner.send_all(data)
        else:
            await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self):
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes=None):
        data = b""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_when_cut, nursery.cancel_scope)
            if self.frozen:
                await trio.sleep_forever()
            size = 65536 if max_bytes is None else max_bytes
            data = await self._inner.receive_some(int(max(1, min(size, self._left))))
            nursery.cancel_scope.cancel()
        self._left -= len(data)
        if self._left <= 0:
            self._cut.set()
        if not data:
            await trio.aclose_forcefully(self._inner)
        return bytes(data)

    async def _stop_when_cut(self, scope):
        await self._cut.wait()
        scope.cancel()

    async def aclose(self):
        self._cut.set()
        await self._inner.aclose()


class World:
    """Where a client connects to.

    Attributes:
        wires: the connections, the newest last.
        dials: when each attempt was made, in seconds.
        closed: whether nobody listens.
    """

    def __init__(self):
        self.server = None
        self.wires = []
        self.dials = []
        self.closed = False

    async def open(self):
        self.dials.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.closed or self.server is None:
            raise ConnectionRefusedError("nobody listens")
        wire = Wire(self.server.connect())
        self.wires.append(wire)
        return wire

    def connect(self, url=URL, **options):
        """A client of this server."""
        return connect(url, open_stream=self.open, **options)

    @asynccontextmanager
    async def serving(self, app):
        """Serve an application until the end of the block; then everybody is cut."""
        async with TestClient(app) as self.server:
            try:
                yield
            finally:
                self.server = None
                for wire in self.wires:
                    wire.cut()


@asynccontextmanager
async def world(app):
    """A world with a server."""
    there = World()
    async with there.serving(app):
        yield there


async def until(events, state):
    """Wait until the client is in this state."""
    with trio.fail_after(1000):
        async for event in events:
            if isinstance(event, StateChanged) and event.state == state:
                return event
    raise AssertionError(f"the client was never {state}")
