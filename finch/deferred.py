"""Imports the modules that the first responses do not need, once a server has begun.

This makes the start 10 % faster. The first connection that needs them must not import them: by then
there may be no free descriptor to open a file, or the files may already be those of another
release.
"""

from __future__ import annotations

import importlib
import logging
from typing import Final

import trio

from finch.failures import report
from finch.logs import Seldom
from finch.wire.masking import mask

_log = logging.getLogger("finch.server")

_SETTLED: Final = 0.1  # seconds; by then, clients that were waiting have been answered
_DEFERRED: Final = (
    "finch.sockets.posts",
    "finch.wire.authority",
    "finch.wire.body",
    "finch.wire.extensions",
    "finch.http.problems",  # the first to come: without it, not even an error can be told
)


async def import_the_rest(pause: float, seldom: Seldom) -> None:
    """Import them.

    Parameters:
        pause: seconds until the next attempt, if a file cannot be read.
        seldom: logs that.
    """
    left = [*_DEFERRED]
    await trio.sleep(_SETTLED)  # later, more clients would wait for these 30 ms
    while left:
        try:
            mask.use_compiled()
            while left:
                importlib.import_module(left[-1])
                left.pop()
        except OSError as error:
            seldom.error("modules of Finch cannot be read yet: %s", error)
            await trio.sleep(pause)
        except Exception as error:
            report(_log, "%s cannot be imported; restart the server", left.pop(), error=error)
