"""A game: who catches the coin first? Each round is a room, and the room's task is its referee.

Run it with: python -m finch game:app
"""

from math import dist
from random import uniform
from typing import Annotated

import trio
from msgspec import Meta

from finch import FinchApp, HTMLResponse

app = FinchApp()
rounds = app.rooms("round/{name}")
Share = Annotated[float, Meta(ge=0, le=1)]  # of the field's width or height


@app.get("/")
async def index(request):
    return HTMLResponse(PAGE)


def somewhere():
    return uniform(0.1, 0.9), uniform(0.1, 0.9)


@rounds.socket("move")
async def move(socket, data: tuple[Share, Share]):
    socket.state["at"] = data


@rounds.task
async def referee(room):
    coin = somewhere()
    while True:  # until the last player has left
        players = {}
        for socket in room:
            at = players[socket.id] = socket.state.get("at", (0, 0))
            if dist(at, coin) < 0.05:
                socket.state["coins"] = coins = socket.state.get("coins", 0) + 1
                coin = somewhere()
                await room.send({"player": socket.id, "coins": coins}, path="caught")
        # a player on a slow network gets the newest picture, not all of them
        await room.send({"coin": coin, "players": players}, path="picture", volatile=True)
        await trio.sleep(0.04)


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Finch game</title>
<link rel="icon" href="data:,">
<style>
  body { margin: 2rem auto; width: 400px; font: 16px system-ui; }
  canvas { background: #faf7f0; border: 1px solid #8b8676; touch-action: none; cursor: none; }
</style>
<canvas id="field" width="400" height="400"></canvas>
<p id="score">Catch the coin with the pointer. Open the page twice, to play with somebody.</p>
<script>
  const field = document.getElementById('field').getContext('2d');
  const ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
  const room = 'round/' + (location.hash.slice(1) || 'one');
  const send = (message) => ws.readyState === 1 && ws.send(JSON.stringify({ room, ...message }));

  function dot([x, y], color) {
    field.fillStyle = color;
    field.beginPath();
    field.arc(x * 400, y * 400, 10, 0, 7);
    field.fill();
  }

  ws.onopen = () => send({ path: 'finch.join' });
  ws.onmessage = (event) => {
    const { path, data, client } = JSON.parse(event.data);
    if (path === 'picture') {
      field.clearRect(0, 0, 400, 400);
      dot(data.coin, '#e0a020');
      for (const id in data.players) dot(data.players[id], id === client ? '#b5541c' : '#8b8676');
    }
    if (path === 'caught') {
      const who = data.player === client ? 'You have' : 'Somebody has';
      document.getElementById('score').textContent = who + ' caught ' + data.coins;
    }
  };
  field.canvas.onpointermove = ({ offsetX, offsetY }) => {
    const share = (pixels) => Math.min(Math.max(pixels / 400, 0), 1);
    send({ path: 'move', data: [share(offsetX), share(offsetY)] });
  };
</script>
"""
