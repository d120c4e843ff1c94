"""Every story of this folder is told twice: over a stream, read by a task, and over the hub."""

import socket
from functools import partial

import pytest
import trio

from finch.testing import TestClient


def connect(client):
    """As ``TestClient.connect``, over a pair of sockets, which the hub reads."""
    ours, theirs = socket.socketpair()
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    server = client._server
    transport = server.transport_of(theirs)
    server.spawn(partial(server.serve, transport, client._client))
    client._streams.add(stream)
    return stream


@pytest.fixture(autouse=True, params=["task", "hub"])
def reader(request, monkeypatch):
    """What feeds the sockets."""
    if request.param == "hub":
        monkeypatch.setattr(TestClient, "connect", connect)
    return request.param
