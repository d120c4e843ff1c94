"""Logs which line of the application holds up the event loop. For debugging only.

trio runs one task at a time. So a handler that computes or blocks for 100 ms stops every client for
100 ms. A thread checks regularly how long the current turn of the loop has lasted, and which line
is running.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

import trio

_log = logging.getLogger("finch.server")

_LONG: Final = 0.1  # seconds
_LOOK: Final = 0.02  # seconds between two looks
_FOREIGN: Final = (
    str(Path(__file__).parent),
    *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")},
    "<",
)


class Watchdog(trio.abc.Instrument):
    """Logs a line if one turn of the event loop lasts longer than 100 ms, once for each such turn.

    Example::

        watchdog = Watchdog()
        watchdog.start()
    """

    def __init__(self) -> None:
        self._loop = threading.get_ident()
        self._since = time.monotonic()
        self._at_work = True
        self._over = threading.Event()

    def start(self) -> None:
        """Start watching."""
        trio.lowlevel.add_instrument(self)
        threading.Thread(target=self._watch, name="finch watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        trio.lowlevel.remove_instrument(self)
        self._over.set()

    def before_io_wait(self, timeout: float) -> None:
        self._at_work = False

    def after_io_wait(self, timeout: float) -> None:
        self._since = time.monotonic()
        self._at_work = True

    def _watch(self) -> None:
        told = 0.0
        while not self._over.wait(_LOOK):
            since = self._since
            if self._at_work and since != told and time.monotonic() - since >= _LONG:
                told = since
                _log.warning(
                    "the event loop has been held up for more than %d ms at %s: all clients wait. "
                    "Make the handler a plain def, which runs in a thread, or write "
                    "await trio.to_thread.run_sync(function)",
                    _LONG * 1000,
                    _where(sys._current_frames().get(self._loop)),
                )


def _where(frame: FrameType | None) -> str:
    """The innermost line of the application's own code."""
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith(_FOREIGN):
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return "an unknown place"
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}, line {frame.f_lineno})"
