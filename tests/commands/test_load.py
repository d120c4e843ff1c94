"""``finch load``: what it prints and draws, its exit codes, and what it refuses."""

import json
import ssl

import pytest
import trustme

from finch.cli import main
from finch.commands.load import report
from finch.loading.plan import Plan, Tally
from finch.loading.target import read_target
from tests.processes import finch

APP = """
from finch import FinchApp
app = FinchApp()

@app.socket("sum")
async def add(socket, data):
    return sum(data)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_figures_as_json_and_draws_them(folder, capsys):
    words = ["--clients", "3", "--seconds", "0.3", "--path", "sum", "--data", "[1, 2]"]
    with finch("app", "--port", 0, "--no-access-log", cwd=folder) as process:
        url = f"{process.ws}/ws"
        assert main(["load", url, *words, "--json", "--plot", "load.svg"]) == 0
        printed = capsys.readouterr()
        figures = json.loads(printed.out)
        assert figures["connected"] == 3
        assert figures["answers"] > 0
        assert set(figures["latency_us"]) == {"p50", "p90", "p99", "p99.9", "max"}
        assert figures["errors"] == {}
        assert "p99" in printed.err  # the progress
        assert (folder / "load.svg").read_text().startswith("<svg")
        assert main(["load", url, *words[:4], "--path", "nowhere", "--quiet"]) == 1
        printed = capsys.readouterr()
        assert "status 404" in printed.out
        assert printed.err == ""


def test_tls_is_checked_unless_it_is_not_to_be(folder, capsys):
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "cert.pem")
    words = ["--clients", "2", "--seconds", "0.2", "--path", "sum", "--data", "[1]", "--quiet"]
    with finch("app", "--port", 0, "--certfile", "cert.pem", cwd=folder) as process:
        url = f"{process.ws}/ws"
        assert url.startswith("wss://")
        assert main(["load", url, *words]) == 1
        assert "TLS fails: " in capsys.readouterr().err
        assert main(["load", url, *words, "--insecure"]) == 0
        assert "errors       0" in capsys.readouterr().out
    assert ssl.HAS_TLSv1_2


def test_a_report_says_what_was_counted_from_where():
    target = read_target("ws://a/")
    tally = Tally(connected=2, connecting=0.5, answers=10, seconds=2.0, busy=0.95)
    tally.note(0.0015)
    tally.errors["closed with 1001"] += 3
    text = report(Plan(target=target, clients=3, seconds=2.0, path="x", rate=5.0), tally)
    assert "clients      2 of 3 connected in 0.50 s (4/s)" in text
    assert "answers      10, 5/s" in text
    assert "p50 1.50 ms" in text
    assert "until the answer, from when it was due" in text
    assert "errors       3\n           3  closed with 1001" in text
    assert "it may be slower than the server" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "'nowhere' is no URL of a server; write a URL such as"),
        (["http://a/", "--path", "x"], "--path and --room are for sockets: write ws://"),
        (["ws://a/", "--data", "hello"], "--data 'hello' is not JSON"),
        (["ws://a/", "--rooms", "2"], "--rooms needs a --room with {n} in it"),
        (["ws://a/", "--rooms", "2", "--room", "a{n}", "--clients", "1"], "2 rooms need at least"),
        (["ws://a/", "--header", "x"], "--header 'x' is no header line; write 'Name: value'"),
        (["ws://a/", "--header", "x: a\r\nb: c"], "is no header line"),
        (["ws://a/", "--header", "a b: c"], "is no header line"),
        (["ws://127.0.0.1:1/"], "127.0.0.1:1: cannot connect: "),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(capsys, words, says):
    assert main(["load", *words, "--quiet"]) == 1
    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.startswith("finch: ")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--clients", "0"], "'0' is not a number from 1 to 1000000"),
        (["--seconds", "nan"], "'nan' is not a number above 0"),
        (["--rate", "-1"], "'-1' is not a number above 0"),
        (["--timeout", "x"], "'x' is not a number above 0"),
    ],
)
def test_a_wrong_number_is_said(capsys, words, says):
    with pytest.raises(SystemExit):
        main(["load", "ws://a/", *words])
    assert says in capsys.readouterr().err
