"""Inherited sockets: which descriptors are taken, which are refused, and whose the file is."""

import os
import socket
import tempfile

import pytest

from finch import ConfigurationError
from finch.listeners import close_listeners, open_listeners, url_of


def inherit(sock):
    """The listener that is made of a socket's descriptor, as if another process had opened it."""
    number = os.dup(sock.fileno())
    os.set_inheritable(number, True)  # or it would not have come
    [listener] = open_listeners(fd=number)
    return listener


@pytest.mark.parametrize("name", ["127.0.0.1", "::1"])
def test_a_tcp_listener_is_taken_as_it_is(name):
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    with socket.create_server((name, 0), family=family) as made:
        listener = inherit(made)
        assert url_of(listener, False) == url_of(made, False)
        assert not listener.get_inheritable()
        with socket.create_connection(made.getsockname()[:2]):
            connection, _ = listener.accept()
            connection.close()
        close_listeners([listener])
        assert listener.fileno() == -1
        socket.create_connection(made.getsockname()[:2]).close()  # it is not ours to shut


def test_a_unix_sockets_file_is_not_ours(tmp_path):
    path = str(tmp_path / "systemd.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        made.listen()
        listener = inherit(made)
        assert url_of(listener, False) == f"unix:{path}"
        close_listeners([listener])
    assert os.path.exists(path)


def test_an_abstract_unix_socket_has_a_name_to_print():
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"\0finch-{os.getpid()}")
        made.listen()
        listener = inherit(made)
        assert url_of(listener, False) == f"unix:@finch-{os.getpid()}"
        close_listeners([listener])


def bound(kind, family=socket.AF_INET):
    sock = socket.socket(family, kind)
    sock.bind(("127.0.0.1", 0))
    return sock


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (tempfile.TemporaryFile, "is no socket"),
        (lambda: bound(socket.SOCK_DGRAM), "is no stream socket"),
        (lambda: bound(socket.SOCK_STREAM), "is a socket that does not listen"),
        (lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "is neither a TCP nor a unix"),
    ],
    ids=["file", "UDP", "bound", "netlink"],
)
def test_any_other_descriptor_is_refused_and_left_open(make, why):
    with make() as thing:
        number = thing.fileno()
        with pytest.raises(ConfigurationError) as mistake:
            open_listeners(fd=number)
        assert f"descriptor {number} {why}" in str(mistake.value)
        assert "3 for the first of systemd's" in str(mistake.value)
        os.fstat(number)


@pytest.mark.parametrize(("number", "why"), [(10_000, "is not open"), (-1, "is no socket")])
def test_what_is_no_descriptor_is_refused(number, why):
    with pytest.raises(ConfigurationError, match=f"descriptor {number} {why}"):
        open_listeners(fd=number)
