"""Finch as it is flooded: the measured application, and doors that only a flood uses."""

from __future__ import annotations

from benchmarks.servers.finch_app import app
from finch import Request, WebSocket


@app.websocket("/packed", compression=True)
async def packed(ws: WebSocket) -> None:
    async for _ in ws:
        pass


@app.post("/upload")
async def upload(request: Request) -> str:
    return str(len(await request.body()))
