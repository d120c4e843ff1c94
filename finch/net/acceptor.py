"""Accepts connections from the sockets that listen, also when descriptors run out."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Final

import trio

from finch.logs import Seldom
from finch.turns import SOCKETS

_log = logging.getLogger("finch.server")

_OUT_OF_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_UNSENT: Final = 16 * 1024
"""Unsent bytes that the kernel keeps for a connection. By default, it keeps megabytes: then a slow
client looks like a fast one for seconds, and it gets old data."""

_PAUSE: Final = 0.1  # seconds until the next try


class Acceptor:
    """Accepts connections, several per turn.

    If there is no free descriptor, nothing can be accepted, and clients that connect would wait
    without an answer. So one descriptor is kept in reserve. When it is closed, the waiting
    connections can be accepted and closed, one after another.

    Parameters:
        take: called with each new connection and its address; must not wait.
    """

    def __init__(self, take: Callable[[socket.socket, object], None]) -> None:
        self._take = take
        self._reserve = _spare()
        self._seldom = Seldom(_log)

    async def run(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        listener.setblocking(False)
        if listener.family != socket.AF_UNIX:
            # accepted sockets inherit these options, which saves system calls for each of them
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        while True:
            await trio.lowlevel.wait_readable(listener)
            for _ in range(SOCKETS):
                try:
                    sock, address = listener.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _OUT_OF_FILES:
                        await self._shed(listener, error)
                    break  # any other error belongs to a connection that is already gone
                self._take(sock, address)

    async def _shed(self, listener: socket.socket, error: OSError) -> None:
        self._seldom.error(
            "connections are turned away: %s. Raise the limit (ulimit -n), or set "
            "Limits(max_connections=...) below it",
            error.strerror,
        )
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
            try:
                for _ in range(SOCKETS):
                    listener.accept()[0].close()
            except OSError:
                pass  # no connection is waiting, or something else took the descriptor
        await trio.sleep(_PAUSE)
        self._reserve = _spare()

    def close(self) -> None:
        """Close the descriptor in reserve."""
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
