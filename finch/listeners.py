"""Where a server is reached: sockets that listen, their addresses as URLs, and the TLS settings."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from typing import Final

from finch.errors import ConfigurationError

_BACKLOG: Final = 2048  # connections the kernel keeps for us; it cuts it to its own maximum


def open_listeners(
    host: str = "127.0.0.1", port: int = 8080, *, unix: str | None = None
) -> list[socket.socket]:
    """Sockets that listen.

    Parameters:
        host: a name or address; every address of a name is listened on.
        port: 0 for any free one.
        unix: the path of a unix socket, instead of host and port. A socket file that nobody
            listens on any more is replaced.

    Raises:
        OSError: where the address cannot be had.
    """
    if unix is not None:
        return [_listen_unix(unix)]
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            taken = listeners[0].getsockname()[1] if listeners else port
            try:
                listeners.append(
                    socket.create_server(
                        (address[0], taken, *address[2:]), family=family, backlog=_BACKLOG
                    )
                )
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or not listeners:
                    raise
    except BaseException:
        close_listeners(listeners)
        raise
    return listeners


def _listen_unix(path: str) -> socket.socket:
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)  # left behind by a server that is no more
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def load_tls(certfile: str, keyfile: str | None = None) -> ssl.SSLContext:
    """The TLS settings of a server.

    Parameters:
        certfile: PEM, the certificate and those above it.
        keyfile: PEM, the key; where left out it is in ``certfile``.

    Raises:
        ConfigurationError: where they cannot be read or do not fit each other.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certfile, keyfile)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate {certfile!r} with the key {keyfile or certfile!r} cannot be used: "
            f"{error}"
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def close_listeners(listeners: Sequence[socket.socket]) -> None:
    """Stop listening; a unix socket's file is removed."""
    for listener in listeners:
        if listener.fileno() < 0:
            continue
        path = listener.getsockname() if listener.family == socket.AF_UNIX else None
        listener.close()
        if path:
            try:
                os.unlink(path)
            except OSError:
                pass


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL that a listener is reached at."""
    if listener.family == socket.AF_UNIX:
        return f"unix:{listener.getsockname()}"
    address, port = listener.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    return f"{'https' if tls else 'http'}://{name}:{port}"
