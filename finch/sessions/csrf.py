"""CSRF: refuses forms that pages of other sites send with a visitor's cookies.

Browsers say which site a request comes from: by ``Sec-Fetch-Site`` (all since 2023, over TLS and on
localhost), or by ``Origin`` or ``Referer``. That decides. A request that says nothing, and has
cookies, needs a token that only a page of this site can know.

Source: https://www.w3.org/TR/fetch-metadata; OWASP, Cross-Site Request Forgery Prevention Cheat
Sheet.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from finch.errors import ConfigurationError, HTTPError
from finch.http.media import FORM, MULTIPART, media_type
from finch.http.request import Request
from finch.http.response import Response
from finch.logs import Seldom
from finch.sessions.session import session_of
from finch.wire.handshake import same_origin
from finch.wire.origins import listed_origin, read_origin
from finch.wire.posted import HEADER

FIELD: Final = "csrf_token"
"""The field of a form that has the token."""

_HEADER: Final = "x-csrf-token"
_KEY: Final = "csrf"  # where the session has what the tokens are made of
_SIZE: Final = 16  # bytes
_SAFE: Final = ("GET", "HEAD", "OPTIONS", "TRACE")  # RFC 9110, section 9.2.1
_OWN: Final = ("same-origin", "none")  # none: the visitor did it, by a bookmark for example
_BY_ITSELF: Final = frozenset(("basic", "digest", "negotiate", "ntlm"))  # what browsers remember
_ORIGIN: Final = re.compile(r"(https?://[^/?#\\@\s]+)(?:[/?#]|\Z)", re.IGNORECASE)
_SHOWN: Final = 100  # characters of what a client sent
_log = logging.getLogger("finch.sessions")


class CSRF:
    """A middleware that refuses what pages of other sites send, with 403.

    GET, HEAD and OPTIONS pass: they must not change anything. Sockets have a check of their own
    (``allowed_origins``). A request without cookies passes if no browser has sent it: such as one
    of a program with a token in ``Authorization``.

    Parameters:
        trusted_origins: origins of other sites whose pages may send, such as
            ``["https://admin.example.org"]``.
        exempt: paths that anybody may send to, such as ``["/hooks/payment"]``; ``/hooks/*`` for all
            paths below.

    Raises:
        ConfigurationError: if one of them is not an origin, or not a path.

    Example::

        app.middleware(Sessions(os.environ["SESSION_SECRET"]))
        app.middleware(CSRF())
    """

    def __init__(self, *, trusted_origins: Iterable[str] = (), exempt: Iterable[str] = ()) -> None:
        for name, given in (("trusted_origins", trusted_origins), ("exempt", exempt)):
            if isinstance(given, str):
                raise ConfigurationError(f"{name} of CSRF is a list: write [{given!r}]")
        self._trusted = frozenset(map(listed_origin, trusted_origins))
        self._exempt = frozenset(exempt)
        for path in self._exempt:
            if not isinstance(path, str) or not path.startswith("/"):
                raise ConfigurationError(f"exempt of CSRF has {path!r}; a path begins with a slash")
        self._seldom = Seldom(_log)
        self._below = tuple(path[:-1] for path in self._exempt if path.endswith("/*"))

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if not (request.method in _SAFE or self._is_exempt(request.path) or _is_said(request)):
            known, page = self._comes_from(request)
            if not known:
                if not await _has_token(request):
                    raise _refusal_of_unknown(request, self._seldom)
            elif page is not None:
                raise _refusal_of(request, page, self._seldom)
        return await call_next(request)

    def _is_exempt(self, path: str) -> bool:
        return path in self._exempt or any(path.startswith(one) for one in self._below)

    def _comes_from(self, request: Request) -> tuple[bool, str | None]:
        """Whether it is known where a request comes from, and the page that may not send it; None
        if it may."""
        sites = request.headers.getlist("sec-fetch-site")
        origins = request.headers.getlist("origin")
        if len(origins) == 1 and self._trusted and read_origin(origins[0]) in self._trusted:
            return True, None
        if sites:
            own = len(sites) == 1 and sites[0] in _OWN
            return True, None if own else ", ".join(origins) or "another site"
        # "null" says only that the page hides its origin: it may be ours
        if origins and origins != ["null"]:
            return True, _foreign(request, origins)
        referers = request.headers.getlist("referer")
        if referers:
            found = [_ORIGIN.match(one) for one in referers]
            return True, _foreign(request, [one[1] if one else "" for one in found])
        # a program sends no Origin at all; a page could log a visitor in as somebody else
        return not origins and not _has_credentials(request), None


def _is_said(request: Request) -> bool:
    """Whether a socket without a WebSocket says something. Its path checks the origin, by
    ``allowed_origins``, and a secret that only the page with the stream knows."""
    has_secret = request.method == "POST" and HEADER in request.headers
    return has_secret and request.path in request.app.managers


def _foreign(request: Request, origins: list[str]) -> str | None:
    """The origins, if they are not the host that was asked."""
    if len(origins) == 1 and same_origin(origins[0], request.scheme, request.host):
        return None
    return ", ".join(origins)


def _has_credentials(request: Request) -> bool:
    """Whether it has what browsers send by themselves, whoever made the page."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    return scheme in _BY_ITSELF or "cookie" in request.headers


def _refusal_of(request: Request, page: str, log: Seldom) -> HTTPError:
    log.warning(
        "%s %s was refused: it was sent by a page of %s. CSRF(trusted_origins=[...]) allows it",
        request.method,
        request.raw_path[:_SHOWN],
        ascii(page[:_SHOWN]),
    )
    return HTTPError(403, "a page of another site may not send this")


def _refusal_of_unknown(request: Request, log: Seldom) -> HTTPError:
    missing = "it has no valid csrf_token" if session_of(request) else "there are no Sessions"
    log.warning(
        "%s %s was refused: nothing says which page has sent it, and %s. Put {{ csrf_field() }} "
        "into the form, or send the header X-CSRF-Token",
        request.method,
        request.raw_path[:_SHOWN],
        missing,
    )
    return HTTPError(
        403, "nothing says which page has sent this: reload the page, and send it again"
    )


def csrf_token(request: Request) -> str:
    """A token that shows that a form comes from a page of this site. It belongs to the session, and
    is another text each time.

    Raises:
        RuntimeError: if the request has no session.

    Example::

        f'<input type="hidden" name="csrf_token" value="{csrf_token(request)}">'
    """
    kept = _kept_in(request.session.get(_KEY))
    if kept is None:
        kept = secrets.token_bytes(_SIZE)
        request.session[_KEY] = urlsafe_b64encode(kept).decode()
    # Another text each time: otherwise the size of a compressed page, which also shows text of an
    # attacker, would tell the token bit by bit (BREACH).
    mask = secrets.token_bytes(_SIZE)
    return urlsafe_b64encode(mask + _mixed(mask, kept)).decode().rstrip("=")


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _kept_in(value: object) -> bytes | None:
    decoded = _bytes_of(value)
    return decoded if len(decoded) == _SIZE else None


def _bytes_of(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > _SHOWN:
        return b""
    try:
        return urlsafe_b64decode(text.encode("ascii") + b"==")
    except ValueError:
        return b""


async def _has_token(request: Request) -> bool:
    """Whether the request has a token of its session: in a header, or in a field of a form."""
    session = session_of(request)
    kept = None if session is None else _kept_in(session.get(_KEY))
    if kept is None:
        return False
    token: object = request.headers.get(_HEADER)
    if token is None and media_type(request.content_type) in (FORM, MULTIPART):
        token = (await request.form()).get(FIELD)
    given = _bytes_of(token)
    if len(given) != 2 * _SIZE:
        return False
    return hmac.compare_digest(_mixed(given[:_SIZE], given[_SIZE:]), kept)
