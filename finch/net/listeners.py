"""The sockets that a server listens on, their URLs, and the TLS settings.

A server opens its sockets before its application starts, so an address that is in use is reported
early. It listens only after the application has started. Until then, connections are refused, so a
health check sees that the server is not ready.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
import sys
from collections.abc import Sequence
from typing import Any, Final

from finch.errors import ConfigurationError

_BACKLOG: Final = 2048  # connections that the kernel keeps for us; it has a maximum of its own


def open_listeners(
    host: str = "127.0.0.1", port: int = 8080, *, unix: str | None = None, fd: int | None = None
) -> list[socket.socket]:
    """Open sockets and bind them. They refuse connections until :func:`start_listening`.

    Parameters:
        host: a name or address. If a name has several addresses, all are used.
        port: 0 for any free port.
        unix: the path of a unix socket, instead of host and port. If the file is left over from a
            server that has ended, it is replaced.
        fd: instead of all these, the descriptor of a socket that already listens and that this
            process inherited, from systemd for example. Connections to it wait from the beginning.

    Raises:
        OSError: if a socket cannot get the address.
        ConfigurationError: if the descriptor is not a socket that accepts connections.
    """
    if fd is not None:
        if unix is not None:
            raise ConfigurationError("both unix and fd are given; give one of them")
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
    """A TCP socket with an address that no other socket has.

    With ``SO_REUSEADDR``, Linux gives any number of sockets the same address until one of them
    listens. Then a second server would learn only after its startup that the address is in use. So
    the first try is without this option. It is needed only if connections of an earlier server are
    still in TIME_WAIT.
    """
    try:
        return _bound(family, address, reuse=False)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
    return _bound(family, address, reuse=True)


def _bound(
    family: int, address: tuple[str | int, ...], *, reuse: bool, share: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


class UnixListener(socket.socket):
    """A unix socket whose file this process has created and will remove."""

    __slots__ = ("_file",)

    def bind(self, path: Any) -> None:
        """Bind it, and remember the file that was created."""
        super().bind(path)
        found = os.stat(path)
        self._file = os.path.abspath(path), found.st_dev, found.st_ino

    def remove_file(self) -> None:
        """Remove the file, unless another process has replaced it."""
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
    """Remove the file of a socket that no longer exists.

    A refused connection does not prove this: a stream socket that does not listen yet refuses too.
    So this connects with a socket of the wrong type. The error is EPROTOTYPE if the socket exists.

    Raises:
        OSError: EADDRINUSE if the socket belongs to a process.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # left over from a server that has ended
            return
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


class Doors:
    """The listening sockets of several processes that serve one address.

    On Linux, each process has a TCP socket of its own (``SO_REUSEPORT``), and the kernel deals out
    the connections. Everywhere else, and for a unix socket or an inherited one, all have the same
    socket. The sockets refuse connections until the first process listens.

    Parameters: as for :func:`open_listeners`.

    Raises: as :func:`open_listeners`. An address that anybody else has is in use here too.

    Source: socket(7).
    """

    def __init__(self, host: str, port: int, *, unix: str | None, fd: int | None) -> None:
        self._first = open_listeners(host, port, unix=unix, fd=fd)
        self._all = list(self._first)
        self._taken = False
        self._splits = sys.platform == "linux" and unix is None and fd is None
        if self._splits:
            for listener in self._first:
                # Not before bind(): a socket that has the option already would get an address
                # that another server of the same user has.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def open(self) -> list[socket.socket]:
        """The sockets for one more process.

        Raises:
            OSError: if there are no more sockets.
        """
        if not self._splits or not self._taken:
            self._taken = True
            return self._first
        beside: list[socket.socket] = []
        try:
            for one in self._first:
                beside.append(_bound(one.family, one.getsockname(), reuse=True, share=True))
        except BaseException:
            close_listeners(beside)
            raise
        self._all += beside
        return beside

    def shut(self, listeners: Sequence[socket.socket]) -> None:
        """Close the sockets of a process that is not replaced. Those that others have too stay."""
        if listeners is not self._first:
            close_listeners(listeners)
            self._all = [one for one in self._all if one not in listeners]

    def close(self) -> None:
        """Close all sockets. The file of a unix socket is removed."""
        close_listeners(self._all)


def adopt_listeners(numbers: Sequence[int]) -> list[socket.socket]:
    """The sockets of :class:`Doors` that a process has inherited.

    Parameters:
        numbers: their descriptors.
    """
    listeners = [socket.socket(fileno=number) for number in numbers]
    for listener in listeners:
        listener.set_inheritable(False)
    return listeners


def start_listening(listeners: Sequence[socket.socket]) -> None:
    """Let the sockets accept connections. A socket that already listens is not changed.

    Raises:
        ConfigurationError: if another process has begun to listen on an address in the meantime.
    """
    for listener in listeners:
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            continue
        try:
            if listener.family != socket.AF_UNIX:
                # Its connections inherit this. Without it, they would keep the address in use, and
                # the next server could not have it.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise cannot_listen(url_of(listener, False).removeprefix("http://"), error) from error


def cannot_listen(where: str, error: OSError | ValueError) -> ConfigurationError:
    """The error for an address that Finch cannot listen on."""
    number = getattr(error, "errno", None)
    why = os.strerror(number) if number and number > 0 else str(error)
    return ConfigurationError(f"cannot listen on {where}: {why}")


def _inherit(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except (OSError, ValueError, OverflowError) as error:
        closed = isinstance(error, OverflowError) or getattr(error, "errno", None) == errno.EBADF
        why = "is not open" if closed else "is not a socket"
        raise _no_listener(fd, why) from None
    try:
        if listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            raise _no_listener(fd, "is neither a TCP nor a unix socket")
        if listener.type != socket.SOCK_STREAM:
            raise _no_listener(fd, "is not a stream socket")
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise _no_listener(fd, "is a socket that does not listen")
        listener.set_inheritable(False)  # processes that the application starts must not get it
    except BaseException:
        listener.detach()
        raise
    return listener


def _no_listener(fd: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"descriptor {fd} {why}; give the descriptor of a stream socket that listens and that this "
        "process inherited (3 for the first one from systemd)"
    )


def load_tls(certfile: str, keyfile: str | None = None) -> ssl.SSLContext:
    """The TLS settings of a server.

    Parameters:
        certfile: a PEM file with the certificate and its chain.
        keyfile: a PEM file with the key. If left out, the key is in ``certfile``.

    Raises:
        ConfigurationError: if the files cannot be read or do not match.
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
    """Stop listening. The file of a unix socket is removed, unless another process created it."""
    for listener in listeners:
        if listener.fileno() < 0:
            continue
        if isinstance(listener, UnixListener):
            # before close(): while the socket is open, no other file can get its inode number
            listener.remove_file()
        listener.close()


def url_of(listener: socket.socket, tls: bool) -> str:
    """The URL of a listener."""
    if listener.family == socket.AF_UNIX:
        path = listener.getsockname()
        # an abstract socket has no file; systemd writes it with "@"
        return f"unix:{path}" if isinstance(path, str) else f"unix:@{os.fsdecode(path[1:])}"
    address, port = listener.getsockname()[:2]
    name = f"[{address}]" if ":" in address else address
    return f"{'https' if tls else 'http'}://{name}:{port}"
