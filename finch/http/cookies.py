"""Reads the cookies of a request, and checks and writes the cookies that an application sets.

If a browser cannot keep a cookie, it drops it silently, and the visitor is logged out. So
``set_cookie`` raises an error for each cookie that no browser would keep.
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

_ESCAPED: Final = re.compile(r"\\(?:([0-3][0-7]{2})|(.))")  # in a quoted value: octal, or any char
_LONGEST: Final = 4096  # bytes of name and value together (RFC 6265bis, section 5.7)
_LONGEST_ATTRIBUTE: Final = 1024  # bytes; browsers ignore a longer one
_PATH: Final = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SAME_SITE: Final = ("lax", "strict", "none")


def needs_secure(name: str) -> bool:
    """Whether the name has a prefix for which browsers require ``Secure`` (RFC 6265bis, section
    4.1.3)."""
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

    Parameters: as in :meth:`finch.Response.set_cookie`.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if no browser would keep such a cookie.

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
        raise ValueError(
            f"a cookie named {name!r} needs path='/' and no domain: browsers refuse any other"
        )
    return morsel.OutputString()


def _named(name: Any, value: Any) -> Morsel[str]:
    if not isinstance(name, str):
        raise TypeError(f"a cookie's name is text, not {kind(name)}")
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{shown(name)} is not a valid cookie name: use letters, digits, hyphens and "
            "underscores"
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
    # A value that is not a plain token is quoted byte by byte, so that it comes back unchanged.
    _, coded = SimpleCookie().value_encode(value.encode("utf-8").decode("latin-1"))
    if len(name) + len(coded) > _LONGEST:
        raise ValueError(
            f"the cookie {name!r} has {len(name) + len(coded)} bytes, its name included; browsers "
            f"drop a cookie of more than {_LONGEST} bytes: keep the data on the server"
        )
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set(name, value, coded)
    except CookieError as error:
        raise ValueError(f"{name!r} is not a valid cookie name: {error}") from None
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
            advice = "write None to keep the cookie until the browser is closed"
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
        raise TypeError(
            f"a cookie's path is text, not {kind(path)}; for the whole site, write path='/'"
        )
    if not path.startswith("/"):
        raise ValueError(f"a cookie's path must begin with a slash, and {shown(path)} does not")
    if not _PATH.fullmatch(path) or len(path) > _LONGEST_ATTRIBUTE:
        raise ValueError(
            f"{shown(path)} is not a valid cookie path: it may have only ASCII characters, no "
            f"semicolon, no line break, and at most {_LONGEST_ATTRIBUTE} bytes"
        )
    return path


def _checked_domain(domain: Any) -> str:
    if not isinstance(domain, str):
        raise TypeError(f"a cookie's domain is text, not {kind(domain)}")
    bare = domain.removeprefix(".")  # browsers and today's standards ignore the dot
    if not _DOMAIN.fullmatch(bare) or len(bare) > _LONGEST_ATTRIBUTE:
        raise ValueError(
            f"{shown(domain)} is not a valid cookie domain: write a host without scheme and port, "
            "such as 'example.org'; write letters beyond ASCII in their xn-- form"
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
    """The cookies of a request, by name. If a name comes twice, the first one counts.

    Parameters:
        headers: the values of the request's ``Cookie`` headers.

    Source: RFC 6265, section 5.4.
    """
    cookies: dict[str, str] = {}
    for header in headers:
        for pair in header.split(";"):
            # Strip only blanks and tabs: the text is bytes read as Latin-1, and one byte of a
            # UTF-8 letter may look like another kind of space.
            name, equals, value = (part.strip(" \t") for part in pair.partition("="))
            name = _as_utf8(name)
            if equals and name not in cookies:
                cookies[name] = _as_utf8(_unquote_cookie(value))
    return cookies


def _unquote_cookie(value: str) -> str:
    # Not with http.cookies: it takes half a second for 12 KiB of backslashes (CVE-2024-7592).
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)) if found[1] else found[2], value[1:-1])


def _as_utf8(text: str) -> str:
    """Text that was decoded as Latin-1, decoded as UTF-8 instead if possible."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
