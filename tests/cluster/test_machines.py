"""Two machines and one Redis: every verb across them, and one that is cut off from the other."""

import pytest

from tests.cluster import machines as made
from tests.cluster.server import RedisServer, wait_until
from tests.cluster.test_processes import Client, every_verb

LEASE = 1.0  # seconds


@pytest.fixture(params=["namespaces", "ports"])
def machines(request, monkeypatch):
    """Two machines. Where namespaces are not allowed, both are processes here."""
    if request.param == "ports":
        monkeypatch.setattr(made.Namespace, "make", refuse)
    with made.machines(2) as two:
        yield two


def refuse(machine, stack):
    raise PermissionError


@pytest.fixture
def redis(machines, tmp_path):
    """A Redis that both machines reach."""
    addresses = sorted({"127.0.0.1", *(machine.here for machine in machines)})
    options = ("--bind", *addresses, "--protected-mode", "no")
    with RedisServer(tmp_path, *options) as server:
        yield server


def test_every_verb_and_a_machine_that_is_cut_off(machines, redis):
    first, second = machines
    with (
        first.serves(redis.port, "machines", LEASE) as one,
        second.serves(redis.port, "machines", LEASE) as two,
    ):
        if first.host != second.host:  # else test_processes.py has told it
            every_verb(one, two)
        ann, bob = Client(one, "ann"), Client(two, "bob")
        for client in (ann, bob):
            client.ask("finch.join", room="people/a")
            client.ask("finch.join", room="chat/a")
        here = Here(ann)
        wait_until(lambda: here.sees({"ann", "bob"}), "both are present")
        second.cut()
        wait_until(lambda: here.sees({"ann"}), "of the other machine nothing is left")
        for number in range(3):  # and here all goes on
            assert ann.ask("send", {"to": ("room", "chat/a"), "data": number}) is not None
            assert ann.hears() == number
        second.mend()
        wait_until(lambda: here.sees({"ann", "bob"}), "it is back, and nobody's socket was cut")
        assert [bob.hears() for _ in range(3)] == [0, 1, 2]
        assert bob.ask("who") == bob.id
        for client in (ann, bob):
            client.leave()


class Here:
    """What one client is told of all."""

    def __init__(self, client):
        self._client = client

    def sees(self, users):
        """Whether these are present, and counted."""
        present = self._client.ask("present", "people/a")
        counted = self._client.ask("count", {"to": ("everyone", "")})
        return set(present) == users and counted == len(users)
