"""The formats of the log: plain text, coloured text for a terminal, JSON lines.

Peers decide much of what is logged. Whatever it is, an entry stays one entry, and no control
character reaches a terminal.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol, TextIO

import msgspec

from finch.logs import Formatter

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_DIM: Final = "\x1b[2m"
_END: Final = "\x1b[0m"
_LEVELS: Final = {
    "DEBUG": "\x1b[36m",
    "INFO": "\x1b[32m",
    "WARNING": "\x1b[33m",
    "ERROR": "\x1b[31m",
    "CRITICAL": "\x1b[1;31m",
}
_STATUSES: Final = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}  # by hundreds

# JSON escapes the control characters below U+0020 itself. Terminals obey some of these too.
_CONTROL: Final = re.compile("[\x7f-\x9f\u2028\u2029]")
_STANDARD: Final = {*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "asctime"}


class Access(NamedTuple):
    """One request, for the access log.

    Attributes:
        client: where it came from, as text.
        method, target, version: of the request line; all empty if it was not understood.
        status: of the response.
        size: bytes of the response's body that were sent.
        seconds: from the request's head to the end of the response.
    """

    client: str
    method: str
    target: str
    version: str
    status: int
    size: int
    seconds: float

    @property
    def line(self) -> str:
        """The request line."""
        return f"{self.method} {self.target} HTTP/{self.version}" if self.method else "-"


class Format(Protocol):
    """How entries are written."""

    @property
    def formatter(self) -> logging.Formatter:
        """For the records of ``logging``."""

    def lines(self, entries: Iterable[Access], now: float) -> str:
        """Whole lines for requests that were answered at a time, in seconds since 1970."""


class Text:
    """Plain text.

    Parameters:
        label: what says which worker a line is from, such as ``" [2]"``; empty for one process.
    """

    def __init__(self, label: str = "") -> None:
        self.formatter: logging.Formatter = Formatter(
            f"%(asctime)s %(levelname)s{label} %(name)s: %(message)s"
        )
        self._label = label
        self._second = 0
        self._stamp = ""

    def lines(self, entries: Iterable[Access], now: float) -> str:
        """Whole lines, such as ``2026-01-31 12:00:00,123 INFO finch.access: 127.0.0.1:5000 "GET /
        HTTP/1.1" 200``."""
        head = f"{self.stamp(now)} INFO{self._label} finch.access: "
        return "".join(
            [
                f'{head}{client} "{method} {target} HTTP/{version}" {status}\n'
                if method
                else f'{head}{client} "-" {status}\n'
                for client, method, target, version, status, _, _ in entries
            ]
        )

    def stamp(self, now: float) -> str:
        """A time as ``logging`` writes it."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime(_TIME, time.localtime(second))
        return f"{self._stamp},{int(now * 1000) % 1000:03d}"


class Coloured(Text):
    """Text with colours, for a terminal. Parameters: as for :class:`Text`."""

    def __init__(self, label: str = "") -> None:
        super().__init__(label)
        self.formatter = _ColourFormatter(label)

    def lines(self, entries: Iterable[Access], now: float) -> str:
        """Whole lines. The status has a colour."""
        head = f"{_DIM}{self.stamp(now)}{_END} {_LEVELS['INFO']}INFO{_END}{self._label} "
        head += f"{_DIM}finch.access:{_END} "
        return "".join(
            f'{head}{one.client} "{one.line}" {_STATUSES.get(one.status // 100, "")}{one.status}'
            f"{_END}\n"
            for one in entries
        )


class _ColourFormatter(Formatter):
    def __init__(self, label: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s{label} %(name)s: %(message)s")
        self._label = label

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record. Colours come last: what was in the record is escaped by then."""
        text = super().format(record)
        plain = f"{record.asctime} {record.levelname}{self._label} {record.name}:"
        if not text.startswith(plain):  # a name with control characters
            return text
        level = f"{_LEVELS.get(record.levelname, '')}{record.levelname}{_END}{self._label}"
        return (
            f"{_DIM}{record.asctime}{_END} {level} {_DIM}{record.name}:{_END}"
            f"{text.removeprefix(plain)}"
        )


class JSON:
    """One JSON object a line: time, level, logger, message, and what else there is.

    Parameters: as for :class:`Text`.

    Source: https://jsonlines.org; RFC 3339 for the time.
    """

    def __init__(self, label: str = "") -> None:
        self._worker: dict[str, object] = {"worker": int(label.strip(" []"))} if label else {}
        self.formatter: logging.Formatter = _JSONFormatter(self._worker)

    def lines(self, entries: Iterable[Access], now: float) -> str:
        """Whole lines. ``duration`` is in seconds, ``bytes`` those of the body."""
        head: dict[str, object] = {"time": _utc(now), "level": "INFO", "logger": "finch.access"}
        return "".join(
            _object(
                {
                    **head,
                    "message": f"{one.line} {one.status}",
                    **self._worker,
                    "client": one.client,
                    "method": one.method,
                    "path": one.target,
                    "status": one.status,
                    "bytes": one.size,
                    "duration": round(one.seconds, 6),
                }
            )
            + "\n"
            for one in entries
        )


class _JSONFormatter(logging.Formatter):
    def __init__(self, worker: dict[str, object]) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """The object of a record, with what an application gave as ``extra``."""
        found: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._worker,
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            found["stack"] = self.formatStack(record.stack_info)
        for name, value in vars(record).items():
            if name not in _STANDARD:
                found.setdefault(name, value)
        return _object(found)


def _object(value: dict[str, Any]) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except Exception:  # a lone surrogate, or a value of an application that JSON cannot hold
        text = json.dumps(value, default=_in_words, skipkeys=True)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _in_words(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # of an application's own __repr__
        return f"a {type(value).__name__}"


def _utc(now: float) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"


def format_for(name: str, stream: TextIO | None, label: str = "") -> Format:
    """The format that a log has.

    Parameters:
        name: ``"text"`` or ``"json"``.
        stream: where it goes. A terminal gets colours, unless ``NO_COLOR`` is set or ``TERM`` is
            ``dumb``.
        label: as for :class:`Text`.

    Source: https://no-color.org.
    """
    if name == "json":
        return JSON(label)
    return Coloured(label) if _wants_colour(stream) else Text(label)


def _wants_colour(stream: TextIO | None) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False
