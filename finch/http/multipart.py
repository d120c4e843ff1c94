"""Reads multipart/form-data: text fields into memory, uploads into a spool, all within bounds.

The syntax is read by ``multipart``, in blocks of 16 KiB: some of what it accepts depends on
where a block ends, so the result must not depend on the pieces in which the network delivers a
body.

Source: RFC 7578, RFC 2046 (section 5.1), WHATWG HTML (multipart form data).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

import trio

from finch.config import KIB
from finch.errors import ConfigurationError, HTTPError
from finch.http.body import BodySource
from finch.http.media import codec_of, media_type, pairs, parameters
from finch.http.spool import Spool
from finch.http.uploads import Upload
from finch.turns import account

_BLOCK: Final = 16 * KIB
"""Bytes that are read at a time."""

_HEAD_COST: Final = 16
"""Units of work of the headers of one part (:mod:`finch.turns`): the worst take 0.3 ms."""

_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_LINE: Final = 4 * KIB
"""Bytes of one header line of a part; more is 413."""

_LINES: Final = 8
"""Header lines of one part; more is 413. RFC 7578 knows three."""

_NAME: Final = 256
"""Characters of a field's name, and of a file's; more is 413."""

_OF_PART: Final = "the Content-Disposition of a part of the form"
_PLAIN: Final = ("", "7bit", "8bit", "binary")
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


class Bounds(NamedTuple):
    """How much one form may have.

    Attributes:
        parts: fields and files.
        fields: bytes of all text fields, which are kept in memory.
        uploads: bytes of all files.
    """

    parts: int
    fields: int
    uploads: int


class _Segment(Protocol):
    """What ``multipart`` says of a part."""

    name: str | None
    filename: str | None
    headerlist: list[tuple[str, str]]

    def header(self, name: str, default: str) -> str: ...


class _Text(NamedTuple):
    """A text field that is being received."""

    name: str
    charset: str | None
    value: bytearray


def require_multipart() -> None:
    """Check that ``multipart`` is installed.

    Raises:
        ConfigurationError: if it is not.
    """
    try:
        from multipart import PushMultipartParser  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "forms with files need multipart: pip install 'finch-trio[forms]'"
        ) from None


async def read_multipart(
    source: BodySource, content_type: str, bounds: Bounds, spool: Spool
) -> list[tuple[str, str | Upload]]:
    """The fields and files of a body, in order.

    A file input in which no file was chosen is left out.

    Parameters:
        source: the body.
        content_type: the request's, with the boundary.
        bounds: how much the form may have.
        spool: where its files go.

    Raises:
        HTTPError: 400 if it is malformed, 413 if it is too large, 415 if it is encoded in a way
            that is not supported.
        ConfigurationError: if ``multipart`` is not installed.
        Disconnected: if the client leaves before the end.
    """
    require_multipart()
    reader = _Reader(_boundary_of(content_type), bounds, spool)
    left = bounds.fields + bounds.uploads  # for everything, what is between the parts included
    waiting = bytearray()
    while piece := await source.read_body():
        left -= len(piece)
        if left < 0:
            raise HTTPError(413, f"the form is longer than {bounds.fields + bounds.uploads} bytes")
        waiting += piece
        while len(waiting) >= _BLOCK:
            block = bytes(waiting[:_BLOCK])
            del waiting[:_BLOCK]
            await reader.take(block)
    await reader.take(bytes(waiting))
    reader.end()
    await spool.finish()
    return reader.items()


def _boundary_of(content_type: str) -> str:
    found = [
        value
        for key, value in pairs(content_type, "the Content-Type of the form")
        if key.partition("*")[0] == "boundary"  # boundary*0= is another one for some (RFC 2231)
    ]
    if len(found) != 1:
        said = "no boundary" if not found else "several boundaries"
        raise HTTPError(400, f"the Content-Type of the form has {said}")
    if not _BOUNDARY.fullmatch(found[0]):
        raise HTTPError(400, "the boundary of the form is malformed")
    return found[0]


class _Reader:
    """Takes a body block by block."""

    def __init__(self, boundary: str, bounds: Bounds, spool: Spool) -> None:
        import multipart  # few processes need it

        self._limit_reached = multipart.ParserLimitReached
        self._malformed = multipart.MultipartError
        self._parser = multipart.PushMultipartParser(
            boundary, max_header_size=_LINE, max_header_count=_LINES
        )
        self._opening = f"--{boundary}".encode()
        self._begun = False
        self._bounds = bounds
        self._spool = spool
        self._items: list[_Text | tuple[str, Upload]] = []
        self._part: _Text | Upload | None = None
        self._fields = 0  # bytes of text so far

    async def take(self, block: bytes) -> None:
        """Take the next block."""
        if not self._begun:
            self._begun = True
            # RFC 2046 allows a preamble. No browser sends one, and it can hide parts from a filter.
            if not block.startswith((self._opening, b"\r\n" + self._opening)):
                raise HTTPError(400, "the form does not begin with its boundary")
        if not block or self._parser.closed:
            return
        try:
            for event in self._parser.parse(block):
                if isinstance(event, bytes | bytearray):
                    await self._add(bytes(event))
                elif event is not None:
                    self._begin(event)
        except self._malformed as error:
            raise self._refused(error) from None
        if account.spend(len(block)):
            await trio.lowlevel.checkpoint()

    def end(self) -> None:
        """The body has ended."""
        try:
            if not self._parser.closed:
                self._parser.close()
        except self._malformed:
            raise HTTPError(400, "the form has no end: its last boundary is missing") from None

    def _refused(self, error: Exception) -> HTTPError:
        status = 413 if isinstance(error, self._limit_reached) else 400
        return HTTPError(status, f"the form cannot be read: {error.args[0]}")

    def _begin(self, part: _Segment) -> None:
        if len(self._items) >= self._bounds.parts:
            raise HTTPError(413, f"the form has more than {self._bounds.parts} fields and files")
        account.used += _HEAD_COST
        _check_headers(part)
        name, filename = part.name, part.filename
        if not name:
            raise HTTPError(400, "a part of the form has no name")
        if len(name) > _NAME or len(filename or "") > _NAME:
            raise HTTPError(
                413, f"a name in the form is longer than {_NAME} characters: {name[:40]!r}"
            )
        content_type = part.header("Content-Type", "")
        if filename is None:
            charset = _charset_of(content_type)
            text = _Text(name, charset, bytearray())
            self._part = text
            self._items.append(text)
            return
        kind = media_type(content_type) or "application/octet-stream"
        upload = Upload(self._spool, filename, kind, start=self._spool.size)
        self._part = upload
        self._items.append((name, upload))

    async def _add(self, data: bytes) -> None:
        part = self._part
        if isinstance(part, _Text):
            self._fields += len(data)
            if self._fields > self._bounds.fields:
                raise HTTPError(
                    413, f"the text of the form is longer than {self._bounds.fields} bytes"
                )
            part.value.extend(data)
            return
        assert part is not None
        if self._spool.size + len(data) > self._bounds.uploads:
            raise HTTPError(
                413, f"the files of the form are larger than {self._bounds.uploads} bytes"
            )
        part.size += len(data)
        await self._spool.write(data)

    def items(self) -> list[tuple[str, str | Upload]]:
        """What was received."""
        texts = [item for item in self._items if isinstance(item, _Text)]
        # RFC 7578, section 4.6: the charset of all fields that name none themselves
        default = next(
            (one.value.decode("latin-1") for one in texts if one.name == "_charset_"), ""
        )
        items: list[tuple[str, str | Upload]] = []
        for item in self._items:
            if isinstance(item, _Text):
                charset = item.charset or default or "utf-8"
                items.append((item.name, decoded(item.name, bytes(item.value), charset)))
            elif item[1].size or item[1].filename:
                items.append(item)
        return items


def _check_headers(part: _Segment) -> None:
    """Refuse what programs between client and server may read in another way."""
    names = [name for name, _ in part.headerlist]
    if len(set(names)) < len(names):
        raise HTTPError(400, "a part of the form has a header twice")
    for name, value in part.headerlist:
        if _CONTROL.search(value):
            raise HTTPError(400, f"the header {name} of a part has a control character")
    said = [name for name, _ in pairs(part.header("Content-Disposition", ""), _OF_PART)]
    if len(set(said)) < len(said):
        raise HTTPError(400, f"{_OF_PART} has a parameter twice")
    encoding = part.header("Content-Transfer-Encoding", "").strip().lower()
    if encoding not in _PLAIN:  # RFC 7578, section 4.7: deprecated; no browser sends it
        raise HTTPError(
            415, f"a part of the form is encoded with {encoding[:40]!r}; send it as it is"
        )


def _charset_of(content_type: str) -> str | None:
    """The charset of a text field, if its own Content-Type names one."""
    if media_type(content_type).startswith("multipart/"):
        # RFC 7578, section 4.3: deprecated; several files have the same name instead
        raise HTTPError(415, "a part of the form has parts itself; send each as a part of the form")
    named = parameters(content_type, "charset")
    return named[-1] if named else None


def decoded(name: str, value: bytes, charset: str) -> str:
    """The text of a field.

    Raises:
        HTTPError: 400 if it is not in its charset, 415 if the charset is unknown.
    """
    try:
        return value.decode(codec_of(charset))
    except UnicodeError:
        raise HTTPError(400, f"the field {name[:40]!r} is not {charset}") from None
