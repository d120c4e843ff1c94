"""finch.testing: what a test of an application can rely on."""

import pytest
import trio
import trio.testing

from finch import FinchApp
from finch.testing import SocketClosed, TestClient, WaitedTooLong


@pytest.fixture
def app():
    app = FinchApp()

    @app.get("/hang")
    async def hang(request):
        await trio.sleep_forever()

    @app.get("/query")
    async def query(request):
        return {name: request.query.getlist(name) for name in request.query}

    @app.post("/json")
    async def json(request):
        return [await request.json(), request.headers["content-type"], request.client.host]

    @app.socket("close")
    async def close(socket, data):
        await socket.close(4000, "why not")

    @app.socket("burst")
    async def burst(socket, data):
        for number in range(3):
            yield number

    return app


async def test_every_wait_has_a_deadline_and_says_what_it_waited_for(app, autojump_clock):
    async with TestClient(app) as client:
        with pytest.raises(WaitedTooLong, match="waited 5 s for the response to GET /hang"):
            await client.get("/hang")
        async with client.socket() as socket:
            with pytest.raises(WaitedTooLong, match="waited 5 s for a message at /ws"):
                await socket.receive()
            with pytest.raises(WaitedTooLong, match=r"waited 0\.5 s for the server to close /ws"):
                await socket.wait_closed(timeout=0.5)


async def test_queries_and_json_are_encoded(app):
    async with TestClient(app, headers={"x-all": "1"}) as client:
        response = await client.get("/query", params={"a": [1, 2], "b": "ü"})
        assert response.json() == {"a": ["1", "2"], "b": ["ü"]}
        response = await client.post("/json", json={"n": None})
        assert response.json() == [{"n": None}, "application/json", "testclient"]


@pytest.mark.parametrize(("believed", "host"), [((), "testclient"), ("*", "192.0.2.7")])
async def test_it_may_be_a_proxy(app, believed, host):
    async with TestClient(app, forwarded_allow_ips=believed) as client:
        response = await client.post("/json", json=1, headers={"x-forwarded-for": "192.0.2.7"})
        assert response.json()[2] == host


async def test_a_message_is_attributes_and_items(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("burst")
        message = await socket.receive()
        assert (message.data, message["data"], message["path"]) == (0, 0, "burst")
        with pytest.raises(KeyError):
            message["nonsense"]


async def test_a_socket_that_the_server_closed_says_how(app):
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("close")
        for _ in range(2):
            with pytest.raises(SocketClosed) as closed:
                await socket.receive()
            assert (closed.value.code, closed.value.reason) == (4000, "why not")


async def test_a_failing_test_sees_its_own_exception(app):
    with pytest.raises(ZeroDivisionError):
        async with TestClient(app) as client, client.socket():
            1 / 0  # noqa: B018


async def test_leaving_the_client_ends_the_server_and_everything_in_it(app):
    async with TestClient(app) as client:
        opened = client.socket()
        socket = await opened.__aenter__()
    with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
        await socket.stream.send_all(b"x")
    await opened.gen.aclose()


@pytest.mark.parametrize("path", ["/hang", "/ws"])
async def test_a_test_that_is_cancelled_ends_its_server(app, autojump_clock, path):
    @app.socket("hang")
    async def hang(socket, data):
        await trio.sleep_forever()

    with trio.move_on_after(5) as scope:
        async with TestClient(app) as client:
            if path == "/hang":
                stream = client.connect()
                await stream.send_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
                await trio.sleep_forever()
            async with client.socket() as socket:
                await socket.send("hang")
                await trio.testing.wait_all_tasks_blocked()
                await socket.stream.send_eof()  # which its handler outlives
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                await trio.sleep_forever()
    assert scope.cancelled_caught
