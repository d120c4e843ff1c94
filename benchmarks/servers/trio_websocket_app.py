"""trio-websocket. ``python -m benchmarks.servers.trio_websocket_app PORT``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from trio_websocket import (  # type: ignore[import-not-found,unused-ignore]
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
)

from benchmarks.servers.envelope import envelope, not_found, parse

clients: set[WebSocketConnection] = set()


async def echo(ws: WebSocketConnection, data: Any) -> None:
    await ws.send_message(envelope("echo", data))


async def broadcast(ws: WebSocketConnection, data: Any) -> None:
    text = envelope("broadcast", data)
    for client in list(clients):
        with suppress(ConnectionClosed):
            await client.send_message(text)


handlers: dict[str, Callable[[WebSocketConnection, Any], Awaitable[None]]] = {
    "echo": echo,
    "broadcast": broadcast,
}


async def handle(request: WebSocketRequest) -> None:
    ws = await request.accept()
    with suppress(ConnectionClosed):
        if request.path == "/raw":
            while True:
                await ws.send_message(await ws.get_message())
        clients.add(ws)
        try:
            while True:
                path, data = parse(await ws.get_message())
                handler = handlers.get(path)
                if handler is None:
                    await ws.send_message(not_found(path))
                else:
                    await handler(ws, data)
        finally:
            clients.discard(ws)


async def main() -> None:
    await serve_websocket(handle, "127.0.0.1", int(sys.argv[1]), ssl_context=None)


trio.run(main)
