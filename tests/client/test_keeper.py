"""The client stays connected: pauses, refusals, codes, tokens, and what happens meanwhile."""

import pytest
import trio

from finch import FinchApp, HTTPError, Identity
from finch.client import (
    ConnectionLost,
    Dropped,
    HandshakeFailed,
    StateChanged,
)
from finch.client.address import read_url
from finch.client.core import Core
from finch.client.keeper import Keeper
from finch.client.options import Options
from tests.client.world import URL, nowhere, until, world

pytestmark = pytest.mark.usefixtures("reader")


@pytest.fixture
def longest(monkeypatch):
    """Every pause is as long as it may be."""
    monkeypatch.setattr("finch.client.keeper.random", lambda: 1.0)


def new_app():
    app = FinchApp()
    app.runs = 0
    app.go_on = trio.Event()

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.socket("work")
    async def work(socket, data):
        app.runs += 1
        await app.go_on.wait()
        return app.runs

    @app.socket("close")
    async def close(socket, data):
        await socket.close(data, "later")

    return app


def refusing(status, headers=None, times=10**6):
    """An application that refuses so many handshakes."""
    app = new_app()
    app.refusals = times

    @app.authorize
    async def authorize(request):
        app.refusals -= 1
        if app.refusals >= 0:
            raise HTTPError(status, "not now", headers)

    return app


async def states(events):
    return [(event.state, event.code) async for event in events if isinstance(event, StateChanged)]


async def test_the_block_begins_though_nobody_listens_yet(autojump_clock, longest, caplog):
    app = new_app()
    async with nowhere() as there:
        async with there.connect() as client:
            assert client.state == "waiting"
            events = client.events()
            assert await client.send("echo", "waits")
            async with there.serving(app):
                assert await client.call("echo", "too") == "too"
                assert there.dials == [0, 2]
        assert (await states(events))[:2] == [("connecting", None), ("open", None)]
        assert "cannot connect to ws://example.org/ws: nobody listens" in caplog.text
        assert "the next attempt is in 2.0 s" in caplog.text


async def test_the_pauses_grow(autojump_clock, longest):
    async with nowhere() as there:
        async with there.connect():
            await trio.sleep(100)
        assert there.dials == [0, 2, 6, 14, 30, 60, 90]


async def test_a_connection_that_ends_at_once_counts_as_a_failure(autojump_clock, longest):
    app = new_app()

    @app.on_connect
    async def on_connect(socket):
        await socket.close(1012, "restarting")

    async with world(app) as there, there.connect():
        await trio.sleep(29)
    assert there.dials == [0, 2, 6, 14]


async def test_after_a_good_connection_the_pauses_begin_anew(autojump_clock, longest):
    async with world(new_app()) as there, there.connect():
        for _ in range(3):
            await trio.sleep(5)
            there.wires[-1].cut()
            await trio.sleep(2.5)
    assert there.dials == pytest.approx([0, 7, 14.5, 22])


async def test_nothing_is_read_before_the_block_begins(autojump_clock):
    app = new_app()

    @app.on_connect
    async def on_connect(socket):
        await socket.send("welcome", path="greeting")

    async with world(app) as there, trio.open_nursery() as nursery:
        core = Core(Options(open_stream=there.open))
        keeper = Keeper(read_url(URL), core)
        await nursery.start(keeper.run)
        await trio.sleep(1)
        greetings = core.messages.open(())
        assert greetings.fullness == 0
        keeper.begin()
        assert (await anext(greetings)).data == "welcome"
        await keeper.leave()


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4000, 4401, 4499])
async def test_after_these_codes_the_client_comes_back(code, autojump_clock):
    async with world(new_app()) as there, there.connect() as client:
        events = client.events()
        with pytest.raises(ConnectionLost):
            await client.call("close", code)
        waiting = await anext(events)
        assert (waiting.state, waiting.code, waiting.reason) == ("waiting", code, "later")
        assert 0 <= waiting.pause <= 2
        assert await client.call("echo", 1) == 1
        assert len(there.wires) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refusal_that_would_come_again_raises(status, autojump_clock):
    async with world(refusing(status)) as there:
        with pytest.raises(HandshakeFailed, match="not now") as failed:
            async with there.connect():
                pytest.fail("it is connected")
        assert failed.value.status == status
        assert len(there.dials) == 1


async def test_a_later_refusal_ends_the_client(autojump_clock):
    app = refusing(403, times=0)
    async with world(app) as there, there.connect() as client:
        messages = client.messages()
        app.refusals = 1
        there.wires[-1].cut()
        with pytest.raises(HandshakeFailed, match="not now"):
            await anext(messages)
        assert client.state == "closed"
        with pytest.raises(HandshakeFailed):
            await client.send("echo")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_refusal_for_now_is_tried_again(status, autojump_clock):
    async with world(refusing(status, times=2)) as there, there.connect() as client:
        assert await client.call("echo", 1) == 1
        assert len(there.dials) == 3


async def test_retry_after_is_respected(autojump_clock, longest):
    app = refusing(503, {"retry-after": "20"}, times=1)
    async with world(app) as there, there.connect() as client:
        assert await client.call("echo", 1) == 1
        assert there.dials == [0, 22]


async def test_each_attempt_has_a_new_token(autojump_clock):
    app = new_app()
    seen = []

    @app.authorize
    async def authorize(request):
        seen.append(request.query.get("token"))
        if seen[-1] == "1":
            raise HTTPError(401, "too old")
        return Identity("ann")

    async def token():
        if len(seen) == 2:
            seen.append("raised")
            raise ValueError("no token today")
        return str(len(seen))

    async with world(app) as there, there.connect(token=token) as client:
        events = client.events()
        there.wires[-1].cut()
        await until(events, "open")
        assert await client.call("echo", 1) == 1
    assert seen == ["0", "1", "raised", "3"]


async def test_a_token_that_is_no_text_is_a_failed_attempt(autojump_clock, caplog):
    async def token():
        return 5

    async with world(new_app()) as there, there.connect(token=token) as client:
        assert client.state == "waiting"
    assert "the token is text or None, not 5" in caplog.text
    assert there.dials == []


async def test_an_attempt_that_hangs_is_given_up(autojump_clock, longest):
    async with nowhere() as there:

        async def hang():
            there.dials.append(trio.current_time())
            await trio.sleep_forever()

        there.open = hang
        async with there.connect() as client:
            assert client.state == "waiting"
            await trio.sleep(3)
        assert there.dials == [0, 22]


async def test_a_bug_in_open_stream_reaches_the_block(autojump_clock):
    async with nowhere() as there:

        async def open_stream():
            raise KeyError("a bug")

        there.open = open_stream
        with pytest.raises(ExceptionGroup) as group:
            async with there.connect():
                await trio.sleep_forever()
        assert group.group_contains(KeyError)


# What happens meanwhile


async def test_what_is_sent_while_away_arrives(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        events = client.events()
        there.closed = True
        there.wires[-1].cut()
        await until(events, "waiting")
        assert await client.send("echo", "first")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.call, "echo", "second")
            await trio.sleep(3)
            there.closed = False
        echoes = client.messages("echo")
        assert (await anext(echoes)).data == "first"


async def test_what_has_waited_too_long_is_told(autojump_clock, caplog):
    async with nowhere() as there:
        async with there.connect(queue_size=2) as client:
            events = client.events()
            assert await client.send("first")
            assert not await client.send("volatile", volatile=True)
            await trio.sleep(20)
            with pytest.raises(ConnectionLost, match="waited for a connection for too long"):
                await client.call("second")
            assert trio.current_time() == pytest.approx(50, abs=0.1)
            told = [event async for event in _until_dropped(events)]
            assert told[-1] == Dropped("first")
            assert await client.send("a")
            assert await client.send("b")
            assert not await client.send("c")
        assert "a message to 'first' was not sent" in caplog.text


async def _until_dropped(events):
    async for event in events:
        yield event
        if isinstance(event, Dropped):
            return


async def test_a_call_under_way_fails_at_a_cut(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def call():
                with pytest.raises(ConnectionLost, match="cut under 'work'"):
                    await client.call("work")

            await trio.sleep(1)
            there.wires[-1].cut()


async def test_a_retried_call_is_handled_once(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        answers = []

        async def call():
            answers.append(await client.call("work", retry=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.sleep(1)
            events = client.events()
            there.wires[-1].cut()  # while its handler runs
            await until(events, "open")
            await trio.sleep(1)
            app.go_on.set()
        assert (answers, app.runs) == ([1], 1)

        async with trio.open_nursery() as nursery:
            there.wires[-1].cut(after=5)  # within its answer
            nursery.start_soon(call)
        assert (answers, app.runs) == ([1, 2], 2)


async def test_a_retried_call_fails_if_the_server_does_not_come_back_in_time(autojump_clock):
    app = new_app()
    async with world(app) as there, there.connect() as client:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def call():
                with pytest.raises(ConnectionLost, match="60 s ago"):
                    await client.call("work", retry=True)
                assert trio.current_time() == pytest.approx(61, abs=0.1)

            await trio.sleep(1)
            there.closed = True
            there.wires[-1].cut()


async def test_the_end_of_the_block_does_not_wait_for_a_connection(autojump_clock):
    async with nowhere() as there:
        async with there.connect():
            await trio.sleep(1)
        assert trio.current_time() == 1


async def test_messages_to_everyone_and_to_a_user_are_not_missed(autojump_clock):
    from finch import History, SocketManager

    app = FinchApp()

    async def authorize(request):
        return "ann"

    manager = SocketManager(
        app, path="/ws", history=History(), user_history=History(), authorize=authorize
    )
    async with world(app) as there, there.connect() as client:
        news = client.messages("news", "notice", "finch.gap")
        await manager.everyone.send(1, path="news")
        assert (await anext(news)).data == 1
        there.wires[-1].cut()
        await manager.everyone.send(2, path="news")
        await manager.user("ann").send(3, path="notice")
        heard = [await anext(news) for _ in range(2)]
        assert [(one.data, one.room) for one in heard] == [(2, "finch.everyone"), (3, "finch.user")]
