"""Responses, and how what a handler returns becomes one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from finch.headers import Headers

HeaderItems = Mapping[str, str] | Iterable[tuple[str, str]]

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_encode_json = msgspec.json.Encoder().encode

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"


class Response:
    """An HTTP response with its whole body.

    Parameters:
        body: bytes, or text that is sent as UTF-8.
        status: 200 to 599 (RFC 9110, section 15).
        headers: further headers, or ones that replace the defaults of that name.
        content_type: the media type; by default ``text/plain`` for text and
            ``application/octet-stream`` for bytes.

    Raises:
        ValueError: for a header that would break the message (RFC 9110, section 5).

    Example::

        return Response(b"\\x89PNG...", content_type="image/png")
    """

    default_content_type: str | None = None

    def __init__(
        self,
        body: bytes | str = b"",
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str | None = None,
    ) -> None:
        default = TEXT if isinstance(body, str) else BYTES
        self.body = body.encode("utf-8") if isinstance(body, str) else bytes(body)
        self._begin(status, headers, content_type or self.default_content_type or default)

    def _begin(self, status: int, headers: HeaderItems | None, content_type: str | None) -> None:
        self._status = status
        if status != 101:
            self.status = status
        self._headers: list[tuple[str, str]] = []
        if headers is not None:
            items = headers.items() if isinstance(headers, Mapping) else headers
            for name, value in items:
                self.add_header(name, value)
        if content_type is not None and not self._has("content-type"):
            self.add_header("content-type", content_type)

    @property
    def status(self) -> int:
        """The status code, 200 to 599."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a response's status is 200 to 599, not {status!r}")
        self._status = status

    @property
    def headers(self) -> Headers:
        """The headers set so far; :meth:`set_header` and :meth:`add_header` change them."""
        return Headers(self._headers)

    def _has(self, name: str) -> bool:
        return any(key == name for key, _ in self._headers)

    def add_header(self, name: str, value: str) -> None:
        """Add a header; one of the same name stays.

        Raises:
            ValueError: for a name or value that would break the message.
        """
        if not isinstance(value, str) or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(
                f"{name!r}: {value!r} is no header: the name is a token, the value is text in "
                "Latin-1 without control characters (RFC 9110, section 5)"
            )
        self._headers.append((name.lower(), value))

    def set_header(self, name: str, value: str) -> None:
        """Set a header in place of any of the same name.

        Raises:
            ValueError: as :meth:`add_header`.
        """
        self.remove_header(name)
        self.add_header(name, value)

    def remove_header(self, name: str) -> None:
        """Remove every header of that name."""
        self._headers = [item for item in self._headers if item[0] != name.lower()]

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as bytes, without those that only the connection can know."""
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in self._headers]

    def set_cookie(
        self,
        name: str,
        value: str = "",
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: Literal["lax", "strict", "none"] | None = "lax",
    ) -> None:
        """Set a cookie.

        Parameters:
            name: a token.
            value: any text; what a cookie cannot hold is quoted, and unquoted by
                ``request.cookies``.
            max_age: seconds until it is forgotten; with the browser's session where neither this
                nor ``expires`` is given.
            expires: the moment when it is forgotten, with a time zone.

        Raises:
            ValueError: for a name or attribute that no cookie can have.

        Source: RFC 6265, section 4.1.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no cookie's name: it must be a token")
        if samesite == "none" and not secure:
            raise ValueError("a cookie with samesite='none' needs secure=True: browsers refuse it")
        # quoted byte by byte where it is no plain token, so that any text comes back
        _, coded = SimpleCookie().value_encode(value.encode("utf-8").decode("latin-1"))
        morsel: Morsel[str] = Morsel()
        try:
            morsel.set(name, value, coded)
        except CookieError as error:
            raise ValueError(f"{name!r} is no cookie's name: {error}") from None
        morsel["path"] = path
        if max_age is not None:
            morsel["max-age"] = str(max_age)
        if expires is not None:
            if expires.tzinfo is None:
                raise ValueError("expires needs a time zone, such as datetime.now(UTC)")
            morsel["expires"] = format_datetime(expires.astimezone(UTC), usegmt=True)
        if domain is not None:
            morsel["domain"] = domain
        if secure:
            morsel["secure"] = True
        if httponly:
            morsel["httponly"] = True
        if samesite is not None:
            morsel["samesite"] = samesite.capitalize()
        if any(character in f"{path}{domain or ''}" for character in ";\r\n"):
            raise ValueError("a cookie's path and domain hold no semicolon and no line break")
        self.add_header("set-cookie", morsel.OutputString())

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Have the browser forget a cookie. Path and domain must be those it was set with."""
        self.set_cookie(name, "", max_age=0, path=path, domain=domain)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


class TextResponse(Response):
    """Plain text, as UTF-8."""

    default_content_type = TEXT


class HTMLResponse(Response):
    """A page, as UTF-8."""

    default_content_type = HTML


class JSONResponse(Response):
    """Any value that msgspec encodes: dict, list, Struct, dataclass, datetime, UUID, ...

    Raises:
        TypeError: for a value that has no JSON form.

    Example::

        return JSONResponse({"id": 7}, status=201)
    """

    default_content_type = JSON

    def __init__(
        self,
        value: Any,
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(_encode_json(value), status, headers, content_type)


class RedirectResponse(Response):
    """Sends the client elsewhere.

    Parameters:
        location: a URL or path; what is no ASCII in it is percent-encoded.
        status: 302 by default; 303 after a POST, 307 and 308 keep the method (RFC 9110, 15.4).
    """

    def __init__(
        self, location: str, status: int = 302, headers: HeaderItems | None = None
    ) -> None:
        super().__init__(b"", status, headers, TEXT)
        self.set_header("location", quote(location, safe=":/%#?=@[]!$&'()*+,;~"))


class StreamingResponse(Response):
    """A body that is sent while it is made.

    Parameters:
        chunks: an async iterator of bytes or text. It is closed when the client leaves.
        content_type: ``text/plain`` by default.

    Example::

        async def ticks():
            while True:
                yield f"data: {time()}\\n\\n"
                await trio.sleep(1)

        return StreamingResponse(ticks(), content_type="text/event-stream")
    """

    def __init__(
        self,
        chunks: AsyncIterable[bytes | str],
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str = TEXT,
    ) -> None:
        self.body = b""
        self.chunks: AsyncIterator[bytes | str] = aiter(chunks)
        self._begin(status, headers, content_type)


def to_response(value: Any, *, origin: str = "the handler") -> Response:
    """What a handler returned, as a response.

    Parameters:
        value: ``str`` becomes text, ``bytes`` bytes, ``None`` 204, ``dict``, ``list``, Struct and
            dataclass JSON, an async generator a streamed body; ``(value, status)`` and ``(value,
            status, headers)`` say more; a :class:`Response` is itself.
        origin: who returned it, for the error.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, str):
        return TextResponse(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return Response(bytes(value))
    if value is None:
        response = Response(b"", 204)
        response.remove_header("content-type")
        return response
    if isinstance(value, dict | list | msgspec.Struct) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    ):
        return JSONResponse(value)
    if isinstance(value, tuple) and len(value) in (2, 3) and isinstance(value[1], int):
        response = to_response(value[0], origin=origin)
        response.status = value[1]
        if len(value) == 3:
            items = value[2].items() if isinstance(value[2], Mapping) else list(value[2])
            for name, _ in items:
                response.remove_header(name)
            for name, text in items:
                response.add_header(name, text)
        return response
    if isinstance(value, AsyncIterable):
        return StreamingResponse(value)
    raise TypeError(
        f"{origin} returned {type(value).__name__}, which is no response. Return str, bytes, dict, "
        "list, a Struct or dataclass, None, an async generator, a Response, or a tuple of "
        "(value, status) or (value, status, headers)."
    )
