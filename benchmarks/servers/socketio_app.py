"""python-socketio on ASGI: ``uvicorn benchmarks.servers.socketio_app:app``.

Socket.IO has a format of its own for paths; the data inside its events is the same envelope.
"""

from __future__ import annotations

from typing import Any

import socketio  # type: ignore[import-not-found,import-untyped,unused-ignore]

from benchmarks.servers.envelope import CLIENT, timestamp

server = socketio.AsyncServer(async_mode="asgi", http_compression=False)
app = socketio.ASGIApp(server)


def _envelope(path: str, data: Any) -> dict[str, Any]:
    return {
        "path": path,
        "status": 200,
        "timestamp": timestamp(),
        "language": "en",
        "client": CLIENT,
        "data": data,
    }


async def echo(client: str, data: Any) -> None:
    await server.emit("echo", _envelope("echo", data), to=client)


async def broadcast(client: str, data: Any) -> None:
    await server.emit("broadcast", _envelope("broadcast", data))


server.on("echo", echo)
server.on("broadcast", broadcast)
