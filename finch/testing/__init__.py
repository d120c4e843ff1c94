"""Serves an application over in-memory streams, for tests: without a port and without real time.

    async def test_time():
        async with TestClient(app) as client:
            response = await client.get("/")
            assert response.text == "hello"
            async with client.socket("/ws") as socket:
                await socket.send("time")
                message = await socket.receive()
                assert message.path == "output"

The tests talk to the real server, with its limits and its sweep. It uses trio's clock: with
``trio.testing.MockClock``, twenty seconds of silence take no time. Every wait for the server has a
deadline, and the error says what it waited for.
"""

from finch.testing.answers import (
    DEADLINE,
    HandshakeRefused,
    Joined,
    NotAnEnvelope,
    Refused,
    ResponseCut,
    ServerMessage,
    SocketClosed,
    TestResponse,
    WaitedTooLong,
)
from finch.testing.client import TestClient
from finch.testing.exchange import StreamedResponse
from finch.testing.socket import TestSocket
from finch.testing.streamed import Streamed

__all__ = [
    "DEADLINE",
    "HandshakeRefused",
    "Joined",
    "NotAnEnvelope",
    "Refused",
    "ResponseCut",
    "ServerMessage",
    "SocketClosed",
    "Streamed",
    "StreamedResponse",
    "TestClient",
    "TestResponse",
    "TestSocket",
    "WaitedTooLong",
]
