"""Finch. ``python -m finch benchmarks.servers.finch_app:app --no-access-log --port PORT``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from finch import FinchApp, History, Request, Room, SocketClient, WebSocket

app = FinchApp(backplane=os.environ.get("BENCHMARK_REDIS"))


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


app.static("/static", Path(__file__).with_name("assets"))
