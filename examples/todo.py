"""A to-do list: pages that work without JavaScript, logins, files, live updates, and a JSON API.

Run it with: python -m finch todo:app
It needs: pip install 'finch-trio[forms,sessions,templates]'"""

import os
import secrets
import sqlite3
from functools import partial
from hashlib import scrypt
from pathlib import Path
from typing import Annotated

import trio
from msgspec import Meta, Struct

from finch import Body, EventStream, File, FileResponse, FinchApp, Form, HTTPError, Methods, Upload
from finch import RedirectResponse as Redirect
from finch.sessions import CSRF, Sessions, flash, login, logout, session_user
from finch.templates import Templates

DATA = Path(os.environ.get("TODO_DATA", "todo-data"))
SECRET = os.environ.get("TODO_SECRET") or secrets.token_urlsafe(32)  # new at each start
app = FinchApp(describe=True, middleware=[Sessions(SECRET), CSRF()])  # /docs shows the API
site = app.group(auth=lambda request: session_user(request) or Redirect(app.path_for("enter"), 303))
api = app.group("/api/todos", auth=session_user)
templates = Templates(Path(__file__).parent)
changes = {}  # an event for each user who waits for a change


class Todo(Struct):
    id: int
    title: str
    done: bool
    file: str | None


class Change(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    done: bool | None = None


@app.on_startup
def create():
    DATA.mkdir(parents=True, exist_ok=True)
    query("CREATE TABLE IF NOT EXISTS user (name PRIMARY KEY, salt, password)")
    query("CREATE TABLE IF NOT EXISTS todo (id INTEGER PRIMARY KEY, user, title, done, file)")


def query(sql, *values):  # SQLite blocks. So each handler that uses it is a def, run in a thread.
    with sqlite3.connect(DATA / "todo.db") as connection:
        return connection.execute(sql, values).fetchall()


def change(user, sql, *values):
    rows = query(sql, *values)
    trio.from_thread.run_sync(lambda: changes.pop(user, trio.Event()).set())
    return rows


def todos_of(user, id=None):
    sql = "SELECT id, title, done, file FROM todo WHERE user = ? AND id = coalesce(?, id)"
    todos = [Todo(id, title, bool(done), file) for id, title, done, file in query(sql, user, id)]
    if id is not None and not todos:
        raise HTTPError(404, f"there is no todo {id}")
    return todos


@app.route("/login", methods=Methods.GET_POST)
def enter(request, name: Form[str] = "", password: Form[str] = ""):
    if name:  # the first login with a name makes the account
        hashed = partial(scrypt, password.encode(), n=2**14, r=8, p=1)
        salt = secrets.token_bytes(16)
        query("INSERT OR IGNORE INTO user VALUES (?, ?, ?)", name, salt, hashed(salt=salt))
        [(salt, known)] = query("SELECT salt, password FROM user WHERE name = ?", name)
        if secrets.compare_digest(known, hashed(salt=salt)):
            login(request, name)
            return Redirect(app.path_for("index"), 303)
        flash(request, "That is not the password of this name.")
    return templates.render("todo.html", request)


@app.post("/logout")
async def leave(request):
    await logout(request)
    return Redirect(app.path_for("enter"), 303)


@site.get("/")
def index(request):
    return templates.render("todo.html", request, todos=todos_of(request.user))


@site.post("/todos")
def add(request, title: Form[str], file: File[Upload | None] = None):
    todo = new(request, Change(title[:200] or None))
    if file is not None:
        trio.from_thread.run(file.save, DATA / str(todo.id))
        change(request.user, "UPDATE todo SET file = ? WHERE id = ?", file.filename, todo.id)
    return Redirect(app.path_for("index"), 303)


@site.post("/todos/{id:int}")  # without JavaScript, a page can only GET and POST
def act(request, id, what: Form[str]):
    remove(request, id) if what == "remove" else edit(request, id, Change(done=what == "done"))
    return Redirect(app.path_for("index"), 303)


@site.get("/todos/{id:int}/file")
def download(request, id):
    return FileResponse(str(id), directory=DATA, filename=todos_of(request.user, id)[0].file)


@site.get("/changes")
async def tell(request):
    async def events():
        while True:
            await changes.setdefault(request.user, trio.Event()).wait()
            yield "changed"

    return EventStream(events())


@api.get("")
def read(request) -> list[Todo]:
    """All that the user has to do."""
    return todos_of(request.user)


@api.post("")
def new(request, todo: Body[Change]) -> Todo:
    """Add something to do."""
    sql = "INSERT INTO todo (user, title) VALUES (?, ?) RETURNING id"
    [(id,)] = change(request.user, sql, request.user, todo.title or "something")
    return todos_of(request.user, id)[0]


@api.patch("/{id:int}")
def edit(request, id, to: Body[Change]) -> Todo:
    """Rename something, or say whether it is done."""
    sql = "UPDATE todo SET title = coalesce(?, title), done = coalesce(?, done) WHERE id = ?"
    change(request.user, sql, to.title, to.done, todos_of(request.user, id)[0].id)
    return todos_of(request.user, id)[0]


@api.delete("/{id:int}")
def remove(request, id) -> None:
    """Remove something, and its file."""
    change(request.user, "DELETE FROM todo WHERE id = ?", todos_of(request.user, id)[0].id)
    (DATA / str(id)).unlink(missing_ok=True)
