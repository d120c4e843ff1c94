"""Clients that were not written here, over TCP and TLS: websockets, httpx, curl."""

import json
import socket
import ssl
from functools import partial

import httpx
import pytest
import trio
import trustme
import websockets.exceptions
import websockets.sync.client

from finch import FinchApp, StreamingResponse
from finch.net.listeners import load_tls
from tests.conftest import need


@pytest.fixture
def app():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        return {"scheme": request.scheme, "client": request.client.host}

    @app.post("/echo")
    async def echo(request):
        return await request.body()

    @app.get("/stream")
    async def stream(request):
        async def chunks():
            for number in range(3):
                yield f"{number}\n"

        return StreamingResponse(chunks())

    @app.on_connect
    async def hello(socket):
        await socket.send("hello", path="connected")

    @app.socket("double")
    async def double(socket, data: int):
        return 2 * data

    @app.websocket("/raw", subprotocols=("chat",), compression=True)
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    return app


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def certificate(authority, tmp_path):
    issued = authority.issue_cert("127.0.0.1", "localhost")
    path = tmp_path / "server.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def in_thread(function, *args, **options):
    return trio.to_thread.run_sync(partial(function, *args, **options))


def talk_to_the_manager(url, **options):
    with websockets.sync.client.connect(url, **options) as socket:
        assert json.loads(socket.recv(timeout=5))["path"] == "connected"
        socket.send(json.dumps({"path": "double", "data": 21, "id": "q"}))
        answer = json.loads(socket.recv(timeout=5))
        assert (answer["data"], answer["reply"]) == (42, "q")
    assert (socket.close_code, socket.close_reason) == (1000, "")


def talk_to_the_raw_socket(url, **options):
    with websockets.sync.client.connect(url, subprotocols=["other", "chat"], **options) as socket:
        assert socket.subprotocol == "chat"
        for message in ("text", b"bytes", "é" * 1000, "x" * 1_000_000, ["in ", "three ", "parts"]):
            socket.send(message)
            got = socket.recv(timeout=10)
            assert got == ("in three parts" if isinstance(message, list) else message)
        assert socket.ping().wait(5)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_websockets_talks_to_both_kinds_of_socket(app, serve, compression):
    async with serve(app) as running:
        await in_thread(talk_to_the_manager, f"{running.ws}/ws", compression=compression)
        await in_thread(talk_to_the_raw_socket, f"{running.ws}/raw", compression=compression)


async def test_a_manager_that_compresses_does_so_for_answers_and_broadcasts(serve):
    app = FinchApp(compression=True)
    text = "finch " * 2000

    @app.socket("all")
    async def to_all(socket, data):
        await app.socket_manager.send_to_all(data, path="said")
        return len(data)

    def talk(url):
        with websockets.sync.client.connect(url) as socket:
            assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]
            for _ in range(3):
                socket.send(json.dumps({"path": "all", "data": text}))
                assert json.loads(socket.recv(timeout=5))["data"] == text
                assert json.loads(socket.recv(timeout=5))["data"] == len(text)

    async with serve(app) as running:
        await in_thread(talk, f"{running.ws}/ws")


async def test_websockets_over_tls(app, serve, certificate, trusting):
    async with serve(app, tls=load_tls(str(certificate))) as running:
        url = f"wss://127.0.0.1:{running.port}"
        await in_thread(talk_to_the_manager, f"{url}/ws", ssl=trusting)
        await in_thread(talk_to_the_raw_socket, f"{url}/raw", ssl=trusting)


async def test_websockets_sees_a_refusal_as_a_response(app, serve):
    def knock(url):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            websockets.sync.client.connect(url, origin="https://evil.example")
        return refused.value.response.status_code

    async with serve(app) as running:
        assert await in_thread(knock, f"{running.ws}/ws") == 403


async def test_httpx_over_tcp_and_tls(app, serve, certificate, trusting):
    async with serve(app) as running, httpx.AsyncClient(base_url=running.http) as client:
        assert (await client.get("/")).json() == {"scheme": "http", "client": "127.0.0.1"}
        assert (await client.post("/echo", content=b"x" * 3_000_000)).content == b"x" * 3_000_000
        assert (await client.get("/stream")).text == "0\n1\n2\n"
        assert (await client.get("/ws")).status_code == 426
        assert (await client.post("/echo", content=b"x" * 5_000_000)).status_code == 413
    async with (
        serve(app, tls=load_tls(str(certificate))) as running,
        httpx.AsyncClient(verify=trusting) as client,
    ):
        url = f"https://127.0.0.1:{running.port}"
        assert (await client.get(url)).json()["scheme"] == "https"
        assert (await client.post(f"{url}/echo", content=b"y" * 2_000_000)).status_code == 200


async def test_plain_http_to_a_tls_port_hurts_nobody(app, serve, certificate, trusting):
    async with serve(app, tls=load_tls(str(certificate))) as running:
        stream = await running.connect()
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with trio.fail_after(5):
            while await stream.receive_some():
                pass
        async with httpx.AsyncClient(verify=trusting) as client:
            response = await client.get(f"https://127.0.0.1:{running.port}")
            assert response.status_code == 200


async def test_curl(app, serve, tmp_path):
    need("curl", "apt-get install curl")

    async def curl(*args):
        done = await trio.run_process(
            ["curl", "-sS", "--max-time", "20", *args], capture_stdout=True
        )
        return done.stdout.decode()

    async with serve(app) as running:
        assert json.loads(await curl(running.http))["scheme"] == "http"
        assert "HTTP/1.1 200" in await curl("-I", running.http)
        body = tmp_path / "body"
        body.write_bytes(b"b" * 2_000_000)  # large enough for curl to expect 100-continue
        upload = f"@{body}"
        size = ["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]
        assert await curl(*size, "--data-binary", upload, f"{running.http}/echo") == "200 2000000"
        chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", upload]
        assert await curl(*size, *chunked, f"{running.http}/echo") == "200 2000000"
        assert await curl("-0", f"{running.http}/stream") == "0\n1\n2\n"
        assert await curl(running.http, f"{running.http}/stream") != ""


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
)
async def test_tls_ends_with_a_close_notify(app, serve, certificate, trusting, request_):
    def ask(port):
        # without suppress_ragged_eofs, an end without close_notify is an SSLError
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            trusting.wrap_socket(
                plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False
            ) as sock,
        ):
            sock.sendall(request_)
            answer = b""
            while piece := sock.recv(1000):
                answer += piece
            return answer

    async with serve(app, tls=load_tls(str(certificate))) as running:
        assert (await in_thread(ask, running.port)).endswith(
            b'{"scheme":"https","client":"127.0.0.1"}'
        )
