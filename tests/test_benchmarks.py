"""The benchmarks measure what they say: each on its core, against a server that answers."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from benchmarks import (
    cluster,
    compare,
    dialects,
    fanout,
    floods,
    herd,
    load,
    peers,
    process,
    report,
    rounds,
    workloads,
)
from benchmarks.crowd import Crowd
from benchmarks.dialects import Kind
from benchmarks.frames import client_frame
from tests.conftest import need


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_server_gets_its_own_core_though_the_load_is_bound_to_another():
    server, load = process.cores()
    code = (
        "import os; from benchmarks.process import pin\n"
        f"pin({load}); pin({server}); print(os.sched_getaffinity(0))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str({server})


def test_compare_writes_figures_table_and_chart(tmp_path):
    code = f"from benchmarks.compare import main; main({_arguments(tmp_path)!r})"
    # in a process of its own, since it binds itself to a core
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "| raw echo, 1 conns, msg/s |" in run.stdout
    assert (tmp_path / "results.svg").read_text().startswith("<svg")
    figures = json.loads((tmp_path / "results.json").read_text())["figures"]["finch"]
    assert set(figures) == set(_SOME.split(","))
    assert [one["errors"] for rounds in figures.values() for one in rounds] == [0] * len(figures)


def test_an_unknown_workload_is_named(capsys):
    with pytest.raises(SystemExit):
        compare.main(["--only", "finch", "--workloads", "juggling"])
    assert "juggling" in capsys.readouterr().err


_SOME = (
    "raw-1,broadcast-single,handshakes,http-hello,room-64x16,join,http-hello-log,json-body,"
    "static-10k,sse-1000"
)


def _arguments(folder):
    return [
        *("--only", "finch", "--workloads", _SOME),
        *("--rounds", "1", "--seconds", "0.2", "--out", str(folder)),
    ]


def test_a_request_that_is_missing_in_the_log_is_an_error(tmp_path, monkeypatch):
    [peer] = peers.named("finch")
    server = peers.Server(peer, os.getpid(), 8400, log=tmp_path / "log")
    server.log.write_text('"GET / HTTP/1.1" 200\n' * 7)
    monkeypatch.setattr(workloads, "http", lambda *arguments: {"value": 5.0, "errors": 0.0})
    assert workloads.http_logged("/", b"hello", server, 2.0)["errors"] == 3


def test_one_broadcast_at_a_time_waits_until_all_clients_have_the_last():
    sent = []

    class FakeCrowd:
        ready = tuple(SimpleNamespace(group=group) for group in (1, 0, 1))
        dialect = SimpleNamespace(message=b"say it")

        def send(self, client, message):
            sent.append((client.group, message))

        def turn(self, timeout):
            for client in self.ready:
                assert len(sent) == 1
                self.on_answer(client, True)

    # no seconds: one turn, in which all get one message
    measured = load.broadcast(FakeCrowd(), load.Bounds(0, warm_up=0), outstanding=1)
    assert measured.messages == 3
    assert sent == [(0, b"say it")] * 2


def test_a_load_that_had_no_core_to_spare_is_named():
    [finch] = peers.named("finch")
    [raw, echo] = workloads.named("raw-1,json-1")
    results = rounds.Results([finch], [raw, echo])
    results.figures["finch", "raw-1"] = [{"value": 9.0, "load_share": 0.93}]
    results.figures["finch", "json-1"] = [{"value": 7.0, "load_share": 0.4}]
    table = report.markdown(results, 1, 1)
    assert "raw echo, 1 conns, msg/s, Finch: 93 %" in table
    assert "JSON echo, 1 conns, msg/s, Finch" not in table


def test_a_client_of_events_knows_the_streams_head_an_event_and_a_comment():
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    said = _conversation(
        dialects.events("localhost", "/events", b"news"),
        head,
        b"c\r\ndata: news\n\n\r\n",
        b"3\r\n:\n\n\r\n",
        b"0\r\n\r\n",
    )
    assert said == [
        (Kind.STEP, b"", ""),
        (Kind.ANSWER, b"", ""),
        (Kind.CONTROL, b"", ""),
        (Kind.END, b"", "the stream has ended"),
    ]


def test_a_response_that_streams_no_events_is_an_error():
    dialect = dialects.events("localhost", "/events", b"news")
    piece = dialect.next_piece(bytearray(b"HTTP/1.1 404 Not Found\r\n\r\n"), 0)
    assert piece.kind is Kind.END
    assert piece.problem == "no http/1.1 200 in the response"


def test_a_client_of_socketio_connects_then_joins_then_hears_its_room():
    dialect = dialects.socketio_in_room("localhost", "lounge/7", size=4)
    said = _conversation(
        dialect,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        _server_frame('0{"sid":"x","pingInterval":25000}'),
        _server_frame('40{"sid":"y"}'),
        _server_frame('431["lounge/7"]'),
        _server_frame("2"),
        _server_frame('42["say",{"data":"abcd","room":"lounge/7"}]'),
        _server_frame('42["say",{"data":"wxyz","room":"lounge/7"}]'),
    )
    assert said == [
        (Kind.STEP, b"", ""),
        (Kind.STEP, client_frame(b"40"), ""),
        (Kind.STEP, client_frame(b'421["join","lounge/7"]'), ""),
        (Kind.STEP, b"", ""),
        (Kind.CONTROL, client_frame(b"3"), ""),
        (Kind.ANSWER, b"", ""),
        (Kind.WRONG, b"", "an answer without the data that was sent"),
    ]


def test_a_client_of_finch_joins_as_soon_as_it_is_connected():
    dialect = dialects.envelope_in_room("localhost", "/ws", "lounge/7", size=4)
    said = _conversation(
        dialect,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        _server_frame('{"path":"finch.join","reply":1,"room":"lounge/7"}'),
        _server_frame('{"path":"say","data":"abcd","room":"lounge/7"}'),
    )
    join = client_frame(b'{"path":"finch.join","id":1,"room":"lounge/7"}')
    assert said == [(Kind.STEP, join, ""), (Kind.STEP, b"", ""), (Kind.ANSWER, b"", "")]


def test_an_answer_is_known_by_its_reply_whatever_its_data():
    dialect = dialects.call("localhost", "/ws", "sum", size=4)
    said = _conversation(
        dialect,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        _server_frame('{"path":"tick","status":200,"data":1}'),
        _server_frame('{"path":"sum","status":200,"data":1,"reply":1,"more":true}'),
        _server_frame('{"path":"sum","status":200,"data":null,"reply":1}'),
        _server_frame('{"path":"error","status":404,"reply":1}'),
    )
    assert [kind for kind, _, _ in said] == [
        Kind.STEP,
        Kind.CONTROL,
        Kind.CONTROL,
        Kind.ANSWER,
        Kind.WRONG,
    ]
    assert b'"id":1' in _unmasked(dialect.message)


def _unmasked(frame):
    key, payload = frame[2:6], frame[6:]
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


@pytest.mark.parametrize(
    ("dialect", "refusal"),
    [
        (
            dialects.envelope_in_room("localhost", "/ws", "lounge/7"),
            '{"path":"error","data":{"message":"no room \'lounge/7\'"},"reply":1}',
        ),
        (dialects.socketio_in_room("localhost", "lounge/7"), '431["full"]'),
    ],
    ids=["finch", "socketio"],
)
def test_a_client_that_does_not_get_into_its_room_is_an_error(dialect, refusal):
    piece = dialect.next_piece(bytearray(_server_frame(refusal)), dialect.steps - 1)
    assert piece.problem == "another greeting than expected"


@pytest.mark.parametrize("name", ["finch", "socketio", "node-socketio"])
def test_each_client_who_joins_and_leaves_names_the_room_of_its_group(name):
    [peer] = peers.named(name)
    server = peers.Server(peer, os.getpid(), 8400)
    for number, dialect in enumerate(server.joins(3)):
        room = f"lounge/000{number}"
        if name == "finch":
            join = f'{{"path":"finch.join","id":1,"room":"{room}"}}'
            leave = f'{{"path":"finch.leave","id":1,"room":"{room}"}}'
        else:
            join, leave = f'421["join","{room}"]', f'421["leave","{room}"]'
        assert dialect.message == client_frame(join.encode())
        assert dialect.undo == client_frame(leave.encode())


@pytest.mark.parametrize("answers", [0, 1, 2])
def test_a_server_that_closes_is_an_error_and_no_answer(answers):
    dialect = dialects.raw_echo("localhost", "/raw", size=4)
    right = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        crowd = Crowd(listener.getsockname(), [dialect], 1)
        crowd.on_answer = lambda client, correct: right.append(correct)
        crowd.connect(timeout=0)  # begins
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(4096).startswith(b"GET /raw")
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            crowd.connect(timeout=5)
            for number in range(answers):
                connection.sendall(_server_frame("abcd" * (number + 1)))
                crowd.turn(5)
            assert right == [True] * answers
            assert not crowd.errors - Counter({"not connected in time": 1})
        crowd.turn(5)
    crowd.close()
    assert right == [True] * answers
    assert crowd.errors["closed by the server"] == 1


def _server_frame(text):
    return bytes((0x81, len(text))) + text.encode()


def _conversation(dialect, *received):
    """What a client makes of each thing that it receives: kind, reply, problem."""
    said, step = [], 0
    for data in received:
        piece = dialect.next_piece(bytearray(data), step)
        assert piece.size == len(data)
        step += piece.kind is Kind.STEP
        said.append((piece.kind, piece.reply, piece.problem))
    assert step == dialect.steps
    return said


def test_floods_print_what_the_others_notice():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.floods", "--seconds", "0.1", "--only", "pings"],
        capture_output=True,
        text=True,
        check=False,  # how late they are is the machine's business
    )
    rows = [line.split("|")[1].strip() for line in run.stderr.splitlines() if line.startswith("|")]
    assert rows == ["ms", "---", "at rest", "pings"], run.stderr


def test_an_unknown_flood_is_named(capsys):
    assert floods.main(["--only", "honey"]) == 2
    assert "honey" in capsys.readouterr().err


def test_the_herd_prints_when_its_clients_were_back(capsys, monkeypatch):
    monkeypatch.setattr("finch.client.keeper.random", lambda: 0.05)
    assert herd.main(["--clients", "5", "--down", "0"]) == 0
    assert "5 of 5 are back; at most" in capsys.readouterr().out


@pytest.mark.parametrize("name", [one.name for one in cluster.WITH_REDIS if not one.missing()])
def test_processes_that_redis_joins_are_measured(name, tmp_path):
    need("redis-server", "apt-get install redis-server")
    arguments = [
        *("--only", name, "--processes", "2", "--rooms", "2x3"),
        *("--rounds", "1", "--seconds", "0.2", "--out", tmp_path),
    ]
    command = [sys.executable, "-m", "benchmarks.cluster", *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "| 2 processes, 2 rooms of 3, deliveries/s |" in run.stdout, run.stderr
    figures = json.loads((tmp_path / "cluster.json").read_text())["figures"][name]
    [measured] = figures["2x3/2"]
    assert measured["value"] > 0
    assert measured["errors"] == 0
    assert measured["p99_us"] >= measured["p50_us"] > 0


def test_a_message_that_does_not_reach_all_members_is_counted():
    """The senders' messages reach only the members of their own process."""
    dialect = dialects.raw_echo("localhost", "/raw", size=4)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        crowd = Crowd(("127.0.0.1", port), [dialect], 2)
        crowd.connect(timeout=0)  # begins
        connections = [listener.accept()[0] for _ in range(2)]
        for connection in connections:
            assert connection.recv(4096).startswith(b"GET /raw")
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        crowd.connect(timeout=5)
        connections[0].sendall(_server_frame("abcd"))
        seen = fanout.Rooms(crowd, [port]).open_loop(seconds=0.01, rate=50, warm_up=0)
        assert (seen.deliveries, seen.lost) == (1, 1)
        for connection in connections:
            connection.close()
    crowd.close()
