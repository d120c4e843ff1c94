"""Every limit of HTTP crossed, over every kind of connection, while a bystander is served.

Those of WebSockets are in ``tests/test_socket_limits.py``.
"""

import ast
import copy
import math
import pickle
import re
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from finch import ConfigurationError, Limits, config
from finch.net.address import Address
from finch.net.streams import StreamTransport
from finch.testing import TestClient
from tests.transports import HANDSHAKE, app_with, serving_over

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n%b\r\n"
MUCH = 24_000_000  # bytes: more than the kernel takes for a peer that reads nothing


def line_of(size):
    return b"GET /?%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % (b"x" * (size - 15))


def head_of(size):
    begin, end = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ", b"\r\n\r\n"
    return begin + b"x" * (size - len(begin) - len(end)) + end


def headers_of(count):
    lines = b"X: y\r\n" * (count - 2)
    return b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%b\r\n" % lines


@pytest.mark.parametrize(
    ("name", "limit", "request_of", "status"),
    [
        ("max_request_line", 200, line_of, 414),
        ("max_head", 300, head_of, 431),
        ("max_headers", 5, headers_of, 431),
    ],
    ids=["line", "head", "headers"],
)
async def test_a_head_beyond_a_limit_is_refused_and_the_connection_closed(
    serve_over, leaping_clock, name, limit, request_of, status
):
    async with serve_over(app_with(**{name: limit})) as reached:
        for size, expected in ((limit, 200), (limit + 1, status)):
            peer = await reached.connect()
            await peer.say(request_of(size))
            assert await peer.statuses() == [expected]


async def test_a_head_without_end_is_refused_at_the_limit(serve_over, leaping_clock):
    async with serve_over(app_with(max_request_line=100, max_head=1000)) as reached:
        for begin, status in ((b"GET /", 414), (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", 431)):
            peer = await reached.connect()
            await peer.say(begin + b"x" * 2000)
            assert await peer.statuses() == [status]


async def test_a_client_that_says_nothing_is_closed_without_an_answer(serve_over, leaping_clock):
    async with serve_over(app_with(head_timeout=1)) as reached:
        assert await (await reached.connect()).hear_all() == b""


async def test_a_client_that_opens_tcp_and_never_shakes_hands_is_closed(tmp_path, leaping_clock):
    async with serving_over("tls", tmp_path, app_with(head_timeout=1)) as reached:
        peer = await reached.connect(shake_hands=False)
        assert await peer.hear_all() == b""


async def drip(peer, data, pause=0.25):
    """Send a byte, and after a while another."""
    for byte in data:
        await peer.say_if_it_goes(bytes([byte]))
        await trio.sleep(pause)


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "next"])
async def test_a_head_of_a_byte_now_and_then_is_408(serve_over, leaping_clock, before):
    async with serve_over(app_with(head_timeout=1)) as reached, trio.open_nursery() as nursery:
        peer = await reached.connect()
        await peer.say(before)
        nursery.start_soon(drip, peer, GET * 10)
        assert await peer.statuses() == ([200, 408] if before else [408])
        nursery.cancel_scope.cancel()


async def test_an_idle_connection_is_closed_without_another_answer(serve_over, leaping_clock):
    async with serve_over(app_with(keep_alive_timeout=1)) as reached:
        peer = await reached.connect()
        await peer.say(GET)
        assert await peer.statuses() == [200]


@pytest.mark.parametrize("framing", ["declared", "chunked"])
async def test_a_body_beyond_the_limit_is_413_though_the_client_goes_on_sending(
    serve_over, leaping_clock, framing
):
    def body_of(size):
        if framing == "declared":
            return POST % (b"Content-Length: %d\r\n" % size) + b"x" * size
        chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
        return POST % b"Transfer-Encoding: chunked\r\n" + chunk + b"0\r\n\r\n"

    async with serve_over(app_with(max_body=100_000, keep_alive_timeout=1)) as reached:
        for size, expected in ((100_000, 200), (100_001, 413), (3_000_000, 413)):
            peer = await reached.connect()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.say_if_it_goes, body_of(size))
                assert await peer.statuses() == [expected]


async def test_a_body_of_a_byte_now_and_then_is_408(serve_over, leaping_clock):
    app = app_with(body_grace=1, body_rate=1000)
    async with serve_over(app) as reached, trio.open_nursery() as nursery:
        peer = await reached.connect()
        await peer.say(POST % b"Content-Length: 100000\r\n")
        nursery.start_soon(drip, peer, b"x" * 100)
        assert await peer.statuses() == [408]
        nursery.cancel_scope.cancel()


async def test_a_body_within_a_short_grace_is_not_too_slow(serve_over, leaping_clock):
    app = app_with(body_grace=0.25)
    async with serve_over(app) as reached:
        peer = await reached.connect()
        for _ in range(8):  # one of them is waited for while the server looks for what is overdue
            await peer.say(POST % b"Content-Length: 2\r\n")
            await trio.sleep(0.1)
            await peer.say(b"ok")
            assert (await peer.hear(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200")


async def test_a_body_at_the_rate_may_take_longer_than_the_grace(serve_over, leaping_clock):
    app = app_with(body_grace=1, body_rate=1000, keep_alive_timeout=1)
    async with serve_over(app) as reached:
        peer = await reached.connect()
        await peer.say(POST % b"Content-Length: 10000\r\n")
        for _ in range(10):
            await peer.say(b"x" * 1000)
            await trio.sleep(0.5)
        assert await peer.statuses() == [200]


def app_with_much(**limits):
    """One that has more to say than the kernel takes; and whether it is done with it."""
    app = app_with(**limits)
    ended = trio.Event()

    @app.get("/whole")
    async def whole(request):
        return "x" * MUCH

    @app.get("/streamed")
    async def streamed(request):
        try:
            for _ in range(MUCH // 100_000):
                yield "x" * 100_000
        finally:
            ended.set()

    return app, ended


@pytest.mark.parametrize("path", [b"/whole", b"/streamed"])
async def test_a_peer_that_takes_nothing_of_a_response_is_dropped(
    serve_over, leaping_clock, path, caplog
):
    app, ended = app_with_much(write_timeout=1)
    async with serve_over(app) as reached:
        peer = await reached.connect()
        await peer.say(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        await trio.sleep(3)
        assert ended.is_set() == (path == b"/streamed")
        assert len(await peer.hear_the_rest()) < MUCH
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["hub", "tls"])
async def test_the_kernel_keeps_nothing_for_a_peer_that_is_dropped(kind, tmp_path, leaping_clock):
    app, _ = app_with_much(write_timeout=1)
    async with serving_over(kind, tmp_path, app) as reached:
        peer = await reached.connect()
        await peer.say(b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n")
        await trio.sleep(3)
        with pytest.raises(trio.BrokenResourceError):  # a reset
            await peer.hear_all()


@pytest.mark.parametrize(
    "request_head",
    [b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n", HANDSHAKE % (b"/socket", b"")],
    ids=["http", "socket"],
)
async def test_a_peer_that_never_reads_is_dropped_by_twenty_seconds(autojump_clock, request_head):
    """To the second, where no kernel takes bytes for it."""
    app = app_with()
    dropped = trio.Event()

    @app.get("/much")
    async def much(request):
        try:
            while True:
                yield "x" * 1000
        finally:
            dropped.set()

    @app.websocket("/socket")
    async def much_on_a_socket(ws):
        try:
            while True:
                await ws.send("x" * 1000)
        finally:
            dropped.set()

    async with TestClient(app) as client:
        server = client._server
        peer, ours = trio.testing.lockstep_stream_pair()
        transport = StreamTransport(ours, server.spawn, server.limits.close_timeout)
        server.spawn(partial(server.serve, transport, Address("peer", 1)))
        await peer.send_all(request_head)
        begun = trio.current_time()
        with trio.fail_after(100):
            await dropped.wait()
        assert 19 <= trio.current_time() - begun <= 20


async def test_a_peer_that_takes_a_response_slowly_gets_it_all(serve_over, leaping_clock):
    app, _ = app_with_much(write_timeout=1, keep_alive_timeout=1)
    async with serve_over(app) as reached:
        peer = await reached.connect()
        await peer.say(b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n")
        received = 0
        for _ in range(8):
            await trio.sleep(0.5)
            taken = 0
            while taken < MUCH // 10:
                taken += len(await peer.stream.receive_some())
            received += taken
        assert received + len(await peer.hear_all()) > MUCH


async def test_what_does_not_end_by_itself_is_cancelled_at_shutdown(serve_over, leaping_clock):
    app = app_with(shutdown_timeout=1)
    cancelled = []

    @app.get("/forever")
    async def forever(request):
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append("request")

    @app.on_disconnect
    async def on_disconnect(socket):
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append("on_disconnect")

    with trio.fail_after(5):
        async with serve_over(app, bystander=False) as reached:
            waiting = await reached.connect()
            await waiting.say(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
            leaving = await reached.open(b"/ws")
            await leaving.stream.aclose()
            await trio.sleep(0.5)
            assert cancelled == []
            reached.server.stop()
    assert sorted(cancelled) == ["on_disconnect", "request"]


def test_every_limit_is_documented_and_crossed_by_a_test():
    [limits] = [
        node
        for node in ast.parse(Path(config.__file__).read_text()).body
        if isinstance(node, ast.ClassDef)
    ]
    documented = {
        field.target.id
        for field, text in zip(limits.body, limits.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
    names = {field.name for field in fields(Limits)}
    assert documented == names
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    assert {name for name in names if not re.search(rf'\b{name}(=|",)', tests)} == set()


# What may be set


WHOLE = {field.name for field in fields(Limits) if "int" in str(field.type)}
MAY_BE_ZERO = {
    "max_body",
    "max_uploads",
    "backpressure",
    "leave_grace",
    "shutdown_timeout",
    "shutdown_spread",
}


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_a_limit_is_a_number_of_its_unit_or_a_configuration_error(name):
    given: dict[str, Any]
    for value in (-1, True, False, "5", b"5", "", [], timedelta(seconds=1), Decimal(1), 1j):
        with pytest.raises(ConfigurationError, match=rf"^Limits\({name}=.*\): {name} is a .*; "):
            Limits(**{name: value})
    for value in (math.nan, -math.inf, -0.5):
        with pytest.raises(ConfigurationError, match=name):
            Limits(**{name: value})
    if name in WHOLE:
        for value in (1.0, 1.5, math.inf):
            with pytest.raises(ConfigurationError, match=f"{name} is a whole number of"):
                Limits(**{name: value})
    else:
        for value in (0.5, 3):
            given = {name: value}
            assert getattr(Limits(**given), name) == value
        with pytest.raises(ConfigurationError, match=f"{name} is a number of seconds"):
            Limits(**{name: 10**400})
    given = {name: 1}
    assert getattr(Limits(**given), name) == 1


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_nothing_is_a_limit_only_where_that_means_something(name):
    given: dict[str, Any] = {name: 0}
    if name in MAY_BE_ZERO:
        assert getattr(Limits(**given), name) == 0
    else:
        with pytest.raises(ConfigurationError, match="more than 0"):
            Limits(**given)


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_timeout_but_one_can_be_switched_off(name):
    given: dict[str, Any] = {name: math.inf}
    if name in WHOLE or name == "leave_grace":
        with pytest.raises(ConfigurationError):
            Limits(**given)
    else:
        assert Limits(**given).tick <= 0.5


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_none_is_a_limit_only_where_it_is_the_default(name):
    given: dict[str, Any] = {name: None}
    if name in ("max_connections", "shutdown_spread"):
        assert getattr(Limits(**given), name) is None
    else:
        with pytest.raises(ConfigurationError, match="the default is"):
            Limits(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"max_body": 1e6}, "bytes, 0 or more; write 1000000$"),
        ({"ping_interval": "20"}, "seconds, more than 0; write 20, without quotes"),
        ({"ping_interval": timedelta(seconds=5)}, r"write .total_seconds\(\)"),
        ({"ping_interval": 0}, "the default is 20.0, and math.inf switches it off"),
        ({"body_rate": 0}, "bytes a second, more than 0; body_grace=math.inf"),
        ({"inbox": 0}, "whole number of messages, more than 0; the default is 16"),
        ({"max_connections": 0}, "connections, more than 0; leave it out"),
    ],
)
def test_a_wrong_limit_says_what_to_write(given, says):
    with pytest.raises(ConfigurationError, match=says):
        Limits(**given)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("max_bdy", "did you mean max_body?"),
        ("pingInterval", "did you mean ping_interval?"),
        ("workers", "there are max_request_line, "),
    ],
)
def test_a_limit_that_does_not_exist_says_which_do(name, says):
    given: dict[str, Any] = {name: 1}
    with pytest.raises(TypeError, match=re.escape(f"Limits has no {name}; {says}")):
        Limits(**given)


def test_limits_are_given_by_name():
    unnamed: Any = Limits
    with pytest.raises(TypeError, match="by its name"):
        unnamed(5)


def test_limits_are_copied_and_replaced_as_any_dataclass():
    limits = Limits(max_body=5)
    assert copy.copy(limits) == pickle.loads(pickle.dumps(limits)) == limits
    assert replace(limits, max_head=300) == Limits(max_body=5, max_head=300)
    with pytest.raises(ConfigurationError):
        replace(limits, max_head="300")


def test_a_very_short_timeout_does_not_keep_the_processor_busy():
    assert Limits(ping_interval=1e-9).tick == 0.01
    assert Limits(ping_interval=1).tick == 0.25
    assert Limits(leave_grace=0).tick == Limits().tick == 0.5
