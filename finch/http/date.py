"""The ``Date`` header of responses."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from time import time


@lru_cache(maxsize=1)
def _date_of(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def date_now() -> bytes:
    """The ``Date`` header of a response that is sent now (RFC 9110, section 6.6.1)."""
    return _date_of(int(time()))
