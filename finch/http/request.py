"""A request as a handler sees it."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import trio

from finch.errors import HTTPError
from finch.headers import Headers, QueryParams
from finch.http.body import BodySource
from finch.http.cookies import read_cookies
from finch.http.language import choose_language
from finch.http.reading import AsyncClosable, Readable
from finch.http.response import Response, TextResponse
from finch.http.streaming import Spawn, Stream
from finch.net.address import NOWHERE, Address
from finch.wire.head import RawHeaders, RequestHead

_ABSOLUTE: Final = re.compile(r"https?://[^/?]*+", re.IGNORECASE)

SESSION: Final = "finch.session"
USER: Final = "user_id"  # in a session: who is logged in
"""Where the state of a request has its session."""

SOCKET_REQUESTED = "Socket is requested!"


NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class Request(Readable):
    """An HTTP request.

    Attributes:
        method: such as ``"GET"``.
        raw_path: the path as sent, percent-encoded.
        path: the same, decoded.
        path_params: the path's parameters by name, converted as the route says.
        client: the client's :class:`Address`. Behind trusted proxies, the one that they report.
        scheme: ``"http"`` or ``"https"``, as the client sees it.
        http_version: ``"1.1"`` or ``"1.0"``.
        app: the :class:`finch.FinchApp` that serves it.
        state: a dict in which middleware and handlers may store anything.

    Example::

        @app.post("/birds")
        async def add(request):
            bird = await request.json(Bird)
            return {"id": store(bird)}, 201
    """

    __slots__ = (
        "_cookies",
        "_headers",
        "_host",
        "_language",
        "_path",
        "_query",
        "_raw",
        "_spawn",
        "_state",
        "_streams",
        "accepted",
        "client",
        "http_version",
        "method",
        "path_params",
        "query_string",
        "raw_path",
        "scheme",
    )

    def __init__(
        self,
        head: RequestHead,
        *,
        client: Address = NOWHERE,
        scheme: str = "http",
        host: str | None = None,
        body: BodySource | None = None,
        spawn: Spawn | None = None,
        app: Any = None,
        max_body: int = 4 * 1024 * 1024,
    ) -> None:
        self.method = head.method
        self.http_version = head.version
        self.client = client
        self.scheme = scheme
        self.app = app
        self.path_params: Mapping[str, Any] = NO_PARAMETERS
        self.raw_path, self.query_string = _split_target(head.target)
        self.accepted: Response | None = None
        """The upgrade response that a manager's ``request_handle`` has made for this request."""
        self._raw: RawHeaders | bytes = head.headers  # bytes after settle()
        self._host = host
        self._source = body
        self._body = None
        self._max_body = max_body
        self._spawn = spawn
        self._streams: list[AsyncClosable] | None = None
        # computed on first use
        self._path: str | None = None
        self._query: QueryParams | None = None
        self._headers: Headers | None = None
        self._cookies: Mapping[str, str] | None = None
        self._language: str | None = None
        self._state: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        if self._path is None:
            raw = self.raw_path
            try:
                self._path = unquote_to_bytes(raw).decode() if "%" in raw else raw
            except UnicodeDecodeError:
                raise HTTPError(400, "the path is not UTF-8") from None
        return self._path

    @property
    def state(self) -> dict[str, Any]:
        if self._state is None:
            self._state = {}
        return self._state

    @property
    def user(self) -> Any:
        """Whoever the request comes from, as a guard has found out (``auth=``), or who is logged in
        by the session; None if nobody is. Kept as ``state["user"]``."""
        state = self._state
        if state is None:
            return None
        if "user" in state or SESSION not in state:
            return state.get("user")
        return state[SESSION].get(USER)

    @user.setter
    def user(self, user: Any) -> None:
        self.state["user"] = user

    @property
    def session(self) -> MutableMapping[str, Any]:
        """What the site remembers of the visitor: a dict of what JSON can hold, kept in a signed
        cookie. See :mod:`finch.sessions`.

        Raises:
            RuntimeError: if there is no ``Sessions`` around the code that asks.
        """
        session = None if self._state is None else self._state.get(SESSION)
        if session is None:
            raise RuntimeError(
                "this request has no session; write app.middleware(Sessions(secret)), before any "
                "other middleware that uses it (from finch.sessions import Sessions)"
            )
        found: MutableMapping[str, Any] = session
        return found

    @property
    def query(self) -> QueryParams:
        """The query's parameters, decoded. Parameters with an empty value are included."""
        if self._query is None:
            self._query = QueryParams(
                parse_qsl(self.query_string, keep_blank_values=True, errors="replace")
            )
        return self._query

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as bytes, with names in lower case."""
        if isinstance(self._raw, bytes):
            self._raw = [
                (name, value)
                for name, _, value in (line.partition(b":") for line in self._raw.split(b"\n"))
            ]
        return self._raw

    @property
    def headers(self) -> Headers:
        """The headers: a case-insensitive multi-mapping of str."""
        if self._headers is None:
            self._headers = Headers.from_raw(self.raw_headers)
        return self._headers

    @property
    def last_event_id(self) -> str | None:
        """The id of the last event that a client of an :class:`finch.EventStream` has got before
        it came back, from its ``Last-Event-ID``; None if it is new, or has got none."""
        for name, value in self.raw_headers:
            if name == b"last-event-id":
                return value.decode("utf-8", "replace") or None
        return None

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, by name. If a name comes twice, the first one counts.

        A value in double quotes is unquoted. Names and values are decoded as UTF-8, or as Latin-1
        if they are not valid UTF-8. They are not percent-decoded: if your code percent-encodes a
        value, it must decode it, too. A value that ``set_cookie`` has set comes back unchanged.

        Source: RFC 6265, section 5.4.
        """
        if self._cookies is None:
            self._cookies = read_cookies(self.headers.getlist("cookie"))
        return self._cookies

    @property
    def language(self) -> str:
        """The application's language that suits the client best (RFC 4647)."""
        if self._language is None:
            languages: tuple[str, ...] = getattr(self.app, "languages", ("en",))
            if len(languages) == 1:
                self._language = languages[0]
            else:
                self._language = choose_language(
                    languages, self.cookies.get("language"), self.headers.get("accept-language")
                )
        return self._language

    def settle(self) -> None:
        """The connection has become a WebSocket: keep the request in as little memory as possible.
        It stays in memory as long as the socket is open."""
        self._raw = b"\n".join([b"%b:%b" % item for item in self.raw_headers])
        # A handshake always has these values. Literals are one object for all clients.
        self.method = "GET"
        self.http_version = "1.1" if self.http_version == "1.1" else "1.0"
        self.raw_path = sys.intern(self.raw_path)  # most clients have the same
        self._path = None
        self._headers = self._cookies = self._query = None
        self._source = self._spawn = self.accepted = None

    @property
    def host(self) -> str:
        """The host that the client asked for: the ``Host`` header, or what a trusted proxy says."""
        if self._host is not None:
            return self._host
        return next(
            (value.decode("latin-1") for name, value in self.raw_headers if name == b"host"), ""
        )

    @property
    def url(self) -> str:
        """The whole URL, as far as the request shows it."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{self.raw_path}{query}"

    def render(self, name: str, /, **context: Any) -> Response:
        """A page of the application's templates.

        Parameters: as :meth:`finch.templates.Templates.render`.

        Raises:
            RuntimeError: if the application has no templates.
            BaseException: whatever the template raises.

        Example::

            app = FinchApp(templates="templates")

            @app.get("/birds/{name}")
            async def bird(request, name):
                return request.render("bird.html", name=name)
        """
        templates = getattr(self.app, "templates", None)
        if templates is None:
            raise RuntimeError(
                f"there are no templates for {name!r}: write FinchApp(templates='templates')"
            )
        response: Response = templates.render(name, self, **context)
        return response

    def url_for(self, key: str, /, **params: Any) -> str:
        """The absolute URL of a route of the application, as this client sees it: with the scheme
        and host of the request, or of what a trusted proxy says.

        Parameters: as :meth:`finch.FinchApp.path_for`.

        The host is what the client says it is. Let :class:`finch.guards.TrustedHosts` refuse
        others, before such a URL is sent to anybody else, as in a mail. If a client of HTTP/1.0
        names none, the URL is the path alone.

        Raises:
            LookupError: if there is no such route.
            ValueError: if a value is missing, or does not fit the path.

        Example::

            return RedirectResponse(request.url_for("bird", bird_id=7))
        """
        path: str = self.app.path_for(key, **params)
        host = self.host
        # HTTP/1.0 needs no Host. Without one, a browser would take the path's first part for it.
        return f"{self.scheme}://{host}{path}" if host else path

    def stream_in_task(self, chunks: AsyncIterator[Any]) -> Stream:
        """Run an iterator in a task of its own while the request is being answered. For Finch's own
        use."""
        if self._spawn is None:
            raise RuntimeError("a response can be streamed only while its request is answered")
        stream = Stream(chunks, self._spawn)
        self.close_later(stream)
        return stream

    def close_later(self, resource: AsyncClosable) -> None:
        """Close this when the request is answered. For Finch's own use."""
        if self._streams is None:
            self._streams = []
        self._streams.append(resource)

    async def close_streams(self) -> None:
        """Close the streams that were started and are not being sent (a middleware may have
        returned another response, for example), and the files of a form.

        Raises:
            BaseException: whatever an iterator raises.
        """
        streams, self._streams = self._streams, None
        self._spawn = None  # no stream may begin now: nobody would close it
        raised: list[BaseException] = []
        cancelled: trio.Cancelled | None = None
        for stream in streams or ():
            try:
                await stream.aclose()
            except trio.Cancelled as error:
                cancelled = error
            except BaseException as error:
                raised.append(error)
        if cancelled is not None:
            raise cancelled
        if raised:
            raise raised[0] if len(raised) == 1 else BaseExceptionGroup("closing", raised)

    def render_socket(self) -> Response:
        """The response of a socket route: the upgrade that ``request_handle`` made for this
        request, or else 426 with the text "Socket is requested!".

        Source: Dart's Finch, ``rq.renderSocket()``; RFC 9110, section 15.5.22.
        """
        if self.accepted is not None:
            return self.accepted
        return TextResponse(
            SOCKET_REQUESTED, 426, headers={"upgrade": "websocket", "connection": "upgrade"}
        )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.raw_path}>"


def _split_target(target: bytes) -> tuple[str, str]:
    text = target.decode("ascii")
    # absolute-form, which a server MUST accept (RFC 9112, section 3.2.2); finch.wire has checked it
    absolute = _ABSOLUTE.match(text)
    if absolute is not None:
        text = text[absolute.end() :]
    path, _, query = text.partition("?")
    return path or "/", query
