"""LastResort: ends a process whose server does not end.

A handler can shield itself from being cancelled, or keep the event loop busy. Then nothing in trio
can end it, and whoever restarts the server would wait for it. So a thread ends the process. Workers
do not need this: their supervisor kills them by the same rule.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from types import TracebackType
from typing import Final

from finch.config import Limits

_log: Final = logging.getLogger("finch.server")

MORE: Final = 5.0
"""Seconds that a process gets beyond what its limits allow; then it hangs."""


def times_to_end(limits: Limits) -> tuple[float | None, float]:
    """How long a graceful end may take, and one in a hurry, in seconds; None for any time.

    Connections have ``shutdown_timeout``, and then the functions of ``on_shutdown`` have it too.
    """
    patience = 2 * limits.shutdown_timeout
    return None if math.isinf(patience) else patience, 2 * limits.leave_grace


class LastResort:
    """Ends this process if its server does not end in time. For a process that only serves.

    Parameters:
        limits: the application's.

    Example::

        with LastResort(app.limits):
            trio.run(partial(serve, app))
    """

    current: LastResort | None = None
    """That of this process."""

    def __init__(self, limits: Limits) -> None:
        self._patience, self._haste = times_to_end(limits)
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        LastResort.current = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        LastResort.current = None
        if self._timer is not None:
            self._timer.cancel()

    def count_down(self, in_a_hurry: bool) -> None:
        """The server was told to end: from now on, its time runs."""
        seconds = self._haste if in_a_hurry else self._patience
        if self._timer is not None:
            self._timer.cancel()
        if seconds is not None:
            self._timer = threading.Timer(seconds + MORE, _end, (seconds + MORE,))
            self._timer.daemon = True
            self._timer.start()


def _end(seconds: float) -> None:
    _log.critical(
        "the server has not ended within %g s: something in the application shields itself from "
        "being cancelled, or keeps the event loop busy. The process ends now",
        seconds,
    )
    logging.shutdown()
    os._exit(1)
