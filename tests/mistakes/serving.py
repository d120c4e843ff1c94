"""Mistakes that are met while a request or message is served, and what the log is told."""

import trio

from finch import FinchApp
from finch.testing import SocketClosed, TestClient
from tests.mistakes.book import listening, mistake

AREA = "Handlers, while they run"


async def logged(app, path="/"):
    """The last error that the log is told of a request."""
    with listening() as heard:
        async with TestClient(app) as client:
            await client.get(path)
    return heard[-1]


@mistake(AREA, "a middleware without return", "return await call_next(request)")
async def a_middleware_that_returns_nothing():
    app = FinchApp()

    @app.middleware
    async def timing(request, call_next):
        await call_next(request)

    return await logged_error(app)


async def logged_error(app, path="/"):
    """What the failure of a request is, as its traceback's last line says it."""
    errors = []

    @app.error_handler(500)
    async def tell(request, error):
        errors.append(error.__cause__)
        return "told"

    async with TestClient(app) as client:
        await client.get(path)
    return str(errors[-1])


async def failed_handshake(app):
    errors = []

    @app.error_handler(500)
    async def tell(request, error):
        errors.append(error.__cause__)
        return "told"

    async with TestClient(app) as client:
        try:
            async with client.socket():
                pass
        except Exception:
            pass
    return str(errors[-1])


@mistake(AREA, "await manager.request_handle(request) without return", "return await manager")
async def an_upgrade_that_is_not_returned():
    app = FinchApp(socket_path=None)

    @app.get("/ws")
    async def upgrade(request):
        app.socket_manager.request_handle(request)

    return await failed_handshake(app)


@mistake(AREA, "return helper(request), where helper is async def", "return await")
async def an_answer_that_nobody_awaited():
    app = FinchApp()

    async def helper(request):
        return "hello"

    @app.get("/")
    async def index(request):
        return helper(request)

    return await logged_error(app)


@mistake(AREA, "asyncio.sleep in an async def handler", "trio", "asyncio.run")
async def a_library_for_asyncio():
    import asyncio

    app = FinchApp()

    @app.get("/")
    async def index(request):
        asyncio.get_running_loop()

    return await logged(app)


@mistake(AREA, "return False in on_connect", "raise HTTPError(403")
async def on_connect_that_returns_false():
    app = FinchApp()

    @app.on_connect
    async def gate(socket):
        return False

    with listening() as heard:
        async with TestClient(app) as client, client.socket() as socket:
            await socket.wait_closed()
    return without_client(heard[-1])


async def failed_send(*arguments, **options):
    """What a handler's ``socket.send`` raises."""
    app = FinchApp()
    raised = []

    @app.socket("say")
    async def say(socket, data):
        try:
            await socket.send(*arguments, **options)
        except TypeError as error:
            raised.append(error)
        return "done"

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("say")
        await socket.receive()
    raise raised[0]


@mistake(AREA, 'socket.send("time", {"now": 7})', "the path of a message is text", "path=")
async def a_send_with_its_arguments_in_the_order_of_socket_io():
    return await failed_send("time", {"now": 7})


@mistake(AREA, 'socket.send(data, status="ok")', "an int")
async def a_status_of_text():
    return await failed_send({}, status="ok")


@mistake(AREA, "request_handle(request, user_id=user)", "user.id")
async def a_user_instead_of_its_id():
    app = FinchApp(socket_path=None)

    @app.get("/ws")
    async def upgrade(request):
        return app.socket_manager.request_handle(request, user_id={"id": 7})

    return await failed_handshake(app)


async def failed_close(*arguments):
    app = FinchApp()
    raised = []

    @app.on_connect
    async def greet(socket):
        try:
            await socket.close(*arguments)
        except (TypeError, ValueError) as error:
            raised.append(error)
            await socket.close()

    async with TestClient(app) as client:
        try:
            async with client.socket() as socket:
                await socket.wait_closed()
        except SocketClosed:
            pass
    raise raised[0]


@mistake(AREA, "socket.close(200)", "1000")
async def a_close_code_of_http():
    return await failed_close(200)


@mistake(AREA, 'socket.close("bye")', "close(1000, 'why')")
async def a_reason_in_place_of_the_code():
    return await failed_close("bye")


@mistake(AREA, "socket.close(4000, reason) with 200 bytes", "123")
async def a_reason_that_is_too_long():
    return await failed_close(4000, "x" * 200)


@mistake(AREA, "request.querry", "'query'")
async def a_misspelt_attribute_of_a_request():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return request.querry

    return await logged(app)


async def logged_of_message(use):
    """The last error that the log is told of a message whose handler does that."""
    app = FinchApp()

    @app.socket("say")
    async def say(socket, data):
        return use(socket)

    with listening() as heard:
        async with TestClient(app) as client, client.socket() as socket:
            await socket.send("say")
            await socket.receive()
    return without_client(heard[-1])


def without_client(text):
    begin = text.index("<SocketClient")
    return text[:begin] + "<SocketClient …>" + text[text.index(">", begin) + 1 :]


@mistake(AREA, "socket.rq", "'request'")
async def a_name_of_dart_on_a_client():
    return await logged_of_message(lambda socket: socket.rq)


@mistake(AREA, "socket.manager.sendToAll", "'send_to_all'")
async def a_name_of_dart_on_a_manager():
    return await logged_of_message(lambda socket: socket.manager.sendToAll)


@mistake(AREA, "a nursery that on_connect opens and on_disconnect closes", "async with")
async def a_nursery_that_is_left_open():
    app = FinchApp()

    @app.on_connect
    async def greet(socket):
        nursery = await trio.open_nursery().__aenter__()
        nursery.start_soon(trio.sleep_forever)

    with listening() as heard:
        async with TestClient(app) as client, client.socket() as socket:
            await socket.wait_closed()
    text = heard[-1]
    return text[text.index("left a") :]
