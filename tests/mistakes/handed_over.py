"""Mistakes in what decorators, managers and options are handed: wrong types, wrong order, and what
would never run."""

import asyncio
from contextlib import asynccontextmanager

from finch import (
    FinchApp,
    FinchRoute,
    HTTPError,
    Response,
    SocketController,
    SocketEvent,
    SocketManager,
    run,
)
from finch.http.returned import to_response
from finch.testing import TestClient
from tests.mistakes.book import listening, mistake
from tests.mistakes.serving import failed_handshake, without_client

DECLARED = "Declarations"
OPTIONS = "Options of an application, a manager, a raw socket"
SENDING = "Sending"


# What would never run


@mistake(DECLARED, "@app.on_startup above an async def that yields", "@app.on_shutdown")
def a_startup_of_two_halves():
    @FinchApp().on_startup
    async def lifespan():
        yield


@mistake(DECLARED, "app.on_startup(lifespan) with an @asynccontextmanager", "@app.on_shutdown")
def a_startup_that_is_a_context_manager():
    @asynccontextmanager
    async def lifespan():
        yield

    FinchApp().on_startup(lifespan)


@mistake(DECLARED, "@app.background_task above an async def that yields", "leave out the yield")
def a_task_that_yields():
    @FinchApp().background_task
    async def ticks():
        yield 1


@mistake(DECLARED, "@app.middleware above an async def that yields", "await call_next(request)")
def middleware_that_yields():
    @FinchApp().middleware
    async def timing(request, call_next):
        yield


@mistake(DECLARED, "@app.on_connect above an async def that yields", "await socket.send")
def on_connect_that_yields():
    @FinchApp().on_connect
    async def greet(socket):
        yield "hello"


@mistake(DECLARED, "@app.on_startup while the application runs", "background_task")
async def a_startup_that_comes_late():
    app = FinchApp()
    async with TestClient(app):

        @app.on_startup
        async def begin(): ...


@mistake(DECLARED, "@app.error_handler(200)", "400 to 599", "middleware")
def an_error_handler_of_no_error():
    FinchApp().error_handler(200)


@mistake(DECLARED, "@app.error_handler(404) above a second function", "already registered: first")
def two_error_handlers():
    app = FinchApp()

    @app.error_handler(404)
    async def first(request, error): ...

    @app.error_handler(404)
    async def second(request, error): ...


@mistake(DECLARED, "async def say(data: str, socket)", "(socket, data)")
def data_before_the_socket():
    @FinchApp().socket("say")
    async def say(data: str, socket): ...


@mistake(DECLARED, "app.on_conect = greet", "did you mean on_connect?")
def a_misspelt_callback_that_is_set():
    async def greet(socket): ...

    FinchApp().on_conect = greet


@mistake(DECLARED, "app.include_router(router)", "'group'")
def a_router_of_fastapi():
    FinchApp().include_router("router")


@mistake(DECLARED, 'app.mount("/static", StaticFiles(...))', "'static'")
def a_mount_of_starlette():
    FinchApp().mount("/static", "files")


@mistake(DECLARED, "app.add_routes(FinchRoute(...))", "app.add_routes([route])")
def a_route_without_its_list():
    async def index(request): ...

    FinchApp().add_routes(FinchRoute("/", index))


@mistake(DECLARED, 'app.add_routes([("/", index)])', "FinchRoute('/path', handler)")
def routes_as_tuples():
    FinchApp().add_routes([("/", Response)])


@mistake(DECLARED, "SocketManager(FinchApp)", "app = FinchApp()")
def a_manager_of_a_class():
    SocketManager(FinchApp)


@mistake(DECLARED, 'SocketManager("/ws")', "SocketManager(app, path='/ws')")
def a_manager_without_its_app():
    SocketManager("/ws")


@mistake(DECLARED, 'SocketManager(app, routes=[("time", event)])', "a dict of paths and events")
def routes_of_a_manager_as_a_list():
    SocketManager(FinchApp(), routes=[("time", SocketEvent())])


@mistake(DECLARED, "SocketController(app)", "SocketController(app.socket_manager)")
def a_controller_of_an_app():
    SocketController(FinchApp())


@mistake(DECLARED, '@app.socket("say", concurrent="yes")', "True or False")
def concurrent_as_text():
    @FinchApp().socket("say", concurrent="yes")
    async def say(socket, data): ...


# Options


@mistake(OPTIONS, '@app.websocket("/chat", subprotocols="chat")', "subprotocols=['chat']")
def subprotocols_as_text():
    FinchApp().websocket("/chat", subprotocols="chat")


@mistake(OPTIONS, 'SocketManager(app, path=..., subprotocols=["my chat"])', "letters")
def a_subprotocol_with_a_space():
    SocketManager(FinchApp(), path="/chat", subprotocols=["my chat"])


@mistake(OPTIONS, '@app.websocket("/chat", max_message_size="1MB")', "whole number of bytes")
def a_size_of_a_path_as_text():
    FinchApp().websocket("/chat", max_message_size="1MB")


@mistake(OPTIONS, 'FinchApp(compression="off")', "True or False")
def compression_as_text():
    FinchApp(compression="off")


@mistake(OPTIONS, 'FinchApp(languages="en,de")', "languages=['en', 'de']")
def languages_as_one_text():
    FinchApp(languages="en,de")


@mistake(OPTIONS, 'FinchApp(languages=["en_US"])', "'en-US'")
def a_language_with_an_underscore():
    FinchApp(languages=["en_US"])


@mistake(OPTIONS, 'FinchApp(socket_path="ws")', "'/ws'")
def a_socket_path_without_its_slash():
    FinchApp(socket_path="ws")


# Sending


async def failed(use):
    app = FinchApp()
    raised = []

    @app.socket("say")
    async def say(socket, data):
        try:
            await use(socket)
        except TypeError as error:
            raised.append(error)
        return "done"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("say")
        await socket.receive()
    raise raised[0]


@mistake(SENDING, "send_to_all_except(socket.id, data)", "send_to_all_except(socket, data)")
async def all_except_an_id():
    await failed(lambda socket: socket.manager.send_to_all_except(socket.id, "hello"))


@mistake(SENDING, "send_to_client(socket, data)", "write socket.id")
async def a_client_instead_of_its_id():
    await failed(lambda socket: socket.manager.send_to_client(socket, "hello"))


@mistake(SENDING, "send_to_user(user, data)", "user.id")
async def to_a_user_instead_of_its_id():
    await failed(lambda socket: socket.manager.send_to_user({"id": 7}, "hello"))


@mistake(SENDING, "return HTTPError(403) in on_connect", "raise HTTPError(403")
async def a_refusal_that_is_returned():
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        return HTTPError(403)

    with listening() as heard:
        async with TestClient(app) as client, client.socket() as socket:
            assert (await socket.wait_closed()).code == 1008
    return without_client(heard[-1])


@mistake(SENDING, "return message in the handler of a raw socket", "await ws.send")
async def a_raw_answer_that_is_returned():
    app = FinchApp()

    @app.websocket("/echo")
    async def echo(ws):
        return await ws.receive()

    with listening() as heard:
        async with TestClient(app) as client, client.socket("/echo") as socket:
            await socket.send_raw("hello")
            await socket.wait_closed()
    return heard[-1]


# Responses and requests


@mistake("Responses", "response.status_code = 404", "response.status = 404")
def a_status_of_other_frameworks():
    Response().status_code = 404


@mistake("Responses", 'response.content_type = "text/csv"', "set_header('content-type'")
def a_content_type_of_other_frameworks():
    Response().content_type = "text/csv"


@mistake("Responses", 'response.headers = {"x-a": "b"}', "set_header")
def headers_that_are_set():
    Response().headers = {"x-a": "b"}


@mistake("Responses", "Response(status=101)", "200 to 599")
def a_response_that_is_an_upgrade():
    Response(status=101)


async def logged(use):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return use(request)

    with listening() as heard:
        async with TestClient(app) as client:
            await client.get("/")
    return heard[-1]


@mistake("Handlers, while they run", 'request.args["page"]', "'query'")
async def a_name_of_flask():
    return await logged(lambda request: request.args["page"])


@mistake("Handlers, while they run", 'request.form["name"]', "(await request.form())")
async def a_form_of_flask():
    return await logged(lambda request: request.form["name"])


@mistake("Handlers, while they run", "request.state.user", "state['user']")
async def a_state_of_starlette():
    return await logged(lambda request: request.state.user)


@mistake("Handlers, while they run", 'request.json()["name"] without await', "'await'")
async def json_without_await():
    def use(request):
        coroutine = request.json()
        try:
            return coroutine["name"]
        finally:
            coroutine.close()

    return await logged(use)


# Tests


@mistake("Tests", 'TestClient(app, client="10.0.0.7")', "Address('10.0.0.7', 50000)")
def an_address_as_text():
    TestClient(FinchApp(), client="10.0.0.7")


@mistake("Responses", "a kept response on which a handler sets a cookie", "for each request")
def a_cookie_on_a_kept_response():
    page = Response("hello")
    to_response(page)
    page.set_cookie("visitor", "ada")


@mistake("Handlers, while they run", "response.status = 403 for an upgrade", "raise HTTPError(403)")
async def a_refusal_by_the_status_of_an_upgrade():
    app = FinchApp()

    @app.middleware
    async def gate(request, call_next):
        response = await call_next(request)
        response.status = 403
        return response

    @app.on_connect
    async def greet(socket): ...

    return await failed_handshake(app)


@mistake(DECLARED, "app.socket_manager.on_connect = greet", "manager.on_connect(greet)")
def a_callback_of_a_manager_that_is_set():
    async def greet(socket): ...

    FinchApp().socket_manager.on_connect = greet


@mistake(SENDING, "send(data, path) with half a character in the path", "the path", "surrogate")
async def a_path_that_is_no_unicode():
    await failed(lambda socket: socket.send("hello", "\ud800"))


@mistake("Serving", 'finch.run(app, host="")', "'127.0.0.1' for this machine alone")
def a_host_of_nothing():
    run(FinchApp(), host="")


@mistake("Serving", 'finch.run(app, host="localhost:9000")', "host='localhost'", "port=")
def a_host_with_its_port():
    run(FinchApp(), host="localhost:9000")


@mistake("Errors", "class NotThere(HTTPError) whose __init__ does not call super()", "super()")
async def an_error_without_its_status():
    class NotThere(HTTPError):
        def __init__(self): ...

    def use(request):
        raise NotThere

    return await logged(use)


async def logged_of(handler):
    app = FinchApp()
    app.get("/")(handler)
    with listening() as heard:
        async with TestClient(app) as client:
            await client.get("/")
    return heard[-1]


@mistake("Handlers, while they run", "await asyncio.sleep(0)", "trio", "asyncio.run")
async def a_turn_of_asyncio():
    async def index(request):
        await asyncio.sleep(0)

    return await logged_of(index)


@mistake("Handlers, while they run", "await asyncio.Queue().get()", "trio", "asyncio.run")
async def a_queue_of_asyncio():
    async def index(request):
        await asyncio.Queue().get()

    return await logged_of(index)


@mistake("Errors", 'raise Response("no", 403)', "raise HTTPError(404, 'why')")
async def a_response_that_is_raised():
    async def index(request):
        raise Response("no", 403)

    return await logged_of(index)
