"""A request as a handler sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, overload
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
import trio

from finch.conversions import DecHook, checked_hook, type_name, why_never_filled
from finch.errors import HTTPError
from finch.headers import Headers, QueryParams
from finch.http.body import BodySource, Pieces, Whole
from finch.http.cookies import read_cookies
from finch.http.language import choose_language
from finch.http.response import Response, TextResponse
from finch.http.streaming import Spawn, Stream
from finch.net.address import NOWHERE, Address
from finch.turns import account
from finch.typed import Decode, decoder, shared_decoder
from finch.wire.head import RawHeaders, RequestHead
from finch.wire.numbers import LONG, TOO_COSTLY, too_costly

T = TypeVar("T")

_ABSOLUTE: Final = re.compile(r"https?://[^/?]*+", re.IGNORECASE)

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

_decode_any: Final = msgspec.json.Decoder().decode

SOCKET_REQUESTED = "Socket is requested!"


NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class Request:
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
        "_body",
        "_cookies",
        "_headers",
        "_host",
        "_language",
        "_max_body",
        "_path",
        "_query",
        "_raw",
        "_source",
        "_spawn",
        "_state",
        "_streams",
        "accepted",
        "app",
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
        self.app: Any = app
        self.path_params: Mapping[str, Any] = NO_PARAMETERS
        self.raw_path, self.query_string = _split_target(head.target)
        self.accepted: Response | None = None
        """The upgrade response that a manager's ``request_handle`` has made for this request."""
        self._raw: RawHeaders | bytes = head.headers  # bytes after settle()
        self._host = host
        self._max_body = max_body
        self._source = body
        self._spawn = spawn
        self._streams: list[Stream] | None = None
        self._body: bytes | None = None
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
        self.method, self.http_version = "GET", "1.1"
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

    def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they arrive. Its length is not limited: the handler must set a
        limit itself.

        Raises:
            Disconnected: if the client leaves before the end.
            RuntimeError: if the body was already streamed.
        """
        return Pieces(self._take_source())

    def _take_source(self) -> BodySource:
        if self._body is not None:
            return Whole(self._body)
        source, self._source = self._source, None
        if source is None:
            raise RuntimeError(
                "the body was already streamed, and can be read only once; keep what you need of it"
            )
        return source

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            HTTPError: 413 if it is longer than ``Limits.max_body``.
            Disconnected: if the client leaves before the end.
        """
        if self._body is None:
            length = self.headers.get("content-length", "0")
            if len(length) > 18 or int(length) > self._max_body:
                raise self._too_large()
            source = self._take_source()
            pieces: list[bytes] = []
            left = self._max_body
            while piece := await source.read_body():
                left -= len(piece)
                if left < 0:
                    raise self._too_large()
                pieces.append(piece)
            self._body = b"".join(pieces)
        elif account.spend(len(self._body)):
            await trio.lowlevel.checkpoint()
        return self._body

    def _too_large(self) -> HTTPError:
        return HTTPError(413, f"the body is longer than {self._max_body} bytes")

    async def text(self) -> str:
        """The whole body as text, decoded with the charset of ``Content-Type``, or as UTF-8.

        Raises:
            HTTPError: 400 if the body cannot be decoded, 415 if the charset is unknown; 413 as in
                :meth:`body`.
        """
        charset = "utf-8"
        for parameter in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "charset":
                charset = value.strip().strip('"')
        codec = _CHARSETS.get(charset.lower())
        if codec is None:
            raise HTTPError(415, f"unknown charset {charset[:40]!r}")
        try:
            return (await self.body()).decode(codec)
        except UnicodeError:
            raise HTTPError(400, f"the body is not {charset}") from None

    @overload
    async def json(self) -> Any: ...

    @overload
    async def json(self, type: type[T]) -> T: ...

    async def json(self, type: Any = Any) -> Any:
        """The whole body, parsed as JSON; converted and validated if a type is given.

        Parameters:
            type: any type that msgspec supports, such as a Struct, a dataclass, a TypedDict or
                ``list[int]``; or a type that the application's ``dec_hook`` makes.

        Raises:
            HTTPError: 400 if it is not JSON; 422 if it does not fit the type, or has too many
                elements for a set or dict (:mod:`finch.typed`); 413 as in :meth:`body`, or if it
                has too many numbers with an exponent (:mod:`finch.wire.numbers`).
            TypeError: if JSON cannot be converted to the type.
        """
        body = await self.body()
        if len(body) >= LONG and too_costly(body):
            raise HTTPError(413, TOO_COSTLY)
        try:
            return _decoder(type, getattr(self.app, "dec_hook", None))(body)
        except msgspec.ValidationError as error:
            fault = why_never_filled(type) if getattr(self.app, "dec_hook", None) is None else ""
            if fault:  # no JSON would fit: the type is wrong, not the client's data
                raise TypeError(f"request.json({type_name(type)}): {fault}") from None
            raise HTTPError(422, f"the body does not fit: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPError(400, f"the body is not JSON: {error}") from None

    def stream_in_task(self, chunks: AsyncIterator[Any]) -> Stream:
        """Run an iterator in a task of its own while the request is being answered. For Finch's own
        use."""
        if self._spawn is None:
            raise RuntimeError("a response can be streamed only while its request is answered")
        stream = Stream(chunks, self._spawn)
        if self._streams is None:
            self._streams = []
        self._streams.append(stream)
        return stream

    async def close_streams(self) -> None:
        """Close the streams that were started and are not being sent. A middleware may have
        returned another response, for example.

        Raises:
            BaseException: whatever an iterator raises.
        """
        streams, self._streams = self._streams, None
        self._spawn = None  # no stream may begin now: nobody would close it
        raised: list[BaseException] = []
        for stream in streams or ():
            try:
                await stream.aclose()
            except trio.Cancelled:
                raise
            except BaseException as error:
                raised.append(error)
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


def _decoder(type: Any, hook: DecHook | None) -> Decode:
    if type is Any:
        return _decode_any
    checked = None if hook is None else checked_hook(hook)
    try:
        hash(type)
    except TypeError:  # Annotated[int, {}]
        return decoder(type, checked)
    return shared_decoder(type, checked)
