"""What a command prints, and where its log goes. A stream that takes nothing ends no command."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from finch.access import LineHandler


def complain(text: str) -> None:
    say(text, sys.stderr)


def say(text: str, stream: TextIO | None) -> Exception | None:
    """Print a text if possible. A failure is returned, not raised: serving is more important.

    Returns:
        The error if the text could not be printed, else None.
    """
    if stream is None:  # there is no console, or the descriptor was closed before the start
        return None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError) as error:  # the reader is gone, the disk is full; it is closed
        return error
    return None


def settle(stream: TextIO | None) -> None:
    """Drop output that cannot be written. Otherwise Python would try again at exit, and end with an
    exit code of its own."""
    if stream is None:
        return
    try:
        stream.flush()
    except ValueError:
        pass  # it is closed; Python ignores closed streams at exit
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Handler(LineHandler):
    """Logs to stderr. If stderr is closed, entries are lost, but nothing else fails."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Report that an entry could not be written. The report may fail for the same reason."""
        try:
            super().handleError(record)
        except ValueError:
            pass
