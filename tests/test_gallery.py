"""The gallery: applications under prefixes. Those that it serves are in ``test_examples.py``."""

import pytest
import trio

from finch import ConfigurationError, FinchApp
from finch.gallery import Gallery
from finch.testing import TestClient


def birds():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return "all birds"

    @app.route("/{name}", methods=["PUT"])
    async def rename(request, name):
        return name.upper()

    @app.socket("sing")
    async def sing(socket, data):
        return f"{data}!"

    @app.websocket("/raw")
    async def raw(ws):
        await ws.send("tweet")

    return app


async def test_an_application_has_its_routes_and_sockets_under_the_prefix():
    gallery = Gallery()
    gallery.mount("/one", birds())
    gallery.mount("/other", birds())
    async with TestClient(gallery) as client:
        assert (await client.get("/one/")).text == "all birds"
        assert (await client.put("/other/jay")).text == "JAY"
        assert (await client.post("/other/jay")).status == 405
        assert (await client.get("/")).status == 404
        async with client.socket("/one/ws") as one, client.socket("/other/raw") as other:
            assert await one.call("sing", "tweet") == "tweet!"
            assert await other.receive_raw() == "tweet"


@pytest.mark.parametrize(("prefix", "location"), [("/birds", "birds/"), ("/a/birds", "birds/")])
async def test_without_its_slash_a_prefix_redirects_to_a_relative_url(prefix, location):
    gallery = Gallery()
    gallery.mount(prefix, birds())
    async with TestClient(gallery) as client:
        response = await client.get(prefix)
        assert (response.status, response.headers["location"]) == (302, location)


def test_two_applications_cannot_have_one_prefix():
    gallery = Gallery()
    gallery.mount("/birds", birds())
    with pytest.raises(ConfigurationError, match="/birds/"):
        gallery.mount("/birds", birds())


async def test_it_runs_what_its_applications_run_beside_their_handlers():
    told = []
    gallery, app = Gallery(), birds()
    app.on_startup(lambda: told.append("startup"))
    app.on_shutdown(lambda: told.append("shutdown"))

    @app.background_task
    async def work():
        told.append("work")

    gallery.mount("/birds", app)
    async with TestClient(gallery):
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["startup", "work"]
    assert told == ["startup", "work", "shutdown"]


async def test_a_second_signal_hurries_its_applications_too(autojump_clock):
    gallery, app = Gallery(), birds()

    @app.on_shutdown
    async def dawdle():
        gallery.hurry(1)
        await trio.sleep(100)

    gallery.mount("/birds", app)
    begin = autojump_clock.current_time()
    async with TestClient(gallery):
        pass
    assert autojump_clock.current_time() < begin + 10
