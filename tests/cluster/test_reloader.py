"""Reloading, in real processes: what clients notice of a change, and of code that cannot start."""

import os
import signal
import subprocess
import sys
import threading

import httpx
import pytest
import trio
import trustme
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from finch.cli import main
from finch.client import ConnectionLost, connect
from finch.cluster.reloader import Reloader, is_code
from finch.errors import ConfigurationError
from tests.processes import finch

APP = """
import os
from finch import FinchApp
app = FinchApp(health=True)

@app.get("/")
async def index(request):
    return f"old {os.getpid()}"

@app.socket("which")
async def which(socket, data):
    return "old"
"""

NEW = APP.replace("old", "new")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def reloading(folder):
    """Start ``python -m finch app --reload``; a test that waits for what never comes fails."""
    watches = []

    def start(*arguments, address=("--port", 0), **options):
        process = finch("app", *address, "--reload", *arguments, cwd=folder, **options)
        entered = process.__enter__()
        watch = threading.Timer(40, entered.popen.kill)
        watch.start()
        watches.append((watch, process))
        return entered

    yield start
    for watch, process in watches:
        watch.cancel()
        process.__exit__(None, None, None)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_change_is_served_at_once_sockets_get_1012_and_no_connection_is_refused(
    folder, reloading
):
    process = reloading()
    before, pid = httpx.get(process.url).text.split()
    with websockets.sync.client.connect(f"{process.ws}/ws") as ws:
        (folder / "app.py").write_text(NEW)
        with pytest.raises(ConnectionClosed) as closed:
            ws.recv(timeout=20)
        after = httpx.get(process.url, timeout=20).text.split()  # waits in the socket's queue
    assert closed.value.rcvd.code == 1012
    assert (before, after[0]) == ("old", "new")
    assert is_gone(int(pid))
    assert "app.py has changed: starting again" in process.wait_for("has changed")
    process.wait_for("serves again")
    process.signal(signal.SIGINT)
    code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)
    assert is_gone(int(after[1]))


async def test_clients_come_back_by_themselves(folder, reloading, monkeypatch):
    monkeypatch.setattr("finch.client.keeper.random", lambda: 0.05)
    process = reloading()
    with trio.fail_after(30):
        async with connect(f"{process.ws}/ws") as client:
            assert await client.call("which") == "old"
            (folder / "app.py").write_text(NEW)
            answer = "old"
            while answer == "old":
                try:
                    answer = await client.call("which")
                except ConnectionLost:
                    pass
            assert answer == "new"


def test_a_mistake_is_told_once_and_the_next_change_tries_again(folder, reloading):
    process = reloading()
    (folder / "app.py").write_text("def f(:\n")
    said = process.wait_for("finch: ")
    assert "cannot be imported: SyntaxError" in said
    assert "app.py, line 1" in said
    assert "waiting for a change" in process.wait_for("")
    (folder / "app.py").write_text(NEW)
    assert httpx.get(process.url, timeout=20).text.startswith("new")
    process.wait_for("serves again")
    process.signal(signal.SIGTERM)
    code, rest = process.wait()
    assert (code, "SyntaxError" in rest) == (0, False)


def test_code_that_never_started_is_waited_for_and_so_are_its_clients(folder, reloading):
    (folder / "app.py").write_text("1 / 0\n")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "s"))) as client:
        process = reloading(address=("--unix", "s"), says="waiting for a change")
        assert "ZeroDivisionError" in process.banner
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(client.get("http://here/", timeout=20).text)
        )
        asking.start()
        (folder / "app.py").write_text(NEW)
        asking.join()
    assert answers[0].startswith("new")
    process.wait_for("Stop it")
    process.signal()
    assert process.wait()[0] == 0
    assert not (folder / "s").exists()


def test_what_does_not_stop_is_killed_and_that_is_said(folder, reloading):
    (folder / "app.py").write_text(
        APP + "\n@app.get('/hang')\nasync def hang(request):\n    import time\n"
        "    print('it hangs', flush=True)\n    time.sleep(60)\n"
    )
    code = (
        "import sys, finch.cluster.reloader as reloader\n"
        "reloader._GRACE, reloader._PATIENCE = 0.1, 0.2\n"
        "from finch.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    process = reloading(program=["-c", code])
    asking = subprocess.Popen(
        ["curl", "-s", f"{process.url}/hang"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    process.wait_for("it hangs")
    (folder / "app.py").write_text(NEW)
    assert "the application (pid" in process.wait_for("does not end, and is killed")
    assert httpx.get(process.url, timeout=20).text.startswith("new")
    asking.wait(20)


def test_a_request_under_way_is_finished_by_the_old_code(folder, reloading):
    (folder / "app.py").write_text(
        APP.replace(
            "async def index(request):\n",
            "async def index(request):\n    import trio\n    print('here', flush=True)\n"
            "    await trio.sleep(0.3)\n",
        )
    )
    process = reloading()
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(httpx.get(process.url, timeout=20).text)
    )
    asking.start()
    process.wait_for("here")
    (folder / "app.py").write_text(NEW)
    asking.join()
    assert answers[0].startswith("old")
    assert httpx.get(process.url, timeout=20).text.startswith("new")


def test_ctrl_c_of_a_terminal_ends_both(folder, reloading):
    process = reloading(process_group=0)
    pid = int(httpx.get(process.url).text.split()[1])
    os.killpg(process.popen.pid, signal.SIGINT)  # a terminal sends it to all processes
    code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)
    assert is_gone(pid)


def test_an_application_outlives_no_reloader(reloading):
    process = reloading()
    process.popen.kill()
    assert "the supervisor is gone" in process.wait()[1]  # read to the end: so it has ended


def test_it_ends_by_itself_and_is_started_by_the_next_change(folder, reloading):
    (folder / "app.py").write_text(
        APP + "\n@app.get('/die')\nasync def die(request):\n    os._exit(3)\n"
    )
    process = reloading()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{process.url}/die")
    process.wait_for("ended with exit code 3")
    process.wait_for("waiting for a change")
    (folder / "app.py").write_text(NEW)
    assert httpx.get(process.url, timeout=20).text.startswith("new")


def test_another_folder_is_watched_and_tls_is_served(folder, tmp_path_factory, reloading):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    other = tmp_path_factory.mktemp("other")
    process = reloading("--reload-dir", other, "--certfile", "cert.pem")
    assert str(other) in process.banner
    trusted = __import__("ssl").create_default_context(cafile=folder / "ca.pem")
    pid = httpx.get(process.url, verify=trusted).text
    (other / "page.html").write_text("changed")
    process.wait_for("serves again")
    assert httpx.get(process.url, verify=trusted).text != pid


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("app.py", True),
        ("templates/page.html", True),
        ("finch.toml", True),
        ("shop.db", False),
        ("app.log", False),
        ("uploads/cat.jpg", False),
        ("app.pyc", False),
    ],
)
def test_what_counts_as_code(path, code):
    assert is_code(path) is code


# What is refused


def complaint(capsys, *words):
    assert main(["app", "--reload", *words]) == 1
    return capsys.readouterr().err


def test_reload_and_workers_exclude_each_other(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert complaint(capsys, "--workers", "2").startswith(
        "finch: --reload and --workers are both given; code is reloaded in one process only; "
        "write --workers 1 or --no-reload"
    )
    (folder / "finch.toml").write_text("workers = 'auto'\n")
    assert "--reload and workers in finch.toml are both given" in complaint(capsys)


def test_a_folder_that_is_not_there_is_said(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert "/nowhere to watch; see --reload-dir" in complaint(capsys, "--reload-dir", "nowhere")


def test_without_watchfiles_the_extra_is_named(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert complaint(capsys) == (
        "finch: --reload needs watchfiles: pip install 'finch-trio[reload]'\n"
    )


async def test_folders_that_cannot_be_watched_end_it(monkeypatch):
    async def changes(over):
        raise ConfigurationError("the folders cannot be watched: too many")
        yield

    class NoSockets:
        def open(self):
            return []

        def close(self):
            pass

    said = []
    command = [sys.executable, "-c", "import time; time.sleep(60)", "{place}"]
    reloader = Reloader(command, NoSockets(), changes, ready=said.append, failed=said.append)
    assert await reloader.run() == 1
    assert said == ["finch: the folders cannot be watched: too many"]
