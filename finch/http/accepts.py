"""Reads ``Accept``: which of the forms that a response could have the client prefers.

Source: RFC 9110, sections 12.4.2 and 12.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_MOST: Final = 32  # media ranges that are read; browsers send fewer than ten
_RANGE: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9a-z]++)/([!#$%&'*+\-.^_`|~0-9a-z]++)")
_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


class _Wish(NamedTuple):
    """How much a client wants a type. A greater one is wanted more."""

    weight: float
    exactness: int  # 2 for the type itself, 1 for text/*, 0 for */*
    place: int  # the earlier in the header, the greater


def choose_type(accept: str, offers: Sequence[Sequence[str]]) -> int | None:
    """Which of several forms a client prefers.

    If two forms have the same weight, the one counts that the header names more exactly, and then
    the one that it names first: ``application/json, text/plain, */*`` prefers JSON.

    Parameters:
        accept: the header; empty if there is none.
        offers: each form, with the media types that ask for it, in lower case.

    Returns:
        The index of the form; None if the client prefers none, as with ``*/*``.

    Example::

        choose_type("text/html, */*;q=0.8", [["text/plain"], ["text/html"]])  # 1
    """
    ranges = _read(accept)
    best, best_wish = None, None
    for index, types in enumerate(offers):
        wishes = [wish for one in types if (wish := _wish(one, ranges)) is not None]
        wish = max(wishes, default=None)
        if wish is not None and wish.exactness and (best_wish is None or wish > best_wish):
            best, best_wish = index, wish
    return best


def _read(accept: str) -> list[tuple[str, str, float]]:
    """Type, subtype and weight of each media range. Malformed ones are left out."""
    ranges = []
    for member in accept.lower().split(",", _MOST)[:_MOST]:
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        found = _RANGE.fullmatch(name)
        if found is None:
            continue
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                said = _WEIGHT.fullmatch(parameter)
                weight = float(said[1]) if said else 0.0
        ranges.append((found[1], found[2], weight))
    return ranges


def _wish(offer: str, ranges: list[tuple[str, str, float]]) -> _Wish | None:
    """What the header says of one type: its most exact range decides; None if it is not wanted."""
    main, _, sub = offer.partition("/")
    best = None
    for place, (theirs, their_sub, weight) in enumerate(ranges):
        if theirs == main and their_sub in (sub, "*"):
            exactness = 1 if their_sub == "*" else 2
        elif theirs == their_sub == "*":
            exactness = 0
        else:
            continue
        if best is None or exactness > best.exactness:
            best = _Wish(weight, exactness, -place)
    return best if best is not None and best.weight else None
