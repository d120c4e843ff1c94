"""Answers requests with files: finds the file in a thread, judges the request, opens the stream.

A small file is found, opened, read and closed in one change of threads. A large one stays open
until it is sent; the request closes it, whatever becomes of the response.

Errors: what a client may ask for in vain is an :class:`HTTPError`. An ``OSError`` that no client
can cause, as of a broken disk, is raised as it is.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from email.utils import formatdate
from hashlib import blake2b
from time import time
from typing import Final, NamedTuple

from finch.errors import HTTPError
from finch.http.below import open_below, open_file, safe_parts
from finch.http.conditional import judge, range_is_current
from finch.http.date import read_date
from finch.http.files import FileResponse
from finch.http.filetypes import file_type
from finch.http.opened import Descriptor, FileChunks, in_thread
from finch.http.ranges import Range, Unsatisfiable, read_range
from finch.http.request import Request
from finch.http.response import Response
from finch.http.streaming import StreamingResponse

SMALL: Final = 64 * 1024
"""Bytes of a file that is read whole, in the thread that opens it."""

EXTENSIONS: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""What the name of a file has at its end if its content is compressed, by the coding."""

_FRESH: Final = 2.0
"""Seconds after a change in which a file may change again without a trace: some file systems note
times to two seconds (RFC 9110, section 8.8.2.2)."""

_NOT_FOUND: Final = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENXIO,  # a socket, or a device that is not there
        errno.ENODEV,
        errno.EINVAL,  # a name that the file system cannot have
        errno.EILSEQ,
    )
)
_FORBIDDEN: Final = frozenset((errno.EACCES, errno.EPERM))
_FOR_NOW: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))

# A 304 has only what a cache needs to update what it has (RFC 9110, section 15.4.5).
_NOT_IN_304: Final = frozenset(("content-type", "content-disposition", "content-encoding"))


class Found(NamedTuple):
    """A file, found and opened.

    Attributes:
        name: its name, without directories and without the extension of ``coding``.
        content_type: its media type.
        coding: how its content is compressed, or None.
        size: its length in bytes.
        modified: when it was changed, in seconds since 1970.
        tag: its entity tag.
        content: all of it if it is small, else None.
        file: open if it is large, else None.
    """

    name: str
    content_type: str
    coding: str | None
    size: int
    modified: float
    tag: str
    content: bytes | None
    file: Descriptor | None


class Claim:
    """Passes a found file from a thread to the task that waits for it. If the task has gone
    meanwhile, the file is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = False
        self._held: Found | None = None

    def hold(self, found: Found) -> Found:
        """Keep a file for the task. Called in the thread."""
        with self._lock:
            self._held = found
            left = self._left
        if left:
            _close(found)
        return found

    def leave(self) -> None:
        """The task does not want the file any more: close it, now or when it is there."""
        with self._lock:
            self._left = True
            held = self._held
        if held is not None:
            _close(held)


Find = Callable[[Claim], Found]
"""Finds a file, and gives it to the claim. It runs in a thread."""


async def reply_with_file(request: Request, response: FileResponse) -> Response:
    """The response to a request with the file that a handler has returned.

    Raises:
        HTTPError: 404, 403 or 503 if it cannot be opened below ``directory``; 412 or 416 if the
            request has a condition or range that the file does not fulfil.
        OSError: if it cannot be opened, and there is no ``directory``.
    """
    path, directory = response.path, response.directory
    if directory is None:

        def find(claim: Claim) -> Found:
            file, about = regular(open_file(path), path)
            return claim.hold(describe(file, about, os.path.basename(path)))

        found = await find_in_thread(find)
    else:
        parts = safe_parts(path)
        if parts is None:
            raise HTTPError(404, "Not Found")

        def find_below(claim: Claim) -> Found:
            file, about = regular(open_below(os.path.abspath(directory), parts), path)
            return claim.hold(describe(file, about, parts[-1]))

        found = await find_in_thread(find_below, may_be_refused=True)
    headers = response.headers.multi_items()
    if "cache-control" not in dict(headers):
        headers.append(("cache-control", kept_by(request, response.cache_control)))
    return reply(request, found, headers, response.status)


def kept_by(request: Request, cache_control: str) -> str:
    """The ``Cache-Control`` of a file. If a guard has let a user through, the file may be for this
    user only, so no cache that others use may keep it."""
    return cache_control if request.user is None else f"private, {cache_control}"


async def find_in_thread(find: Find, *, may_be_refused: bool = False) -> Found:
    """Find a file in a thread. If this is cancelled meanwhile, the file is closed.

    Parameters:
        may_be_refused: whether the client has chosen the name, so that it gets 404 or 403 if there
            is no such file.

    Raises:
        HTTPError: 404, 403 or 503, if ``may_be_refused``.
        BaseException: whatever else ``find`` raises.
    """
    claim = Claim()
    try:
        return await in_thread(lambda: find(claim))
    except BaseException as error:
        claim.leave()
        if may_be_refused and isinstance(error, OSError | ValueError):
            raise _refusal(error) from error
        raise


def _refusal(error: OSError | ValueError) -> Exception:
    number = getattr(error, "errno", errno.ENOENT)  # ValueError: no file can have such a name
    if number in _NOT_FOUND:
        return HTTPError(404, "Not Found")
    if number in _FORBIDDEN:
        return HTTPError(403, "Forbidden")
    if number in _FOR_NOW:  # too many open files, for example
        return HTTPError(503, "the file cannot be opened now", {"retry-after": "1"})
    return error


def regular(number: int, name: str) -> tuple[Descriptor, os.stat_result]:
    """An open file, and what the file system says about it.

    Parameters:
        number: the descriptor. It is closed if this raises.
        name: for the error.

    Raises:
        IsADirectoryError: if it is a directory.
        FileNotFoundError: if it is a FIFO, a socket or a device.
    """
    file = Descriptor(number)
    try:
        about = os.fstat(number)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, "a directory, not a file", name)
        if not stat.S_ISREG(about.st_mode):
            raise FileNotFoundError(errno.ENOENT, "neither a file nor a directory", name)
    except BaseException:
        file.close()
        raise
    return file, about


def describe(
    file: Descriptor, about: os.stat_result, name: str, coding: str | None = None
) -> Found:
    """Describe an open file, and read it if it is small.

    Parameters:
        file: it is closed if this raises.
        name: says the type.

    Raises:
        OSError: if it cannot be read.
    """
    content = None
    try:
        if about.st_size <= SMALL:
            content = file.read(SMALL + 1, 0)
            if len(content) > SMALL:  # it has grown meanwhile
                about, content = os.fstat(file.number), None
        kind = file_type(name)
    except BaseException:
        file.close()
        raise
    size = about.st_size
    if content is not None:
        size = len(content)
        file.close()
    tag = _tag_of(content, about, coding)
    held = file if content is None else None
    return Found(name, kind, coding, size, about.st_mtime, tag, content, held)


def _tag_of(content: bytes | None, about: os.stat_result, coding: str | None) -> str:
    """The entity tag: of the content if it was read, else of its length and time of change.

    Times alone do not always tell: container images and package managers give each file the same.
    And if a large file has just changed, it may change again within the same tick of the clock; so
    its tag is weak, and no range relies on it (RFC 9110, section 8.8.1).
    """
    end = f"-{coding}" if coding else ""
    if content is not None:
        return f'"{blake2b(content, digest_size=10).hexdigest()}{end}"'
    weak = "W/" if time() - about.st_mtime < _FRESH else ""
    return f'{weak}"{about.st_mtime_ns:x}-{about.st_size:x}{end}"'


def reply(
    request: Request, found: Found, headers: list[tuple[str, str]], status: int = 200
) -> Response:
    """The response to a request with an open file.

    Parameters:
        headers: those that the response has in any case; they replace defaults of the same name.
        status: if it is not 200, the file is sent whole, unconditionally.

    Raises:
        HTTPError: 412 or 416. The file is closed then.
    """
    try:
        return _reply(request, found, headers, status)
    except BaseException:
        _close(found)
        raise


def _reply(request: Request, found: Found, headers: list[tuple[str, str]], status: int) -> Response:
    given = dict(headers)
    every = [item for item in _described(found, status) if item[0] not in given] + headers
    part = None
    if status == 200 and request.method in ("GET", "HEAD"):
        tag = given.get("etag", found.tag)
        modified = read_date(given.get("last-modified", "")) or int(found.modified)
        verdict = judge(request.headers, tag, modified)
        if verdict == 304:
            _close(found)
            return _empty(304, [item for item in every if item[0] not in _NOT_IN_304])
        if verdict is not None:
            raise HTTPError(verdict, "Precondition Failed")
        part = _part(request, tag, modified, found.size)
    if part is not None:
        status = 206
        every.append(("content-range", part.header(found.size)))
    part = part or Range(0, found.size)
    if request.method == "HEAD":
        _close(found)
        return _empty(status, [*every, ("content-length", str(part.length))])
    if found.content is not None:
        end = part.begin + part.length
        content = found.content if part.length == found.size else found.content[part.begin : end]
        return Response(content, status, every)
    return _stream(request, found, part, status, every)


def _described(found: Found, status: int) -> list[tuple[str, str]]:
    """The headers that describe a file."""
    headers = [
        ("content-type", found.content_type),
        # else a browser may take a text for a page or a script
        ("x-content-type-options", "nosniff"),
    ]
    if found.coding is not None:
        headers.append(("content-encoding", found.coding))
    if status == 200:
        headers += [("etag", found.tag), ("accept-ranges", "bytes")]
        if time() - found.modified >= _FRESH:  # else the date is that of several versions
            headers.append(("last-modified", formatdate(int(found.modified), usegmt=True)))
    return headers


def _part(request: Request, tag: str, modified: int, size: int) -> Range | None:
    # "GET is the only method for which range handling is defined" (RFC 9110, section 14.2)
    asked = request.headers.getlist("range") if request.method == "GET" else ()
    if len(asked) != 1 or not range_is_current(request.headers, tag, modified):
        return None
    try:
        return read_range(asked[0], size)
    except Unsatisfiable:
        raise HTTPError(
            416, "Range Not Satisfiable", {"content-range": f"bytes */{size}"}
        ) from None


def _stream(
    request: Request, found: Found, part: Range, status: int, headers: list[tuple[str, str]]
) -> Response:
    assert found.file is not None
    chunks = FileChunks(found.file, part.begin, part.length, found.name)
    # The request closes the stream when it is answered, and so the file, whatever is sent instead.
    stream = request.stream_in_task(chunks)
    length = ("content-length", str(part.length))
    response = StreamingResponse(stream, status, [*headers, length], found.content_type)
    response.origin = f"the file {found.name}"
    return response


def _empty(status: int, headers: list[tuple[str, str]]) -> Response:
    response = Response(b"", status, headers)
    if status == 304:
        response.remove_header("content-type")
    return response


def _close(found: Found) -> None:
    if found.file is not None:
        found.file.close()
