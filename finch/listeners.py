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
    host: str = "127.0.0.1", port: int = 8080, *, unix: str | None = None, fd: int | None = None
) -> list[socket.socket]:
    """Sockets that listen.

    Parameters:
        host: a name or address; every address of a name is listened on.
        port: 0 for any free one.
        unix: the path of a unix socket, instead of host and port. A socket file that nobody
            listens on any more is replaced.
        fd: the descriptor of a socket that listens already, instead of all of these: this process
            inherited it, from systemd for instance.

    Raises:
        OSError: where the address cannot be had.
        ConfigurationError: where the descriptor is none that connections can be accepted from.
    """
    if fd is not None:
        if unix is not None:
            raise ConfigurationError("a unix socket's path and a descriptor; give one of them")
        return [_inherit(fd)]
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


class InheritedListener(socket.socket):
    """A listener that another process made: a unix socket's file is that one's to remove."""

    __slots__ = ()


def _inherit(fd: int) -> InheritedListener:
    try:
        listener = InheritedListener(fileno=fd)
    except (OSError, ValueError) as error:
        why = "is not open" if getattr(error, "errno", None) == errno.EBADF else "is no socket"
        raise _no_listener(fd, why) from None
    try:
        if listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            raise _no_listener(fd, "is neither a TCP nor a unix socket")
        if listener.type != socket.SOCK_STREAM:
            raise _no_listener(fd, "is no stream socket")
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise _no_listener(fd, "is a socket that does not listen")
        listener.set_inheritable(False)  # not for the processes that the application starts
    except BaseException:
        listener.detach()
        raise
    return listener


def _no_listener(fd: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"descriptor {fd} {why}; give that of a stream socket that listens and that this process "
        "inherited (3 for the first of systemd's)"
    )


def start_listening(listeners: Sequence[socket.socket]) -> None:
    """Have the kernel take connections in. A socket that listens already stays as it is."""
    for listener in listeners:
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listener.listen(_BACKLOG)


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
        path = None
        if listener.family == socket.AF_UNIX and not isinstance(listener, InheritedListener):
            path = listener.getsockname()
        listener.close()
        if path:
            try:
                os.unlink(path)
            except OSError:
                pass


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL that a listener is reached at."""
    if listener.family == socket.AF_UNIX:
        path = listener.getsockname()
        # an abstract one, which has no file, as systemd writes it
        return f"unix:{path}" if isinstance(path, str) else f"unix:@{os.fsdecode(path[1:])}"
    address, port = listener.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    return f"{'https' if tls else 'http'}://{name}:{port}"
