"""The response that is a file: what a handler writes down, before anything is opened.

The file is opened when the request is known, since the answer depends on it: nothing of the file,
a part, or all (``finch.http.file_replies``).
"""

from __future__ import annotations

import os
from typing import Any, Final

from finch.explain import kind, not_text, shown
from finch.headers import HeaderItems
from finch.http.response import Response

REVALIDATE: Final = "no-cache"  # keep it, but ask each time whether it is still the newest


class FileResponse(Response):
    """A file, with all that HTTP has for files: conditional requests, ranges, HEAD.

    Parameters:
        path: the file. If a part of it comes from outside, such as from the request, write that
            part as ``path`` and the rest as ``directory``.
        status: 200 by default. With any other status, the file is sent whole, unconditionally.
        headers: more headers. They replace defaults of the same name.
        content_type: the media type; by default, that of the name's extension.
        directory: if given, ``path`` is looked for below it, and never leaves it: ``..``, absolute
            paths, hidden files and links out of it are answered with 404, as is a missing file.
        filename: the name under which a browser saves the file, instead of showing it. Any text.
        inline: show the file all the same; ``filename`` is then for those who save it.
        max_age: seconds for which caches may use the file without asking whether it has changed.
            By default they ask each time (``no-cache``). If the request has a user, only the
            browser's own cache may keep it (``private``).

    Middleware gets a response of another type: a ``StreamingResponse`` if the file is large,
    otherwise a ``Response`` with its content.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if ``max_age`` is negative, or as for :class:`finch.Response`.
        OSError: when it is sent, without ``directory``: if the file cannot be opened. The client
            gets status 500, unless ``@app.error_handler(FileNotFoundError)`` says otherwise.

    Source: RFC 9110, sections 8.8, 13 and 14; RFC 6266.

    Example::

        @app.get("/reports/{name}")
        async def report(request, name):
            return FileResponse(name, directory="reports", filename=name)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        status: int = 200,
        headers: HeaderItems | None = None,
        content_type: str | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        filename: str | None = None,
        inline: bool = False,
        max_age: int | None = None,
    ) -> None:
        self.path = _text(path, "path")
        self.directory = None if directory is None else _text(directory, "directory")
        self._body = b""
        self._begin(status, headers, content_type)
        if filename is not None:
            if not isinstance(filename, str):
                raise TypeError(f"filename is a text, not {kind(filename)}")
            from finch.http.disposition import content_disposition

            if not self._has("content-disposition"):
                self.set_header("content-disposition", content_disposition(filename, inline=inline))
        self.cache_control = cache_control(max_age)
        """The ``Cache-Control`` that is sent if the headers have none."""


def cache_control(max_age: Any) -> str:
    """The header for content that changes, which caches may use for so many seconds.

    Raises:
        TypeError: if ``max_age`` is neither None nor a whole number.
        ValueError: if it is negative.
    """
    if max_age is None:
        return REVALIDATE
    if not isinstance(max_age, int) or isinstance(max_age, bool):
        seconds = "write .total_seconds() after it, in int(...)"
        raise TypeError(
            f"max_age is a whole number of seconds, not {shown(max_age)}"
            + (f"; {seconds}" if hasattr(type(max_age), "total_seconds") else "")
        )
    if max_age < 0:
        raise ValueError(f"max_age is 0 seconds or more, not {max_age}")
    return f"max-age={max_age}" if max_age else REVALIDATE


def _text(path: Any, what: str) -> str:
    if not isinstance(path, str | os.PathLike):
        advice = "; write .decode() after it" if isinstance(path, bytes) else ""
        raise TypeError(f"the {what} of a FileResponse is a path, not {kind(path)}{advice}")
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"the {what} of a FileResponse is a path of text, not {kind(text)}")
    fault = "a NUL" if "\0" in text else not_text(text)
    if fault and what == "directory":
        raise ValueError(f"the {what} of a FileResponse has {fault}")
    return text
