"""What is served: echoes, rooms, broadcasts, raw sockets, HTTP, and a look into the event loop."""

from __future__ import annotations

import os
import threading
from collections import Counter
from typing import Any, Final

import msgspec
import trio

from finch import FinchApp, HTTPError, Limits, Request, SocketClient, WebSocket

HURRY: Final = "FINCH_SOAK_HURRY" in os.environ
"""Whether there are seconds and not minutes, so that patience is short."""

# in a hurry those limits are shorter that nobody who behaves meets by chance
LIMITS: Final = (
    Limits(head_timeout=2, body_grace=2, keep_alive_timeout=2, write_timeout=2, close_timeout=1)
    if HURRY
    else Limits()
)


class Said(msgspec.Struct):
    """A numbered message: the ``n``-th of a ``stream``, to a ``room``; to everybody without one."""

    stream: str
    n: int
    room: int | None = None


app = FinchApp(limits=LIMITS, allowed_origins="*")
manager = app.socket_manager
rooms: dict[int, dict[str, None]] = {}
counts: Counter[str] = Counter()
longest: Counter[str] = Counter()
"""Milliseconds that the longest flood of each kind went on."""

_CHUNK: Final = "x" * 16_000


@app.on_connect
async def on_connect(socket: SocketClient) -> None:
    counts["connects"] += 1


@app.on_disconnect
async def on_disconnect(socket: SocketClient) -> None:
    counts["disconnects"] += 1
    room = socket.state.get("room")
    if room is not None:
        rooms[room].pop(socket.id, None)
        if not rooms[room]:
            del rooms[room]


@app.socket("join")
async def join(socket: SocketClient, room: int) -> int:
    socket.state["room"] = room
    rooms.setdefault(room, {})[socket.id] = None
    return room


@app.socket("say")
async def say(socket: SocketClient, said: Said) -> None:
    if said.room is None:
        await manager.send_to_all(said, path="said")
        return
    for member in list(rooms.get(said.room, ())):
        await manager.send_to_client(member, said, path="said")


@app.socket("echo")
async def echo(socket: SocketClient, data: Any) -> Any:
    return data


@app.socket("wait", concurrent=True)
async def wait(socket: SocketClient, seconds: float) -> None:
    await trio.sleep(seconds)


@app.socket("think")
def think(socket: SocketClient, number: int) -> int:
    return number * number  # in a worker thread


@app.socket("fail")
async def fail(socket: SocketClient, loudly: bool) -> None:
    if loudly:
        raise RuntimeError("raised on purpose")
    raise HTTPError(409, "refused on purpose")


@app.socket("bye")
async def bye(socket: SocketClient, code: int) -> None:
    await socket.close(code, "as you wish")


@app.socket("flood")
async def flood(socket: SocketClient, kind: str) -> None:
    """Messages without end, at the client's pace."""
    begun = trio.current_time()
    while await socket.send(_CHUNK, path="flood"):
        pass
    _remember(kind, begun)


@app.socket("pour")
async def pour(socket: SocketClient, kind: str) -> None:
    """Messages without end, whether the client reads them or not."""
    begun = trio.current_time()
    while await manager.send_to_client(socket.id, _CHUNK, path="pour"):
        await trio.lowlevel.checkpoint()
    _remember(kind, begun)


def _remember(kind: str, begun: float) -> None:
    longest[kind] = max(longest[kind], round((trio.current_time() - begun) * 1000))


@app.websocket("/raw")
async def raw(ws: WebSocket) -> None:
    counts["raw"] += 1
    try:
        async for message in ws:
            await ws.send(message)
    finally:
        counts["raw"] -= 1
        counts["raw left"] += 1


@app.get("/hello")
async def hello(request: Request) -> str:
    return "hello"


@app.post("/sum")
async def total(request: Request) -> dict[str, int]:
    return {"sum": sum(await request.json(list[int]))}


@app.get("/stream")
async def stream(request: Request) -> Any:
    counts["streams"] += 1
    try:
        while True:
            yield _CHUNK
            await trio.sleep(0.02)
    finally:
        counts["streams"] -= 1


@app.get("/state")
async def state(request: Request) -> dict[str, Any]:
    """What only the process itself can know."""
    statistics = trio.lowlevel.current_statistics()
    return {
        "tasks": statistics.tasks_living,
        "tree": _tree_size(),
        "threads": threading.active_count(),
        "clients": manager.count_clients,
        "in_rooms": sum(map(len, rooms.values())),
        "counts": counts,
        "longest_ms": longest,
    }


def _tree_size() -> int:
    """How many tasks can be reached from the root: more live than those where one is orphaned."""
    root = trio.lowlevel.current_root_task()
    tasks = [root] if root is not None else []
    for task in tasks:
        for nursery in task.child_nurseries:
            tasks.extend(nursery.child_tasks)
    return len(tasks)
