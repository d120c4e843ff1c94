"""Cookies: those of a request, read; those that an application sets, each attribute checked.

A browser drops a cookie that it cannot keep without a word, and the visitor is logged out. So what
no browser would keep is refused here, where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any, Final

from finch.explain import kind, not_text, shown
from finch.headers import NAME

_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")  # in a quoted one: octal, or itself
_LONGEST: Final = 4096  # bytes of name and value together (RFC 6265bis, section 5.7)
_LONGEST_ATTRIBUTE: Final = 1024  # bytes; browsers ignore a longer one
_PATH: Final = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SAME_SITE: Final = ("lax", "strict", "none")


def needs_secure(name: str) -> bool:
    """Whether browsers keep a cookie of that name only if it is ``Secure``: it has a prefix that
    says so (RFC 6265bis, section 4.1.3)."""
    return name.lower().startswith(("__host-", "__secure-"))


def set_cookie_header(
    name: Any,
    value: Any,
    *,
    max_age: Any,
    expires: Any,
    path: Any,
    domain: Any,
    secure: Any,
    httponly: Any,
    samesite: Any,
) -> str:
    """The value of a ``Set-Cookie`` header.

    Parameters: as :meth:`finch.Response.set_cookie`.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: no browser would keep such a cookie.

    Source: RFC 6265, section 4.1.
    """
    morsel = _named(name, value)
    _check_flags(name, secure=secure, httponly=httponly)
    morsel["path"] = _checked_path(path)
    if max_age is not None:
        morsel["max-age"] = str(_checked_age(max_age))
    if expires is not None:
        morsel["expires"] = _date(expires)
    if domain is not None and domain != "":
        morsel["domain"] = _checked_domain(domain)
    if secure:
        morsel["secure"] = True
    if httponly:
        morsel["httponly"] = True
    if samesite is not None:
        morsel["samesite"] = _checked_site(samesite, secure)
    if needs_secure(name) and not secure:
        raise ValueError(f"a cookie named {name!r} needs secure=True: browsers refuse it")
    if name.lower().startswith("__host-") and (path != "/" or domain):
        raise ValueError(f"a cookie named {name!r} has path='/' and no domain: browsers refuse it")
    return morsel.OutputString()


def _named(name: Any, value: Any) -> Morsel[str]:
    if not isinstance(name, str):
        raise TypeError(f"a cookie's name is text, not {kind(name)}")
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is no cookie's name: write letters, digits, hyphens and underscores"
        )
    if not isinstance(value, str):
        advice = "write str(...) around it"
        if value is None:
            advice = f"delete_cookie({name!r}) removes a cookie"
        elif isinstance(value, bytes):
            advice = "write value.decode()"
        elif isinstance(value, dict | list):
            advice = "write json.dumps(...) around it"
        raise TypeError(f"the value of the cookie {name!r} is text, not {kind(value)}; {advice}")
    fault = not_text(value)
    if fault:
        raise ValueError(f"the value of the cookie {name!r} has {fault}")
    # quoted byte by byte where it is no plain token, so that any text comes back
    _, coded = SimpleCookie().value_encode(value.encode("utf-8").decode("latin-1"))
    if len(name) + len(coded) > _LONGEST:
        raise ValueError(
            f"the cookie {name!r} has {len(name) + len(coded)} bytes, its name included, and "
            f"browsers drop one of more than {_LONGEST}: keep the data on the server"
        )
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set(name, value, coded)
    except CookieError as error:
        raise ValueError(f"{name!r} is no cookie's name: {error}") from None
    return morsel


def _check_flags(name: str, **flags: Any) -> None:
    for flag, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{flag} of the cookie {name!r} is True or False, not {shown(value)}")


def _checked_age(max_age: Any) -> int:
    if isinstance(max_age, bool) or not isinstance(max_age, int):
        advice = "write int(...) around it"
        if hasattr(type(max_age), "total_seconds"):
            advice = "write int(max_age.total_seconds())"
        elif isinstance(max_age, bool):
            advice = "None keeps a cookie until the browser is closed"
        raise TypeError(
            f"a cookie's max_age is a whole number of seconds, not {shown(max_age)}; {advice}"
        )
    return int(max_age)


def _date(expires: Any) -> str:
    if not isinstance(expires, datetime):
        raise TypeError(
            f"a cookie's expires is a datetime, not {shown(expires)}; write "
            "datetime.now(UTC) + timedelta(...), or give max_age, in seconds"
        )
    if expires.tzinfo is None:
        raise ValueError("expires needs a time zone, such as datetime.now(UTC)")
    try:
        return format_datetime(expires.astimezone(UTC), usegmt=True)
    except OverflowError:
        raise ValueError(f"expires is out of range: {expires}") from None


def _checked_path(path: Any) -> str:
    if not isinstance(path, str):
        raise TypeError(f"a cookie's path is text, not {kind(path)}; '/' is the whole site")
    if not path.startswith("/"):
        raise ValueError(f"a cookie's path begins with a slash, and {shown(path)} does not")
    if not _PATH.fullmatch(path) or len(path) > _LONGEST_ATTRIBUTE:
        raise ValueError(
            f"{shown(path)} is no cookie's path: it holds no semicolon, no line break and no "
            f"character beyond ASCII, and at most {_LONGEST_ATTRIBUTE} bytes"
        )
    return path


def _checked_domain(domain: Any) -> str:
    if not isinstance(domain, str):
        raise TypeError(f"a cookie's domain is text, not {kind(domain)}")
    bare = domain.removeprefix(".")  # browsers ignore the dot, and so do the standards of today
    if not _DOMAIN.fullmatch(bare) or len(bare) > _LONGEST_ATTRIBUTE:
        raise ValueError(
            f"{shown(domain)} is no cookie's domain: write a host without scheme and port, such "
            "as 'example.org', with letters beyond ASCII in their xn-- form"
        )
    return bare


def _checked_site(samesite: Any, secure: bool) -> str:
    if not isinstance(samesite, str):
        raise TypeError(f"a cookie's samesite is text or None, not {shown(samesite)}")
    if samesite.lower() not in _SAME_SITE:
        raise ValueError(
            f"a cookie's samesite is 'lax', 'strict', 'none' or None, not {shown(samesite)}"
        )
    if samesite.lower() == "none" and not secure:
        raise ValueError("a cookie with samesite='none' needs secure=True: browsers refuse it")
    return samesite.capitalize()


def read_cookies(headers: Iterable[str]) -> dict[str, str]:
    """The cookies of a request, by name; the first of a name counts.

    Parameters:
        headers: the values of its ``Cookie`` headers.

    Source: RFC 6265, section 5.4.
    """
    cookies: dict[str, str] = {}
    for header in headers:
        for pair in header.split(";"):
            # blanks only: the bytes of a letter may look like another kind of space
            name, equals, value = (part.strip(" \t") for part in pair.partition("="))
            name = _as_utf8(name)
            if equals and name not in cookies:
                cookies[name] = _as_utf8(_unquote_cookie(value))
    return cookies


def _unquote_cookie(value: str) -> str:
    # By hand, for http.cookies takes half a second for 12 KiB of backslashes (CVE-2024-7592).
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _as_utf8(text: str) -> str:
    """Text that was decoded as Latin-1, as what it is."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
