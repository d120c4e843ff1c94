"""python-socketio on ASGI: ``uvicorn benchmarks.servers.socketio_app:app``.

Socket.IO has a format of its own for paths; the data inside its events is the same envelope.
"""

from __future__ import annotations

import os
from typing import Any

import socketio  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.servers.envelope import CLIENT, timestamp

url = os.environ.get("BENCHMARK_REDIS")
server = socketio.AsyncServer(
    async_mode="asgi",
    http_compression=False,
    client_manager=None if url is None else socketio.AsyncRedisManager(url),
)
app = socketio.ASGIApp(server)


def _envelope(path: str, data: Any, **more: str) -> dict[str, Any]:
    return {
        "path": path,
        "status": 200,
        "timestamp": timestamp(),
        "language": "en",
        "client": CLIENT,
        "data": data,
        **more,
    }


async def echo(client: str, data: Any) -> None:
    await server.emit("echo", _envelope("echo", data), to=client)


async def broadcast(client: str, data: Any) -> None:
    await server.emit("broadcast", _envelope("broadcast", data))


async def join(client: str, room: str) -> str:
    await server.enter_room(client, room)
    return room


async def leave(client: str, room: str) -> str:
    await server.leave_room(client, room)
    return room


async def say(client: str, room: str, data: Any) -> None:
    await server.emit("say", _envelope("say", data, room=room), to=room)


server.on("echo", echo)
server.on("broadcast", broadcast)
server.on("join", join)
server.on("leave", leave)
server.on("say", say)
