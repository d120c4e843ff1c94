"""Behind a real nginx and a real HAProxy, configured as ``docs/deployment.md`` has it."""

import asyncio
import json
import re
import shlex
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
import websockets.asyncio.client
import websockets.exceptions

from tests.cluster.server import free_port
from tests.conftest import need
from tests.processes import finch

DOCS = Path(__file__).parents[2] / "docs" / "deployment.md"
CLIENT = "127.0.0.2"  # so that it is nobody's else: the proxies connect from 127.0.0.1

APP = """
import trio
from finch import FinchApp, StreamingResponse

app = FinchApp()
first_was_read = trio.Event()


@app.get("/")
async def index(request):
    return {"client": request.client.host, "url": request.url, "host": request.host}


@app.get("/events")
async def events(request):
    async def two():
        yield "data: first\\n\\n"
        await first_was_read.wait()
        yield "data: second\\n\\n"

    return StreamingResponse(two(), content_type="text/event-stream")


@app.get("/read")
async def read(request):
    first_was_read.set()


@app.post("/size")
async def size(request):
    return str(len(await request.body()))


@app.socket("who")
async def who(socket, data):
    return [socket.request.client.host, socket.request.url]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def certificate(authority, folder):
    path = folder / "example.org.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def trusting(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


# The configurations


def documented(file):
    """The block of the documentation that begins with a file's name."""
    [block] = re.findall(rf"^```\w+\n# {re.escape(file)}\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    return block


def varied(text, *changes):
    """A configuration with other paths and ports; what is changed must be there."""
    for old, new in changes:
        assert old in text, f"docs/deployment.md no longer has {old!r}"
        text = text.replace(old, str(new))
    return text


def service_options():
    """What ``ExecStart`` passes to ``python -m finch``."""
    [command] = re.findall(
        r"^ExecStart=(.*)$", documented("/etc/systemd/system/chat.service"), re.M
    )
    program, *arguments = shlex.split(command)
    assert program.endswith("/python")
    assert arguments[:2] == ["-m", "finch"]
    return arguments[2:]


@contextmanager
def proxy(command, port, folder):
    """Run a proxy until the end of the block, from when it listens."""
    log = folder / "proxy.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.01)
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def nginx(folder, certificate, path, *changes):
    program = need("nginx", "apt-get install nginx-light")
    port = free_port()
    site = varied(
        documented("/etc/nginx/conf.d/chat.conf"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/ssl/certs/example.org.pem", certificate),
        ("/etc/ssl/private/example.org.key", certificate),
        ("/run/chat.sock", path),
        *changes,
    )
    (folder / "chat.conf").write_text(site)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        "events { worker_connections 64; }\n"
        "http {\naccess_log off;\n"
        + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        + f"include {folder}/chat.conf;\n}}\n"
    )
    command = [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with proxy(command, port, folder) as host:
        yield host


@contextmanager
def haproxy(folder, file, server, *changes):
    program = need("haproxy", "apt-get install haproxy")
    port = free_port()
    config = varied(
        documented(file),
        ("bind :443", f"bind 127.0.0.1:{port}"),
        ("maxconn 20000", "maxconn 100"),
        ("127.0.0.1:8080", httpx.URL(server).netloc.decode()),
        *changes,
    )
    (folder / "haproxy.cfg").write_text(config)
    with proxy([program, "-db", "-f", str(folder / "haproxy.cfg")], port, folder) as host:
        yield host


# What must hold behind each of them


def browser(trusting):
    transport = httpx.HTTPTransport(verify=trusting, local_address=CLIENT)
    return httpx.Client(transport=transport, timeout=10)


def check_requests(host, trusting, url, *, client=CLIENT):
    """The application sees the client as it is, whatever that one says of itself."""
    lies = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "ftp",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=192.0.2.1;proto=ftp;host=evil.example",
    }
    with browser(trusting) as session:
        for headers in ({}, lies):
            for _ in range(2):  # the second on connections that are kept
                seen = session.get(f"https://{host}/?a=b", headers=headers)
                assert seen.json() == {"client": client, "url": f"{url}/?a=b", "host": host}
        assert session.post(f"https://{host}/size", content=b"x" * 3_000_000).text == "3000000"


def check_streaming(host, trusting):
    """The first event arrives before the second is made."""
    with browser(trusting) as session, session.stream("GET", f"https://{host}/events") as response:
        events = response.iter_text()
        assert next(events) == "data: first\n\n"
        assert session.get(f"https://{host}/read").status_code == 204
        assert next(events) == "data: second\n\n"


def check_sockets(host, trusting, url, *, client=CLIENT, https_only=True):
    """Pages of this host may open a socket, and no other; it sees the client as well."""

    # With asyncio: websockets' client for threads reads and writes TLS in two of them, and hangs
    # where the tickets of TLS 1.3 arrive at the wrong moment.
    def connect(origin):
        return websockets.asyncio.client.connect(
            f"wss://{host}/ws", origin=origin, ssl=trusting, local_addr=(CLIENT, 0)
        )

    async def check():
        for origin in (f"https://{host}", None):
            async with connect(origin) as ws:
                await ws.send(json.dumps({"path": "who"}))
                assert json.loads(await ws.recv())["data"] == [client, f"{url}/ws"]
        foreign = ["https://evil.example", "https://localhost", "null"]
        if https_only:
            foreign.append(f"http://{host}")
        for origin in foreign:
            with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
                await connect(origin)
            assert refused.value.response.status_code == 403

    asyncio.run(asyncio.wait_for(check(), 20))


def test_nginx_and_a_socket_of_systemds(folder, certificate, trusting):
    path = folder / "chat.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with (
            nginx(folder, certificate, path) as host,
            finch(*service_options(), cwd=folder, fd3=listener),
        ):
            check_requests(host, trusting, f"https://{host}")
            check_streaming(host, trusting)
            check_sockets(host, trusting, f"https://{host}")


@pytest.mark.parametrize(
    "changes",
    [
        # the host only in its header
        [("proxy_set_header Host              $http_host;", "proxy_set_header Host inner;")],
        # the standard's header in place of all others
        [
            ("proxy_set_header Host              $http_host;", "proxy_set_header Host inner;"),
            ("X-Forwarded-Host  $http_host;", 'X-Forwarded-Host "";'),
            ("X-Forwarded-Proto $scheme;", 'X-Forwarded-Proto "";'),
            ("X-Forwarded-For   $proxy_add_x_forwarded_for;", 'X-Forwarded-For "";'),
            (
                'Forwarded         "";',
                'Forwarded "for=$remote_addr;proto=$scheme;host=\\"$http_host\\"";',
            ),
        ],
    ],
    ids=["X-Forwarded-Host", "Forwarded"],
)
def test_nginx_that_passes_the_host_on_in_another_header(folder, certificate, trusting, changes):
    path = folder / "chat.sock"
    with (
        nginx(folder, certificate, path, *changes) as host,
        finch("app", "--unix", path, "--forwarded-allow-ips", "unix", cwd=folder),
    ):
        check_requests(host, trusting, f"https://{host}")
        check_sockets(host, trusting, f"https://{host}")


def test_nginx_that_nobody_believes_is_the_client(folder, certificate, trusting):
    path = folder / "chat.sock"
    with (
        nginx(folder, certificate, path) as host,
        finch("app", "--unix", path, cwd=folder),
    ):
        check_requests(host, trusting, f"http://{host}", client="")
        check_sockets(host, trusting, f"http://{host}", client="", https_only=False)


def check_socket_without_websocket(host, trusting, url):
    """Events come at once, and what is posted is answered."""
    accept = {"accept": "text/event-stream"}
    target = f"https://{host}/ws"
    with browser(trusting) as session, session.stream("GET", target, headers=accept) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: open"
        secret = json.loads(next(lines).removeprefix("data: "))["stream"]
        assert next(lines) == ""
        for number in (1, 2):
            headers = {"finch-stream": f"{secret} {number}", "origin": f"https://{host}"}
            posted = session.post(target, headers=headers, content='{"path": "who"}')
            assert posted.status_code == 204
            message = json.loads(next(lines).removeprefix("data: "))
            assert message["data"] == [CLIENT, f"{url}/ws"]
            assert next(lines) == ""


def test_nginx_that_knows_no_websockets_and_buffers(folder, certificate, trusting):
    """It speaks HTTP/1.0 to the application, as nginx does that was told nothing."""
    path = folder / "chat.sock"
    changes = [
        ("proxy_http_version 1.1;", "proxy_http_version 1.0;"),
        ("proxy_set_header Upgrade    $http_upgrade;", ""),
        ("proxy_set_header Connection $chat_connection;", ""),
        ("proxy_buffering off;", ""),
        ("proxy_request_buffering off;", ""),
    ]
    with (
        nginx(folder, certificate, path, *changes) as host,
        finch("app", "--unix", path, "--forwarded-allow-ips", "unix", cwd=folder),
    ):
        with browser(trusting) as session:
            assert session.get(f"https://{host}/ws").status_code == 426
        check_socket_without_websocket(host, trusting, f"https://{host}")


def test_haproxy(folder, certificate, trusting):
    with finch("app", "--port", 0, "--forwarded-allow-ips", "127.0.0.1", cwd=folder) as process:
        file = "/etc/haproxy/haproxy.cfg"
        paths = ("/etc/haproxy/example.org.pem", certificate)
        with haproxy(folder, file, process.url, paths) as host:
            check_requests(host, trusting, f"https://{host}")
            check_streaming(host, trusting)
            check_sockets(host, trusting, f"https://{host}")
            check_socket_without_websocket(host, trusting, f"https://{host}")


@pytest.mark.parametrize("version", ["send-proxy-v2-ssl", "send-proxy-v2", "send-proxy"])
def test_haproxy_with_the_proxy_protocol(folder, certificate, trusting, version):
    """TLS ends at HAProxy, which says so; or at Finch, which knows."""
    file = "/etc/haproxy/haproxy.cfg, with the PROXY protocol"
    tls = " ssl crt /etc/haproxy/example.org.pem alpn http/1.1"
    if version == "send-proxy-v2-ssl":
        options = []
        changes = [(tls, f" ssl crt {certificate} alpn http/1.1")]
    else:
        options = ["--certfile", certificate]
        changes = [(tls, ""), ("send-proxy-v2-ssl", version)]
    with finch("app", "--port", 0, "--proxy-protocol", *options, cwd=folder) as process:
        with haproxy(folder, file, process.url, *changes) as host:
            check_requests(host, trusting, f"https://{host}")
            check_streaming(host, trusting)
            check_sockets(host, trusting, f"https://{host}")
        # without the header nobody gets in
        with pytest.raises(httpx.HTTPError):
            httpx.get(process.url, verify=False)
