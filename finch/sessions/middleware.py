"""Sessions: the middleware that reads a visitor's session from a cookie, and writes it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal

from finch.encoding import encode
from finch.errors import ConfigurationError
from finch.explain import kind, shown
from finch.http.cookies import needs_secure, set_cookie_header
from finch.http.request import SESSION, Request
from finch.http.response import Response
from finch.http.takeover import TakeOver
from finch.sessions.codec import Codec
from finch.sessions.session import Session

_DAY: Final = 24 * 3600
_LONGEST: Final = 4096  # bytes of name and value, as browsers count (RFC 6265bis, section 5.7)
_OF_SOCKET: Final = (
    "the session of a socket is what it was at the handshake, and can only be read: there is no "
    "response that could take a cookie to the browser; keep values in socket.state, or change the "
    "session in an HTTP handler"
)
_TOO_LATE: Final = (
    "the response has been made, and its cookie with it, so the session can only be read; change "
    "the session before the handler returns"
)


class Sessions:
    """A middleware that gives each request a ``request.session``, kept in a signed cookie.

    Parameters:
        secret: what signs: 32 characters or more, from the environment. Or several, to change it
            without logging everybody out: the first one signs, all of them are accepted.
        cookie: the cookie's name. ``__Host-session`` for a site with HTTPS only: then no other
            host can set it.
        max_age: seconds after which the session of a visitor who does not come back is forgotten.
            It begins anew when half of it is over.
        same_site: ``lax``, ``strict`` or ``none``, as in :meth:`finch.Response.set_cookie`.
        path, domain: where browsers send it.
        secure: whether browsers send it over TLS only; None: if the request came over TLS.

    Raises:
        ConfigurationError: if a secret is too short, the cookie is one that no browser would keep,
            or ``finch-trio[sessions]`` is not installed.

    Source: RFC 6265bis; OWASP, Session Management Cheat Sheet.

    Example::

        app.middleware(Sessions(os.environ["SESSION_SECRET"]))
    """

    def __init__(
        self,
        secret: str | bytes | Iterable[str | bytes],
        *,
        cookie: str = "session",
        max_age: int = 14 * _DAY,
        same_site: Literal["lax", "strict", "none"] = "lax",
        path: str = "/",
        domain: str | None = None,
        secure: bool | None = None,
    ) -> None:
        if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age <= 0:
            instead = ""
            if hasattr(type(max_age), "total_seconds"):
                instead = "; write int(max_age.total_seconds())"
            raise ConfigurationError(
                f"max_age of Sessions is a whole number of seconds, more than 0, not "
                f"{shown(max_age)}{instead}"
            )
        if secure is not None and not isinstance(secure, bool):
            raise ConfigurationError(
                f"secure of Sessions is True, False or None, not {kind(secure)}"
            )
        self._cookie = cookie
        self._secure = secure
        self._options: dict[str, Any] = {
            "path": path,
            "domain": domain,
            "samesite": same_site,
            "httponly": True,
        }
        if isinstance(cookie, str) and needs_secure(cookie) and secure is None:
            self._secure = True
        try:
            likely = True if self._secure is None else self._secure
            set_cookie_header(
                cookie, "", max_age=max_age, expires=None, secure=likely, **self._options
            )
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"Sessions: {error}") from None
        if same_site == "none" and self._secure is None:
            raise ConfigurationError("Sessions with same_site='none' need secure=True")
        self._max_age = max_age
        self._codec = Codec(secret, cookie, max_age)

    async def __call__(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if SESSION in request.state:
            raise ConfigurationError("Sessions is registered twice; a request has one session")
        session = Session(self._codec, self._cookie, request.raw_headers)
        request.state[SESSION] = session
        response = await call_next(request)
        self._write(request, response, session)
        session.close(_OF_SOCKET if isinstance(response, TakeOver) else _TOO_LATE)
        return response

    def _write(self, request: Request, response: Response, session: Session) -> None:
        if not session.used:
            return
        _vary(response)
        if not session.changed and not session.stale:
            return
        secure = request.scheme == "https" if self._secure is None else self._secure
        if session:
            value, max_age = self._codec.sign(dict(session)), self._max_age
            if len(self._cookie) + len(value) > _LONGEST:
                raise RuntimeError(self._too_long(session, len(value)))
        else:
            value, max_age = "", 0
        response.set_cookie(self._cookie, value, max_age=max_age, secure=secure, **self._options)
        # Some caches keep a response with a cookie, and give it to everybody (RFC 9111, 7.3)
        cached = response.headers.get("cache-control", "").lower()
        if "no-store" not in cached and "private" not in cached:
            response.set_header("cache-control", "no-store")

    def _too_long(self, session: Session, length: int) -> str:
        sizes = {key: len(encode(value)) for key, value in session.items()}
        largest = max(sizes, key=lambda key: sizes[key])
        return (
            f"the cookie of the session would have {length} bytes, and browsers keep {_LONGEST} "
            f"with its name; the largest is session[{largest!r}] with {sizes[largest]} bytes: keep "
            "ids in the session, and the rest on the server"
        )


def _vary(response: Response) -> None:
    """The response depends on the visitor: tell caches."""
    named = {
        name.strip().lower()
        for line in response.headers.getlist("vary")
        for name in line.split(",")
    }
    if named.isdisjoint({"*", "cookie"}):
        response.add_header("vary", "Cookie")
