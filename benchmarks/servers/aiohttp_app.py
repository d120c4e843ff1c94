"""aiohttp on asyncio. ``python -m benchmarks.servers.aiohttp_app PORT [log]``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web  # type: ignore[import-not-found,unused-ignore]

from benchmarks.servers.envelope import envelope, not_found, parse
from benchmarks.servers.listeners import Listeners
from benchmarks.servers.news import TEXT
from benchmarks.servers.orders import Order

clients: set[web.WebSocketResponse] = set()
listeners: Listeners[bytes] = Listeners()
orders = msgspec.json.Decoder(Order)


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


async def order(request: web.Request) -> web.Response:
    order = orders.decode(await request.read())
    return web.json_response({"total": sum(item.count * item.cents for item in order.items)})


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    heard = listeners.listen()
    await response.prepare(request)
    async for event in heard:
        await response.write(event)
    return response


async def publish(request: web.Request) -> web.Response:
    await request.read()
    listeners.publish(f"data: {TEXT}\n\n".encode())
    return web.Response(text="said")


app = web.Application()
app.router.add_get("/ws", envelopes)
app.router.add_get("/raw", raw)
app.router.add_get("/", index)
app.router.add_get("/users/{id}", user)
app.router.add_post("/orders", order)
app.router.add_get("/events", events)
app.router.add_post("/publish", publish)

if __name__ == "__main__":
    log = logging.getLogger("aiohttp.access") if "log" in sys.argv else None
    if log is not None:
        logging.basicConfig(level=logging.INFO)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=log, print=None)
