"""Chooses the language that a client gets, from those of the application."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from finch.errors import ConfigurationError
from finch.explain import shown

_RANGE = re.compile(r"\*|[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*+")
_QUALITY = re.compile(r"q=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", re.IGNORECASE)
# Characters of a language range. A longer one is ignored: each of its subtags costs a copy and a
# hash, and real tags have fewer than 35 characters.
_LONGEST: Final = 100


def check_languages(languages: Any) -> tuple[str, ...]:
    """The languages of an application, as a tuple.

    Parameters:
        languages: as the application gives them: one language tag, or several.

    Raises:
        ConfigurationError: if there is none, or one is not a language tag (RFC 4647, section 2.1).

    Example::

        check_languages(["en", "de-CH"])  # ("en", "de-CH")
    """
    try:
        listed = (languages,) if isinstance(languages, str) else tuple(languages)
    except TypeError:
        raise ConfigurationError(
            f"languages is {shown(languages)}; write a list, such as ['en', 'de']"
        ) from None
    if not listed:
        raise ConfigurationError("languages is empty; write languages=['en'], or leave it out")
    for tag in listed:
        if not isinstance(tag, str) or tag == "*" or not _RANGE.fullmatch(tag):
            instead = "write one such as 'en' or 'de-CH'"
            if isinstance(tag, str) and _RANGE.fullmatch(tag.replace("_", "-")):
                instead = f"write {tag.replace('_', '-')!r}"
            elif isinstance(tag, str) and "," in tag:
                instead = f"write a list: languages={[one.strip() for one in tag.split(',')]!r}"
            raise ConfigurationError(
                f"languages has {shown(tag)}, which is not a language tag; {instead}"
            )
    return listed


def choose_language(
    languages: Sequence[str], cookie: str | None, accept_language: str | None
) -> str:
    """The best match for the ``language`` cookie, or else for ``Accept-Language``.

    Parameters:
        languages: the application's languages, the default first.
        cookie: the cookie's value, a language tag.
        accept_language: the header's value.

    Returns:
        One of ``languages``; the first if nothing matches.

    Source: RFC 4647, section 3.4 (lookup); RFC 9110, section 12.5.4.

    Example::

        choose_language(("en", "de"), None, "de-CH, fr;q=0.8")  # "de"
    """
    tags = {tag.lower(): tag for tag in reversed(languages)}
    wanted = [cookie] if cookie else []
    for language_range in [*wanted, *_by_preference(accept_language or "")]:
        found = _look_up(language_range.lower(), tags)
        if found is not None:
            return found
    return languages[0]


def _look_up(language_range: str, tags: dict[str, str]) -> str | None:
    if len(language_range) > _LONGEST:
        return None
    while language_range:
        if language_range in tags:
            return tags[language_range]
        language_range, _, _ = language_range.rpartition("-")
        # "single letters or digits are removed as well" (RFC 4647, section 3.4)
        if language_range[-2:-1] == "-":
            language_range = language_range[:-2]
    return None


def _by_preference(header: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in header.split(",")[:32]:
        language_range, _, parameter = (text.strip() for text in part.partition(";"))
        quality = _QUALITY.fullmatch(parameter) if parameter else None
        weight = float(quality.group(1)) if quality else 0.0 if parameter else 1.0
        if weight > 0 and language_range != "*" and _RANGE.fullmatch(language_range):
            weighted.append((weight, language_range))
    weighted.sort(key=lambda item: -item[0])
    return [language_range for _, language_range in weighted]
