"""The command line: what it serves, what it prints, how it ends, and what it says of mistakes."""

import json
import signal
import socket
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest
import trustme
import websockets.sync.client

from finch.cli import main
from tests.processes import finch, run_finch

APP = """
import trio
from finch import FinchApp
app = FinchApp()

@app.get("/")
async def index(request):
    return "hello"

@app.get("/slow")
async def slow(request):
    await trio.sleep(1)
    return "done"

@app.socket("echo")
async def echo(socket, data):
    return data

def create_app():
    return app

not_an_app = 5
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "other.py").write_text("from finch import FinchApp\nsite = FinchApp()\n")
    (tmp_path / "broken.py").write_text("import json\n\n1 / 0\n")
    (tmp_path / "typo.py").write_text("def f(:\n")
    (tmp_path / "missing.py").write_text("import no_such_library\n")
    (tmp_path / "twice.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\n"
        "app.get('/')(lambda r: 1)\napp.get('/')(lambda r: 2)\n"
    )
    return tmp_path


@pytest.mark.parametrize("name", ["app:app", "app", "app:create_app()"])
def test_it_serves_and_prints_the_url_and_the_routes(folder, name):
    with finch(name, "--port", 0, cwd=folder) as process:
        assert httpx.get(process.url).text == "hello"
        lines = process.banner.splitlines()
        assert lines[0] == f"Finch serves {process.url}"
        assert "  GET      /slow" in lines
        assert "  GET      /ws" in lines
        assert "  socket   echo" in lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_exits_with_0(folder, number):
    with finch("app", "--port", 0, cwd=folder) as process:
        with websockets.sync.client.connect(f"{process.ws}/ws") as ws:
            process.signal(number)
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                ws.recv(timeout=10)
            assert closed.value.rcvd.code == 1001
        code, out = process.wait()
        assert (code, "Traceback" in out) == (0, False)


def test_a_request_under_way_is_finished_after_a_signal(folder):
    with finch("app", "--port", 0, cwd=folder) as process:
        with socket.create_connection(("127.0.0.1", httpx.URL(process.url).port)) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n")
            client.settimeout(10)
            httpx.get(process.url)  # by now the slow request is being handled
            process.signal()
            answer = b""
            while piece := client.recv(1000):
                answer += piece
        assert answer.endswith(b"done")
        assert process.wait()[0] == 0


def test_a_second_signal_stops_at_once(folder):
    (folder / "stuck.py").write_text(
        "import trio\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.get('/')\nasync def index(request):\n    print('in', flush=True)\n"
        "    await trio.sleep(60)\n"
    )
    with finch("stuck", "--port", 0, cwd=folder) as process:
        with socket.create_connection(("127.0.0.1", httpx.URL(process.url).port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert process.popen.stdout.readline() == "in\n"
            process.signal(signal.SIGINT)
            with pytest.raises(httpx.HTTPError):
                while True:
                    httpx.get(process.url, timeout=1)
            process.signal(signal.SIGINT)
            code, out = process.wait()
        assert (code, "Traceback" in out) == (0, False)


@pytest.mark.parametrize(("option", "logged"), [("--access-log", True), ("--no-access-log", False)])
def test_the_access_log_can_be_had_or_not(folder, option, logged):
    with finch("app", "--port", 0, option, cwd=folder) as process:
        httpx.get(f"{process.url}/x?y=%0d%0a")
        process.signal()
        _, out = process.wait()
    assert ('"GET /x HTTP/1.1" 404' in out) is logged


def test_tls_and_a_unix_socket(folder):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    files = ["--certfile", "cert.pem", "--keyfile", "key.pem"]
    with finch("app", "--port", 0, *files, cwd=folder) as process:
        assert process.url.startswith("https://")
        trusted = __import__("ssl").create_default_context(cafile=folder / "ca.pem")
        assert httpx.get(process.url, verify=trusted).text == "hello"
    with finch("app", "--unix", "finch.sock", cwd=folder) as process:
        assert process.url == "unix:finch.sock"
        transport = httpx.HTTPTransport(uds=str(folder / "finch.sock"))
        with httpx.Client(transport=transport) as client:
            assert client.get("http://here/").text == "hello"
        process.signal()
        assert process.wait()[0] == 0
    assert not (folder / "finch.sock").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "there is no module 'nowhere'"),
        (["nowhere.at.all:app"], "there is no module 'nowhere.at.all'"),
        (["app.py"], "name the module: app:app"),
        (["broken"], "cannot be imported: ZeroDivisionError: division by zero"),
        (["typo"], "cannot be imported: SyntaxError"),
        (["missing"], "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        (["twice"], "GET / has a handler already"),
        (["other"], "module 'other' has no 'app'; it has other:site"),
        (["app:nothing"], "module 'app' has no 'nothing'; it has app:app"),
        (["app:not_an_app"], "app:not_an_app is a int, not a FinchApp"),
        (["app:create_app"], "if it makes one, write app:create_app()"),
        (["app:not_an_app()"], "app:not_an_app() raised TypeError"),
        (["app", "--certfile", "none.pem"], "the certificate 'none.pem'"),
        (["app", "--keyfile", "key.pem"], "a keyfile without its certfile"),
        (["app", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1:8080"),
        (["app", "--unix", "no/such/folder/s"], "cannot listen on no/such/folder/s"),
        (["app", "--fd", "999"], "descriptor 999 is not open; give that of a stream socket"),
        (["app", "--fd", "3", "--unix", "s"], "a unix socket's path and a descriptor"),
        (["app", "--forwarded-allow-ips", "10.0.0.1/8"], "write the network 10.0.0.0/8"),
    ],
)
def test_a_mistake_is_one_clear_line(folder, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("app", "other", "twice"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(arguments) == 1
    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.count("\n") == 1
    assert complaint.startswith("finch: ")


def test_a_port_in_use_and_a_broken_module_as_a_user_sees_them(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, complaint = run_finch("app", "--port", port, cwd=folder)
    assert (code, out) == (1, "")
    assert complaint == f"finch: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    code, out, complaint = run_finch("broken", cwd=folder)
    assert code == 1
    assert complaint.count("\n") == 1
    assert "broken.py, line 3" in complaint


def test_a_startup_that_fails_is_the_applications_own_traceback(folder):
    (folder / "failing.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\n"
        "@app.on_startup\nasync def connect():\n    raise RuntimeError('no database')\n"
    )
    code, _, complaint = run_finch("failing", "--port", 0, cwd=folder)
    assert code == 1
    assert "RuntimeError: no database" in complaint


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "'99999' is no port"),
        (["--fd", "-1"], "'-1' is no descriptor"),
        (["--fd", "three"], "'three' is no descriptor"),
    ],
)
def test_a_wrong_number_is_said_so(capsys, arguments, says):
    with pytest.raises(SystemExit) as stop:
        main(["app", *arguments])
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_an_inherited_socket_outlives_the_server(folder):
    path = folder / "systemd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        for _ in range(2):  # the second, as after a restart
            with finch("app", "--fd", 3, cwd=folder, fd3=listener) as process:
                assert process.url == f"unix:{path}"
                with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                    assert client.get("http://here/").text == "hello"
                process.signal()
                assert process.wait()[0] == 0
            assert path.exists()


def test_proxies_are_believed_by_the_command_line(folder):
    (folder / "seen.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\n"
        "@app.get('/')\nasync def index(request):\n    return [str(request.client), request.url]\n"
    )
    options = ["--proxy-protocol", "--forwarded-allow-ips", "10.0.0.0/8, unix"]
    with finch("seen", "--port", 0, *options, cwd=folder) as process:
        with socket.create_connection(("127.0.0.1", httpx.URL(process.url).port)) as client:
            client.sendall(
                b"PROXY TCP4 10.0.0.1 127.0.0.1 5000 80\r\nGET / HTTP/1.0\r\nHost: a\r\n"
                b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n"
            )
            client.settimeout(10)
            answer = b""
            while piece := client.recv(1000):
                answer += piece
        assert answer.endswith(b'["192.0.2.1","https://a/"]')
        process.signal()
        assert '192.0.2.1 "GET / HTTP/1.0" 200' in process.wait()[1]


def test_there_is_a_finch_script():
    assert (Path(sysconfig.get_path("scripts")) / "finch").exists()


def test_the_json_of_an_envelope_comes_through_a_real_process(folder):
    with finch("app", "--port", 0, cwd=folder) as process:
        with websockets.sync.client.connect(f"{process.ws}/ws") as ws:
            ws.send(json.dumps({"path": "echo", "data": [1]}))
            assert json.loads(ws.recv(timeout=5))["data"] == [1]
