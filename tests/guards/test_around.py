"""What guards share: the response to an error, and Vary."""

import pytest
import trio

from finch import Disconnected, FinchApp, HTTPError, Response
from finch.guards.around import add_vary, answered
from finch.testing import TestClient


@pytest.mark.parametrize(
    ("said", "added", "then"),
    [
        ([], ["Origin"], ["Origin"]),
        (["Accept"], ["Origin"], ["Accept, Origin"]),
        (["Accept", "Cookie"], ["Origin"], ["Accept, Cookie, Origin"]),
        (["accept , ORIGIN"], ["Origin"], ["accept , ORIGIN"]),
        (["Origin"], ["origin", "Accept"], ["Origin, Accept"]),
        (["*"], ["Origin"], ["*"]),
        (["Accept, *"], ["Origin"], ["Accept, *"]),
    ],
)
def test_vary_has_each_name_once(said, added, then):
    response = Response("x")
    for one in said:
        response.add_header("vary", one)
    add_vary(response, *added)
    assert response.headers.getlist("vary") == then


async def test_an_error_below_becomes_the_response_that_it_would_become():
    app = FinchApp()

    @app.middleware
    async def mark(request, call_next):
        response = await answered(request, call_next)
        response.set_header("x-marked", "yes")
        return response

    @app.middleware
    async def refuse(request, call_next):
        if request.path == "/refused":
            raise HTTPError(403, "no")
        if request.path == "/group":
            async with trio.open_nursery():
                raise HTTPError(418)
        return await call_next(request)

    @app.error_handler(KeyError)
    async def known(request, error):
        return "known", 409

    @app.get("/known")
    async def raises(request):
        raise KeyError

    async with TestClient(app) as client:
        for path, status in (("/refused", 403), ("/group", 418), ("/known", 409), ("/none", 404)):
            response = await client.get(path)
            assert (response.status, response.headers["x-marked"]) == (status, "yes")


async def test_nobody_is_answered_who_has_left():
    app = FinchApp()
    seen = []

    @app.middleware
    async def mark(request, call_next):
        try:
            return await answered(request, call_next)
        except Disconnected as error:
            seen.append(error)
            raise

    @app.post("/")
    async def take(request):
        await request.body()

    async with TestClient(app) as client:
        stream = client.connect()
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
        await trio.aclose_forcefully(stream)
        with trio.fail_after(5):
            while not seen:
                await trio.sleep(0)
