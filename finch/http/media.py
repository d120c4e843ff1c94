"""Reads a Content-Type: the media type, its parameters, and which charsets are known.

What a proxy or a filter in front could read in another way is refused.
"""

from __future__ import annotations

import re
from typing import Final

from finch.errors import HTTPError
from finch.headers import Headers

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

# a semicolon, and usually a parameter after it
_PARAMETER: Final = re.compile(
    r"[ \t]*+;[ \t]*+(?:([\w!#$%&'*+.^`|~-]++)="
    r"""(?:([^\x00-\x20\x7f",;\\]*+)|"((?:[^"\\]|\\.)*+)")[ \t]*+(?=;|\Z))?+""",
    re.ASCII,
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")

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


def content_type_of(headers: Headers) -> str:
    """The Content-Type of a request; empty if it has none.

    Raises:
        HTTPError: 400 if there are several: a program in front may have taken another one.
    """
    lines = headers.getlist("content-type")
    if len(lines) > 1:
        raise HTTPError(400, "the request has several Content-Types")
    return lines[0] if lines else ""


def parameters(content_type: str, name: str) -> list[str]:
    """The values of one parameter, without quotes: usually one, or none.

    Parameters:
        name: in lower case.

    Raises:
        HTTPError: 400 if the parameters are malformed.
    """
    return [value for key, value in pairs(content_type, "the Content-Type") if key == name]


def pairs(header: str, what: str) -> list[tuple[str, str]]:
    """The parameters of a header, in order: names in lower case, and values without quotes.

    Parameters:
        header: such as ``text/plain; charset=utf-8``.
        what: the name of the header, for the error.

    Raises:
        HTTPError: 400 if they are malformed.

    Source: RFC 9110, section 5.6.6. A value without quotes may have more characters here, since
    some programs write boundaries so.
    """
    found = []
    position = header.find(";")
    while 0 <= position < len(header):
        parameter = _PARAMETER.match(header, position)
        if parameter is None:
            raise HTTPError(400, f"{what} is malformed")
        key, plain, quoted = parameter.groups()
        if key is not None:
            value = plain if plain is not None else _QUOTED_PAIR.sub(r"\1", quoted)
            found.append((key.lower(), value))
        position = parameter.end()
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
