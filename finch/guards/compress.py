"""Compress: whole responses in gzip, if the client accepts that and it is worth it.

Streams are not compressed, nor files, which have compressed siblings. A secret and text of an
attacker in one compressed response tell the secret by its length (BREACH): see ``docs/guards.md``.

Source: RFC 9110, sections 8.4, 8.8.3 and 12.5.3.
"""

from __future__ import annotations

import zlib
from typing import Final

import trio

from finch.errors import ConfigurationError
from finch.explain import shown
from finch.guards.around import Next, add_vary
from finch.http.encodings import compressible, ranked
from finch.http.request import Request
from finch.http.response import Response
from finch.http.streaming import StreamingResponse
from finch.http.takeover import TakeOver

_LONG: Final = 32 * 1024  # bytes; compressing more takes about a millisecond: in a thread
_GZIP: Final = 31  # zlib's wbits for the header of gzip, without a time: so always the same bytes
_WITHOUT: Final = (204, 205, 206, 304)  # no body, or a part of one
# a body with one of these is already encoded, a part of another, or must arrive as it is
_FINAL: Final = frozenset(
    ("content-encoding", "content-range", "content-digest", "repr-digest", "content-md5", "digest")
)


class Compress:
    """Compresses whole responses of text, JSON, scripts and the like.

    Parameters:
        minimum: bytes of a body that is worth compressing. A packet of the network has 1,400.
        level: 1, the fastest, to 9, the smallest.

    Raises:
        ConfigurationError: if a value is out of range.

    Example::

        app.middleware(Compress())
    """

    def __init__(self, *, minimum: int = 1024, level: int = 6) -> None:
        if type(minimum) is not int or minimum < 1:
            raise ConfigurationError(f"minimum is bytes, 1 or more, not {shown(minimum)}")
        if type(level) is not int or not 1 <= level <= 9:
            raise ConfigurationError(f"level is 1 to 9, not {shown(level)}")
        self._minimum = minimum
        self._level = level

    async def __call__(self, request: Request, call_next: Next) -> Response:
        response = await call_next(request)
        if response.status == 304:
            _weaken_if_known(request, response)
        if not self._is_worth_it(response):
            return response
        add_vary(response, "Accept-Encoding")
        accepted = ", ".join(request.headers.getlist("accept-encoding"))
        if "gzip" not in ranked(accepted, ("gzip",)):
            return response
        content = response.body
        if len(content) > _LONG:
            packed = await trio.to_thread.run_sync(self._pack, content, abandon_on_cancel=True)
        else:
            packed = self._pack(content)
        if len(packed) < len(content):
            response.body = packed
            response.set_header("content-encoding", "gzip")
            response.remove_header("content-length")
            response.remove_header("accept-ranges")  # of the body as it was
            _weaken(response)
        return response

    def _is_worth_it(self, response: Response) -> bool:
        if (
            isinstance(response, StreamingResponse | TakeOver)
            or type(response).body is not Response.body  # the application's own: leave it alone
            or len(response.body) < self._minimum
            or response.status in _WITHOUT
        ):
            return False
        headers = response.headers
        return (
            _FINAL.isdisjoint(headers)
            and "no-transform" not in ", ".join(headers.getlist("cache-control")).lower()
            and compressible(headers.get("content-type", ""))
        )

    def _pack(self, content: bytes) -> bytes:
        return zlib.compress(content, self._level, wbits=_GZIP)


def _weaken(response: Response) -> None:
    """The bytes are others now, so the ETag must not say that they are the same (RFC 9110, section
    8.8.1). A weak one still says that the content is."""
    etag = response.headers.get("etag", "")
    if etag.startswith('"'):
        response.set_header("etag", f"W/{etag}")


def _weaken_if_known(request: Request, response: Response) -> None:
    """A 304 has the ETag of the 200 that it stands for (RFC 9110, section 15.4.5). The client has
    that of the compressed one if it asks for the weak one."""
    etag = response.headers.get("etag", "")
    known = ", ".join(request.headers.getlist("if-none-match"))
    if etag.startswith('"') and f"W/{etag}" in known:
        _weaken(response)
        add_vary(response, "Accept-Encoding")
