"""Where descriptions are served, and the page that shows them, without anything from elsewhere.

The page has no inline scripts or styles, and makes no markup of what it shows; its
Content-Security-Policy says so to browsers.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import trio

from finch.describe.asyncapi import servers_at
from finch.describe.description import Description
from finch.encoding import encode
from finch.http.conditional import is_known
from finch.http.request import Request
from finch.http.response import HTML, JSON, Response
from finch.http.routing import FinchRoute

_STATIC: Final = Path(__file__).parents[1] / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SCRIPT: Final = "text/javascript; charset=utf-8"
_STYLE: Final = "text/css; charset=utf-8"

Make = Callable[[], dict[str, Any]]
T = TypeVar("T")


def description_routes(about: Description, openapi: Make, asyncapi: Make) -> list[FinchRoute]:
    """The routes of the descriptions, and of the page that shows them.

    Parameters:
        about: says which there are, where they are, and who may read them.
        openapi, asyncapi: make the descriptions, in a thread, when somebody first asks. After that
            they stay as they are.
    """
    routes = []
    if about.openapi is not None:
        whole = _Routes(lambda: encode(openapi()))
        routes.append(FinchRoute(about.openapi, whole.respond, auth=about.auth))
    if about.asyncapi is not None:
        sockets = _Sockets(asyncapi, has_servers=bool(about.servers))
        routes.append(FinchRoute(about.asyncapi, sockets.respond, auth=about.auth))
    if about.docs is not None:
        routes += _page(about, about.docs)
    return routes


class _Made(Generic[T]):
    """Makes a description once."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None
        self._lock = threading.Lock()

    async def document(self) -> T:
        if self._made is None:
            return await trio.to_thread.run_sync(self._read)
        return self._made

    def _read(self) -> T:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


class _Routes(_Made[bytes]):
    """Answers with OpenAPI."""

    async def respond(self, request: Request) -> Response:
        return _respond(request, await self.document(), JSON)


class _Sockets(_Made[dict[str, Any]]):
    """Answers with AsyncAPI. If the application does not say where its servers are, it is where the
    client has asked."""

    def __init__(self, make: Make, *, has_servers: bool) -> None:
        super().__init__(make)
        self._has_servers = has_servers

    async def respond(self, request: Request) -> Response:
        document = await self.document()
        if not self._has_servers and request.host:
            document = document | servers_at([f"{request.scheme}://{request.host}"])
        return _respond(request, encode(document), JSON)


def _page(about: Description, path: str) -> list[FinchRoute]:
    below = path.rstrip("/")
    files = {"script": f"{below}/page.js", "style": f"{below}/page.css"}

    async def show(request: Request) -> Response:
        text = (await _read_in_thread("docs.html")).decode()
        values = files | {"title": about.title} | {"openapi": about.openapi or ""}
        values |= {"asyncapi": about.asyncapi or ""}
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", escape(value))
        return _respond(request, text.encode(), HTML)

    async def script(request: Request) -> Response:
        return _respond(request, await _read_in_thread("docs.js"), _SCRIPT)

    async def style(request: Request) -> Response:
        return _respond(request, await _read_in_thread("docs.css"), _STYLE)

    handlers = {path: show, files["script"]: script, files["style"]: style}
    return [FinchRoute(one, handler, auth=about.auth) for one, handler in handlers.items()]


def _respond(request: Request, body: bytes, content_type: str) -> Response:
    """A response that browsers keep, and ask for again each time."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:12]}"'
    headers = {"cache-control": "no-cache", "etag": tag, "x-content-type-options": "nosniff"}
    if content_type == HTML:
        headers["content-security-policy"] = _POLICY
    if is_known(request.headers.get("if-none-match", ""), tag):
        return Response(b"", 304, headers)
    return Response(body, 200, headers, content_type)


@functools.cache
def _read(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


async def _read_in_thread(name: str) -> bytes:
    return await trio.to_thread.run_sync(_read, name)
