"""aiohttp on asyncio. ``python -m benchmarks.servers.aiohttp_app PORT``."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web  # type: ignore[import-not-found,unused-ignore]

from benchmarks.servers.envelope import envelope, not_found, parse

clients: set[web.WebSocketResponse] = set()


async def echo(ws: web.WebSocketResponse, data: Any) -> None:
    await ws.send_str(envelope("echo", data))


async def broadcast(ws: web.WebSocketResponse, data: Any) -> None:
    text = envelope("broadcast", data)
    for client in list(clients):
        await client.send_str(text)


handlers: dict[str, Callable[[web.WebSocketResponse, Any], Awaitable[None]]] = {
    "echo": echo,
    "broadcast": broadcast,
}


async def envelopes(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    clients.add(ws)
    try:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                path, data = parse(message.data)
                handler = handlers.get(path)
                if handler is None:
                    await ws.send_str(not_found(path))
                else:
                    await handler(ws, data)
    finally:
        clients.discard(ws)
    return ws


async def raw(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
    return ws


async def index(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def user(request: web.Request) -> web.Response:
    return web.json_response({"id": request.match_info["id"], "name": "finch"})


app = web.Application()
app.router.add_get("/ws", envelopes)
app.router.add_get("/raw", raw)
app.router.add_get("/", index)
app.router.add_get("/users/{id}", user)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
