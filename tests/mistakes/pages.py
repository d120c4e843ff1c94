"""Mistakes with forms, sessions and templates."""

import jinja2
import trio.testing

from finch import FinchApp
from finch.sessions import Sessions, login
from finch.templates import Templates
from finch.testing import TestClient
from tests.mistakes.book import mistake

SECRET = "a secret of 32 characters or more"


async def asked(handler, *middleware, files=None):
    """Let a client ask a handler; what the handler raises."""
    app = FinchApp()
    raised = []
    for one in middleware:
        app.middleware(one)

    @app.post("/")
    async def index(request):
        try:
            await handler(request)
        except Exception as error:
            raised.append(error)

    async with TestClient(app) as client:
        await client.post("/", files=files)
    raise raised[0]


@mistake("Forms, sessions, templates", "Sessions('secret')", "32", "secrets.token_urlsafe")
def a_short_secret():
    Sessions("secret")


@mistake("Forms, sessions, templates", 'Sessions(os.environ.get("SECRT"))', "environment variable")
def a_missing_secret():
    Sessions(None)  # type: ignore[arg-type]


@mistake("Forms, sessions, templates", "request.session, without Sessions", "app.middleware")
async def a_session_without_sessions():
    async def handler(request):
        return request.session["cart"]

    await asked(handler)


@mistake(
    "Forms, sessions, templates", 'request.session["user"] = User(...)', "which JSON cannot hold"
)
async def an_object_in_a_session():
    class User:
        pass

    async def handler(request):
        request.session["user"] = User()

    await asked(handler, Sessions(SECRET))


@mistake("Forms, sessions, templates", "login(request, user)", "user_id=user.id")
async def a_login_of_an_object():
    class User:
        pass

    async def handler(request):
        login(request, User())  # type: ignore[arg-type]

    await asked(handler, Sessions(SECRET))


@mistake(
    "Forms, sessions, templates", 'socket.request.session["seen"] = 1', "at the handshake", "state"
)
async def a_session_of_a_socket():
    app = FinchApp()
    app.middleware(Sessions(SECRET))

    @app.socket("write")
    async def write(socket, data):
        try:
            socket.request.session["seen"] = 1
        except RuntimeError as error:
            return str(error)

    async with TestClient(app) as client, client.socket("/ws") as socket:
        return await socket.call("write")


@mistake("Forms, sessions, templates", "reading a file after the request", "before the handler")
async def a_file_after_the_request():
    kept = []

    async def handler(request):
        kept.append(await request.form())
        raise ValueError

    try:
        await asked(handler, files={"photo": b"..."})
    except ValueError:
        await trio.testing.wait_all_tasks_blocked()
        await kept[0]["photo"].read()


@mistake("Forms, sessions, templates", 'await form["photo"].save(FOLDER)', "save(folder / name)")
async def a_file_saved_to_a_folder():
    async def handler(request):
        form = await request.form()
        await form["photo"].save("/")

    try:
        await asked(handler, files={"photo": b"..."})
    except OSError as error:
        return str(error)


@mistake("Forms, sessions, templates", 'Templates("templats")', "no folder")
def a_folder_that_is_not_there():
    Templates("/templats")


@mistake(
    "Forms, sessions, templates", "templates.render(name, {'birds': birds})", "request", "birds="
)
def a_context_for_a_request():
    Templates(jinja2.DictLoader({})).render("page.html", {"birds": []})  # type: ignore[arg-type]
