"""Starlette, for uvicorn and hypercorn: ``uvicorn benchmarks.servers.starlette_app:app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette  # type: ignore[import-not-found,unused-ignore]
from starlette.requests import Request  # type: ignore[import-not-found,unused-ignore]
from starlette.responses import (  # type: ignore[import-not-found,unused-ignore]
    JSONResponse,
    PlainTextResponse,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute  # type: ignore[import-not-found,unused-ignore]
from starlette.staticfiles import StaticFiles  # type: ignore[import-not-found,unused-ignore]
from starlette.websockets import WebSocket, WebSocketDisconnect  # type: ignore[import-not-found,unused-ignore]

from benchmarks.servers.envelope import envelope, not_found, parse
from benchmarks.servers.listeners import Listeners
from benchmarks.servers.news import TEXT
from benchmarks.servers.orders import Order

clients: set[WebSocket] = set()
listeners: Listeners[bytes] = Listeners()
orders = msgspec.json.Decoder(Order)


async def echo(ws: WebSocket, data: Any) -> None:
    await ws.send_text(envelope("echo", data))


async def broadcast(ws: WebSocket, data: Any) -> None:
    text = envelope("broadcast", data)
    for client in list(clients):
        await client.send_text(text)


handlers: dict[str, Callable[[WebSocket, Any], Awaitable[None]]] = {
    "echo": echo,
    "broadcast": broadcast,
}


async def envelopes(ws: WebSocket) -> None:
    await ws.accept()
    clients.add(ws)
    try:
        while True:
            path, data = parse(await ws.receive_text())
            handler = handlers.get(path)
            if handler is None:
                await ws.send_text(not_found(path))
            else:
                await handler(ws, data)
    except WebSocketDisconnect:
        pass
    finally:
        clients.discard(ws)


async def raw(ws: WebSocket) -> None:
    await ws.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await ws.send_text(await ws.receive_text())


async def index(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def user(request: Request) -> JSONResponse:
    return JSONResponse({"id": request.path_params["id"], "name": "finch"})


async def order(request: Request) -> JSONResponse:
    order = orders.decode(await request.body())
    return JSONResponse({"total": sum(item.count * item.cents for item in order.items)})


async def events(request: Request) -> StreamingResponse:
    return StreamingResponse(listeners.listen(), media_type="text/event-stream")


async def publish(request: Request) -> PlainTextResponse:
    await request.body()
    listeners.publish(f"data: {TEXT}\n\n".encode())
    return PlainTextResponse("said")


app = Starlette(
    routes=[
        Route("/", index),
        Route("/users/{id}", user),
        Route("/orders", order, methods=["POST"]),
        Route("/events", events),
        Route("/publish", publish, methods=["POST"]),
        WebSocketRoute("/ws", envelopes),
        WebSocketRoute("/raw", raw),
        Mount("/static", StaticFiles(directory=Path(__file__).with_name("assets"))),
    ]
)
