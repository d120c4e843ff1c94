"""CORS: which pages of other origins may read the application's responses.

A browser lets a page read a response of another origin only if the response says so. Before a
request that a form could not send, it asks first: the preflight. CORS answers preflights before
routing, so no route needs OPTIONS, and marks all other responses, those to errors included.

Origins are compared after parsing: as scheme, host and port. So a look-alike such as
``https://example.org.evil.example`` is never taken for ``https://example.org``.

CORS protects no server: requests without a preflight reach the handler in any case.

Source: WHATWG Fetch, section 3.2 (CORS protocol); RFC 6454.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Any, Final

from finch.errors import ConfigurationError
from finch.explain import shown
from finch.guards.around import Next, add_vary, answered, switch, texts
from finch.headers import NAME
from finch.http.request import Request
from finch.http.response import Response, TextResponse
from finch.http.takeover import TakeOver
from finch.logs import Seldom
from finch.wire.origins import Origin, listed_origin, read_origin
from finch.wire.posted import HEADER

_log: Final = logging.getLogger("finch.app")

_WILD: Final = re.compile(r"(https?)://\*\.([^*]+)", re.IGNORECASE)
_SHOWN: Final = 200  # characters of what a client sent, in the log and in the answer
_MOST: Final = 100  # names that a preflight may ask for; a page has a handful
_LONGEST: Final = (
    86_400  # seconds; Firefox keeps an answer for at most a day, Chromium for two hours
)
# a page may always send these (Fetch, "CORS-safelisted request-header")
_SAFE: Final = frozenset(("accept", "accept-language", "content-language", "content-type", "range"))
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_KEPT: Final = 1_000  # origins of which it is kept that they are allowed
_ORIGIN, _METHOD, _HEADERS = (
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
)


class CORS:
    """Lets pages of other origins read responses.

    Parameters:
        origins: such as ``"https://example.org"``; ``"https://*.example.org"`` for all hosts below
            one; ``"*"`` alone for everybody. One text, or several.
        methods: what pages may send; ``"*"`` for any.
        headers: names of headers that pages may send, such as ``"authorization"``. A page may
            always send a ``Content-Type``, and those that browsers send. ``"*"`` for any.
        expose: names of response headers that pages may read, besides the usual ones.
        credentials: whether browsers send cookies along, and pages may read the response.
        max_age: seconds for which a browser keeps the answer to a preflight.
        sockets: whether pages of these origins may open the application's sockets, too. ``"*"``
            opens none: a socket always has the cookies. For that, write ``allowed_origins="*"``.

    Raises:
        ConfigurationError: if an origin is not one, if everybody would be allowed with credentials,
            or if another value is invalid.

    Example::

        app.middleware(CORS(["https://app.example.org"], headers=["authorization"]))
    """

    def __init__(
        self,
        origins: Iterable[str] | str,
        *,
        methods: Iterable[str] | str = _METHODS,
        headers: Iterable[str] | str = (),
        expose: Iterable[str] | str = (),
        credentials: bool = False,
        max_age: int = 600,
        sockets: bool = True,
    ) -> None:
        self._credentials = switch(credentials, "credentials")
        self._sockets = switch(sockets, "sockets")
        listed = texts(origins, "origins", "['https://example.org']")
        self._any = "*" in listed
        self._check_any(listed)
        wild = [one for one in listed if "*" in one and one != "*"]
        self._listed = frozenset(
            listed_origin(one, "origins") for one in listed if one != "*" and one not in wild
        )
        self._below = tuple(map(_wildcard, wild))
        self._methods = _names(methods, "methods", "['GET', 'POST']", str.upper)
        self._headers = _names(headers, "headers", "['authorization']", str.lower)
        exposed = _names(expose, "expose", "['x-total']", str.lower)
        if self._credentials and "*" in exposed:
            raise ConfigurationError(
                "expose='*' means nothing with credentials=True (Fetch, section 3.2.5); write the "
                "names of the headers: expose=['x-total']"
            )
        self._exposed = ", ".join(sorted(exposed))
        if type(max_age) is not int or not 0 <= max_age <= _LONGEST:
            raise ConfigurationError(
                f"max_age is whole seconds, 0 to {_LONGEST}, not {shown(max_age)}"
            )
        self._max_age = str(max_age)
        self._seldom = Seldom(_log)
        self._decided: dict[str, bool] = {}

    def _check_any(self, listed: list[str]) -> None:
        if not listed:
            raise ConfigurationError(
                "origins is empty, so CORS would allow nobody; write origins=['https://...']"
            )
        if "null" in listed:
            raise ConfigurationError(
                "origins has 'null', which every page can have: an <iframe sandbox> is enough. "
                "Write origins='*', without credentials, if everybody may read"
            )
        if self._any and len(listed) > 1:
            raise ConfigurationError("origins has '*', which allows all others already: write '*'")
        if self._any and self._credentials:
            raise ConfigurationError(
                "origins='*' with credentials=True would show every page what your visitors see; "
                "list the origins: origins=['https://example.org']"
            )

    def attach(self, app: Any) -> None:
        """Open the application's sockets to these origins. ``app.middleware`` calls it."""
        if self._sockets and not self._any:
            app.socket_options.allow_also(self.allows)

    def allows(self, origin: str) -> bool:
        """Whether a page of an origin is allowed.

        Parameters:
            origin: the value of ``Origin``.
        """
        if self._any:
            return True
        decided = self._decided.get(origin)
        if decided is None:
            decided = self._decide(origin)
            if decided and len(self._decided) < _KEPT:  # what is refused could be anything
                self._decided[origin] = decided
        return decided

    def _decide(self, origin: str) -> bool:
        read = read_origin(origin)
        if read is None:
            return False
        if read in self._listed:
            return True
        scheme, host, port = read
        return any(
            host.endswith(base) and len(host) > len(base) and (scheme, port) == (theirs, number)
            for theirs, base, number in self._below
        )

    async def __call__(self, request: Request, call_next: Next) -> Response:
        lines = [value for name, value in request.raw_headers if name == b"origin"]
        # several lines are joined, and then are no origin
        origin = b", ".join(lines).decode("latin-1") if lines else None
        if request.method == "OPTIONS" and origin is not None:
            method = request.headers.get("access-control-request-method")
            asked = _asked(request)
            # a socket without a WebSocket: its path decides by itself, with cookies
            if method is not None and not (self._sockets and HEADER in asked):
                return self._preflight(request, origin, method, asked)
        response = await answered(request, call_next)
        if not isinstance(response, TakeOver):
            self._mark(response, origin)
        return response

    def _mark(self, response: Response, origin: str | None) -> None:
        """Say in a response whether the page may read it."""
        if not self._any:
            add_vary(response, "Origin")  # also if it is not allowed: another origin may be
        if origin is None or not self.allows(origin) or _ORIGIN in response.headers:
            return
        response.set_header(_ORIGIN, "*" if self._any else origin)
        if self._credentials:
            response.set_header("access-control-allow-credentials", "true")
        if self._exposed:
            response.set_header("access-control-expose-headers", self._exposed)

    # Preflights

    def _preflight(self, request: Request, origin: str, method: str, asked: list[str]) -> Response:
        refusal = self._refusal(origin, method, asked)
        if refusal is not None:
            why, option = refusal
            self._seldom.warning(
                "CORS refused the preflight of %s %s from %s: %s. %s allows it",
                ascii(method[:_SHOWN]),
                request.raw_path[:_SHOWN],
                ascii(origin[:_SHOWN]),
                why,
                option,
            )
            response: Response = TextResponse(f"CORS: {why}", 403)
        else:
            response = Response(b"", 204)
            response.remove_header("content-type")
            self._mark(response, origin)
            response.remove_header("access-control-expose-headers")  # of no use here
            methods = method if "*" in self._methods else ", ".join(sorted(self._methods))
            response.set_header(_METHOD, methods)
            names = asked if "*" in self._headers else sorted(self._headers | _SAFE)
            if asked:
                response.set_header(_HEADERS, ", ".join(names))
            response.set_header("access-control-max-age", self._max_age)
        if not self._any:
            add_vary(response, "Origin")
        add_vary(response, "Access-Control-Request-Method", "Access-Control-Request-Headers")
        return response

    def _refusal(self, origin: str, method: str, asked: list[str]) -> tuple[str, str] | None:
        """Why a preflight is refused, and the option that would allow it; None if it is allowed."""
        if not self.allows(origin):
            said = ascii(origin[:_SHOWN])
            return f"pages of {said} are not allowed here", f"origins=[{said}]"
        if not NAME.fullmatch(method) or ("*" not in self._methods and method not in self._methods):
            said = ascii(method[:_SHOWN])
            return f"pages may not send {said}", f"methods=[{said}]"
        if len(asked) > _MOST:
            return f"more than {_MOST} headers", "no option"
        for name in asked:
            allowed = "*" in self._headers or name in self._headers or name in _SAFE
            if not allowed or not NAME.fullmatch(name):
                said = ascii(name[:_SHOWN])
                return f"pages may not send the header {said}", f"headers=[{said}]"
        return None


def _asked(request: Request) -> list[str]:
    """The names of the headers that a preflight asks for."""
    names = [
        name.strip(" \t").lower()
        for line in request.headers.getlist("access-control-request-headers")
        for name in line.split(",")
    ]
    return [name for name in names if name]


def _wildcard(origin: str) -> Origin:
    """Scheme, end of the host and port of ``https://*.example.org``."""
    found = _WILD.fullmatch(origin)
    if found is None:
        raise ConfigurationError(
            f"origins has {origin!r}; '*' stands for everything below a host, and only at its "
            "beginning: 'https://*.example.org'"
        )
    scheme, base, port = listed_origin(f"{found[1]}://{found[2]}", "origins")
    name = base.rstrip(".")
    if ("." not in name and name != "localhost") or ":" in name or not _has_letter(name):
        raise ConfigurationError(
            f"origins has {origin!r}, which would allow the hosts of strangers; write the domain "
            "that is yours: 'https://*.example.org'"
        )
    return scheme, f".{base}", port


def _has_letter(name: str) -> bool:
    """Whether the last label has a letter: it is then no part of an IPv4 address."""
    return any(map(str.isalpha, name.rpartition(".")[2]))


def _names(given: Any, option: str, example: str, fold: Any) -> frozenset[str]:
    """Names of methods or headers; ``*`` stands for all."""
    listed = texts(given, option, example)
    for one in listed:
        if not NAME.fullmatch(one):  # a "*" is one, too
            raise ConfigurationError(f"{option} has {shown(one)}; write {option}={example}")
    return frozenset(map(fold, listed))
