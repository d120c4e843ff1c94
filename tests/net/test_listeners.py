"""Listeners: when they listen, which descriptors are taken, and whose a file is."""

import contextlib
import errno
import os
import socket
import tempfile

import pytest

from finch import ConfigurationError
from finch.net.listeners import (
    Doors,
    adopt_listeners,
    close_listeners,
    open_listeners,
    start_listening,
    url_of,
)


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
        (tempfile.TemporaryFile, "is not a socket"),
        (lambda: bound(socket.SOCK_DGRAM), "is not a stream socket"),
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
        assert "3 for the first one from systemd" in str(mistake.value)
        os.fstat(number)


@pytest.mark.parametrize(("number", "why"), [(10_000, "is not open"), (-1, "is not a socket")])
def test_what_is_no_descriptor_is_refused(number, why):
    with pytest.raises(ConfigurationError, match=f"descriptor {number} {why}"):
        open_listeners(fd=number)


def kinds_of_address(folder):
    return {"IPv4": {"host": "127.0.0.1"}, "IPv6": {"host": "::1"}, "unix": {"unix": f"{folder}/s"}}


def connect(listener):
    with socket.socket(listener.family) as client:
        client.connect(listener.getsockname())


def again(listener):
    """What another server does that is told the same address."""
    name = listener.getsockname()
    options = {"unix": name} if isinstance(name, str) else {"host": name[0], "port": name[1]}
    close_listeners(open_listeners(**options))


@pytest.mark.parametrize("kind", ["IPv4", "IPv6", "unix"])
def test_an_address_is_taken_at_once_and_refuses_connections_until_it_listens(tmp_path, kind):
    [listener] = open_listeners(port=0, **kinds_of_address(tmp_path)[kind])
    for refused in (True, False):
        with pytest.raises(OSError, match="in use"):
            again(listener)
        if refused:
            with pytest.raises(ConnectionRefusedError):
                connect(listener)
            start_listening([listener])
    connect(listener)
    close_listeners([listener])


def test_an_address_with_connections_of_an_earlier_server_can_be_had_again():
    [listener] = open_listeners(port=0)
    start_listening([listener])
    address = listener.getsockname()
    with socket.create_connection(address) as client:
        accepted, _ = listener.accept()
        accepted.close()  # first, so that TIME_WAIT is on this side
        client.recv(1)
    close_listeners([listener])
    listeners = open_listeners(*address)
    assert listeners[0].getsockname() == address
    close_listeners(listeners)


def test_somebody_else_who_was_quicker_is_named():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        host, port = other.getsockname()
        listeners = open_listeners(host, port)
        other.listen()
        with pytest.raises(ConfigurationError, match=f"cannot listen on {host}:{port}: Address"):
            start_listening(listeners)
        close_listeners(listeners)


def test_a_socket_that_listens_already_keeps_its_backlog():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        start_listening([listener])
        with socket.socket() as first, socket.socket() as second:
            first.connect(listener.getsockname())
            second.setblocking(False)
            assert second.connect_ex(listener.getsockname()) == errno.EINPROGRESS


def test_the_file_of_a_unix_socket_is_removed_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listeners = open_listeners(unix="s")
    monkeypatch.chdir("/")
    close_listeners(listeners)
    assert not (tmp_path / "s").exists()


def test_a_file_that_another_server_has_made_meanwhile_is_not_removed(tmp_path):
    path = tmp_path / "s"
    listeners = open_listeners(unix=str(path))
    path.unlink()
    others = open_listeners(unix=str(path))
    close_listeners(listeners)
    assert path.exists()
    close_listeners(others)
    assert not path.exists()


@pytest.mark.parametrize("path", ["", "\0abstract", "a\0b"])
def test_a_path_that_no_file_can_have_is_refused(path):
    with pytest.raises(ConfigurationError, match="unix is the path of a socket file, not"):
        open_listeners(unix=path)


# Several processes


def accepted(listener):
    """How many connections wait here."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


@pytest.fixture
def doors():
    opened = Doors("127.0.0.1", 0, unix=None, fd=None)
    yield opened
    opened.close()


def test_each_process_has_a_socket_of_its_own_and_a_share_of_the_connections(doors):
    listeners = [doors.open()[0] for _ in range(3)]
    address = listeners[0].getsockname()
    assert [one.getsockname() for one in listeners] == [address] * 3
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(address)
    start_listening(listeners[:2])
    clients = [socket.create_connection(address) for _ in range(100)]
    counts = [accepted(one) for one in listeners[:2]]
    assert sum(counts) == 100
    assert min(counts) > 10
    for client in clients:
        client.close()
    start_listening(doors.open())  # while there are connections


@pytest.mark.parametrize("listens", [False, True])
def test_an_address_that_processes_share_is_in_use_for_everybody_else(doors, listens):
    listeners = doors.open() + doors.open()
    if listens:
        start_listening(listeners)
    address = listeners[0].getsockname()
    for other in (open_listeners, lambda *name: Doors(*name, unix=None, fd=None)):
        with pytest.raises(OSError, match="in use"):
            other(*address)


def test_the_sockets_of_a_process_that_is_not_replaced_are_closed(doors):
    first, second = doors.open(), doors.open()
    start_listening(first + second)
    doors.shut(second)
    assert second[0].fileno() == -1
    clients = [socket.create_connection(first[0].getsockname()) for _ in range(20)]
    assert accepted(first[0]) == 20
    for client in clients:
        client.close()


def test_a_unix_socket_is_one_for_all(tmp_path):
    path = tmp_path / "s"
    doors = Doors("", 0, unix=str(path), fd=None)
    first, second = doors.open(), doors.open()
    assert first == second
    doors.shut(second)
    assert first[0].fileno() != -1
    [inherited] = adopt_listeners([os.dup(first[0].fileno())])
    close_listeners([inherited])
    assert path.exists()
    doors.close()
    assert not path.exists()
