"""Where a server is reached: its sockets, their addresses as URLs, and the TLS settings.

A server opens its sockets before its application starts, and listens when the application has
started. In between, an address that is in use has been reported, and whoever connects is refused:
a health check sees that the server is not ready.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from typing import Any, Final

from finch.errors import ConfigurationError

_BACKLOG: Final = 2048  # connections the kernel keeps for us; it cuts it to its own maximum


def open_listeners(
    host: str = "127.0.0.1", port: int = 8080, *, unix: str | None = None, fd: int | None = None
) -> list[socket.socket]:
    """Sockets that have an address. They refuse connections until :func:`start_listening`.

    Parameters:
        host: a name or address; every address of a name is listened on.
        port: 0 for any free one.
        unix: the path of a unix socket, instead of host and port. A socket file that nobody
            listens on any more is replaced.
        fd: the descriptor of a socket that listens already, instead of all of these: this process
            inherited it, from systemd for instance. Connections wait in it from the beginning.

    Raises:
        OSError: where the address cannot be had.
        ConfigurationError: where the descriptor is none that connections can be accepted from.
    """
    if fd is not None:
        if unix is not None:
            raise ConfigurationError("a unix socket's path and a descriptor; give one of them")
        return [_inherit(fd)]
    if unix is not None:
        return [_open_unix(unix)]
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, address in dict.fromkeys(found):
            taken = listeners[0].getsockname()[1] if listeners else port
            try:
                listeners.append(_bind(family, (address[0], taken, *address[2:])))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or not listeners:
                    raise
    except BaseException:
        close_listeners(listeners)
        raise
    return listeners


def _bind(family: int, address: tuple[str | int, ...]) -> socket.socket:
    """A TCP socket with an address that no other has.

    With ``SO_REUSEADDR``, Linux lets any number of sockets have the same address until one of them
    listens. A second server would then hear only after its startup that the address is in use. So
    the first try is without it. Only if connections of an earlier server are still in TIME_WAIT is
    the option needed here.
    """
    try:
        return _bound(family, address, reuse=False)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    return _bound(family, address, reuse=True)


def _bound(family: int, address: tuple[str | int, ...], *, reuse: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


class UnixListener(socket.socket):
    """A unix socket whose file this process has made, and removes."""

    __slots__ = ("_file",)

    def bind(self, path: Any) -> None:
        """Bind it, and remember which file that made."""
        super().bind(path)
        found = os.stat(path)
        self._file = os.path.abspath(path), found.st_dev, found.st_ino

    def remove_file(self) -> None:
        """Remove the file, unless it has become somebody else's."""
        path, *which = self._file
        try:
            found = os.stat(path)
            if [found.st_dev, found.st_ino] == which:
                os.unlink(path)
        except OSError:
            pass


def _open_unix(path: str) -> UnixListener:
    if not path or "\0" in path:
        raise ConfigurationError(f"unix is the path of a socket file, not {path!r}")
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            _remove_stale(path)
    except FileNotFoundError:
        pass
    listener = UnixListener(socket.AF_UNIX)
    try:
        listener.bind(path)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    """Remove the file of a socket that is no more.

    A stream socket that is not listening yet refuses connections as well. What tells the two apart
    is the answer to a socket of the wrong type: EPROTOTYPE if there is a socket.

    Raises:
        OSError: EADDRINUSE if the socket belongs to a process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left behind by a server that is no more
            return
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def start_listening(listeners: Sequence[socket.socket]) -> None:
    """Have the kernel take connections in. A socket that listens already stays as it is.

    Raises:
        ConfigurationError: if another process has begun to listen on an address meanwhile.
    """
    for listener in listeners:
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            continue
        try:
            if listener.family != socket.AF_UNIX:
                # handed on to its connections: they do not keep the next server from the address
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise cannot_listen(url_of(listener, False).removeprefix("http://"), error) from error


def cannot_listen(where: str, error: OSError | ValueError) -> ConfigurationError:
    """What to say of an address that cannot be had."""
    number = getattr(error, "errno", None)
    why = os.strerror(number) if number and number > 0 else str(error)
    return ConfigurationError(f"cannot listen on {where}: {why}")


def _inherit(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except (OSError, ValueError, OverflowError) as error:
        closed = isinstance(error, OverflowError) or getattr(error, "errno", None) == errno.EBADF
        why = "is not open" if closed else "is no socket"
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
    """Stop listening. The file of a unix socket is removed, unless another process has made it."""
    for listener in listeners:
        if listener.fileno() < 0:
            continue
        if isinstance(listener, UnixListener):
            listener.remove_file()  # now: as long as it is open, no other file gets its number
        listener.close()


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL that a listener is reached at."""
    if listener.family == socket.AF_UNIX:
        path = listener.getsockname()
        # an abstract one, which has no file, as systemd writes it
        return f"unix:{path}" if isinstance(path, str) else f"unix:@{os.fsdecode(path[1:])}"
    address, port = listener.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    return f"{'https' if tls else 'http'}://{name}:{port}"
