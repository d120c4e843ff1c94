"""Streams of events: what may be sent, who hears it, and how a stream ends."""

import math

import msgspec
import pytest
import trio
import trio.testing

from finch import EventStream, FinchApp, Limits, ServerEvent
from finch.testing import ResponseCut, TestClient
from tests.conftest import serving
from tests.linting import findings
from tests.sockets.doors import narrow

ASK = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"


class Price(msgspec.Struct):
    amount: int


def app_with(items, **options):
    """An application whose stream has these events, and ends."""
    app = FinchApp()

    @app.get("/events")
    async def events(request):
        async def generate():
            for item in items:
                yield item

        return EventStream(generate(), **options)

    return app


async def test_text_json_and_events_are_sent_as_events():
    items = [
        "hello\nworld",
        {"a": [1, None]},
        Price(3),
        5,
        ServerEvent("late", event="said", id=7, retry=100, comment="note"),
        ServerEvent(Price(4), id="x"),
        ServerEvent(comment="nothing"),
    ]
    async with TestClient(app_with(items)) as client:
        response = await client.get("/events")
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text.split("\n\n") == [
        "data: hello\ndata: world",
        'data: {"a":[1,null]}',
        'data: {"amount":3}',
        "data: 5",
        ": note\nevent: said\nid: 7\nretry: 100\ndata: late",
        'id: x\ndata: {"amount":4}',
        ": nothing",
        "",
    ]


async def test_httplint_finds_nothing_bad():
    request = b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with TestClient(app_with(["one", ServerEvent("two", id=2)])) as client:
        stream, answer = client.connect(), b""
        await stream.send_all(request)
        while piece := await stream.receive_some():
            answer += piece
    assert findings(request, answer) == []


async def test_headers_that_are_given_replace_the_usual_ones():
    headers = {"Cache-Control": "no-cache", "x-mine": "1"}
    async with TestClient(app_with([], headers=headers)) as client:
        response = await client.get("/events")
    assert response.headers.getlist("cache-control") == ["no-cache"]
    assert response.headers["x-mine"] == "1"
    assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"event": "a\nid: 1"}, ValueError, r"the event of a ServerEvent has a line break"),
        ({"event": "a\rb"}, ValueError, "line break"),
        ({"id": "1\r\ndata: x"}, ValueError, "the id of a ServerEvent has a line break"),
        ({"id": "1\0"}, ValueError, "NUL"),
        ({"id": True}, TypeError, "the id of a ServerEvent is text, not a bool"),
        ({"event": 1}, TypeError, "the event of a ServerEvent is text"),
        ({"retry": 1.5}, TypeError, "whole number of milliseconds"),
        ({"retry": True}, TypeError, "whole number of milliseconds"),
        ({"retry": -1}, ValueError, "0 to 2147483647"),
        ({"retry": 2**31}, ValueError, "0 to 2147483647"),
        ({"comment": b"x"}, TypeError, "the comment of a ServerEvent is text"),
        ({"data": "\ud800"}, ValueError, "the data of a ServerEvent is text with"),
        ({"data": b"x"}, TypeError, r"which is no event; write .decode\(\) behind it"),
        ({"data": object()}, TypeError, "has no JSON form"),
    ],
)
def test_what_cannot_be_an_event_is_refused_where_it_is_made(fields, error, said):
    with pytest.raises(error, match=said):
        ServerEvent(**fields)


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ("text", {}, "write an async generator that yields it"),
        (5, {}, "write an async generator"),
        (None, {"keep_alive": "15"}, "keep_alive is a number of seconds"),
        (None, {"keep_alive": 0}, "keep_alive is more than 0 seconds"),
        (None, {"keep_alive": math.nan}, "keep_alive is more than 0 seconds"),
    ],
)
def test_what_cannot_be_a_stream_is_refused(given, options, said):
    with pytest.raises((TypeError, ValueError), match=said):
        EventStream(given, **options)


@pytest.mark.parametrize("item", [None, b"bytes", object(), "\ud800", float])
async def test_an_item_that_is_no_event_ends_the_stream_visibly(item, caplog):
    async with TestClient(app_with(["first", item, "never"])) as client:
        with pytest.raises(ResponseCut) as cut:
            await client.get("/events")
        assert cut.value.response.text == "data: first\n\n"
        assert (await client.get("/nothing")).status == 404
    assert "test_events.py" in caplog.text
    assert "yielded" in caplog.text


async def test_a_client_that_comes_back_says_what_it_has_got():
    app = FinchApp()

    @app.get("/events")
    async def events(request):
        async def generate():
            yield repr(request.last_event_id)

        return EventStream(generate())

    async with TestClient(app) as client:
        for sent, read in (
            ({}, None),
            ({"Last-Event-ID": "7"}, "7"),
            ({"last-event-id": ""}, None),
        ):
            assert (await client.get("/events", headers=sent)).text == f"data: {read!r}\n\n"
        raw = {"last-event-id": "é".encode().decode("latin-1")}
        assert (await client.get("/events", headers=raw)).text == "data: 'é'\n\n"


async def test_a_head_request_starts_no_events():
    async with TestClient(app_with(["never"])) as client:
        response = await client.head("/events")
    assert (response.status, response.body) == (200, b"")


class Ticker:
    """An application whose stream waits for the test, and knows whether it is closed."""

    def __init__(self, *, size=0, **options):
        self.app = FinchApp(limits=Limits(**options.pop("limits", {})))
        self.made = 0
        self.closed = trio.Event()
        self.send, self._items = trio.open_memory_channel(math.inf)
        self._size = size

        @self.app.get("/events")
        async def events(request):
            return EventStream(self._generate(), **options)

    async def _generate(self):
        try:
            while True:
                yield "x" * self._size if self._size else await self._items.receive()
                self.made += 1
        finally:
            self.closed.set()


async def hear(stream, end):
    data = b""
    with trio.fail_after(60):
        while end not in data:
            piece = await stream.receive_some()
            assert piece, f"closed after {data!r}"
            data += piece
    return data


async def test_the_head_comes_before_the_first_event(serve):
    ticker = Ticker()
    async with serve(ticker.app) as running:
        stream = await running.connect()
        await stream.send_all(ASK)
        assert b"text/event-stream" in await hear(stream, b"\r\n\r\n")
        await ticker.send.send("first")
        assert await hear(stream, b"\n\n") == b"d\r\ndata: first\n\n\r\n"


async def test_the_iterator_is_closed_as_soon_as_the_client_is_gone(serve_over, leaping_clock):
    """It sends nothing, so only a look at the connection tells."""
    ticker = Ticker()
    async with serve_over(ticker.app, bystander=False) as reached:
        peer = await reached.connect()
        await peer.say(ASK)
        await peer.hear(b"\r\n\r\n")
        await trio.aclose_forcefully(peer.stream)
        begun = trio.current_time()
        with trio.fail_after(10):
            await ticker.closed.wait()
        assert trio.current_time() - begun <= 2.5


async def test_a_silent_stream_is_kept_alive_by_comments(leaping_clock):
    ticker = Ticker(keep_alive=15)
    async with serving(ticker.app) as running:
        stream = await running.connect()
        await stream.send_all(ASK)
        await hear(stream, b"\r\n\r\n")
        begun = trio.current_time()
        assert await hear(stream, b"\n\n\r\n") == b"3\r\n:\n\n\r\n"
        assert 15 <= trio.current_time() - begun <= 17
        await trio.sleep(10)
        await ticker.send.send("a")  # what is sent is a sign of life as well
        assert await hear(stream, b"\n\n\r\n") == b"9\r\ndata: a\n\n\r\n"
        begun = trio.current_time()
        assert await hear(stream, b"\n\n\r\n") == b"3\r\n:\n\n\r\n"
        assert 14 <= trio.current_time() - begun <= 17


async def test_no_comment_comes_within_an_event(leaping_clock):
    """The client takes a long event only after a time in which a comment would have been due."""
    ticker = Ticker(keep_alive=1, limits={"write_timeout": 1000})
    size = 300_000
    async with TestClient(ticker.app) as client:
        stream = narrow(client, "hub")
        await stream.send_all(ASK)
        await hear(stream, b"\r\n\r\n")
        await ticker.send.send("x" * size)
        await trio.sleep(20)
        data = await hear(stream, b"x\n\n")
        await stream.aclose()
        event = b"".join(line for line in data.split(b"\r\n")[1::2])
    assert event == b"data: " + b"x" * size + b"\n\n"


async def test_a_slow_client_makes_the_iterator_wait(leaping_clock):
    ticker = Ticker(size=10_000, limits={"write_timeout": 1000})
    async with serving(ticker.app) as running:
        stream = await running.connect()
        await stream.send_all(ASK)
        await trio.sleep(20)
        made = ticker.made
        assert 0 < made < 2000  # what the buffers of the system and the backpressure hold
        await trio.sleep(20)
        assert ticker.made == made
        await hear(stream, b"x\n\n")
    assert ticker.closed.is_set()


@pytest.mark.parametrize("restart", [False, True])
async def test_a_server_that_stops_ends_the_stream_and_the_client_may_come_back(
    serve_over, leaping_clock, restart
):
    """A whole response: ``EventSource`` connects again. The drain does not wait for its time."""
    ticker = Ticker(limits={"shutdown_timeout": 100})
    async with serve_over(ticker.app, bystander=False) as reached:
        peer = await reached.connect()
        await peer.say(ASK)
        await peer.hear(b"\r\n\r\n")
        await ticker.send.send("last")
        await peer.hear(b"last\n\n\r\n")
        begun = trio.current_time()
        reached.server.stop(restart)
        assert await peer.hear(b"0\r\n\r\n") == b"0\r\n\r\n"
        assert trio.current_time() - begun <= 2.5
    assert ticker.closed.is_set()


async def test_a_stream_that_begins_while_the_server_stops_ends_at_once():
    app, slow = FinchApp(), trio.Event()
    began = trio.Event()

    @app.get("/events")
    async def events(request):
        async def generate():
            yield "never"
            await trio.sleep_forever()

        began.set()
        await slow.wait()
        return EventStream(generate())

    async with serving(app) as running:
        stream = await running.connect()
        await stream.send_all(ASK)
        await began.wait()
        running.server.stop()
        await trio.testing.wait_all_tasks_blocked()
        slow.set()
        data = await hear(stream, b"0\r\n\r\n")
        assert b"data" not in data.partition(b"\r\n\r\n")[2]


async def test_a_plain_stream_is_not_ended_by_a_stop(leaping_clock):
    """It may be a download: it gets the time of the drain."""
    app, release = FinchApp(), trio.Event()

    @app.get("/events")
    async def download(request):
        yield "begun "
        await release.wait()
        yield "done"

    async with serving(app) as running:
        stream = await running.connect()
        await stream.send_all(ASK)
        await hear(stream, b"begun")
        running.server.stop()
        await trio.sleep(3)
        release.set()
        assert b"done" in await hear(stream, b"0\r\n\r\n")


async def test_a_stream_is_sent_once(caplog):
    app, kept = FinchApp(), []

    async def generate():
        yield "once"

    @app.get("/events")
    async def events(request):
        if not kept:
            kept.append(EventStream(generate()))
        return kept[0]

    async with TestClient(app) as client:
        assert (await client.get("/events")).text == "data: once\n\n"
        assert (await client.get("/events")).status == 500
    assert "was returned before" in caplog.text
