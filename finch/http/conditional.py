"""Conditional requests: whether a client has the content already, or wants only a certain version.

Source: RFC 9110, sections 8.8 and 13.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from finch.http.date import read_date

# Possessive (*+): otherwise a header of blanks would take quadratic time.
_TAG: Final = re.compile(r'[ \t]*+(?:(W/)?("[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+)?(?:,|\Z)')
_WEAK: Final = "W/"


def tags(header: str) -> list[str] | None:
    """The entity tags of ``If-Match`` or ``If-None-Match``; None if the header is ``*``.

    What follows the first malformed tag is ignored.

    Example::

        tags('"a", W/"b,c"')  # ['"a"', 'W/"b,c"']
    """
    if header.strip(" \t") == "*":
        return None
    found = []
    at = 0
    while at < len(header):
        match = _TAG.match(header, at)
        if match is None:
            break
        if match[2] is not None:
            found.append((match[1] or "") + match[2])
        at = match.end()
    return found


def is_known(if_none_match: str, tag: str) -> bool:
    """Whether a cache has the version with this tag, by the weak comparison (section 13.1.2)."""
    known = tags(if_none_match)
    if known is None:
        return True
    return tag.removeprefix(_WEAK) in [one.removeprefix(_WEAK) for one in known]


def judge(headers: Mapping[str, str], tag: str, modified: int) -> int | None:
    """The status that the conditions of a GET or HEAD lead to: 412 or 304; None to go on.

    Parameters:
        headers: the request's.
        tag: the entity tag of what would be sent.
        modified: when it was changed, in seconds since 1970.

    Source: section 13.2.2, which says in which order the conditions count.
    """
    if_match = headers.get("if-match")
    if if_match is not None:
        wanted = tags(if_match)
        if wanted is not None and (tag.startswith(_WEAK) or tag not in wanted):
            return 412
    elif "if-unmodified-since" in headers:
        date = read_date(headers["if-unmodified-since"])
        if date is not None and modified > date:
            return 412
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None:
        return 304 if is_known(if_none_match, tag) else None
    if "if-modified-since" in headers:
        date = read_date(headers["if-modified-since"])
        if date is not None and modified <= date:
            return 304
    return None


def range_is_current(headers: Mapping[str, str], tag: str, modified: int) -> bool:
    """Whether the version that a client has a part of is the one that would be sent: ``If-Range``.

    Only a strong validator counts: the bytes must be the same. A date is one because no response
    names it as long as the content may change again in the same second.

    Source: sections 8.8.2.2 and 13.1.5.
    """
    if_range = headers.get("if-range")
    if if_range is None:
        return True
    return (if_range == tag and not tag.startswith(_WEAK)) or read_date(if_range) == modified
