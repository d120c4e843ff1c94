"""A chat with rooms: who is here, who is typing, and what was said before. Open the page twice.

Run it with: python -m finch chat:app
"""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from finch import FinchApp, History, HTMLResponse, HTTPError, Identity

app = FinchApp()
page = Path(__file__).with_name("chat.html").read_text(encoding="utf-8")
chat = app.rooms("chat/{name}", history=History(messages=100, seconds=86400), presence=True)


class Said(Struct):
    text: Annotated[str, Meta(min_length=1, max_length=2000)]
    mark: str = ""  # by which the page recognizes what it has said itself


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@app.authorize
async def authorize(request):
    # Everybody is believed here. A real application asks its session instead.
    name = request.query.get("name", "").strip()
    if not 0 < len(name) <= 40:
        raise HTTPError(401, "say who you are, such as /ws?name=Ann")
    return Identity(name.casefold(), meta={"name": name})


@app.on_connect
async def welcome(socket):
    await socket.send(socket.user_id, path="you")


@chat.on_join
async def may_join(socket, name):
    if name not in ("lobby", "garden", "workshop"):
        raise HTTPError(404, f"there is no room {name}")


@chat.socket("say")
async def say(socket, data: Said, room):
    said = {"user": socket.user_id, **socket.identity.meta, "text": data.text, "mark": data.mark}
    await room.send(said, path="said")


@chat.socket("typing")
async def typing(socket, data, room):
    who = {"user": socket.user_id, **socket.identity.meta}
    await room.send(who, path="typing", volatile=True, key=socket.user_id, skip=socket)
