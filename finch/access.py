"""The access log: one cheap line per request.

``logging`` needs as much time for one line as Finch needs for one request. So this module writes
the lines of the command line's log itself: it collects them, and writes them once per turn of the
event loop. If an application configures the logger ``finch.access`` itself, it gets ordinary
records, as from any logger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from finch.failures import report

_logger: Final = logging.getLogger("finch.access")
_server: Final = logging.getLogger("finch.server")

_ATOMIC: Final = 4096  # bytes: PIPE_BUF of Linux


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes access lines to a stream, several at a time.

    Parameters:
        stream: such as ``sys.stderr``.
        label: what says which worker a line is from, such as ``" [2]"``; empty for one process.

    Example::

        logging.basicConfig(handlers=[LineHandler(sys.stderr)], level=logging.INFO)
    """

    def __init__(self, stream: TextIO | None = None, label: str = "") -> None:
        super().__init__(stream)
        self.label = label

    def write(self, lines: list[str]) -> None:
        """Write whole lines."""
        self.acquire()
        try:
            for text in _pieces(lines) if self.label else ("".join(lines),):
                self.stream.write(text)
                self.flush()
        except Exception:  # as in logging: if the log cannot be written, all else goes on
            pass
        finally:
            self.release()


def _pieces(lines: list[str]) -> Iterator[str]:
    """The lines in pieces that a pipe takes whole, so that workers do not write into each other's
    lines. An access line is plain ASCII (POSIX, write: at most PIPE_BUF bytes are atomic)."""
    piece = ""
    for line in lines:
        if piece and len(piece) + len(line) > _ATOMIC:
            yield piece
            piece = ""
        piece += line
    yield piece


class AccessLog:
    """Collects one line per request, and writes them when the turn ends.

    Parameters:
        later: called with this object if it has lines to :meth:`flush` at the end of the turn.
    """

    def __init__(self, later: Callable[[Any], None]) -> None:
        self._later = later
        self._lines: list[str] = []
        self._handler: LineHandler | None = None
        self._second = 0
        self._stamp = ""

    def note(self, client: object, request: str, status: int) -> None:
        """Note one request.

        Parameters:
            client: the address that the request came from.
            request: the request line, such as ``GET / HTTP/1.1``; ``finch.wire`` has checked that
                it is visible ASCII.
            status: of the response.
        """
        if not _logger.isEnabledFor(logging.INFO):
            return
        if not self._lines:
            self._handler = _own_handler()
        if self._handler is None:
            try:
                _logger.info('%s "%s" %d', client, request, status)
            except Exception as error:  # from a log handler of the application
                report(_server, "the access log raised", error=error)
            return
        if not self._lines:
            self._later(self)
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        stamp = f"{self._stamp},{int(now * 1000) % 1000:03d} INFO{self._handler.label}"
        self._lines.append(f'{stamp} finch.access: {client} "{request}" {status}\n')

    def flush(self) -> None:
        """Write the collected lines."""
        lines, self._lines = self._lines, []
        if self._handler is not None:
            self._handler.write(lines)


def _own_handler() -> LineHandler | None:
    """The command line's handler, if it is the only one that gets access lines."""
    handlers: list[logging.Handler] = []
    logger: logging.Logger | None = _logger
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    if len(handlers) == 1 and isinstance(handlers[0], LineHandler):
        return handlers[0]
    return None
