"""The command line: what it serves, what it prints, how it ends, and what it says of mistakes."""

import io
import json
import os
import signal
import socket
import subprocess
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

def needs_settings(settings):
    return app

async def create_later():
    return app

def raises():
    return 1 / 0

def exits():
    raise SystemExit("no settings")

class App(FinchApp): ...

not_an_app = 5
"""

MODULES = {
    "other.py": "from finch import FinchApp\nsite = FinchApp()\n",
    "two.py": "from finch import FinchApp\none = FinchApp()\nanother = FinchApp()\n",
    "classes.py": "from finch import FinchApp\n",
    "broken.py": "import json\n\n1 / 0\n",
    "typo.py": "def f(:\n",
    "evaluates.py": "\neval('1 +')\n",
    "limits.py": "import finch\n\nfinch.Limits(max_body='1MB')\n",
    "missing.py": "\nimport no_such_library\n",
    "parses.py": "import json\n\njson.loads('x')\n",
    "arguments.py": "import argparse\nargparse.ArgumentParser(usage='').parse_args()\n",
    "circle.py": "from circled import b\na = 1\n",
    "circled.py": "\nfrom circle import a\nb = 1\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "relative.py": "from . import app\n",
    "runs.py": "import finch\napp = finch.FinchApp()\nfinch.run(app)\n",
    "serves.py": "import finch, trio\napp = finch.FinchApp()\ntrio.run(finch.serve, app)\n",
    "pdb.py": "from finch import FinchApp\napp = FinchApp()\n",
    "twice.py": "from finch import FinchApp\napp = FinchApp()\n"
    "app.get('/')(lambda r: 1)\napp.get('/')(lambda r: 2)\n",
    "package/__init__.py": "",
    "package/main.py": "import helpers\n",
    "package/helpers.py": "",
    "package/holder/__init__.py": "from package.holder import app\n",
    "package/holder/app.py": "from finch import FinchApp\napp = FinchApp()\n",
    "site-packages/library.py": "\n\nimport no_such_library\n",
    "uses.py": "import library\n",
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def importing(folder, monkeypatch):
    """What is imported during a test is forgotten after it."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder / "site-packages")])
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["app:app", "app", "app:create_app()"])
def test_it_serves_and_prints_the_url_and_the_routes(folder, name):
    with finch(name, "--port", 0, cwd=folder) as process:
        assert httpx.get(process.url).text == "hello"
        lines = process.banner.splitlines()
        assert lines[0] == f"Finch serves {process.url}"
        assert "  GET      /slow" in lines
        assert "  GET,POST /ws" in lines
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
        (["app.app"], "; write app:app"),
        (["appp"], "did you mean app?"),
        (["app.py"], "app.py is a file; name the module: app:app"),
        (["./app.py:site"], "./app.py is a file; name the module: app:site"),
        (["package/main.py"], "name the module: package.main:app"),
        (["package/main"], "package/main is a path; name the module: package.main:app"),
        (["../elsewhere/app.py"], "name the module: app:app, in the folder ../elsewhere"),
        ([":app"], "':app' names no module; write module:attribute"),
        (["broken"], "cannot be imported: ZeroDivisionError: division by zero"),
        (["typo"], "cannot be imported: SyntaxError"),
        (["limits"], "({folder}/limits.py, line 3)"),  # not in "<string>", which nobody can open
        (["missing"], "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"),
        (["missing"], f"missing.py, line 2); is it installed for {sys.executable}?"),
        (["uses"], "uses.py, line 1; raised in {folder}/site-packages/library.py, line 3)"),
        (["package.main"], "package/main.py, line 1); it is in the same folder: import package.h"),
        (["evaluates"], "SyntaxError: invalid syntax (<string>, line 1) ({folder}/evaluates.py, l"),
        (["parses"], "line 1 column 1 (char 0) ({folder}/parses.py, line 3; raised in "),
        (["circle"], "partially initialized module 'circle' (most likely due to a circular impo"),
        (["circle"], "({folder}/circled.py, line 2)"),
        (["relative"], "; run finch in {folder.parent}: finch {folder.name}.relative"),
        (["arguments"], "ends the program when it is imported: SystemExit: 2 ({folder}/arguments"),
        (["arguments"], 'put the code that Finch does not need under if __name__ == "__main__"'),
        (["runs"], "runs: finch.run is called while 'finch runs' imports the application"),
        (["runs"], 'under if __name__ == "__main__" ({folder}/runs.py, line 3)'),
        (["serves"], 'under if __name__ == "__main__" ({folder}/serves.py, line 3)'),
        (["pdb"], "not your pdb.py: rename that"),
        (["twice"], "GET / already has a handler"),
        (["twice"], "({folder}/twice.py, line 4)"),
        (["other"], "module 'other' has no 'app'; it has other:site"),
        (["two"], "module 'two' has no 'app'; it has two:one and two:another"),
        (["app:nothing"], "module 'app' has no 'nothing'; it has app:app"),
        (["app:not_an_app"], "app:not_an_app is a int, not a FinchApp"),
        (["app:create_app"], "if it makes one, write app:create_app()"),
        (["app:not_an_app()"], "app:not_an_app() raised TypeError"),
        (["app:App"], "app:App is a class, not a FinchApp; it has app:app"),
        (
            ["classes:FinchApp"],
            "is a class, not a FinchApp; write classes:FinchApp() for an instance",
        ),
        (["app:app()"], "app:app() calls an application; write app:app"),
        (["app:needs_settings()"], "app:needs_settings() needs arguments: settings. Finch calls"),
        (["app:create_app(1)"], "'create_app(1)' is neither an attribute nor a call without"),
        (["app:create_later()"], "app:create_later() is async, and Finch calls it before there is"),
        (["app:create_later"], "app:create_later() is async, and Finch calls it before there is"),
        (["app:raises()"], "app:raises() raised ZeroDivisionError: division by zero ({folder}/app"),
        (["app:exits()"], "app:exits() ends the program: SystemExit: no settings ({folder}/app.py"),
        (["package.holder:app"], "is a module, not a FinchApp; it has package.holder.app:app"),
        (["app", "--certfile", "none.pem"], "the certificate 'none.pem'"),
        (["app", "--keyfile", "key.pem"], "a keyfile without a certfile"),
        (["app", "--host", "203.0.113.1"], "cannot listen on 203.0.113.1:8080"),
        (["app", "--unix", "no/such/folder/s"], "cannot listen on no/such/folder/s"),
        (
            ["app", "--fd", "999"],
            "descriptor 999 is not open; give the descriptor of a stream socket",
        ),
        (["app", "--fd", "3", "--unix", "s"], "both unix and fd are given"),
        (["app", "--forwarded-allow-ips", "10.0.0.1/8"], "write the network 10.0.0.0/8"),
    ],
)
@pytest.mark.usefixtures("importing")
def test_a_mistake_is_one_clear_line(folder, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["finch", *arguments])
    assert main(arguments) == 1
    complaint = capsys.readouterr().err.splitlines()
    if arguments == ["arguments"]:
        del complaint[:-1]  # argparse's own words
    assert says.format(folder=folder) in complaint[0]
    assert len(complaint) == 1
    assert complaint[0].startswith("finch: ")


@pytest.mark.usefixtures("importing")
def test_a_module_of_a_folder_that_one_stands_in(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder / "package")
    assert main(["package.main"]) == 1
    assert f"you are inside package: run finch in {folder}\n" in capsys.readouterr().err


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


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_startup_that_fails_is_the_applications_own_traceback(folder, kind):
    (folder / "failing.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\n"
        f"@app.on_startup\n{kind} connect():\n    raise RuntimeError('no database')\n"
    )
    code, _, complaint = run_finch("failing", "--port", 0, cwd=folder)
    assert code == 1
    assert complaint.splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{folder}/failing.py", line 5, in connect',
        "    raise RuntimeError('no database')",
        "RuntimeError: no database",
    ]


@pytest.mark.parametrize(
    ("statement", "code", "says"),
    [
        ("sys.exit('no database')", 1, "no database\n"),
        ("sys.exit(3)", 3, ""),
        ("raise KeyboardInterrupt", 130, "finch: interrupted\n"),
        (
            "app.get('/')(print) and app.get('/')(print)",
            1,
            "finch: GET / already has a handler: print; so print cannot be added "
            "({folder}/ends.py, line 6)\n",
        ),
    ],
)
def test_a_startup_can_end_the_program(folder, statement, code, says):
    (folder / "ends.py").write_text(
        "import sys\nfrom finch import FinchApp\napp = FinchApp()\n"
        f"@app.on_startup\nasync def on_startup():\n    {statement}\n"
    )
    complaint = says.format(folder=folder)
    assert run_finch("ends", "--port", 0, cwd=folder) == (code, "", complaint)


@pytest.mark.usefixtures("importing")
def test_ctrl_c_while_the_module_is_imported_is_no_traceback(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["interrupted"]) == 130
    assert capsys.readouterr().err == "finch: interrupted\n"


def test_a_signal_while_the_process_ends_changes_nothing(folder):
    (folder / "late.py").write_text(
        "import atexit, signal\nfrom finch import FinchApp\napp = FinchApp()\n"
        "atexit.register(signal.raise_signal, signal.SIGTERM)\n"
        "atexit.register(signal.raise_signal, signal.SIGINT)\n"
    )
    with finch("late", "--port", 0, cwd=folder) as process:
        process.signal()
        code, out = process.wait()
    assert (code, out) == (0, "")


# What cannot be printed


def nobody_reads():
    ours, theirs = os.pipe()
    os.close(ours)
    return os.fdopen(theirs, "wb")


@pytest.mark.parametrize(
    ("stdout", "why"),
    [
        (lambda: open("/dev/full", "wb"), "No space left on device"),  # noqa: SIM115
        (nobody_reads, "Broken pipe"),
    ],
    ids=["full", "gone"],
)
def test_a_stdout_that_takes_nothing_does_not_end_the_server(folder, stdout, why):
    with (
        stdout() as file,
        finch("app", "--port", 0, cwd=folder, stdout=file, says="cannot be printed") as process,
    ):
        assert why in process.banner
        assert httpx.get(process.url).text == "hello"
        process.signal()
        code, complaint = process.wait()
    assert (code, "Exception" in complaint) == (0, False)


def test_what_stdout_has_no_letters_for_is_written_in_ascii(folder):
    (folder / "coffee.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\napp.get('/caf\u00e9')(print)\n"
    )
    with finch("coffee", "--port", 0, cwd=folder, PYTHONIOENCODING="ascii") as process:
        assert "  GET      /caf\\xe9\n" in process.banner


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.usefixtures("importing")
@pytest.mark.parametrize("stream", [None, closed()], ids=["none", "closed"])
def test_without_stdout_and_stderr_there_is_an_exit_code(folder, monkeypatch, stream):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert main(["broken"]) == 1


@pytest.mark.parametrize("stream", ["None", "open('/dev/null', 'w')"])
def test_without_stdout_and_stderr_it_serves(folder, stream):
    (folder / "silent.py").write_text(
        f"import os, signal, sys\nsys.stdout = sys.stderr = {stream}\n"
        "if sys.stdout:\n    sys.stdout.close()\n"
        "from finch import FinchApp\napp = FinchApp()\n"
        "@app.background_task\nasync def stop():\n"
        "    os.write(1, b'served')\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    code, out, complaint = run_finch("silent", "--port", 0, cwd=folder)
    assert (code, out, "Traceback" in complaint) == (0, "served", False)


def test_a_log_whose_stderr_was_closed_loses_its_entries_and_nothing_else(folder):
    code = (
        "import sys\nfrom finch.cli import main\n"
        "sys.stderr.close()\nsys.exit(main(['app', '--port', '0']))\n"
    )
    with finch("app", "--port", 0, cwd=folder, says="Stop", program=["-c", code]) as process:
        assert httpx.get(process.url).text == "hello"  # and an access line
        process.signal()
        assert process.wait() == (0, "")


def test_help_that_nobody_reads_is_no_error(folder):
    with nobody_reads() as file:
        command = [sys.executable, "-m", "finch", "--help"]
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "'99999' is not a port"),
        (["--fd", "-1"], "'-1' is not a descriptor"),
        (["--fd", "three"], "'three' is not a descriptor"),
        (["--workers", "0"], "'0' is no number of workers; write a number from 1 to 999, or auto"),
        (["--workers", "1000"], "'1000' is no number of workers"),
        (["--workers", "many"], "'many' is no number of workers"),
        (["--worker", "2"], "only Finch itself uses it; write --workers"),
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


def test_debug_serves_the_types(folder):
    with finch("app", "--port", 0, "--debug", cwd=folder) as process:
        assert "  debug    clients see what goes wrong in the code" in process.banner
        assert "echo: {" in httpx.get(f"{process.url}/finch.d.ts").text
    with finch("app", "--port", 0, cwd=folder) as process:
        assert "echo: {" not in httpx.get(f"{process.url}/finch.d.ts").text


@pytest.mark.usefixtures("importing")
@pytest.mark.parametrize(
    ("arguments", "imported"), [([], False), (["--workers", "1"], True)], ids=["one", "workers"]
)
def test_the_supervisor_is_imported_only_if_it_is_needed(folder, arguments, imported):
    code = (
        "import sys\nfrom finch.cli import main\n"
        f"code = main(['other:site', '--port', '0', *{arguments}])\n"
        "print('other' in sys.modules, 'finch.cluster.supervisor' in sys.modules, flush=True)\n"
        "sys.exit(code)\n"
    )
    with finch(cwd=folder, program=["-c", code]) as process:
        process.signal()
        code, out = process.wait()
    assert code == 0
    assert out.splitlines()[-1] == f"{not imported} {imported}"


def test_workers_have_the_options_of_python_that_their_supervisor_has(folder):
    (folder / "seen.py").write_text(
        "import sys\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.on_startup\nasync def begin():\n    print('dev', sys.flags.dev_mode, flush=True)\n"
    )
    program = ["-X", "dev", "-m", "finch"]
    with finch("seen", "--port", 0, "--workers", 1, cwd=folder, program=program, says="dev") as one:
        assert one.banner.endswith("dev True\n")
