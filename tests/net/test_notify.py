"""systemd is told how far a service is, if it wants to know."""

import socket

import pytest

from finch.net.notify import notify, reloading


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_states_are_sent_to_the_socket_that_is_named(tmp_path, monkeypatch, kind):
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name if kind == "file" else f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", name if kind == "file" else f"@{name}")
        notify("READY=1", "STATUS=serving")
        assert systemd.recv(1000) == b"READY=1\nSTATUS=serving"
        reloading()
        assert systemd.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


@pytest.mark.parametrize("name", ["", "relative", "/no/such/socket"])
def test_without_a_reader_nothing_happens(monkeypatch, name):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify("READY=1")
