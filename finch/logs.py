"""Log lines that peers can cause as often as they like."""

from __future__ import annotations

import logging
import time
from typing import Final

_EVERY: Final = 60.0  # seconds


class Seldom:
    """Logs each message once a minute at the most, and says how often it was left out.

    Parameters:
        logger: who logs.
    """

    __slots__ = ("_left_out", "_logger", "_next")

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def error(self, message: str, *arguments: object) -> None:
        """Log an error.

        Parameters:
            message: a constant, with a place for each argument; what is counted.
        """
        now = time.monotonic()
        if now < self._next.get(message, now):
            self._left_out[message] = self._left_out.get(message, 0) + 1
            return
        self._next[message] = now + _EVERY
        left_out = self._left_out.pop(message, 0)
        more = f" (and {left_out} times since this was last said)" if left_out else ""
        self._logger.error(message + more, *arguments)
