"""Refusals: what a callback that decides about a client returned, if it meant to refuse it.

To refuse a client is to raise an HTTPError. Somebody who comes from another framework returns False
or a response instead. The client must not come in for that.
"""

from __future__ import annotations

import logging

from finch.errors import HTTPError
from finch.explain import shown
from finch.failures import report

_log = logging.getLogger("finch.sockets")


def refusal(value: object, named: str, whom: object, status: int = 403) -> HTTPError | None:
    """The error that refuses a client, if a callback meant that; it is logged what to write.

    Parameters:
        value: what the callback returned.
        named: what the log calls the callback.
        whom: the client, for the log.
        status: the status that the log proposes.
    """
    if not _means_refusal(value):
        return None
    report(
        _log,
        "%s returned %s for %s, which is refused; to refuse a client, write "
        "'raise HTTPError(%d, \"why\")'",
        named,
        shown(value),
        whom,
        status,
    )
    return HTTPError(403)


def _means_refusal(value: object) -> bool:
    if isinstance(value, tuple) and len(value) in (2, 3):
        status = value[1]
    else:
        status = getattr(value, "status", None)
    refuses = type(status) is int and 400 <= status <= 599
    return value is False or isinstance(value, BaseException) or refuses
