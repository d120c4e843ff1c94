"""A chat with decorators and a page for the browser. Open the page in two tabs.

Run it with: python -m finch chat:app
"""

from datetime import datetime
from pathlib import Path

from finch import FinchApp, HTMLResponse, HTTPError

app = FinchApp()
page = Path(__file__).with_name("chat.html").read_text(encoding="utf-8")


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@app.on_connect
async def on_connect(socket):
    await app.socket_manager.send_to_all(
        f"A user connected. Total: {app.socket_manager.count_clients}", path="output"
    )
    await socket.send({"message": "Successfully connected to socket!"}, path="connected")


@app.on_disconnect
async def on_disconnect(socket):
    count = app.socket_manager.count_clients
    await app.socket_manager.send_to_all(f"A user disconnected. Total: {count - 1}", path="output")


@app.socket("test")
async def on_test(socket, data):
    return [dict(socket.request.headers)]


@app.socket("time")
async def on_time(socket, data):
    await socket.send(str(datetime.now()), path="output")


@app.socket("say")
async def on_say(socket, data: dict[str, str]):
    text = data.get("text", "").strip()
    if not text:
        raise HTTPError(400, "say something")
    name = data.get("name", "").strip()[:40] or "somebody"
    said = {"name": name, "text": text[:2000], "from": socket.id}
    await app.socket_manager.send_to_all(said, path="said")
