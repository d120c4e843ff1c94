"""Content codings: which of them a client accepts, and which content is worth compressing.

All who compress use this one reader of ``Accept-Encoding``: files, the client for browsers, and
whole responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from finch.http.media import media_type

PREFERRED: Final = ("br", "zstd", "gzip")
"""The codings that Finch knows, the one with the smallest results first."""

_MOST: Final = 32  # members of the header that are read: browsers send four
_ALIASES: Final = {"x-gzip": "gzip"}  # RFC 9110, section 8.4.1.3
_MEMBER: Final = re.compile(
    r"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+"
    r"(?:;[ \t]*+[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*+)?"
)
_COMPRESSIBLE: Final = re.compile(
    r"text/(?!event-stream).*|.*\+(?:json|xml)|application/(?:json|xml|javascript|typescript|wasm"
    r"|x-ndjson|jsonl|rtf|sql|x-sh|vnd\.ms-fontobject)|font/(?:ttf|otf|collection)"
    r"|image/(?:bmp|x-ms-bmp|vnd\.microsoft\.icon|x-icon)"
)


def weights(accept_encoding: str) -> dict[str, float]:
    """How much a client wants each coding: 0 to 1, by name in lower case.

    A member that is malformed is ignored. If a coding comes twice, its first weight counts.

    Source: RFC 9110, sections 12.4.2 and 12.5.3.

    Example::

        weights("br, gzip;q=0.5")  # {"br": 1.0, "gzip": 0.5}
    """
    found: dict[str, float] = {}
    for member in accept_encoding.split(",", _MOST)[:_MOST]:
        match = _MEMBER.fullmatch(member)
        if match is not None:
            name = match[1].lower()
            found.setdefault(_ALIASES.get(name, name), float(match[2] or 1))
    return found


def ranked(accept_encoding: str, available: Iterable[str] = PREFERRED) -> list[str]:
    """The codings that a client would rather have than the content as it is, the best first.

    Parameters:
        accept_encoding: the header; empty if the request has none.
        available: the codings that there are. Of two that the client wants equally, the one that
            comes first here is the better one.

    ``identity``, the content as it is, is acceptable if the header does not name it, but then any
    coding that the client accepts is better.

    Source: RFC 9110, section 12.5.3.

    Example::

        ranked("gzip, br;q=0.8")  # ["gzip", "br"]
    """
    if not accept_encoding:
        return []
    wanted = weights(accept_encoding)
    others = wanted.get("*", 0.0)
    least = wanted.get("identity", 0.0)
    found = [(wanted.get(name, others), name) for name in available]
    better = [one for one in found if one[0] > 0 and one[0] >= least]
    return [name for _, name in sorted(better, key=lambda one: -one[0])]


def compressible(content_type: str) -> bool:
    """Whether content of this type is worth compressing. Images, sound and video are not: they are
    compressed already. A stream of events is not either, because each event must leave at once."""
    return _COMPRESSIBLE.fullmatch(media_type(content_type)) is not None
