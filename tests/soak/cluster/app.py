"""What each process serves: a room whose messages are numbered and kept."""

from __future__ import annotations

import os
from typing import Final

from finch import FinchApp, History, SocketClient
from finch.cluster.redis import Redis

ROOM: Final = "load/all"
LEASE: Final = 2.0 if "FINCH_SOAK_HURRY" in os.environ else 15.0
"""Seconds after which a process that has died is not counted any longer."""

defaults = Redis.__init__.__kwdefaults__
assert defaults is not None
defaults["lease"] = LEASE

app = FinchApp()
# what is sent while somebody is away for longer than any fault lasts
app.rooms("load/{name}", history=History(messages=20_000, seconds=600))


@app.socket("say")
async def say(socket: SocketClient, data: tuple[int, int]) -> int | None:
    """Send the ``n``-th message of a sender; its number."""
    sent = await app.room(ROOM).send(data, path="said")
    return sent.seq


@app.socket("count")
async def count(socket: SocketClient, data: None) -> int:
    """How many are in the room, in all processes."""
    return await app.room(ROOM).count_everywhere()
