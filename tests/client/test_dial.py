"""How a client connects: real sockets, TLS, unix sockets, and answers that are no WebSocket."""

import ssl
from functools import partial

import pytest
import trio
import trio.testing

from finch import FinchApp, HTTPError
from finch.client import HandshakeFailed, connect
from finch.net.listeners import open_listeners
from tests.conftest import serving
from tests.transports import certificates, serving_over


@pytest.fixture
def app():
    app = FinchApp()

    @app.socket("where")
    async def where(socket, data):
        headers = socket.request.headers
        return [headers["host"], headers.get("x-name"), socket.request.scheme]

    @app.get("/page")
    async def page(request):
        return "a page"

    @app.get("/long")
    async def long(request):
        raise HTTPError(404, "x" * 5000)

    return app


async def test_over_a_real_socket(app, serve):
    async with serve(app) as running:
        async with connect(f"{running.ws}/ws", headers={"X-Name": "Ann"}) as client:
            where = [f"127.0.0.1:{running.port}", "Ann", "http"]
            assert await client.call("where") == where


async def test_over_tls(app, serve, tmp_path):
    tls, trusting = certificates(tmp_path)
    async with serve(app, tls=tls) as running:
        url = f"wss://localhost:{running.port}/ws"
        async with connect(url, ssl_context=trusting) as client:
            assert (await client.call("where"))[2] == "https"
            assert len(await client.call("where", "x" * 500_000)) == 3


async def test_a_certificate_that_is_not_trusted_is_a_failed_attempt(app, tmp_path, caplog):
    tls, _ = certificates(tmp_path)
    async with serving(app, tls=tls) as running:
        async with connect(f"wss://localhost:{running.port}/ws") as client:
            assert client.state == "waiting"
    assert "certificate verify failed" in caplog.text


async def test_a_server_without_tls_is_a_failed_attempt(app, caplog):
    async with serving(app) as running:
        context = ssl.create_default_context()
        url = f"wss://localhost:{running.port}/ws"
        async with connect(url, ssl_context=context) as client:
            assert client.state == "waiting"
    assert "WRONG_VERSION_NUMBER" in caplog.text or "wrong version number" in caplog.text


async def test_through_a_unix_socket(app, tmp_path):
    path = str(tmp_path / "socket")
    async with serving_over("unix", tmp_path, app, bystander=False):
        open_stream = partial(trio.open_unix_socket, path)
        async with connect("ws://example.org/ws", open_stream=open_stream) as client:
            assert (await client.call("where"))[0] == "example.org"


async def test_nobody_listens(caplog):
    [free] = open_listeners("127.0.0.1", 0)
    url = f"ws://127.0.0.1:{free.getsockname()[1]}/ws"
    free.close()
    async with connect(url) as client:
        assert client.state == "waiting"
    assert f"cannot connect to {url}: " in caplog.text


async def test_a_long_refusal_is_shortened(app):
    async with serving(app) as running:
        with pytest.raises(HandshakeFailed) as failed:
            async with connect(f"{running.ws}/long"):
                pass
        assert (failed.value.status, failed.value.message) == (404, "x" * 1000)


async def test_a_page_is_no_websocket(app, caplog):
    async with serving(app) as running:
        async with connect(f"{running.ws}/page") as client:
            assert client.state == "waiting"
    assert "status 200" in caplog.text


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "without an answer"),
        (b"HTTP/1.1 101 Switching", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "Bad HTTP message"),
        (b"HTTP/1.1 101 OK\r\n\r\n", "Missing header"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 9\r\n\r\nno", "status 503"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", "status 103"),
        (
            b"HTTP/1.1 101 OK\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: wrong\r\n\r\n",
            "Bad accept token",
        ),
    ],
)
async def test_an_answer_that_is_no_handshake_is_a_failed_attempt(
    answer, why, autojump_clock, caplog
):
    async def open_stream():
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(answer)
        await theirs.send_eof()
        return ours

    async with connect("ws://example.org/ws", open_stream=open_stream) as client:
        assert client.state == "waiting"
    assert why in caplog.text
