"""Notifications: unread counts that agree in all tabs of a user, and nothing missed while away.

Run it with: python -m finch notifications:app
Then open the page in two tabs, and send something to yourself or to another user:

    curl http://127.0.0.1:8080/notify/ann --json '{"text": "The kettle boils"}'
"""

from collections import defaultdict
from itertools import count
from pathlib import Path
from time import time
from typing import Annotated

from msgspec import Meta, Struct, field

from finch import FinchApp, History, HTMLResponse, HTTPError, SocketManager

USERS = ("ann", "bob", "cleo")
page = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
app = FinchApp()
# What is sent to a user is kept, so whoever comes back within a day gets what was missed.
SocketManager(app, user_history=History(messages=100, seconds=86400))

Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Letter(Struct):
    text: Text


class ToSend(Letter):
    to: str


class Notice(Struct):
    sender: str
    text: str
    id: int = field(default_factory=count(1).__next__)
    at: float = field(default_factory=time)  # seconds since the epoch
    read: bool = False


inboxes = defaultdict(list)  # the truth about each user: in a real application, a database


@app.get("/")
async def index(request):
    return HTMLResponse(page)


@app.authorize
async def authorize(request):
    # Everybody is believed here. A real application looks at a session cookie instead.
    return check(request.query.get("user"))


@app.post("/notify/{user}")
async def notify(request, user):
    letter = await request.json(Letter)
    return {"tabs": await deliver(check(user), "HTTP", letter.text)}


@app.socket("notify")
async def on_notify(socket, data: ToSend):
    return await deliver(check(data.to), socket.user_id, data.text)


@app.socket("inbox")
async def on_inbox(socket, data):
    return inboxes[socket.user_id][-50:]


@app.socket("read")
async def on_read(socket, data: set[int]):
    seen = [notice for notice in inboxes[socket.user_id] if notice.id in data]
    for notice in seen:
        notice.read = True
    # to all tabs, so that they agree
    await app.user(socket.user_id).send([notice.id for notice in seen], path="read")


async def deliver(user, sender, text):
    """Put a notice into a user's inbox, and tell all tabs. Returns how many tabs there are."""
    notice = Notice(sender, text)
    inboxes[user].append(notice)
    return await app.user(user).send(notice, path="notice")


def check(user):
    if user not in USERS:
        raise HTTPError(404, f"there is no user {user}; there are {', '.join(USERS)}")
    return user
