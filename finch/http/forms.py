"""FormData: the fields and files of a form, and how the body of a request becomes one."""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import unquote_to_bytes

from finch.config import KIB, Limits
from finch.errors import HTTPError
from finch.headers import MultiMapping
from finch.http.body import BodySource
from finch.http.media import FORM, MULTIPART, charset_of, media_type
from finch.http.multipart import Bounds, decoded, read_multipart
from finch.http.spool import Spool, in_thread
from finch.http.uploads import Upload

_LONG: Final = (
    64 * KIB
)  # bytes of a body that is read in a thread: "%41" a million times takes 0.3 s
_PIECE: Final = 16 * KIB  # bytes that are decoded at a time


class FormData(MultiMapping[str | Upload]):
    """The fields and files of a form, by name; a name may have several.

    A field is text, a file is an :class:`finch.Upload`.

    Example::

        form = await request.form()
        form["title"]
        form.getlist("tag")
        await form["photo"].read()
    """

    __slots__ = ()


class Readable(Protocol):
    """What is needed of a request."""

    @property
    def content_type(self) -> str:
        """The request's Content-Type; empty if it has none."""

    @property
    def content_length(self) -> int:
        """The length of its body in bytes, as the head says it; 0 if it does not."""

    async def body(self) -> bytes:
        """The whole body."""

    def take_source(self) -> BodySource:
        """Where the body comes from; the caller reads it."""

    def close_later(self, spool: Spool) -> None:
        """The request closes it when it is answered."""


async def read_form(request: Readable, limits: Limits, max_uploads: int | None = None) -> FormData:
    """Read the body of a request as a form.

    Parameters:
        request: the request.
        limits: the application's.
        max_uploads: bytes of all files, in place of ``limits.max_uploads``.

    Raises:
        HTTPError: 400 if it is malformed, 413 if it is too large, 415 if it is no form.
        ConfigurationError: if it has files, and ``multipart`` is not installed.
        Disconnected: if the client leaves before the end.
    """
    content_type = request.content_type
    kind = media_type(content_type)
    if kind == MULTIPART:
        bounds = Bounds(
            limits.max_form_parts,
            limits.max_body,
            limits.max_uploads if max_uploads is None else max_uploads,
        )
        if request.content_length > (most := bounds.fields + bounds.uploads):
            raise HTTPError(413, f"the form is longer than {most} bytes")
        spool = Spool()
        request.close_later(spool)
        try:
            source = request.take_source()
            return FormData(await read_multipart(source, content_type, bounds, spool))
        except BaseException:
            await spool.aclose()
            raise
    if kind == FORM:
        return FormData(await _urlencoded(await request.body(), content_type, limits))
    if not kind and not await request.body():
        return FormData()
    raise HTTPError(
        415, f"the body is {kind[:60] or 'of no type'}, and must be a form: {FORM} or {MULTIPART}"
    )


async def _urlencoded(body: bytes, content_type: str, limits: Limits) -> list[tuple[str, str]]:
    if body.count(b"&") >= limits.max_form_parts:
        raise HTTPError(413, f"the form has more than {limits.max_form_parts} fields")
    if len(body) > _LONG:
        pairs = await in_thread(lambda: urlencoded_pairs(body))
    else:
        pairs = urlencoded_pairs(body)
    # WHATWG HTML: a field of this name says in which charset a browser has sent the form
    named = dict(pairs).get(b"_charset_", b"").decode("latin-1")
    charset = named or charset_of(content_type)
    return [
        (decoded("", name, charset), decoded(name.decode("latin-1"), value, charset))
        for name, value in pairs
    ]


def urlencoded_pairs(body: bytes) -> list[tuple[bytes, bytes]]:
    """The names and values of a form, decoded from percent-encoding only.

    Source: WHATWG URL, section 5.1.
    """
    pairs = []
    for part in body.split(b"&"):
        if part:
            name, _, value = part.replace(b"+", b" ").partition(b"=")
            pairs.append((_unquoted(name), _unquoted(value)))
    return pairs


def _unquoted(text: bytes) -> bytes:
    """Decode from percent-encoding, piece by piece: Python makes an object of each escape, and
    eighty bytes of memory for each byte of the body would be many."""
    if len(text) <= _PIECE:
        return unquote_to_bytes(text)
    made, begin = bytearray(), 0
    while begin < len(text):
        end = begin + _PIECE
        escape = text.rfind(b"%", end - 2, end)
        if escape >= 0 and end < len(text):
            end = escape  # an escape is not cut in two
        made += unquote_to_bytes(text[begin:end])
        begin = end
    return bytes(made)
