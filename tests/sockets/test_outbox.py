"""What may wait for a client: ``Limits.max_outbox`` bytes, or one message of any length."""

import trio
import trio.testing

from finch import FinchApp, Limits
from finch.testing import TestClient


def app_that_says(*texts, **limits):
    """On "go", everybody is told each of these texts in one turn."""
    app = FinchApp(limits=Limits(**limits))
    app.reached = []

    @app.socket("go")
    async def go(socket, data):
        for text in texts:
            app.reached.append(await socket.manager.send_to_all(text))

    return app


async def frames_after_go(app):
    """All bytes that a client gets, and whether it is still connected."""
    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("go")
        heard = b""
        with trio.move_on_after(1):
            while piece := await socket.stream.receive_some():
                heard += piece
        return heard


async def test_two_messages_that_just_fit_are_sent(autojump_clock):
    """In memory nothing is sent before the turn ends, so the first message waits."""
    size = len(await frames_after_go(app_that_says("x" * 100)))

    fitting = app_that_says("x" * 100, "y" * 100, max_outbox=2 * size)
    heard = await frames_after_go(fitting)
    assert fitting.reached == [1, 1]
    assert len(heard) == 2 * size
    assert b"y" * 100 in heard


async def test_one_message_may_be_longer_than_the_outbox(autojump_clock):
    app = app_that_says("x" * 1000, max_outbox=100)
    assert b"x" * 1000 in await frames_after_go(app)
    assert app.reached == [1]


async def test_a_message_that_does_not_fit_behind_another_closes_with_1013(autojump_clock, reader):
    """The hub's socket takes the first one at once."""
    size = len(await frames_after_go(app_that_says("x" * 100)))
    app = app_that_says("x" * 100, "y" * 100, max_outbox=2 * size - 1)
    heard = await frames_after_go(app)
    assert b"x" * 100 in heard
    if reader == "hub":
        assert app.reached == [1, 1]
        assert b"y" * 100 in heard
    else:
        assert app.reached == [1, 0]
        assert heard[size:].startswith(b"\x88")
        assert heard[size + 2 :].startswith(b"\x03\xf5too slow")
