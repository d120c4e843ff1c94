"""Streamed answers: part by part, and cancelled on the server when they are left."""

import pytest
import trio

from finch import FinchApp, HTTPError
from finch.client import CallFailed, ConnectionLost
from tests.client.world import world

pytestmark = pytest.mark.usefixtures("reader")


def new_app():
    app = FinchApp()
    app.made = 0
    app.left = trio.Event()

    @app.socket("words")
    async def words(socket, data):
        try:
            for number in range(data):
                app.made += 1
                yield f"word {number}"
                await trio.sleep(1)
        finally:
            app.left.set()

    @app.socket("plain")
    async def plain(socket, data):
        return data

    @app.socket("fails")
    async def fails(socket, data):
        yield "a part"
        raise HTTPError(418, "no more tea")

    return app


async def test_the_parts_come_one_by_one(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        heard = []
        async with client.stream("words", 3, as_type=str) as words:
            async for word in words:
                heard.append((word, app.made))
        assert heard == [("word 0", 1), ("word 1", 2), ("word 2", 3)]
        assert [word async for word in client.stream("words", 2)] == ["word 0", "word 1"]
        assert [word async for word in client.stream("words", 0)] == []


async def test_an_answer_that_is_not_streamed_is_one_part(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        assert [part async for part in client.stream("plain", 5)] == [5]
        assert [part async for part in client.stream("plain")] == []


async def test_an_error_comes_after_the_parts(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        heard = []
        with pytest.raises(CallFailed, match="no more tea"):
            async for part in client.stream("fails"):
                heard.append(part)
        assert heard == ["a part"]
        with pytest.raises(CallFailed, match="does not fit"):
            await anext(client.stream("plain", "text", as_type=int))


async def test_the_end_of_the_block_cancels_on_the_server(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with client.stream("words", 10**6) as words:
            async for _ in words:
                break
        await app.left.wait()
        assert app.made == 1
        assert [word async for word in words] == []


async def test_a_loop_that_is_left_cancels_at_the_next_part(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async for _ in client.stream("words", 10**6):
            break
        await app.left.wait()
        assert app.made == 2


async def test_a_cancelled_reader_misses_nothing(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        async with client.stream("words", 3) as words:
            assert await anext(words) == "word 0"
            with trio.move_on_after(0.5) as scope:
                await anext(words)
            assert scope.cancelled_caught
            assert [word async for word in words] == ["word 1", "word 2"]


async def test_a_cut_fails_a_stream(autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        async with client.stream("words", 10) as words:
            assert await anext(words) == "word 0"
            there.wires[-1].cut()
            with pytest.raises(ConnectionLost):
                await anext(words)


async def test_nothing_is_sent_before_it_begins(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        stream = client.stream("words", 3)
        await trio.sleep(1)
        await stream.aclose()
        assert [word async for word in stream] == []
        assert app.made == 0
