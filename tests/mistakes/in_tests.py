"""Mistakes in the tests of an application."""

import asyncio

import trio
import trio.testing

from finch import FinchApp
from finch.testing import TestClient
from tests.mistakes.book import mistake


def app():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "hello"

    @app.get("/ticks")
    async def ticks(request):
        yield "tick\n"
        await trio.sleep_forever()

    @app.websocket("/raw")
    async def raw(ws):
        await ws.send("hello")

    return app


@mistake("Tests", "client = TestClient(app); await client.get(...)", "async with TestClient(app)")
async def a_client_that_does_not_serve():
    await TestClient(app()).get("/")


@mistake("Tests", "with TestClient(app) as client", "async with TestClient(app)")
def a_client_without_async():
    with TestClient(app()):
        pass


@mistake("Tests", "a test of pytest-asyncio", "pytest-trio", "trio_mode")
def a_test_under_asyncio():
    async def test():
        async with TestClient(app()):
            pass

    asyncio.run(test())


@mistake("Tests", "TestClient(create_app)", "create_app()")
def a_client_of_a_factory():
    def create_app():
        return app()

    TestClient(create_app)


@mistake("Tests", 'client.get("birds")', "'/birds'")
async def a_path_without_its_slash():
    async with TestClient(app()) as client:
        await client.get("birds")


@mistake("Tests", 'client.get("/", headers={"x-page": 5})', "'x-page'", "'5'")
async def a_header_that_is_no_text():
    async with TestClient(app()) as client:
        await client.get("/", headers={"x-page": 5})


@mistake("Tests", 'client.post("/", content={"a": 1})', "json=")
async def a_dict_as_content():
    async with TestClient(app()) as client:
        await client.post("/", content={"a": 1})


@mistake("Tests", 'await client.get("/ticks"), which never ends', "client.stream()")
def a_response_without_an_end():
    async def test():
        async with TestClient(app()) as client:
            await client.get("/ticks")

    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


@mistake("Tests", "socket = await client.socket()", "async with client.socket(...) as socket")
async def a_socket_that_is_awaited():
    async with TestClient(app()) as client:
        await client.socket()


@mistake("Tests", 'client.socket("/"), an ordinary handler\'s path', "not the path of a socket")
async def a_socket_of_a_handler():
    async with TestClient(app()) as client, client.socket("/"):
        pass


@mistake("Tests", "await socket.receive() of a raw socket", "receive_raw()")
async def an_envelope_of_a_raw_socket():
    async with TestClient(app()) as client, client.socket("/raw") as socket:
        await socket.receive()
