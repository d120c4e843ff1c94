"""Mistakes in decorators and in what they are given."""

import functools

from finch import FinchApp, SocketManager
from tests.mistakes.book import mistake

AREA = "Declarations"


@mistake(AREA, "@app.get above a function, without parentheses", '@app.get("/path")')
def get_without_parentheses():
    @FinchApp().get
    async def index(request): ...


@mistake(AREA, "@app.websocket above a function, without parentheses", "in parentheses")
def websocket_without_parentheses():
    @FinchApp().websocket
    async def raw(ws): ...


@mistake(AREA, "@app.socket above a function, without parentheses", "@app.socket('path')", "say")
def socket_without_parentheses():
    @FinchApp().socket
    async def say(socket, data): ...


@mistake(AREA, "@manager.socket above a class, without parentheses", "without parentheses")
def manager_socket_without_parentheses():
    SocketManager(FinchApp(), path="/m").socket(dict)


@mistake(AREA, "@app.error_handler above a function, without parentheses", "error_handler(404)")
def error_handler_without_parentheses():
    @FinchApp().error_handler
    async def answer(request, error): ...


@mistake(AREA, "@app.on_connect()", "@app.on_connect above it, without parentheses")
def on_connect_with_parentheses():
    FinchApp().on_connect()


@mistake(AREA, "@app.on_startup()", "without parentheses")
def on_startup_with_parentheses():
    FinchApp().on_startup()


@mistake(AREA, "@app.middleware()", "without parentheses")
def middleware_with_parentheses():
    FinchApp().middleware()


@mistake(AREA, "@app.middleware above def timing(request, call_next)", "async def timing")
def plain_middleware():
    @FinchApp().middleware
    def timing(request, call_next): ...


@mistake(AREA, "@app.middleware above async def timing(request)", "(request, call_next)")
def middleware_of_one_argument():
    @FinchApp().middleware
    async def timing(request): ...


@mistake(AREA, "@app.error_handler(404) above async def missing(request)", "(request, error)")
def error_handler_of_one_argument():
    @FinchApp().error_handler(404)
    async def missing(request): ...


@mistake(AREA, '@app.error_handler("404")', "a status or a type of exception")
def error_handler_of_text():
    FinchApp().error_handler("404")


@mistake(AREA, "@app.on_startup above async def begin(app)", "()", "begin(app)")
def startup_with_an_argument():
    @FinchApp().on_startup
    async def begin(app): ...


@mistake(AREA, "app.on_startup(begin()) with a coroutine", "without calling it")
def startup_that_was_called():
    async def begin(): ...

    FinchApp().on_startup(begin())


@mistake(AREA, "app.background_task(mail()) with a coroutine", "without calling it")
def background_task_that_was_called():
    async def mail(): ...

    FinchApp().background_task(mail())


@mistake(AREA, "@app.websocket('/raw') above async def raw(ws) that yields", "await ws.send")
def raw_handler_that_yields():
    @FinchApp().websocket("/raw")
    async def raw(ws):
        yield "hello"


@mistake(AREA, "@app.websocket('/raw') above async def raw()", "(ws)")
def raw_handler_without_arguments():
    @FinchApp().websocket("/raw")
    async def raw(): ...


@mistake(AREA, "app.on_conect(...)", "'on_connect'")
def a_misspelt_decorator():
    FinchApp().on_conect(functools.partial(print))


@mistake(AREA, "app.on_startup = begin", "@app.on_startup above a function", "app.state")
def a_decorator_assigned_to():
    FinchApp().on_startup = print


@mistake(AREA, "app.socketManager", "'socket_manager'")
def a_name_of_dart():
    return FinchApp().socketManager


@mistake(AREA, "uvicorn app:app, hypercorn app:app, gunicorn app:app", "finch app:app")
def an_asgi_server():
    FinchApp()({"type": "http"}, None, None)
