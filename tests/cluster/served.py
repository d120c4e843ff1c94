"""The application of the stories about processes: its clients say what its audiences shall do."""

import os

from finch import SocketClient
from tests.cluster.nodes import make_app, with_times

app = make_app()
if "LEASE" in os.environ:  # seconds; the backplane's URL is there, too
    with_times(app, os.environ["BACKPLANE"], lease=float(os.environ["LEASE"]))


def _audience(data):
    kind, name = data["to"]
    if kind == "everyone":
        return app.everyone
    return app.room(name) if kind == "room" else app.user(name)


@app.socket("send")
async def send(socket: SocketClient, data):
    if data["to"][0] == "client":
        return await app.socket_manager.send_to_client(data["to"][1], data["data"], "said")
    sent = await _audience(data).send(data["data"], "said", volatile=data.get("volatile", False))
    return sent.seq


@app.socket("close")
async def close(socket: SocketClient, data):
    await _audience(data).close(4401, "logged out", skip=socket)


@app.socket("history")
async def history(socket: SocketClient, data):
    return [kept.data for kept in await _audience(data).history()]


@app.socket("count")
async def count(socket: SocketClient, data):
    return await _audience(data).count_everywhere()


@app.socket("present")
async def present(socket: SocketClient, room):
    return [entry.user for entry in app.room(room).presence]


@app.socket("leads")
async def leads(socket: SocketClient, data):
    return app.leader.leads
