"""The access log: one cheap line per request.

``logging`` needs as much time for one line as Finch needs for one request. So this module writes
the lines of the command line's log itself: it collects them, and writes them once per turn of the
event loop. If an application configures the logger ``finch.access`` itself, it gets ordinary
records, as from any logger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from finch.failures import report

_logger: Final = logging.getLogger("finch.access")
_server: Final = logging.getLogger("finch.server")


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes access lines to a stream, several at a time.

    Parameters:
        stream: such as ``sys.stderr``.

    Example::

        logging.basicConfig(handlers=[LineHandler(sys.stderr)], level=logging.INFO)
    """

    def write(self, lines: list[str]) -> None:
        """Write whole lines."""
        self.acquire()
        try:
            self.stream.write("".join(lines))
            self.flush()
        except Exception:  # as in logging: if the log cannot be written, all else goes on
            pass
        finally:
            self.release()


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
        self._lines.append(
            f'{self._stamp},{int(now * 1000) % 1000:03d} INFO finch.access: {client} "{request}" '
            f"{status}\n"
        )

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
