"""websockets on asyncio. ``python -m benchmarks.servers.websockets_app PORT``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve  # type: ignore[import-not-found,unused-ignore]
from websockets.asyncio.server import broadcast as send_to_all  # type: ignore[import-not-found,unused-ignore]

from benchmarks.servers.envelope import envelope, not_found, parse

clients: set[ServerConnection] = set()


async def echo(ws: ServerConnection, data: Any) -> None:
    await ws.send(envelope("echo", data))


async def broadcast(ws: ServerConnection, data: Any) -> None:
    send_to_all(clients, envelope("broadcast", data))


handlers: dict[str, Callable[[ServerConnection, Any], Awaitable[None]]] = {
    "echo": echo,
    "broadcast": broadcast,
}


async def handle(ws: ServerConnection) -> None:
    if ws.request is not None and ws.request.path == "/raw":
        async for message in ws:
            await ws.send(message)
        return
    clients.add(ws)
    try:
        async for message in ws:
            path, data = parse(message)
            handler = handlers.get(path)
            if handler is None:
                await ws.send(not_found(path))
            else:
                await handler(ws, data)
    finally:
        clients.discard(ws)


async def main() -> None:
    async with serve(handle, "127.0.0.1", int(sys.argv[1]), compression=None):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
