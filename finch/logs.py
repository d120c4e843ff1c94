"""Protects the log from peers: from too many lines, and from control characters in them."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

_EVERY: Final = 60.0  # seconds
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class Formatter(logging.Formatter):
    """Formats entries so that a peer cannot fake one.

    The message of an exception may contain anything that a peer has sent. So control characters
    (also those of terminals) are escaped, and all lines of an entry after the first are indented.

    Parameters: as ``logging.Formatter``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        lines = super().format(record).split("\n")
        return "\n    ".join(_CONTROL.sub(_escape, line) for line in lines)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class Seldom:
    """Logs each message at most once a minute, and says how often it was left out.

    Parameters:
        logger: the logger to use.
    """

    __slots__ = ("_left_out", "_logger", "_next")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def error(self, message: str, *arguments: object) -> None:
        """Log an error.

        Parameters:
            message: a constant with placeholders for the arguments. Calls with the same constant
                are counted together.
        """
        self._log(logging.ERROR, message, arguments)

    def warning(self, message: str, *arguments: object) -> None:
        """Log a warning. Parameters: as :meth:`error`."""
        self._log(logging.WARNING, message, arguments)

    def _log(self, level: int, message: str, arguments: tuple[object, ...]) -> None:
        now = time.monotonic()
        if now < self._next.get(message, now):
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._next[message] = now + _EVERY
        left_out = self._left_out.pop(message, 0)
        more = f" (and {left_out} more times since this was last logged)" if left_out else ""
        self._logger.log(level, message + more, *arguments)
