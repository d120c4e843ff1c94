"""Responses that have their whole body: text, bytes, HTML, JSON and redirects."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self
from urllib.parse import quote

from finch.encoding import encode
from finch.explain import hint, kind, not_text, shown, why_no_json
from finch.headers import CopiedHeaders, HeaderItems, Headers, check_header, header_items
from finch.http.advice import Elsewhere, body_advice, status_advice
from finch.http.cookies import needs_secure, set_cookie_header

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
_TYPES: Final = frozenset((TEXT, HTML, JSON, BYTES))  # known to be valid headers
BYTES_LIKE: Final = (bytes, bytearray, memoryview)  # a union would be made anew by each isinstance
_REDIRECTS: Final = (300, 301, 302, 303, 307, 308)


class Response:
    """An HTTP response with its whole body.

    Parameters:
        body: bytes, or text, which is sent as UTF-8.
        status: 200 to 599 (RFC 9110, section 15).
        headers: more headers. They replace defaults of the same name.
        content_type: the media type; by default ``text/plain`` for text and
            ``application/octet-stream`` for bytes.

    Raises:
        TypeError: if ``body`` is neither bytes nor text, or ``headers`` have the wrong type.
        ValueError: if ``status`` is out of range, or a header would break the message (RFC 9110,
            section 5).

    Example::

        return Response(b"\\x89PNG...", content_type="image/png")
    """

    default_content_type: str | None = None
    _returned = False  # whether it was returned before: then a request has a copy of it

    if not TYPE_CHECKING:  # a type checker should report these by itself
        status_code = Elsewhere("response.status = 404")
        content_type = Elsewhere("response.set_header('content-type', 'text/plain')")
        media_type = Elsewhere("response.set_header('content-type', 'text/plain')")
        mimetype = Elsewhere("response.set_header('content-type', 'text/plain')")

    def __init__(
        self,
        body: bytes | str = b"",
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str | None = None,
    ) -> None:
        default = TEXT if isinstance(body, str) else BYTES
        self._body = self._encoded(body)
        self._begin(status, headers, content_type or self.default_content_type or default)

    def _begin(self, status: int, headers: HeaderItems | None, content_type: str | None) -> None:
        self.status = status
        self._headers: list[tuple[str, str]] = []
        if headers is not None:
            items = header_items(headers, type(self).__name__)
            self._headers = [(name.lower(), value) for name, value in items]
        if content_type is not None and not self._has("content-type"):
            if not isinstance(content_type, str) or content_type not in _TYPES:
                check_header("content-type", content_type)
            self._headers.append(("content-type", content_type))

    def fresh(self) -> Self:
        """A copy for one request. A cookie that is set on the copy is not set on the original.

        Finch copies each response that a handler or middleware returns. So an application may keep
        a response and return it again: no visitor gets another visitor's cookies.
        """
        new: Self
        if type(self) in _PLAIN:
            new = object.__new__(type(self))
            new.__dict__.update(self.__dict__)
        else:
            new = copy.copy(self)
        new._headers = self._headers.copy()
        new._returned = False
        self._returned = True
        return new

    @property
    def body(self) -> bytes:
        """The body. You may set it to bytes or text."""
        return self._body

    @body.setter
    def body(self, body: bytes | str) -> None:
        self._body = self._encoded(body)

    def _encoded(self, body: Any) -> bytes:
        if isinstance(body, str):
            try:
                return body.encode("utf-8")
            except UnicodeEncodeError:
                raise ValueError(
                    f"the body of a {type(self).__name__} has {not_text(body)}; "
                    "write text.encode('utf-8', 'replace')"
                ) from None
        if isinstance(body, BYTES_LIKE):
            return bytes(body)  # a copy of mutable types: a later change must not reach the peer
        raise TypeError(
            f"the body of a {type(self).__name__} is bytes or str, not {kind(body)}; "
            f"{body_advice(body)}"
        )

    @property
    def status(self) -> int:
        """The status code, 200 to 599."""
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if type(status) is int and 200 <= status <= 599:
            self._status = status
            return
        if isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599:
            self._status = int(status)  # an http.HTTPStatus
            return
        raise ValueError(
            f"a response's status is 200 to 599, not {shown(status)}{status_advice(status)}"
        )

    @property
    def headers(self) -> Headers:
        """The headers set so far; :meth:`set_header` and :meth:`add_header` change them."""
        return CopiedHeaders(self._headers)

    @headers.setter
    def headers(self, headers: object) -> None:
        raise AttributeError(
            "response.headers cannot be set; write response.set_header(name, value) for each"
        )

    def _has(self, name: str) -> bool:
        return any(key == name for key, _ in self._headers)

    def add_header(self, name: str, value: str) -> None:
        """Add a header. Headers of the same name stay.

        Raises:
            ValueError: if the name or the value would break the message.
        """
        check_header(name, value)
        if self._returned:
            self._check_not_kept(name)
        self._headers.append((name.lower(), value))

    def set_header(self, name: str, value: str) -> None:
        """Set a header. It replaces all headers of the same name.

        Raises:
            ValueError: as in :meth:`add_header`; the headers then stay as they were.
        """
        check_header(name, value)
        if self._returned:
            self._check_not_kept(name)
        self.remove_header(name)
        self._headers.append((name.lower(), value))

    def remove_header(self, name: str) -> None:
        """Remove every header of that name.

        Raises:
            ValueError: if it is not a valid header name.
        """
        check_header(name, "")
        self._headers = [item for item in self._headers if item[0] != name.lower()]

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as bytes, without those that the connection adds when it sends them."""
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
            value: any text. Characters that a cookie cannot hold are quoted; ``request.cookies``
                unquotes them.
            max_age: seconds until the browser deletes it. If neither this nor ``expires`` is
                given, it lasts until the browser is closed.
            expires: the time when the browser deletes it, with a time zone.
            samesite: in upper or lower case; None leaves it out.

        Raises:
            TypeError: if an argument has the wrong type.
            ValueError: if no browser would keep such a cookie: the name is not a token, an
                attribute is malformed, or name and value have more than 4096 bytes.

        Source: RFC 6265, section 4.1.
        """
        header = set_cookie_header(
            name,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )
        if self._returned:
            self._check_not_kept("set-cookie")
        self._headers.append(("set-cookie", header))

    def _check_not_kept(self, name: str) -> None:
        """Refuse a cookie on a response that was returned before: the next visitor would also get
        the cookies of all visitors before."""
        if name.lower() == "set-cookie":
            raise RuntimeError(
                f"this {type(self).__name__} was returned before, and a cookie that is set on it "
                "now would be sent to every visitor; make a new one for each request"
            )

    def delete_cookie(self, name: str, *, path: str = "/", domain: str | None = None) -> None:
        """Delete a cookie in the browser. Path and domain must be those that it was set with."""
        secure = isinstance(name, str) and needs_secure(name)
        self.set_cookie(name, "", max_age=0, path=path, domain=domain, secure=secure)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status}>"


class TextResponse(Response):
    """Plain text, as UTF-8."""

    default_content_type = TEXT


class HTMLResponse(Response):
    """An HTML page, as UTF-8."""

    default_content_type = HTML


class JSONResponse(Response):
    """Any value that msgspec encodes: dict, list, Struct, dataclass, datetime, UUID, ...

    Raises:
        TypeError: if JSON cannot hold a part of the value; the message says which part.
        ValueError: if the value contains itself, is nested too deeply, or has text that is not
            valid Unicode.

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
        try:
            body = encode(value)
        except Exception as error:
            cls = ValueError if isinstance(error, ValueError | RecursionError) else TypeError
            raise cls(why_no_json(value)) from error
        self._body = body
        self._begin(status, headers, content_type or self.default_content_type)


class RedirectResponse(Response):
    """Redirects the client to another URL.

    Parameters:
        location: a URL or path; characters that are not ASCII are percent-encoded.
        status: 302 by default. Use 303 after a POST; 307 and 308 keep the method (RFC 9110, 15.4).

    Raises:
        TypeError: if ``location`` is not text.
        ValueError: if ``location`` is empty, or ``status`` is not a redirect.
    """

    def __init__(
        self, location: str, status: int = 302, headers: HeaderItems | None = None
    ) -> None:
        where_to = _checked_location(location)
        super().__init__(b"", status, headers, TEXT)
        if self._status not in _REDIRECTS:
            raise ValueError(
                "a RedirectResponse has the status 300, 301, 302, 303, 307 or 308, not "
                f"{self._status}; for any other, "
                "write Response(status=..., headers={'location': ...})"
            )
        self.set_header("location", quote(where_to, safe=":/%#?=@[]!$&'()*+,;~"))


def _checked_location(location: Any) -> str:
    if not isinstance(location, str):
        instead = "write .decode() after it" if isinstance(location, bytes) else hint(location)
        if location is None:
            instead = "write '/' for the start page"
        raise TypeError(
            f"a RedirectResponse leads to a URL or path, which is text, not {kind(location)}; "
            f"{instead or 'write str(...) around it'}"
        )
    fault = not_text(location)
    if fault:
        raise ValueError(f"the location of a RedirectResponse has {fault}")
    if not location:
        raise ValueError("a RedirectResponse needs a URL or path, such as '/'")
    return location


_PLAIN: Final = frozenset((Response, TextResponse, HTMLResponse, JSONResponse, RedirectResponse))
