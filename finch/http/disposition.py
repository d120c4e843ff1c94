"""``Content-Disposition``: the name under which a browser saves what it downloads.

Source: RFC 6266, and RFC 8187 for names that are not ASCII.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

LONGEST: Final = 255  # bytes of a file name: file systems have the same limit
_NO_NAME: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_PLAIN: Final = re.compile(r"[^\x20-\x7e]|[\"%\\]")
_PLAIN_IN_UTF8: Final = "!#$&+-.^_`|~"  # attr-char of RFC 8187, section 3.2.1


def content_disposition(filename: str, *, inline: bool = False) -> str:
    """The header for a file that a browser saves under a name.

    Parameters:
        filename: any text. Characters that a name cannot have (slashes, line breaks, ...) become
            ``_``; so do those that reverse the direction of text, which make ``exe.jpg`` of
            ``gpj.exe``.
        inline: whether the browser shows the file instead of saving it.

    Example::

        content_disposition("naïve.txt")
        # attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt
    """
    name = _shortened(_NO_NAME.sub("_", filename)) or "_"
    plain = _NOT_PLAIN.sub("_", name)
    header = f'{"inline" if inline else "attachment"}; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name, safe=_PLAIN_IN_UTF8)}"
    return header


def _shortened(name: str) -> str:
    """The name, with its middle left out if it is too long, so that it keeps its extension."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        stem, dot, extension = name, "", ""
    end = (dot + extension).encode()
    return (stem.encode()[: LONGEST - len(end)] + end).decode(errors="ignore")
