"""Parses the origins that an application allows in addition to those of its own host.

The origin of a page is scheme, host and port. Mobile apps, browser extensions and desktop shells
have origins too, with their own schemes and hosts: ``capacitor://localhost``,
``chrome-extension://<id>``, ``app://.``, ``file://``.
"""

from __future__ import annotations

import re
from typing import Final

from finch.errors import ConfigurationError
from finch.wire.handshake import DEFAULT_PORTS, parse_origin

Origin = tuple[str, str, int]
"""Scheme, host and port; the port is 0 if there is none."""

_NOT_OF_PAGES: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*+)://([A-Za-z0-9\-._~!$&'()+;=%]*+)(?::([1-9][0-9]{0,4}))?"
)
_PARTS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?#\\]*+)(.*+)", re.DOTALL)
# Python's IDNA 2003 replaces these characters; browsers use IDNA 2008, which keeps them.
_DEVIATIONS: Final = frozenset("ßẞς\u200c\u200d")


def read_origin(origin: str) -> Origin | None:
    """The origin in an ``Origin`` header; None for ``null`` and for anything that is not an origin.

    Case does not matter in the host of a page. In all other origins, the host must be written as
    it is sent.

    Source: RFC 6454, section 7; WHATWG URL, section 4.7.
    """
    page = parse_origin(origin)
    if page is not None:
        return page
    found = _NOT_OF_PAGES.fullmatch(origin)
    if found is None or found[1].lower() in DEFAULT_PORTS:
        return None
    port = int(found[3] or 0)
    return (found[1].lower(), found[2], port) if port < 65536 else None


def listed_origin(origin: object, option: str = "allowed_origins") -> Origin:
    """An origin as an application writes it in ``allowed_origins``, or in another option.

    The host may be written in Unicode (IDNA 2003); browsers send it in ASCII. A trailing slash is
    ignored.

    Raises:
        ConfigurationError: if it is not an origin. The message says what to write instead.

    Example::

        listed_origin("https://münchen.example")  # ("https", "xn--mnchen-3ya.example", 443)
    """
    if not isinstance(origin, str):
        raise ConfigurationError(
            f"{option} has {origin!r}, which is not text; write an origin, such as "
            "'https://example.org'"
        )
    found = _PARTS.fullmatch(origin)
    if found is None or "," in origin or any(map(str.isspace, origin)):
        raise ConfigurationError(_not_an_origin(origin, option))
    scheme, authority, rest = found[1].lower(), found[2], found[3]
    where = authority.rpartition("@")[2]
    if "*" in authority:
        raise ConfigurationError(
            f"{origin!r} has a wildcard, which {option} does not support. List each origin; "
            "'*' alone allows all"
        )
    if rest not in ("", "/") or where != authority:
        raise ConfigurationError(
            f"{origin!r} is a URL, not an origin: an origin has only scheme, host and port. "
            f"Write '{found[1]}://{where}'"
        )
    if scheme in ("ws", "wss"):
        raise ConfigurationError(
            f"{origin!r} is the address of a socket, not the origin of a page; write "
            f"'{scheme.replace('ws', 'http')}://{authority}'"
        )
    if scheme in DEFAULT_PORTS:
        authority = _to_ascii(origin, authority)
    read = read_origin(f"{scheme}://{authority}")
    if read is None:
        raise ConfigurationError(
            f"{origin!r} is not an origin: its host or its port is wrong; write it as browsers do, "
            "such as 'https://example.org' or 'https://example.org:8443'"
        )
    return read


def _to_ascii(origin: str, authority: str) -> str:
    """The host and port of a page as browsers send them."""
    if authority.isascii():
        return authority
    host, colon, port = authority.partition(":")
    try:
        if _DEVIATIONS.intersection(host):
            raise UnicodeError("it has one of ß, ς and the zero-width joiners")
        return host.encode("idna").decode("ascii") + colon + port
    except UnicodeError as error:
        raise ConfigurationError(
            f"the host of {origin!r} cannot be converted to ASCII: {error}. Write it as browsers "
            "send it, with 'xn--'; their developer tools show location.origin"
        ) from None


def _not_an_origin(origin: str, option: str) -> str:
    """What is wrong with text that does not begin with a scheme, or has commas or white space."""
    if "," in origin:
        return (
            f"{origin!r} is not an origin; write several as a list: "
            f"{option}=['https://a.example', 'https://b.example']"
        )
    if any(map(str.isspace, origin)):
        return f"{origin!r} is not an origin: it has white space"
    if origin.lower() == "null":
        return f"{origin!r} is not an origin; write 'null', as browsers do"
    host = re.sub(r"^(?:https?)?:?/*", "", origin, flags=re.IGNORECASE).partition("/")[0]
    if not host:
        return f"{origin!r} is not an origin; write scheme and host, such as 'https://example.org'"
    if "*" in host:
        return (
            f"{origin!r} is not an origin, and {option} does not support wildcards. List "
            "each origin, such as 'https://example.org'; '*' alone allows all"
        )
    local = re.match(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::|$)", host)
    scheme = "http" if local or origin.lower().startswith("http:") else "https"
    return f"{origin!r} is not an origin: it needs a scheme. Write '{scheme}://{host}'"
