"""A server in memory that a client connects to, and the network between them: it can be cut at any
byte, frozen, or closed for new connections; the server can be restarted."""

from contextlib import asynccontextmanager

import trio

from finch.client import StateChanged, connect
from finch.tasks import plain_nursery
from finch.testing import TestClient

PATIENCE = 5000  # seconds of the test's clock
URL = "ws://example.org/ws"


class Wire(trio.abc.Stream):
    """The client's end of one connection.

    Attributes:
        frozen: whether nothing comes through, in either direction, and nobody is told.
    """

    def __init__(self, inner):
        self.frozen = False
        self._inner = inner
        self._left = float("inf")  # bytes that still come
        self._reading = trio.CancelScope()
        self._half = self._deaf = False
        self._free = trio.Event()
        self._free.set()

    def cut(self, after=0):
        """Cut the connection when so many more bytes have come."""
        self._left = after
        if after <= 0:
            self._reading.cancel()

    def freeze(self):
        self.frozen = True
        self._reading.cancel()

    def half_close(self):
        """The server's end is all that comes, though it would still read."""
        self._half = True
        self._reading.cancel()

    def break_writing(self):
        """Nothing can be written any more; what the server has sent still comes."""
        self._deaf = True

    def hold(self):
        """Take nothing from the client any more."""
        self._free = trio.Event()

    def let_go(self):
        self._free.set()

    async def send_all(self, data):
        await self._free.wait()
        await trio.lowlevel.checkpoint()
        if self._left <= 0 or self._deaf:
            raise trio.BrokenResourceError
        if not self.frozen:
            await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self):
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes=None):
        data = b""
        if self._left > 0:
            with trio.CancelScope() as self._reading:
                data = await self._inner.receive_some(int(min(max_bytes or 65536, self._left)))
            if self.frozen:
                await trio.sleep_forever()
        if self._half:
            return b""
        self._left -= len(data)
        if not data or self._left <= 0:
            self._left = 0
            await trio.aclose_forcefully(self._inner)
        return bytes(data)

    async def aclose(self):
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
        async with TestClient(app) as server:
            self.server = server
            try:
                yield
            finally:
                self.server = None
                for wire in self.wires:
                    wire.cut()


@asynccontextmanager
async def nowhere():
    """A world without a server. A test that waits in it for what never comes fails: its clock
    leaps, so it would wait for ever."""
    async with plain_nursery() as nursery:

        @nursery.start_soon
        async def end_in_time():
            await trio.sleep(PATIENCE)
            raise AssertionError("the test waits for something that does not come")

        yield World()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def world(app):
    """A world with a server."""
    async with nowhere() as there, there.serving(app):
        yield there


async def until(events, state):
    """Wait until the client is in this state."""
    with trio.fail_after(1000):
        async for event in events:
            if isinstance(event, StateChanged) and event.state == state:
                return event
    raise AssertionError(f"the client was never {state}")
