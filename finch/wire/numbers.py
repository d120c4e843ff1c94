"""Numbers in JSON that take long to read: how many of them a text may have.

A float with a large exponent is exact only by long arithmetic, which takes msgspec 11 us: a message
of 1 MiB that holds nothing else takes 2 s, in which nobody is served.
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 2_500
"""Numbers with an exponent of two digits or more, in one text; about 25 ms."""

LONG: Final = MOST * 5
"""Bytes. A shorter text cannot have more than ``MOST`` such numbers, so it need not be searched."""

_EXPONENT: Final = r"[eE][+-]?\d\d"
_NUMBER: Final = rf"[\[:,\s]-?\d+(?:\.\d+)?{_EXPONENT}"  # what begins a value, and not within text
_PATTERNS: Final = {
    kind: tuple(re.compile(one if kind is str else one.encode()) for one in (_EXPONENT, _NUMBER))
    for kind in (str, bytes)
}


def too_costly(text: str | bytes) -> bool:
    """Whether a JSON text has more than ``MOST`` such numbers. Strings in it that look like such
    numbers are counted, too.

    Example::

        if len(body) >= LONG and too_costly(body):
            raise HTTPError(413, TOO_COSTLY)
    """
    for pattern in _PATTERNS[type(text)]:
        found = pattern.finditer(text)  # type: ignore[arg-type]  # of the same kind
        if sum(1 for _ in zip(found, range(MOST + 1), strict=False)) <= MOST:
            return False
    return True


TOO_COSTLY: Final = f"more than {MOST} numbers have an exponent; write them without, or send fewer"
