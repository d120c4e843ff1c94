"""One connection of a tab to the server of a story: it reads, answers, freezes and is cut."""

import msgspec
import trio

from benchmarks.frames import CLOSE, PING, PONG, TEXT, client_frame, first_frame

HANDSHAKE = (
    "GET /ws{query} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


class Peer:
    """A client that reads all the time, answers pings and calls, and keeps what it hears.

    Attributes:
        heard: the messages that nobody has looked at yet, in order.
        frozen: whether it reads nothing at the moment.
        status: of the response to its handshake; None before it has come.
        closed: the code of the server's Close, 1006 for an end without one; None while it is open.
        cut: whether it has ended the connection itself.
    """

    def __init__(self, stream, on_call=None):
        self.stream = stream
        self.heard = []
        self.frozen = False
        self.status = None
        self.closed = None
        self.cut = False
        self._on_call = on_call
        self._early = b""  # what it says before it is connected
        self._reads = trio.Event()
        self._reads.set()
        self._receiving = None
        self._sending = trio.Lock()

    @property
    def open(self):
        return self.closed is None and not self.cut

    @property
    def reads(self):
        """Whether it is open and reads: it has heard everything when nothing moves any longer."""
        return self.status == 101 and self.open and not self.frozen

    async def run(self, query=""):
        """Connect, and read until the end."""
        try:
            await self._send(HANDSHAKE.format(query=query).encode())
            buffer = bytearray()
            while b"\r\n\r\n" not in buffer:
                data = await self._receive()
                if not data:
                    return
                buffer += data
            head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
            self.status = int(head[9:12])
            if self.status != 101:
                return
            await self._send(self._early)
            buffer = bytearray(rest)
            while True:
                while (frame := first_frame(buffer)) is not None:
                    payload = bytes(buffer[frame.start : frame.end])
                    del buffer[: frame.end]
                    await self._take(frame.opcode, payload)
                data = await self._receive()
                if not data:
                    return
                buffer += data
        except _BROKEN:
            pass
        finally:
            if self.closed is None:
                self.closed = 1006
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self.stream)

    async def _receive(self):
        while True:
            await self._reads.wait()
            with trio.CancelScope() as self._receiving:
                return bytes(await self.stream.receive_some(65536))

    async def _take(self, opcode, payload):
        assert self.closed is None, "the server sends after its Close"
        if opcode == TEXT:
            message = msgspec.json.decode(payload)
            self.heard.append(message)
            if "id" in message and self._on_call is not None:
                await self._on_call(self, message)
        elif opcode == PING:
            await self._try(client_frame(payload, PONG))
        elif opcode == CLOSE:
            self.closed = int.from_bytes(payload[:2], "big")
            await self._try(client_frame(payload[:2], CLOSE))

    async def say(self, message):
        """Send an envelope, as soon as it is connected; to a server that has gone, nothing."""
        frame = client_frame(msgspec.json.encode(message))
        if self.status is None:
            self._early += frame
        else:
            await self._try(frame)

    async def leave(self):
        """End the connection with a Close."""
        if self.status is None:
            await self.hang_up()
        else:
            await self._try(client_frame(b"\x03\xe8", CLOSE))

    async def _try(self, data):
        try:
            await self._send(data)
        except _BROKEN:
            pass

    async def _send(self, data):
        async with self._sending:
            await self.stream.send_all(data)

    def freeze(self):
        """Read nothing, and answer nothing."""
        if self.frozen:
            return
        self.frozen = True
        self._reads = trio.Event()
        if self._receiving is not None:
            self._receiving.cancel()

    def thaw(self):
        """Read again."""
        self.frozen = False
        self._reads.set()

    async def hang_up(self):
        """End the connection without a word."""
        self.cut = True
        self._reads.set()
        await trio.aclose_forcefully(self.stream)
