"""What the tests of the client share: each story about a server is told over both readers."""

from random import Random

import pytest

from finch.testing import TestClient
from tests.sockets.conftest import connect


@pytest.fixture(params=["task", "hub"])
def reader(request, monkeypatch):
    """What feeds the server's sockets."""
    if request.param == "hub":
        monkeypatch.setattr(TestClient, "connect", connect)
    return request.param


@pytest.fixture
def narrow(monkeypatch):
    """The server's sockets are real ones, so little fits in between."""
    monkeypatch.setattr(TestClient, "connect", connect)


@pytest.fixture(autouse=True)
def chance(monkeypatch):
    """The pauses vary, but in the same way each time."""
    monkeypatch.setattr("finch.client.keeper.random", Random(1).random)
