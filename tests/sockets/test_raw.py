"""Raw sockets: text and bytes without envelope."""

import pytest
import trio

from finch import ConnectionClosed, FinchApp
from finch.testing import HandshakeRefused, TestClient


async def test_text_stays_text_and_bytes_stay_bytes():
    app = FinchApp()
    ended = trio.Event()

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)
        ended.set()

    async with TestClient(app) as client:
        async with client.socket("/raw") as socket:
            for message in ("text", b"bytes", "", "ünï"):
                await socket.send_raw(message)
                assert await socket.receive_raw() == message
        with trio.fail_after(5):
            await ended.wait()


async def test_the_handler_knows_request_parameters_and_subprotocol():
    app = FinchApp()

    @app.websocket("/rooms/{room}", subprotocols=("v2", "v1"))
    async def room(ws):
        await ws.send(f"{ws.request.path_params['room']} {ws.subprotocol}")

    async with TestClient(app) as client:
        async with client.socket("/rooms/attic", subprotocols=("v1", "v0")) as socket:
            assert socket.subprotocol == "v1"
            assert await socket.receive_raw() == "attic v1"
            assert (await socket.wait_closed()).code == 1000
        async with client.socket("/rooms/attic") as socket:
            assert socket.subprotocol is None
            assert await socket.receive_raw() == "attic None"


async def test_a_handler_that_raises_closes_with_1011_and_hurts_nobody(caplog):
    app = FinchApp()

    @app.websocket("/fail")
    async def fail(ws):
        raise RuntimeError("secret")

    @app.websocket("/ok")
    async def ok(ws):
        async for message in ws:
            await ws.send(message)

    async with TestClient(app) as client, client.socket("/ok") as healthy:
        async with client.socket("/fail") as socket:
            closed = await socket.wait_closed()
            assert (closed.code, closed.reason) == (1011, "internal error")
        await healthy.send_raw("still here")
        assert await healthy.receive_raw() == "still here"
    assert "RuntimeError: secret" in caplog.text


async def test_closing_with_a_code_and_reason_and_sending_after_it():
    app = FinchApp()
    told = []

    @app.websocket("/raw")
    async def raw(ws):
        await ws.close(4000, "done")
        with pytest.raises(ConnectionClosed) as closed:
            await ws.send("more")
        told.append((closed.value.code, closed.value.reason))
        with pytest.raises(ValueError, match="no code to close with"):
            await ws.close(1006)
        with pytest.raises(TypeError, match="str or bytes"):
            await ws.send({"a": 1})

    async with TestClient(app) as client, client.socket("/raw") as socket:
        assert (await socket.wait_closed()).code == 4000
    assert told == [(4000, "done")]


async def test_receive_raises_with_the_peers_code_when_it_has_left():
    app = FinchApp()
    codes = []

    @app.websocket("/raw")
    async def raw(ws):
        assert await ws.receive() == "hi"
        try:
            await ws.receive()
        except ConnectionClosed as closed:
            codes.append((closed.code, closed.reason))

    async with TestClient(app) as client:
        async with client.socket("/raw") as socket:
            await socket.send_raw("hi")
            await socket.close(4321, "bye")
        async with client.socket("/raw") as socket:
            await socket.send_raw("hi")
            await socket.stream.aclose()
    assert codes == [(4321, "bye"), (1006, "the connection was lost")]


async def test_a_handler_that_never_reads_is_cancelled_when_the_peer_leaves(autojump_clock):
    app = FinchApp()
    outcome = []

    @app.websocket("/raw")
    async def raw(ws):
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            outcome.append("cancelled")
            raise

    async with TestClient(app) as client:
        async with client.socket("/raw"):
            pass
        await trio.sleep(5)
        assert outcome == ["cancelled"]


async def test_a_handler_that_knows_may_clean_up_as_long_as_it_wants(autojump_clock):
    app = FinchApp()
    outcome = []

    @app.websocket("/raw")
    async def raw(ws):
        async for _ in ws:
            pass
        await trio.sleep(8)
        outcome.append("cleaned up")

    async with TestClient(app) as client:
        async with client.socket("/raw"):
            pass
        await trio.sleep(20)
        assert outcome == ["cleaned up"]


async def test_what_arrived_before_a_protocol_error_is_answered_first():
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    async with TestClient(app) as client, client.socket("/raw") as socket:
        await socket.stream.send_all(b"\x81\x82\0\0\0\0hi" + b"\x83\x80\0\0\0\0")
        assert await socket.receive_raw() == "hi"
        assert (await socket.wait_closed()).code == 1002


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upgrade": "nothing"}, 426),
        ({"connection": "close"}, 426),
        ({"sec-websocket-version": "12"}, 426),
        ({"sec-websocket-key": "short"}, 400),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "http://testserver:81"}, 403),
    ],
)
async def test_what_is_no_good_handshake_is_refused_by_http(headers, status):
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        raise AssertionError("never")

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket("/raw", headers=headers):
                pass
        assert refused.value.response.status == status


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ((), "http://testserver"),
        ((), "https://testserver"),
        (["https://friend.example"], "https://friend.example"),
        (["https://friend.example"], "https://FRIEND.example:443"),
        ("*", "https://anybody.example"),
        (["null"], "null"),
    ],
)
async def test_origins_of_the_host_and_listed_ones_are_let_in(allowed, origin):
    app = FinchApp(allowed_origins=allowed)

    @app.websocket("/raw")
    async def raw(ws):
        await ws.send("in")

    async with TestClient(app) as client:
        async with client.socket("/raw", headers={"origin": origin}) as socket:
            assert await socket.receive_raw() == "in"


@pytest.mark.parametrize(("size", "code"), [(100, 1000), (101, 1009)])
async def test_a_message_beyond_max_message_size_is_closed_with_1009(size, code):
    app = FinchApp()

    @app.websocket("/raw", max_message_size=100)
    async def raw(ws):
        await ws.send(str(len(await ws.receive())))

    async with TestClient(app) as client, client.socket("/raw") as socket:
        await socket.send_raw(b"x" * size)
        assert (await socket.wait_closed()).code == code


async def test_a_handler_with_a_nursery_of_its_own_may_end_by_the_closing(caplog):
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        async def tick():
            while True:
                await ws.send("tick")
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            nursery.start_soon(tick)

    async with TestClient(app) as client:
        async with client.socket("/raw") as socket:
            await socket.receive_raw()
            await socket.stream.aclose()
        await trio.sleep(0.1)
    assert caplog.text == ""


async def test_two_tasks_cannot_receive_from_one_socket(caplog):
    app = FinchApp()

    @app.websocket("/raw")
    async def raw(ws):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ws.receive)
            nursery.start_soon(ws.receive)

    async with TestClient(app) as client, client.socket("/raw") as socket:
        assert (await socket.wait_closed()).code == 1011
    assert "only one task may receive" in caplog.text


async def test_the_closing_of_another_socket_is_an_error_of_the_handler(caplog):
    app = FinchApp()
    others = []

    @app.websocket("/other")
    async def other(ws):
        others.append(ws)
        await ws.receive()

    @app.websocket("/raw")
    async def raw(ws):
        await ws.receive()
        await others[0].send("are you there?")

    async with TestClient(app) as client:
        async with client.socket("/other") as gone:
            await gone.close()
        async with client.socket("/raw") as ws:
            await ws.send_raw("go")
            assert (await ws.wait_closed()).code == 1011
    assert "the handler of /raw raised" in caplog.text


async def test_a_path_cannot_write_lines_of_its_own_into_the_log(caplog):
    app = FinchApp()

    @app.websocket("/rooms/{room}")
    async def room(ws):
        raise RuntimeError

    async with TestClient(app) as client:
        async with client.socket("/rooms/x%0aERROR%20forged%1b%5b31m") as socket:
            assert (await socket.wait_closed()).code == 1011
    assert caplog.messages == ["the handler of /rooms/x%0aERROR%20forged%1b%5b31m raised"]
