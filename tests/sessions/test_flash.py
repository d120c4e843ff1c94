"""Flash messages: said once, on the next page that shows them, and never too many."""

import pytest

from finch import FinchApp
from finch.sessions import Flash, Sessions, flash, flashes
from finch.testing import TestClient


def flash_app():
    app = FinchApp()
    app.middleware(Sessions("k" * 32))

    @app.post("/")
    async def say(request):
        for message in await request.json():
            flash(request, *message)

    @app.get("/")
    async def show(request):
        return [list(one) for one in flashes(request)]

    return app


async def test_it_is_said_once():
    async with TestClient(flash_app()) as client:
        assert (await client.get("/")).json() == []
        await client.post("/", json=[["Saved"], ["No disk", "error"]])
        await client.post("/", json=[["<b>ä</b>"]])
        said = [["Saved", "info"], ["No disk", "error"], ["<b>ä</b>", "info"]]
        assert (await client.get("/")).json() == said
        assert (await client.get("/")).json() == []
        assert "session" not in client.cookies


async def test_a_page_may_ask_twice():
    app = flash_app()
    seen = []

    @app.get("/twice")
    async def twice(request):
        flash(request, "now")
        seen.append([str(one) for one in flashes(request)])
        seen.append([one.message for one in flashes(request)])
        flash(request, "later")
        seen.append(flashes(request))

    async with TestClient(app) as client:
        await client.get("/twice")
    assert seen == [["now"], ["now"], [Flash("now"), Flash("later")]]


async def test_if_nobody_looks_the_oldest_are_dropped():
    async with TestClient(flash_app()) as client:
        for number in range(100):
            assert (await client.post("/", json=[[f"message {number:050}"]])).status == 204
        said = [message for message, _ in (await client.get("/")).json()]
        assert 10 < len(said) < 20
        assert said[-1].endswith("99")


@pytest.mark.parametrize(
    ("message", "says"),
    [(["x" * 1020], "at most 1024 bytes"), ([7], "not an int"), (["x", None], "not None")],
)
async def test_what_cannot_be_kept_is_refused(message, says, caplog):
    async with TestClient(flash_app()) as client:
        assert (await client.post("/", json=[message])).status == 500
    assert says in caplog.text


async def test_what_is_none_of_ours_in_the_session_is_left_out():
    app = flash_app()

    @app.post("/odd")
    async def odd(request):
        request.session["flashes"] = await request.json()

    async with TestClient(app) as client:
        for odd_value, said in [("x", []), ([1, ["a"], ["b", "info"]], [["b", "info"]])]:
            await client.post("/odd", json=odd_value)
            assert (await client.get("/")).json() == said
