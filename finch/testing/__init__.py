"""The same application over in-memory streams, for tests: no port, no real time.

    async def test_time():
        async with TestClient(app) as client:
            response = await client.get("/")
            assert response.text == "hello"
            async with client.socket("/ws") as socket:
                await socket.send("time")
                message = await socket.receive()
                assert message.path == "output"

What the tests talk to is the server itself, with its limits and its sweep, and it goes by trio's
clock: under ``trio.testing.MockClock`` twenty seconds of silence take no time. Every wait for the
server has a deadline and says what it waited for.
"""

from finch.testing.answers import (
    DEADLINE,
    HandshakeRefused,
    NotAnEnvelope,
    ResponseCut,
    ServerMessage,
    SocketClosed,
    TestResponse,
    WaitedTooLong,
)
from finch.testing.client import TestClient
from finch.testing.socket import TestSocket

__all__ = [
    "DEADLINE",
    "HandshakeRefused",
    "NotAnEnvelope",
    "ResponseCut",
    "ServerMessage",
    "SocketClosed",
    "TestClient",
    "TestResponse",
    "TestSocket",
    "WaitedTooLong",
]
