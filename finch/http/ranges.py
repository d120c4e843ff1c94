"""The one range of bytes that a request may ask for.

Source: RFC 9110, section 14.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_RANGE: Final = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")  # 18 digits fit in 64 bits


class Unsatisfiable(Exception):
    """No byte of the content is in the range: the answer is 416."""


class Range(NamedTuple):
    """A part of some content.

    Attributes:
        begin: the offset of the first byte.
        length: the number of bytes, at least 1.
    """

    begin: int
    length: int

    def header(self, size: int) -> str:
        """The ``Content-Range`` of this part."""
        return f"bytes {self.begin}-{self.begin + self.length - 1}/{size}"


def read_range(header: str, size: int) -> Range | None:
    """The part of some content that a ``Range`` header asks for.

    Parameters:
        header: the value of the header.
        size: bytes of the whole content.

    Returns:
        None if the whole content is to be sent: the header is malformed or has another unit, or it
        asks for several ranges. "A server MAY ignore the Range header field" (section 14.2), and
        many small ranges of one file are an old way to make a server work.

    Raises:
        Unsatisfiable: if no byte of the content is in the range.

    Example::

        read_range("bytes=-500", 10_000)  # the last 500 bytes: Range(9500, 500)
    """
    unit, _, ranges = header.partition("=")
    members = [one for one in (part.strip(" \t") for part in ranges.split(",", 2)) if one]
    if unit.strip(" \t").lower() != "bytes" or len(members) != 1:
        return None
    match = _RANGE.fullmatch(members[0])
    if match is None or match[0] == "-":
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    begin = int(first)
    if last and int(last) < begin:
        return None  # "invalid if the last-pos value is present and less than the first-pos"
    if begin >= size:
        raise Unsatisfiable
    return Range(begin, min(int(last) + 1 if last else size, size) - begin)


def _suffix(length: int, size: int) -> Range | None:
    if not length:
        raise Unsatisfiable
    if not size:
        return None  # satisfiable, but Content-Range cannot say "no bytes": send all of nothing
    return Range(max(0, size - length), min(length, size))
