"""Reads a Content-Type: the media type, its parameters, and which charsets are known."""

from __future__ import annotations

from typing import Final

from finch.errors import HTTPError

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

# Not all of Python's codecs: some take quadratic time, and Python keeps each codec name that it was
# asked for in memory for ever.
_CHARSETS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16",
    "utf-32": "utf-32",
}


def media_type(content_type: str) -> str:
    """The media type of a Content-Type, in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def parameters(content_type: str, name: str) -> list[str]:
    """The values of one parameter, without quotes: usually one, or none.

    A value with a semicolon is cut off there. No charset and no boundary has one.

    Parameters:
        name: in lower case.

    Source: RFC 9110, section 5.6.6.
    """
    found = []
    for parameter in content_type.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == name:
            found.append(value.strip().strip('"'))
    return found


def charset_of(content_type: str) -> str:
    """The charset that a Content-Type names; ``utf-8`` if it names none."""
    return (parameters(content_type, "charset") or ["utf-8"])[-1]


def codec_of(charset: str) -> str:
    """The name of Python's codec for a charset.

    Raises:
        HTTPError: 415 if it is unknown.
    """
    codec = _CHARSETS.get(charset.lower())
    if codec is None:
        raise HTTPError(415, f"unknown charset {charset[:40]!r}")
    return codec
