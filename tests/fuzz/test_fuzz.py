"""A short run of every target, the same each time; and every input that has failed once."""

import subprocess
import sys
from random import Random

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

import finch.net.proxies
import finch.sockets.dispatch
import finch.wire.handshake
from finch.sockets.members import Groups
from finch.wire.http import HTTPConnection
from finch.wire.masking import mask
from tests.fuzz import __main__ as command
from tests.fuzz import inputs, targets
from tests.fuzz.targets import TARGETS, Target, failure, regressions

# A whole connection takes milliseconds, a handshake a few hundredths of one.
BY_CHANCE = {
    "head": 400,
    "connection": 200,
    "websocket": 200,
    "handshake": 4000,
    "envelope": 200,
    "proxy_header": 200,
    "forwarded": 3000,
    "rooms": 20,
    "against_llhttp": 1500,
    "against_websockets": 800,
}
BY_HYPOTHESIS = 25

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def check(target: Target, data: bytes) -> None:
    error = failure(target, data)
    if error is not None:
        raise AssertionError(f"{target.name} fails for {data!r}") from error


def look_by_chance(target: Target) -> None:
    random = Random(target.name)
    for _ in range(BY_CHANCE[target.name]):
        check(target, target.an_input(random))


@every_target
def test_any_input_is_accepted_or_a_protocol_error(target):
    look_by_chance(target)


@every_target
def test_hypothesis_finds_nothing_else(target):
    @settings(
        max_examples=BY_HYPOTHESIS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def look(random):
        check(target, target.an_input(random))

    look()


@pytest.mark.parametrize(
    ("target", "path"), regressions(), ids=lambda value: getattr(value, "stem", None)
)
def test_what_failed_once_does_not_fail_again(target, path):
    check(target, path.read_bytes())


# Whether they would notice


def raises_for_expect(monkeypatch):
    read_head = HTTPConnection.read_head

    def read(self):
        head = read_head(self)
        if head is not None and (b"expect", b"100-continue") in head.headers:
            raise KeyError("expect")
        return head

    monkeypatch.setattr(HTTPConnection, "read_head", read)


def forgets_the_last_chunk(monkeypatch):
    monkeypatch.setattr(HTTPConnection, "send_end", lambda self: b"")


def misreads_bodies(monkeypatch):
    read_body = HTTPConnection.read_body
    monkeypatch.setattr(
        HTTPConnection, "read_body", lambda self: (read_body(self) or b"").upper() or None
    )


def unmasks_wrongly(monkeypatch):
    unmask = mask.unmask
    monkeypatch.setattr(mask, "unmask", lambda payload, key: unmask(payload, key).lower())


def digests_wrongly(monkeypatch):
    monkeypatch.setattr(finch.wire.handshake, "_GUID", b"258EAFA5-E914-47DA-95CA-C5AB0DC85B12")


def chokes_on_deep_messages(monkeypatch):
    read_message = finch.sockets.dispatch.read_message

    def read(payload):
        if "[" * 10 in payload:
            raise RecursionError
        return read_message(payload)

    monkeypatch.setattr(finch.sockets.dispatch, "read_message", read)


def reads_too_little(monkeypatch):
    parse = finch.net.proxies.parse_proxy_header

    def read(data):
        header = parse(data)
        return header and header._replace(size=header.size - 1)

    monkeypatch.setattr(finch.net.proxies, "parse_proxy_header", read)


def forgets_who_has_left(monkeypatch):
    monkeypatch.setattr(Groups, "remove", lambda self, group, key: False)


def begins_with_the_client(monkeypatch):
    monkeypatch.setattr(finch.net.proxies, "reversed", list, raising=False)


FAULTS = {
    "head": raises_for_expect,
    "connection": forgets_the_last_chunk,
    "websocket": unmasks_wrongly,
    "handshake": digests_wrongly,
    "envelope": chokes_on_deep_messages,
    "proxy_header": reads_too_little,
    "forwarded": begins_with_the_client,
    "rooms": forgets_who_has_left,
    "against_llhttp": misreads_bodies,
    "against_websockets": unmasks_wrongly,
}


@every_target
def test_a_fault_is_noticed(target, monkeypatch):
    FAULTS[target.name](monkeypatch)
    with pytest.raises(AssertionError, match=f"{target.name} fails for"):
        look_by_chance(target)


def test_an_input_that_takes_for_ever_is_noticed(monkeypatch):
    def never_ends(data):
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue

    monkeypatch.setattr(targets, "PATIENCE", 0.1)
    error = failure(Target("slow", never_ends, inputs.request), b"")
    assert isinstance(error, targets.Hang)


# The command


def test_the_command_keeps_what_it_finds_and_shows_it_again(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(targets, "FINDINGS", tmp_path)
    with monkeypatch.context() as broken:
        raises_for_expect(broken)
        assert command.main(["head", "--unguided", "--seed=1", "--seconds=10"]) == 1
        [found] = tmp_path.glob("head/*.bin")
        assert f"python -m tests.fuzz --replay {found}" in capsys.readouterr().out
        data = found.read_bytes()
        assert b"100-continue" in data
        assert len(data) < 80  # and hardly more than that
        assert command.main(["--replay", str(found)]) == 1
        assert "KeyError: 'expect'" in capsys.readouterr().out
    assert command.main(["--replay", str(found)]) == 0


def test_the_command_says_when_there_is_nothing(capsys):
    assert command.main(["against_llhttp", "--unguided", "--seed=1", "--seconds=0.2"]) == 0
    assert "nothing found" in capsys.readouterr().out


def test_the_command_runs_with_atheris_or_without():
    done = subprocess.run(
        [sys.executable, *"-m tests.fuzz handshake --seed 1 --seconds 1".split()],
        cwd=targets.FOLDER.parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing found" in done.stdout


def test_an_unknown_target_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["heads"])
    assert "there is no target 'heads'; there are head, connection" in capsys.readouterr().err
