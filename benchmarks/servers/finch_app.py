"""Finch. ``python -m finch benchmarks.servers.finch_app:app --no-access-log --port PORT``."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import trio

from benchmarks.servers.news import TEXT
from benchmarks.servers.orders import Order
from finch import (
    Body,
    EventStream,
    FinchApp,
    History,
    Request,
    Room,
    ServerEvent,
    SocketClient,
    WebSocket,
)

app = FinchApp(backplane=os.environ.get("BENCHMARK_REDIS"))
listeners: set[trio.MemorySendChannel[ServerEvent]] = set()


@app.socket("echo")
async def echo(socket: SocketClient, data: Any) -> Any:
    return data


@app.socket("broadcast")
async def broadcast(socket: SocketClient, data: Any) -> None:
    await socket.manager.send_to_all(data, path="broadcast")


lounge = app.rooms("lounge/{name}")


@lounge.socket("say")
async def say(socket: SocketClient, data: Any, room: Room) -> None:
    await room.send(data, path="say")


kept = app.rooms("kept/{name}", history=History(messages=100, seconds=60))
kept.socket("say")(say)


@app.websocket("/raw")
async def raw(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.get("/")
async def index(request: Request) -> str:
    return "hello"


@app.get("/users/{id}")
async def user(request: Request, id: str) -> dict[str, str]:
    return {"id": id, "name": "finch"}


@app.post("/orders")
async def order(order: Body[Order]) -> dict[str, int]:
    return {"total": sum(item.count * item.cents for item in order.items)}


@app.get("/events")
async def events(request: Request) -> EventStream:
    send, receive = trio.open_memory_channel[ServerEvent](16)
    listeners.add(send)

    async def heard() -> AsyncIterator[ServerEvent]:
        try:
            async for event in receive:
                yield event
        finally:
            listeners.discard(send)

    return EventStream(heard())


@app.post("/publish")
async def publish(request: Request) -> str:
    event = ServerEvent(TEXT)
    for listener in listeners:
        listener.send_nowait(event)
    return "said"


app.static("/static", Path(__file__).with_name("assets"))
