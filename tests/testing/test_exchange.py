"""A response that a test reads while it comes."""

import pytest
import trio

from finch import FinchApp, StreamingResponse
from finch.testing import ResponseCut, TestClient, WaitedTooLong


def ticking():
    app = FinchApp()
    app.state["gone"] = trio.Event()

    @app.get("/ticks")
    async def ticks(request):
        try:
            for number in (1, 2):
                yield f"tick {number}"
                await trio.sleep(1)
            await trio.sleep(60)
        finally:
            app.state["gone"].set()

    @app.get("/short")
    async def short(request):
        async def pieces():
            yield "one"
            raise ValueError("no more")

        response = StreamingResponse(pieces())
        response.set_cookie("seen", "yes")
        return response

    @app.post("/echo")
    async def echo(request):
        return await request.body()

    return app


async def test_pieces_come_as_they_are_sent_and_the_end_of_the_block_is_a_client_that_leaves(
    autojump_clock,
):
    app = ticking()
    async with TestClient(app) as client:
        async with client.stream("/ticks") as response:
            assert (response.status, repr(response)) == (200, "<StreamedResponse 200>")
            assert [await response.receive(), await response.receive()] == [b"tick 1", b"tick 2"]
            with pytest.raises(WaitedTooLong, match="the next piece of the response to GET /ticks"):
                await response.receive()
        with trio.fail_after(5):
            await app.state["gone"].wait()


async def test_it_is_iterated_to_its_end_and_has_a_method_and_a_body():
    async with (
        TestClient(ticking()) as client,
        client.stream("/echo", method="POST", content="abc", params={"a": 1}) as response,
    ):
        assert [piece async for piece in response] == [b"abc"]
        assert await response.receive() == b""


async def test_a_response_that_breaks_off_says_so_and_its_cookies_are_kept():
    async with TestClient(ticking()) as client, client.stream("/short") as response:
        assert client.cookies["seen"] == "yes"
        assert await response.receive() == b"one"
        with pytest.raises(ResponseCut) as cut:
            await response.receive()
        assert cut.value.response.body == b"one"


async def test_it_says_how_it_is_used():
    async with TestClient(ticking()) as client:
        with pytest.raises(TypeError, match=r"async with client\.stream"):
            await client.stream("/ticks")
