"""Directories of files, served below a path: ``app.static("/assets", "assets")``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, Final, TypedDict

from finch.errors import ConfigurationError, HTTPError
from finch.explain import kind, shown
from finch.http.below import open_below, safe_parts
from finch.http.encodings import compressible, ranked
from finch.http.file_replies import (
    EXTENSIONS,
    Claim,
    Found,
    describe,
    find_in_thread,
    kept_by,
    regular,
    reply,
)
from finch.http.files import cache_control
from finch.http.filetypes import file_type
from finch.http.guarding import Auth, Middleware
from finch.http.opened import Descriptor
from finch.http.request import Request
from finch.http.response import RedirectResponse, Response
from finch.http.routing import FinchRoute

HASHED: Final = r"(?<![0-9a-f]{4})[.-](?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64}(?:\.\w+){1,2}$"
"""The names of files that never change, because they contain a hash of the content:
``app.3f9a1c2b.js``, ``app-3f9a1c2b.css``, ``app.3f9a1c2b.js.map``. The hash is hexadecimal in lower
case, 8 to 64 characters long, and has a digit and a letter, so that it is neither a date nor a
word. It is not the end of a UUID, which may be the name of something that changes."""

INDEX: Final = "index.html"

_YEAR: Final = "max-age=31536000, immutable"  # RFC 8246


class StaticOptions(TypedDict, total=False):
    """The options of :meth:`finch.FinchApp.static`."""

    html: bool
    max_age: int | None
    immutable: bool | str
    precompressed: bool
    follow_symlinks: bool
    key: str | None


class StaticFiles:
    """Serves the files of one directory.

    Parameters:
        path: where the files are, such as ``/assets``; ``/`` for the whole site.
        directory: where they are on the disk. Nothing outside of it is served, nor hidden files in
            it (``.well-known`` excepted), and it is never listed.
        html: whether a directory is answered with its ``index.html``.
        max_age: seconds for which caches may use a file without asking whether it has changed; by
            default they ask each time, and are answered with 304 if not.
        immutable: whether files with a hash in their names, such as ``app.3f9a1c2b.js``, are kept
            for a year (``HASHED`` is the pattern); or a regular expression for such names.
        precompressed: whether ``app.js.br``, ``app.js.zst`` or ``app.js.gz`` is sent instead of
            ``app.js`` to clients that accept it.
        follow_symlinks: whether symbolic links may lead out of the directory.
        key: the name of the route.

    Raises:
        ConfigurationError: if there is no such directory, or an option is invalid.

    Source: RFC 9110, RFC 8246 (immutable), RFC 8615 (well-known).

    Example::

        app.static("/assets", Path(__file__).parent / "assets", max_age=3600)
    """

    def __init__(
        self,
        path: str,
        directory: str | os.PathLike[str],
        *,
        html: bool = True,
        max_age: int | None = None,
        immutable: bool | str = True,
        precompressed: bool = True,
        follow_symlinks: bool = False,
        key: str | None = None,
    ) -> None:
        if "{" in path:
            raise ConfigurationError(
                f"static files are below a path without parameters, and {path!r} has some: write "
                "a handler that returns FileResponse(name, directory=...)"
            )
        self.path = path.rstrip("/")
        self.root = _checked_directory(directory, path)
        self._html = html
        try:
            self._cache_control = cache_control(max_age)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"static files at {path!r}: {error}") from None
        self._immutable = _checked_pattern(immutable)
        self._precompressed = precompressed
        self._follow = follow_symlinks
        self._key = key

    def routes(
        self, *, auth: Auth | None = None, middleware: Iterable[Middleware] = ()
    ) -> list[FinchRoute]:
        """The routes of its files, and of the directory itself. The latter give way to handlers
        that the application has for the same path.

        Parameters:
            auth, middleware: the guards of these routes: see :mod:`finch.http.guarding`.
        """
        level: _Guards = {"auth": auth, "middleware": list(middleware)}
        routes = [FinchRoute(f"{self.path}/{{path:path}}", self.serve, key=self._key, **level)]
        paths = [self.path, f"{self.path}/"] if self.path else ["/"]
        for path in paths if self._html else ():
            route = FinchRoute(path, self.serve_start, **level)
            route.gives_way = True
            routes.append(route)
        return routes

    async def serve_start(self, request: Request, **others: object) -> Response:
        """The response to a request for the directory itself."""
        if request.path.endswith("/"):
            return await self._serve(request, (INDEX,))
        return await self._serve(request, ())

    async def serve(self, request: Request, path: str, **others: object) -> Response:
        """The response to a request for a file.

        Parameters:
            path: below the directory, decoded.
            others: the parameters of a group, which say nothing about the file.

        Raises:
            HTTPError: 404, 403, 412, 416 or 503.
            OSError: if the disk fails.
        """
        parts = safe_parts(path.removesuffix("/"))
        # Names have no slashes. One that is encoded would be seen as part of a name by a proxy, and
        # as a directory by us.
        if parts is None or "%2f" in request.raw_path.lower():
            raise HTTPError(404, "Not Found")
        if not path.endswith("/"):
            return await self._serve(request, parts)
        if not self._html:
            raise HTTPError(404, "Not Found")
        return await self._serve(request, (*parts, INDEX))

    async def _serve(self, request: Request, parts: tuple[str, ...]) -> Response:
        accepted = ", ".join(request.headers.getlist("accept-encoding"))
        try:
            found = await find_in_thread(
                lambda claim: self._find(claim, parts, accepted), may_be_refused=True
            )
        except _IsFolder:
            last = request.raw_path.rpartition("/")[2]
            query = f"?{request.query_string}" if request.query_string else ""
            return RedirectResponse(f"./{last}/{query}", 307)
        return reply(request, found, self._headers(request, found))

    def _find(self, claim: Claim, parts: tuple[str, ...], accepted: str) -> Found:
        """Find a file, or a compressed one beside it. Runs in a thread."""
        try:
            file, about = self._open(parts)
        except IsADirectoryError:
            if not self._html:
                raise
            self._open((*parts, INDEX))[0].close()  # raises an error if there is none
            raise _IsFolder from None
        name = parts[-1]
        if accepted and self._precompressed and compressible(file_type(name)):
            for coding in ranked(accepted):
                beside = self._open_beside(parts, coding, about)
                if beside is not None:
                    file.close()
                    return claim.hold(describe(*beside, name, coding))
        return claim.hold(describe(file, about, name))

    def _open(self, parts: tuple[str, ...]) -> tuple[Descriptor, os.stat_result]:
        return regular(open_below(self.root, parts, follow=self._follow), "/".join(parts))

    def _open_beside(
        self, parts: tuple[str, ...], coding: str, original: os.stat_result
    ) -> tuple[Descriptor, os.stat_result] | None:
        try:
            file, about = self._open((*parts[:-1], parts[-1] + EXTENSIONS[coding]))
        except OSError:
            return None
        if int(about.st_mtime) < int(original.st_mtime):  # somebody has forgotten to make it again
            file.close()
            return None
        return file, about

    def _headers(self, request: Request, found: Found) -> list[tuple[str, str]]:
        never_changes = self._immutable is not None and self._immutable.search(found.name)
        kept = kept_by(request, _YEAR if never_changes else self._cache_control)
        headers = [("cache-control", kept)]
        if self._precompressed and compressible(found.content_type):
            headers.append(("vary", "accept-encoding"))
        return headers


class _Guards(TypedDict):
    auth: Auth | None
    middleware: list[Middleware]


class _IsFolder(Exception):
    """A directory with a start page was asked for without a slash at its end. With it, the page's
    relative links lead into the directory."""


def _checked_directory(directory: Any, path: str) -> str:
    if not isinstance(directory, str | os.PathLike):
        raise ConfigurationError(
            f"the directory of static files is a path, not {kind(directory)}: write "
            f"app.static({path!r}, 'public')"
        )
    root = os.path.abspath(os.fspath(directory))
    if not isinstance(root, str) or not os.path.isdir(root):
        raise ConfigurationError(
            f"app.static({path!r}, {shown(os.fspath(directory))}): there is no directory "
            f"{root!r}. A relative path begins at the directory in which the server is started; "
            "Path(__file__).parent / 'public' is beside your module"
        )
    return root


def _checked_pattern(immutable: Any) -> re.Pattern[str] | None:
    if isinstance(immutable, bool):
        return re.compile(HASHED) if immutable else None
    try:
        return re.compile(immutable)
    except (TypeError, re.error) as error:
        raise ConfigurationError(
            f"immutable is True, False or a regular expression, not {shown(immutable)}: {error}"
        ) from None
