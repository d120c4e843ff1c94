"""The access log: one cheap line per request.

``logging`` needs as much time for one line as Finch needs for one request. So this module writes
the lines of the command line's log itself: it collects them, and writes them once per turn of the
event loop. If an application configures the logger ``finch.access`` itself, it gets ordinary
records, as from any logger.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from finch.failures import report
from finch.formats import Access, Format, Text

_logger: Final = logging.getLogger("finch.access")
_server: Final = logging.getLogger("finch.server")

_ATOMIC: Final = 4096  # bytes: PIPE_BUF of Linux. A pipe takes so many at once, or says it is full
_MOST: Final = 1024 * 1024  # bytes that wait for somebody to read the log; later lines are lost
_PATIENCE: Final = 1000  # milliseconds that the end of the program waits for that
_LOOK: Final = 1.0  # seconds after which it is looked again who gets the lines
_NAMES: Final = 1024  # addresses whose text is kept

_new: Final = tuple.__new__


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes a log to a stream: the records of ``logging``, and many access lines at a time.

    If nobody reads the other end of a pipe, writing to it would stop the whole server. So this
    handler asks first whether the pipe takes more. Until then, entries wait, up to 1 MiB; more are
    lost, and the log says how many.

    Parameters:
        stream: such as ``sys.stderr``.
        form: how entries are written.

    Attributes:
        waiting: entries that wait for somebody to read the log.

    Example::

        logging.basicConfig(handlers=[LineHandler(sys.stderr)], level=logging.INFO)
    """

    def __init__(self, stream: TextIO | None = None, form: Format | None = None) -> None:
        super().__init__(stream)
        self.form = form if form is not None else Text()
        self.setFormatter(self.form.formatter)
        self.waiting = b""
        self._lost = 0
        self._known: TextIO | None = None  # the stream that the following are about
        self._number = -1
        self._encoding = "utf-8"
        self._poll: select.poll | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self.put(self.format(record) + "\n")
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def write(self, entries: list[Access], now: float) -> None:
        """Write a line for each request."""
        assert self.lock is not None
        with self.lock:
            try:
                self.put(self.form.lines(entries, now))
            except Exception:  # as in logging: if the log cannot be written, all else goes on
                pass

    def put(self, text: str) -> None:
        """Write whole lines, or keep them.

        Raises:
            OSError, ValueError: if the stream is closed or broken.
        """
        if self.stream is not self._known:
            self._learn()
        if self._number < 0:
            self.stream.write(text)
            self.stream.flush()
            return
        data = text.encode(self._encoding, "backslashreplace")
        if self._poll is None:
            sent = os.write(self._number, data)
            while sent < len(data):
                sent += os.write(self._number, data[sent:])
        elif len(self.waiting) + len(data) > _MOST:
            self._lost += text.count("\n")
            self._send(0)
        else:
            self.waiting += data
            self._send(0)

    def _learn(self) -> None:
        self._known, self._number, self._poll = self.stream, -1, None
        try:
            number = self.stream.fileno()
            regular = stat.S_ISREG(os.fstat(number).st_mode)
        except (AttributeError, OSError, ValueError):  # not a file: a StringIO, or it is closed
            return
        self._number = number
        self._encoding = getattr(self.stream, "encoding", None) or "utf-8"
        if not regular:  # a file always takes what is written
            self._poll = select.poll()
            self._poll.register(number, select.POLLOUT)

    def _send(self, patience: int) -> None:
        """Write what waits, as far as it is taken, in pieces of whole lines if possible: several
        workers may write into one pipe (POSIX, write: at most PIPE_BUF bytes are atomic).

        Parameters:
            patience: milliseconds to wait for each piece.
        """
        poll = self._poll
        if poll is None:
            return
        while self.waiting:
            ready = poll.poll(patience)
            if not ready:
                return
            if not ready[0][1] & select.POLLOUT:
                self.waiting = b""  # the reader is gone; the next write would say so
                raise BrokenPipeError("nobody can read the log")
            piece = self.waiting
            if len(piece) > _ATOMIC:
                piece = piece[: piece.rfind(b"\n", 0, _ATOMIC) + 1] or piece[:_ATOMIC]
            try:
                sent = os.write(self._number, piece)
            except BlockingIOError:
                return
            except OSError:
                self.waiting = b""
                raise
            self.waiting = self.waiting[sent:]
            if self._lost and not self.waiting:
                self.waiting = self._say_lost().encode()

    def _say_lost(self) -> str:
        lost, self._lost = self._lost, 0
        values = {"name": _server.name, "levelno": logging.ERROR, "levelname": "ERROR"}
        message = "%d lines of the log are lost: nobody read it"
        record = logging.makeLogRecord({**values, "msg": message, "args": (lost,)})
        return f"{self.format(record)}\n"

    def flush(self) -> None:
        """Write what waits, as far as it is taken now."""
        self._flush(0)

    def settle(self) -> None:
        """Write what waits; give its reader some time."""
        self._flush(_PATIENCE)

    def _flush(self, patience: int) -> None:
        self.acquire()
        try:
            if self.waiting:
                self._send(patience)
        except (OSError, ValueError):
            pass
        finally:
            self.release()

    def close(self) -> None:
        """Write what waits, at the end of the program."""
        self.settle()
        super().close()


class AccessLog:
    """Collects one line per request, and writes them when the turn ends.

    Parameters:
        later: called with this object if it has lines to :meth:`flush` at the end of the turn.
    """

    def __init__(self, later: Callable[[Any], None]) -> None:
        self._later = later
        self._entries: list[Access] = []
        self._handler: LineHandler | None = None
        self._look_again = 0.0
        self._names: dict[object, str] = {}

    def note(
        self,
        client: object,
        method: str,
        target: str,
        version: str,
        status: int,
        size: int = 0,
        begun: float | None = None,
    ) -> None:
        """Note one request.

        Parameters:
            client: the address that the request came from.
            method, target, version: of the request line. ``finch.wire`` has checked that they are
                visible ASCII. Empty if it was not understood.
            status: of the response.
            size: bytes of its body that were sent.
            begun: when the request came, by ``time.perf_counter``.
        """
        if not _logger.isEnabledFor(logging.INFO):
            return
        now = time.perf_counter()
        if not self._entries:
            if now >= self._look_again:
                self._look_again = now + _LOOK
                self._handler = _own_handler()
            if self._handler is not None:
                self._later(self)
        name = self._names.get(client)
        if name is None:
            if len(self._names) >= _NAMES:
                self._names.clear()
            name = self._names[client] = str(client)
        seconds = 0.0 if begun is None else now - begun
        # as Access(...), in half the time
        entry = _new(Access, (name, method, target, version, status, size, seconds))
        if self._handler is not None:
            self._entries.append(entry)
            return
        try:
            _logger.info('%s "%s" %d', name, entry.line, status, extra=_fields(entry))
        except Exception as error:  # from a log handler of the application
            report(_server, "the access log raised", error=error)

    def flush(self) -> None:
        """Write the collected lines."""
        entries, self._entries = self._entries, []
        if self._handler is not None:
            self._handler.write(entries, time.time())
            if self._handler.waiting:
                self._later(self)  # until somebody reads the log

    def close(self) -> None:
        """Write what is left: the server ends."""
        if self._entries:
            self.flush()
        if self._handler is not None:
            self._handler.settle()


def _fields(entry: Access) -> dict[str, object]:
    """What a record has beside its message, for formatters of applications."""
    return {
        "client": entry.client,
        "method": entry.method,
        "path": entry.target,
        "status": entry.status,
        "bytes": entry.size,
        "duration": entry.seconds,
    }


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
