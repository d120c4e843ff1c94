"""Several workers, in real processes: who replaces whom, and what their clients notice."""

import contextlib
import http.client
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.processes import Process, finch, run_finch

APP = """
import os
from finch import FinchApp
app = FinchApp(health=True)

@app.get("/")
async def index(request):
    return f"{app.worker} {os.getpid()} old"

@app.websocket("/raw")
async def raw(ws):
    await ws.send(str(os.getpid()))
    async for message in ws:
        await ws.send(message)
"""

TICKING = """
import os, trio
from finch import FinchApp
app = FinchApp()

@app.get("/")
async def index(request):
    return f"{app.worker} {os.getpid()} {app.leader.leads}"

@app.background_task(once=True)
async def alone():
    print(f"leads {app.worker} {os.getpid()}", flush=True)
    try:
        await trio.sleep_forever()
    finally:
        print(f"led {app.worker}", flush=True)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@contextlib.contextmanager
def workers(folder, *arguments, name="app", count=2, **options):
    words = (name, "--port", 0, "--workers", count, *arguments)
    with finch(*words, cwd=folder, **options) as process:
        # instead of waiting forever for a word that it never says
        watch = threading.Timer(60, process.popen.kill)
        watch.start()
        try:
            yield process
        finally:
            watch.cancel()


def wait_for_all(process, *beginnings):
    """The first line with each of these in it, in whatever order they come."""
    found = {}
    for line in process.popen.stdout:
        for one in beginnings:
            if one in line:
                found.setdefault(one, line)
        if len(found) == len(beginnings):
            return [found[one] for one in beginnings]
    raise AssertionError(f"it only said {found}")


def port_of(process):
    return httpx.URL(process.url).port


def ask(process):
    """Who answers a new connection: worker, process, and which code it runs."""
    worker, pid, code = httpx.get(process.url, timeout=10).text.split()
    return int(worker), int(pid), code


def crew(process, count=2):
    """The processes of all workers, as their answers say."""
    found = {}
    for _ in range(200):  # each answers half of them
        worker, pid, _ = ask(process)
        found[worker] = pid
        if len(found) == count:
            return found
    raise AssertionError(f"only {found} answer")


def leader_of(process):
    """The worker that says that it leads, and its process."""
    for _ in range(200):
        worker, pid, leads = ask(process)
        if leads == "True":
            return worker, pid
    raise AssertionError("nobody leads")


@contextlib.contextmanager
def raw_sockets(process, count=2):
    """An open socket for each worker, by its process."""
    found = {}
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            ws = stack.enter_context(websockets.sync.client.connect(f"{process.ws}/raw"))
            found.setdefault(int(ws.recv(timeout=10)), ws)
        yield found


def echoes(ws):
    ws.send("still here")
    return ws.recv(timeout=10) == "still here"


def wait_for_the_end_of(pids):
    """Until the processes, which are no children of this one, have ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            number = os.pidfd_open(pid)
            assert select.select([number], [], [], 20)[0], f"{pid} is left over"
            os.close(number)


class Load:
    """Clients that do not repeat anything, and what failed for them."""

    def __init__(self, process):
        self.failures = []
        self.done = 0
        self._process = process
        self._port = port_of(process)
        self._over = threading.Event()
        kinds = (self._ask_anew, self._ask_again, self._echo)
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds * 2]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised):
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, kind):
        try:
            while not self._over.is_set():
                kind()
        except Exception as error:
            self.failures.append((kind.__name__, error))

    def _connection(self):
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)

    def _get(self, connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        self.done += 1
        self._over.wait(0.001)  # let the others have the processor too

    def _ask_anew(self):
        with contextlib.closing(self._connection()) as connection:
            self._get(connection)

    def _ask_again(self):
        """On one connection, until the server says that it will close it."""
        with contextlib.closing(self._connection()) as connection:
            self._get(connection)
            while connection.sock is not None and not self._over.is_set():
                self._get(connection)

    def _echo(self):
        try:
            with websockets.sync.client.connect(f"{self._process.ws}/raw") as ws:
                ws.recv(timeout=20)
                while not self._over.is_set():
                    assert echoes(ws)
                    self._over.wait(0.001)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != 1012:
                raise


def test_all_serve_and_one_banner_says_so(folder):
    with workers(folder) as process:
        lines = process.banner.splitlines()
        assert [line for line in lines if line.startswith("Finch serves")] == [
            f"Finch serves {process.url}"
        ]
        assert "  workers  2" in lines
        pids = crew(process)
        assert process.popen.pid not in pids.values()
        process.signal()
        code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)
    for number in pids:
        assert f"INFO [{number}] finch.access: 127.0.0.1:" in out
    wait_for_the_end_of(pids.values())


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(folder):
    with workers(folder, "--no-access-log") as process:
        before = crew(process)
        victim = before[2]
        with raw_sockets(process) as sockets:
            with Load(process) as load:
                os.kill(victim, signal.SIGKILL)
                assert "killed by SIGKILL" in process.wait_for(f"worker 2 (pid {victim})")
                process.wait_for("worker 2 (pid")
            # what the victim had accepted is lost; nothing else is
            lost = (OSError, http.client.HTTPException, WebSocketException)
            assert [error for _, error in load.failures if not isinstance(error, lost)] == []
            with pytest.raises(ConnectionClosed):
                sockets[victim].recv(timeout=10)
            assert echoes(sockets[before[1]])
        after = crew(process)
        assert after[1] == before[1]
        assert after[2] != victim


def test_connections_wait_for_the_successor_of_a_dead_worker(folder):
    with workers(folder, count=1) as process:
        _, victim, _ = ask(process)
        os.kill(victim, signal.SIGSTOP)  # so that it accepts nothing any more
        with socket.create_connection(("127.0.0.1", port_of(process)), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            os.kill(victim, signal.SIGKILL)
            assert b"200 OK" in client.recv(1000)


def test_a_rolling_restart_loads_new_code_and_no_request_fails(folder):
    with workers(folder, "--no-access-log") as process:
        before = crew(process)
        (folder / "app.py").write_text(APP.replace(" old", " new"))
        with Load(process) as load:
            while load.done < 50:
                load._over.wait(0.01)
            process.signal(signal.SIGHUP)
            process.wait_for("the workers are replaced")
            process.wait_for("the workers are replaced")  # first it says that it begins
            wait_for_the_end_of(before.values())
            done = load.done
            while load.done < done + 50:
                load._over.wait(0.01)
        assert load.failures == []
        after = crew(process)
        assert set(after.values()).isdisjoint(before.values())
        assert ask(process)[2] == "new"
        process.signal()
        assert process.wait()[0] == 0


def test_new_code_that_cannot_start_replaces_nobody(folder):
    with workers(folder, "--no-access-log") as process:
        before = crew(process)
        (folder / "app.py").write_text("1 / 0\n")
        process.signal(signal.SIGHUP)
        assert "ZeroDivisionError" in process.wait_for("worker 1 (pid")
        process.wait_for("the other workers are not replaced")
        assert crew(process) == before
        (folder / "app.py").write_text(APP)
        process.signal(signal.SIGHUP)
        process.wait_for("INFO finch.workers: the workers are replaced")
        assert set(crew(process).values()).isdisjoint(before.values())


def test_one_is_added_and_one_removed_but_never_the_last(folder):
    with workers(folder, "--no-access-log") as process:
        process.signal(signal.SIGTTIN)
        process.wait_for("worker 3 (pid")
        pids = crew(process, 3)
        for number in (3, 2):
            process.signal(signal.SIGTTOU)
            process.wait_for(f"worker {number} (pid {pids[number]}) ended with exit code 0")
        process.signal(signal.SIGTTOU)
        process.wait_for("the last worker stays")
        process.signal(signal.SIGTTIN)
        process.wait_for("worker 2 (pid")
        assert crew(process)[1] == pids[1]
        process.signal()
        assert process.wait()[0] == 0


def test_without_their_supervisor_workers_end_gracefully(folder):
    with workers(folder) as process:
        pids = crew(process)
        with raw_sockets(process) as sockets:
            process.signal(signal.SIGKILL)
            for ws in sockets.values():
                with pytest.raises(ConnectionClosed) as closed:
                    ws.recv(timeout=10)
                assert closed.value.rcvd.code == 1001
        assert "the supervisor is gone" in process.wait()[1]
        wait_for_the_end_of(pids.values())


SLOW = """
import trio
from finch import FinchApp, Limits
app = FinchApp(limits=Limits(shutdown_timeout=60, leave_grace=0.1))

@app.get("/")
async def index(request):
    print("the request is here", flush=True)
    await trio.sleep(float(request.query["seconds"]))
    return "done"

@app.get("/quick")
async def quick(request):
    return "done"
"""


@contextlib.contextmanager
def slow_request(process, seconds):
    with socket.create_connection(("127.0.0.1", port_of(process)), timeout=20) as client:
        client.sendall(b"GET /?seconds=%g HTTP/1.1\r\nHost: a\r\n\r\n" % seconds)
        process.wait_for("the request is here")
        yield client


def test_ctrl_c_reaches_all_processes_and_counts_once(folder):
    (folder / "slow.py").write_text(SLOW)
    with workers(folder, name="slow", process_group=0) as process:
        with slow_request(process, 0.5) as client:
            os.killpg(process.popen.pid, signal.SIGINT)
            process.wait_for("SIGINT: the workers end")
            answer = b""
            while piece := client.recv(1000):
                answer += piece
            assert answer.endswith(b"done")
        code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)


def test_a_sigterm_for_all_processes_counts_once_and_a_second_ends_them_at_once(folder):
    (folder / "slow.py").write_text(SLOW)
    with workers(folder, name="slow", process_group=0) as process:
        with slow_request(process, 60) as client:
            os.killpg(process.popen.pid, signal.SIGTERM)  # as systemd does
            process.wait_for("SIGTERM: the workers end")
            process.wait_for("ended with exit code 0")  # the other worker
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(20)
            process.signal()
            assert client.recv(1) == b""
        assert process.wait()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_all_processes_while_they_import_the_application_ends_them(folder, number):
    (folder / "slow.py").write_text("import time\nprint('imports', flush=True)\ntime.sleep(60)\n")
    with workers(folder, name="slow", process_group=0, says="imports") as process:
        process.wait_for("imports")
        os.killpg(process.popen.pid, number)
        code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)


def test_the_end_of_its_terminal_is_the_end_of_all(folder):
    code = (
        "import os, sys\nfrom finch.cli import main\n"
        "os.close(os.open(os.ttyname(0), os.O_RDWR))\n"  # so it becomes that of this session
        "sys.exit(main(['app', '--port', '0', '--workers', '2']))\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    ) as popen:
        os.close(theirs)
        assert "Stop it" in Process(popen, "").wait_for("Stop it")
        os.close(ours)
        code, out = Process(popen, "").wait()
    assert code == 0
    assert "SIGHUP: the workers end" in out


def test_a_worker_that_hangs_is_killed(folder):
    (folder / "hangs.py").write_text(
        "import time\nfrom finch import FinchApp, Limits\n"
        "app = FinchApp(limits=Limits(shutdown_timeout=0.1))\n"
        "@app.get('/')\nasync def index(request):\n    print('the request is here', flush=True)\n"
        "    time.sleep(60)\n"
    )
    code = (
        "import sys, finch.cluster.worker as worker\nworker._MORE = 0.1\n"
        "from finch.cli import main\n"
        "sys.exit(main(['hangs', '--port', '0', '--workers', '1']))\n"
    )
    with finch(cwd=folder, program=["-c", code]) as process:
        with slow_request(process, 0):
            process.signal()
            process.wait_for("does not end, and is killed")
            process.wait_for("was killed by SIGKILL")
        assert process.wait()[0] == 0


def test_what_runs_once_moves_to_another_worker(folder):
    (folder / "ticking.py").write_text(TICKING)
    with workers(folder, name="ticking") as process:
        number, pid = leader_of(process)
        os.kill(pid, signal.SIGKILL)
        killed = f"worker {number} (pid {pid}) was killed"
        successor = 3 - number
        wait_for_all(process, f"leads {successor}", killed)
        assert leader_of(process)[0] == successor
        crew(process)  # until the place of the first is filled again
        process.signal(signal.SIGHUP)
        replaced = "INFO finch.workers: the workers are replaced"
        _, leads, _ = wait_for_all(process, f"led {successor}", "leads", replaced)
        assert leads.startswith("leads 1")  # the first of all
        process.signal()
        code, out = process.wait()
        assert (code, out.count("leads")) == (0, 0)


def test_a_unix_socket_is_shared_and_removed_at_the_end(folder):
    path = folder / "s"
    with finch("app", "--unix", path, "--workers", 2, cwd=folder) as process:
        found = set()
        while len(found) < 2:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                found.add(client.get("http://here/").text)
        process.signal()
        assert process.wait()[0] == 0
    assert not path.exists()


def test_an_inherited_socket_is_shared(folder):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with finch("app", "--fd", 3, "--workers", 2, cwd=folder, fd3=listener) as process:
            crew(process)
            process.signal(signal.SIGHUP)
            process.wait_for("INFO finch.workers: the workers are replaced")
            crew(process)
            process.signal()
            assert process.wait()[0] == 0


def test_systemd_is_told(folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(20)
        with workers(folder, NOTIFY_SOCKET=str(folder / "notify")) as process:
            assert systemd.recv(1000) == b"READY=1"
            process.signal(signal.SIGHUP)
            assert systemd.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert systemd.recv(1000) == b"READY=1"
            process.signal()
            assert systemd.recv(1000) == b"STOPPING=1"
            assert process.wait()[0] == 0


# What cannot start


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("1 / 0\n", 1, "finch: module 'bad' cannot be imported: ZeroDivisionError: division by"),
        ("{startup}    raise RuntimeError('no database')\n", 1, "RuntimeError: no database"),
        ("{startup}    raise SystemExit('no database')\n", 1, "no database"),
        ("{startup}    raise SystemExit(3)\n", 3, ""),
        ("{startup}    os.kill(os.getpid(), 9)\n", 137, "was killed by SIGKILL"),
        ("{startup}app.socket('echo')(print)\n", 1, "--backplane redis://HOST, or --workers 1"),
    ],
    ids=["import", "startup", "exit", "code", "killed", "sockets"],
)
def test_a_mistake_ends_all_and_is_said_once(tmp_path, text, code, says):
    startup = (
        "import os\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.on_startup\ndef begin():\n    pass\n"
    )
    (tmp_path / "bad.py").write_text(text.format(startup=startup))
    found, out, complaint = run_finch("bad", "--port", 0, "--workers", 2, cwd=tmp_path)
    assert (found, out) == (code, "")
    # the slower of the two may say that it was told to end: whether it is slower, nobody knows
    lines = complaint.splitlines(keepends=True)
    complaint = "".join(line for line in lines if "SIGTERM came during startup" not in line)
    assert says or complaint == ""
    assert not says or complaint.count(says) == 1
    assert complaint.count("Traceback") == (says.startswith("RuntimeError"))


def test_the_gallery_has_sockets_too(folder):
    code, _, complaint = run_finch("examples", "--port", 0, "--workers", 2, cwd=folder)
    assert code == 1
    assert "--workers 1" in complaint


def test_an_address_in_use_is_said_before_any_worker_starts(folder):
    with workers(folder) as process:
        port = port_of(process)
        for arguments in ([], ["--workers", 2]):
            code, out, complaint = run_finch("app", "--port", port, *arguments, cwd=folder)
            assert (code, out) == (1, "")
            assert (
                complaint == f"finch: cannot listen on 127.0.0.1:{port}: Address already in use\n"
            )


def test_connections_are_refused_until_a_worker_has_started(folder):
    (folder / "starting.py").write_text(
        "import trio\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.on_startup\nasync def begin():\n    print('in', flush=True)\n"
        "    await trio.sleep_forever()\n"
    )
    path = folder / "s"
    with finch("starting", "--unix", path, "--workers", 2, cwd=folder, says="in") as process:
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
            client.connect(str(path))
        process.signal()
        code, out = process.wait()
    assert (code, "Traceback" in out) == (0, False)


def test_a_worker_that_dies_again_and_again_is_replaced_later_and_later(folder):
    (folder / "dies.py").write_text(
        "import os, trio\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.background_task\nasync def die():\n    await trio.sleep(0.1)\n    os._exit(7)\n"
    )
    with workers(folder, name="dies", count=1, says="ended with exit code 7") as process:
        process.wait_for("ended with exit code 7")
        assert process.wait_for("starts again").endswith("in 0.5 s\n")
        assert process.wait_for("starts again").endswith("in 1 s\n")
        process.signal()
        assert process.wait()[0] == 0


def test_one_worker_may_have_sockets_but_gets_no_second(folder):
    (folder / "sockets.py").write_text(
        "from finch import FinchApp\napp = FinchApp()\napp.socket('echo')(print)\n"
    )
    with workers(folder, name="sockets", count=1) as process:
        process.signal(signal.SIGTTIN)
        assert "--backplane" in process.wait_for("SIGTTIN adds no worker")
        process.signal()
        assert process.wait()[0] == 0
