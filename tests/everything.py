"""One application that has everything: what is attacked, and what other programs talk to."""

from pathlib import Path
from uuid import uuid4

import msgspec
from jinja2 import DictLoader

from finch import (
    Body,
    Cookie,
    EventStream,
    File,
    FileResponse,
    FinchApp,
    Form,
    Header,
    HTMLResponse,
    HTTPError,
    Query,
    RedirectResponse,
    Response,
    ServerEvent,
    Upload,
)
from finch.guards import CORS, Compress, RateLimit, RequestID, SecurityHeaders, TrustedHosts
from finch.sessions import CSRF, Sessions, flash, login, logout, session_user
from finch.templates import Templates

HOST = "site.example"
FRIEND = "https://friend.example"
NEW = "the-new-secret-of-32-characters-or-more"
KEPT = "the-secret-before-it-of-32-characters-or-more"
PAGES = {
    "page.html": """<!doctype html><html lang="en"><title>{{ title }}</title>
<h1>{{ title }}</h1>
{% for one in flashes() %}<p class="{{ one.category }}">{{ one.message }}</p>{% endfor %}
<a href="{{ path_for('page', title=title) }}" title='{{ title }}'>again</a>
<script>const title = {{ title|tojson }};</script>
<form method="post">{{ csrf_field() }}</form>""",
    "secret.html": "SECRET",
}


class Bird(msgspec.Struct):
    name: str
    rings: set[int] = set()
    weight: float = 0.0


class Account(msgspec.Struct):
    """What a visitor may fill in."""

    name: str
    age: int = 0


def make_app(folder, *, hosts=(HOST,)):
    """The application, with its files in this folder."""
    folder = Path(folder)
    for path, content in {
        "secret.txt": "SECRET",
        "assets/site.css": "p { color: green }\n" * 100,
        "assets/app-0a1b2c3d.js": "export const a = 1;\n" * 5_000,
        "assets/sub/index.html": "<p>sub",
        "assets/.env": "SECRET",
        "inside/plan.txt": "SECRET",
        "uploads/report.txt": "the report\n" * 100,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")

    app = FinchApp(health=True, describe=True)
    templates = Templates(DictLoader(PAGES))
    for guard in (
        RequestID(),
        SecurityHeaders(csp="default-src 'self'"),
        TrustedHosts(hosts),
        CORS([FRIEND], credentials=True),
        Sessions([NEW, KEPT]),
        CSRF(exempt=["/hooks/*"]),
        Compress(),
    ):
        app.middleware(guard)
    app.authorize(session_user)
    app.static("/assets", folder / "assets", key="assets")

    @app.get("/")
    async def index(request):
        return "hello"

    @app.get("/page/{title}")
    async def page(request, title):
        return templates.render("page.html", request, title=title)

    @app.get("/template/{name:path}")
    async def template(request, name):
        return templates.render(f"{name}.html", request, title="")

    @app.get("/numbers")
    async def count(request):
        for number in range(3):
            yield f"{number}\n"

    @app.get("/events")
    async def events(request):
        async def ticks():
            for number in range(3):
                yield ServerEvent(number, id=number)

        return EventStream(ticks())

    @app.post("/say")
    async def say(request, text: Form[str], category: Form[str] = "info"):
        flash(request, text, category)
        return RedirectResponse("/page/said", 303)

    # what handlers set from data

    @app.get("/header")
    async def header(request, value: Query[str]):
        return Response(b"", headers={"x-said": value})

    @app.get("/header-name")
    async def header_name(request, name: Query[str]):
        return Response(b"", headers={name: "1"})

    @app.get("/type")
    async def content_type(request, value: Query[str]):
        return Response(b"<b>", content_type=value)

    @app.get("/cookie")
    async def cookie(
        request, name: Query[str] = "said", value: Query[str] = "", path: Query[str] = "/"
    ):
        response = Response(b"")
        response.set_cookie(name, value, path=path)
        return response

    @app.get("/error")
    async def error(request, said: Query[str]):
        raise HTTPError(410, said, {"x-said": said})

    @app.get("/go/{name}")
    async def go(request, name):
        return RedirectResponse(request.url_for("page", title=name))

    @app.get("/asset")
    async def asset(request, path: Query[str]):
        return RedirectResponse(request.url_for("assets", path=path))

    @app.get("/to")
    async def to(request, where: Query[str]):
        return RedirectResponse(f"/page/{where}")

    @app.get("/where")
    async def where(request):
        return [request.url, request.url_for("page", title="a"), request.client.host]

    @app.get("/download")
    async def download(request, name: Query[str]):
        return FileResponse("report.txt", directory=folder / "uploads", filename=name)

    @app.get("/uploads/{name:path}")
    async def uploaded(request, name):
        return FileResponse(name, directory=folder / "uploads", filename="upload")

    # what handlers take

    @app.get("/search")
    async def search(
        request,
        page: Query[int] = 1,
        ids: Query[set[int]] = frozenset(),
        theme: Cookie[str] = "",
        x_number: Header[int] = 0,
    ):
        return {"page": page, "ids": len(ids), "theme": theme, "number": x_number}

    @app.post("/birds")
    async def add(request, bird: Body[Bird]):
        where = app.path_for("search", name=bird.name)
        return {"name": bird.name, "rings": len(bird.rings)}, 201, {"location": where}

    @app.put("/anything")
    async def anything(request, data: Body[dict]):
        return {"keys": len(data)}

    @app.post("/accounts")
    async def sign_up(account: Form[Account]):
        return msgspec.to_builtins(account)

    @app.post("/numbers")
    async def numbers(request, ids: Form[set[int]]):
        return {"ids": len(ids)}

    @app.post("/photos")
    async def photo(request, photo: File[Upload]):
        await photo.save(folder / "uploads" / f"{uuid4()}.png")
        return HTMLResponse(f"saved {photo.filename}")

    @app.post("/hooks/{name}")
    async def hook(request, name):
        return "hooked"

    @app.post("/unread")
    async def unread(request):
        return "did not look"

    # who may

    @app.post("/login", middleware=[RateLimit(5, per=60)])
    async def enter(request, name: Form[str], password: Form[str]):
        if password != "swordfish":
            raise HTTPError(401, "wrong")
        login(request, name)
        return RedirectResponse("/me", 303)

    @app.post("/logout")
    async def leave(request):
        await logout(request)
        return "bye"

    @app.get("/me", auth=session_user)
    async def me(request):
        return f"you are {request.user}"

    @app.post("/me", auth=session_user)
    async def change(request):
        return f"CHANGED {request.user}"

    async def is_admin(request):
        return session_user(request) == "admin"

    admin = app.group("/admin", auth=is_admin)
    admin.static("/files", folder / "inside")

    @admin.get("")
    async def office(request):
        return "SECRET"

    @admin.route("/users/{name}", methods=("GET", "POST", "DELETE"))
    async def user(request, name):
        return f"SECRET of {name}"

    @app.socket("say")
    async def on_say(socket, data: str):
        return f"heard {data}"

    @app.websocket("/raw", auth=session_user)
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    return app
