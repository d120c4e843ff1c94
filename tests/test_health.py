"""/healthz and /readyz: what a probe hears while an application starts, serves and ends."""

import pytest
import trio.testing

from finch import FinchApp
from finch.testing import TestClient


async def test_both_say_ok_while_it_serves():
    async with TestClient(FinchApp(health=True)) as client:
        for path in ("/healthz", "/readyz"):
            answer = await client.get(path)
            assert (answer.status, answer.text) == (200, "ok")
            assert answer.headers["cache-control"] == "no-store"


async def test_while_draining_it_lives_but_is_not_ready(serve):
    async with serve(FinchApp(health=True)) as running:
        streams = [await running.connect() for _ in range(2)]
        for stream in streams:
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in await stream.receive_some()
        running.server.stop(restart=True)
        await trio.testing.wait_all_tasks_blocked()
        for stream, path, says in zip(
            streams, (b"readyz", b"healthz"), (b"503", b"200"), strict=True
        ):
            await stream.send_all(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            answer = b""
            async for piece in stream:  # to its end, which the answer announces
                answer += piece
            assert answer.startswith(b"HTTP/1.1 " + says)
            assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(("state", "status"), [("connecting", 503), ("degraded", 200)])
async def test_a_backplane_that_was_never_reached_is_waited_for_and_one_that_is_away_is_told(
    state, status
):
    app = FinchApp(health=True)
    app.on_connect(print)
    async with TestClient(app) as client:
        app.socket_manager.backplane.state = state
        answer = await client.get("/readyz")
        assert (answer.status, answer.text) == (status, f"backplane: {state}")
        assert (await client.get("/healthz")).status == 200


async def test_only_if_wanted_and_an_own_route_takes_its_place():
    async with TestClient(FinchApp()) as client:
        assert (await client.get("/readyz")).status == 404
    app = FinchApp(health=True)

    @app.get("/readyz")
    async def mine(request):
        return "mine"

    async with TestClient(app) as client:
        assert (await client.get("/readyz")).text == "mine"
