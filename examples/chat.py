"""A chat: rooms, who is here, who is typing, and what was said while you were away.

Run it with: python -m finch chat:app
Then open the page twice.
"""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from finch import FinchApp, History, HTMLResponse, HTTPError

page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
app = FinchApp()
chat = app.rooms("chat/{name}", history=History(messages=200, seconds=7 * 86400), presence=True)


class Said(Struct):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@app.authorize
async def authorize(request):
    # Everybody is believed here. A real application looks at a session cookie instead.
    name = request.query.get("name", "").strip()
    if not 0 < len(name) <= 40:
        raise HTTPError(401, "say who you are, such as /ws?name=Ann")
    return name


@chat.on_join
async def may_join(socket, name):
    if name not in ("lobby", "garden", "workshop"):
        raise HTTPError(404, f"there is no room {name}")


@chat.socket("say")
async def say(socket, data: Said, room):
    await room.send({"from": socket.user_id, "text": data.text}, path="said")


@chat.socket("typing")
async def typing(socket, data, room):
    await room.send(socket.user_id, path="typing", volatile=True, key=socket.user_id, skip=socket)
