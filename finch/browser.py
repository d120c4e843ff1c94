"""The client for browsers: the files in ``finch/static``, and how an application serves them.

``/finch.js`` is an ES module, ``/finch.global.js`` the same as a classic script, and
``/finch.d.ts`` their types. Each has the hash of its content as ``ETag``. At the URL that contains
the hash, as in :attr:`BrowserClient.url`, it never changes, so caches keep it for a year.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import trio

from finch.errors import ConfigurationError
from finch.explain import shown
from finch.http.paths import parse_path
from finch.http.request import Request
from finch.http.response import Response
from finch.http.routing import FinchRoute

STATIC: Final = Path(__file__).with_name("static")
KEY: Final = "finch.client"
"""The key of these routes begins with this."""

_TYPES: Final = "finch.d.ts"
_SCRIPT: Final = "text/javascript; charset=utf-8"
_TYPESCRIPT: Final = "application/typescript; charset=utf-8"
_YEAR: Final = "public, max-age=31536000, immutable"
_ASK: Final = "no-cache"  # keep it, but ask each time whether it is still the newest


class BrowserClient:
    """Serves ``finch.js`` and what belongs to it.

    Parameters:
        path: the URL path of ``finch.js``; the others have the same folder and stem.
        types: gives a ``finch.d.ts`` with the types of one application; None for that of all.

    Raises:
        ConfigurationError: if ``path`` is no path of a script.

    Source: RFC 9110, sections 8.8.3 and 13.1.2, and RFC 8246 (immutable).
    """

    def __init__(self, path: str, types: Callable[[], str | None]) -> None:
        if not isinstance(path, str) or not path.endswith(".js") or "{" in path:
            raise ConfigurationError(
                f"client_path is a path such as '/finch.js', or None, not {shown(path)}"
            )
        parse_path(path)
        self.path = path
        self._types = types

    @property
    def url(self) -> str:
        """The path with the hash of the script's content, as ``/finch.js?v=3f0a91c2b75d``."""
        return f"{self.path}?v={_read('finch.js').hash}"

    def routes(self) -> list[FinchRoute]:
        """The routes of the three files."""
        stem = self.path.removesuffix(".js")
        return [
            FinchRoute(self.path, self._script, key=KEY),
            FinchRoute(f"{stem}.global.js", self._global, key=f"{KEY}.global"),
            FinchRoute(f"{stem}.d.ts", self._declarations, key=f"{KEY}.types"),
        ]

    async def _script(self, request: Request) -> Response:
        return _respond(request, await _read_in_thread("finch.js"), _SCRIPT)

    async def _global(self, request: Request) -> Response:
        return _respond(request, await _read_in_thread("finch.global.js"), _SCRIPT)

    async def _declarations(self, request: Request) -> Response:
        text = self._types()
        file = await _read_in_thread(_TYPES) if text is None else _File.of(text.encode())
        return _respond(request, file, _TYPESCRIPT)


def read_declarations() -> str:
    """The text of ``finch.d.ts``."""
    return _read(_TYPES).plain.decode()


class _File(NamedTuple):
    hash: str
    plain: bytes
    zipped: bytes

    @classmethod
    def of(cls, content: bytes) -> _File:
        digest = hashlib.sha256(content).hexdigest()[:12]
        # wbits=31: with the header of gzip, and without a time, so always the same
        return cls(digest, content, zlib.compress(content, 9, wbits=31))


@functools.cache
def _read(name: str) -> _File:
    return _File.of((STATIC / name).read_bytes())


async def _read_in_thread(name: str) -> _File:
    return await trio.to_thread.run_sync(_read, name)


def _respond(request: Request, file: _File, content_type: str) -> Response:
    # many processes never serve it
    from finch.http.conditional import is_known
    from finch.http.encodings import ranked

    zips = bool(ranked(request.headers.get("accept-encoding", ""), ("gzip",)))
    # two forms of one content are two representations, and each has an ETag of its own
    tag = f'"{file.hash}-gzip"' if zips else f'"{file.hash}"'
    headers = {
        "etag": tag,
        "vary": "accept-encoding",
        "cache-control": _YEAR if request.query.get("v") == file.hash else _ASK,
        # pages of other sites may load it: it has no secrets, and reads no cookies
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    if is_known(request.headers.get("if-none-match", ""), tag):
        return Response(b"", 304, headers)
    if zips:
        headers["content-encoding"] = "gzip"
    return Response(file.zipped if zips else file.plain, 200, headers, content_type)
