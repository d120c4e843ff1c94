"""Dates in headers: the ``Date`` of responses, and what is read from requests."""

from __future__ import annotations

import re
from calendar import timegm
from email.utils import formatdate
from functools import lru_cache
from time import gmtime, time
from typing import Final

_NAMES: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MONTHS: Final = {name: number for number, name in enumerate(_NAMES, 1)}
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS: Final = (
    rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",
    rf"[A-Z][a-z]{{5,8}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",
    rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
)


@lru_cache(maxsize=1)
def _date_of(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


def date_now() -> bytes:
    """The ``Date`` header of a response that is sent now (RFC 9110, section 6.6.1)."""
    return _date_of(int(time()))


def read_date(text: str) -> int | None:
    """The seconds since 1970 that a date in a header stands for; None if it is not such a date.

    Source: RFC 9110, section 5.6.7: today's form, and two obsolete ones.

    Example::

        read_date("Sun, 06 Nov 1994 08:49:37 GMT")  # 784111777
    """
    for form in _FORMS:  # compiled when first used, and then cached: few requests have a date
        match = re.fullmatch(form, text)
        if match is not None:
            day, hour, minute, second = (int(match[one]) for one in _NUMBERS)
            year = _full_year(match["year"])
            if not (year and 1 <= day <= 31 and hour <= 23 and minute <= 59 and second <= 60):
                return None
            month = _MONTHS[match["month"]]
            return timegm((year, month, day, hour, minute, second))
    return None


_NUMBERS: Final = ("day", "hour", "minute", "second")


def _full_year(year: str) -> int:
    """The year of a date with two digits: not "more than 50 years in the future"."""
    if len(year) == 4:
        return int(year)
    now = gmtime().tm_year
    full = now - now % 100 + int(year)
    return full - 100 if full > now + 50 else full
