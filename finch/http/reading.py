"""The body of a request, read as bytes, text, JSON or a stream: what a Request says of its body."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, overload

import msgspec
import trio

from finch.config import Limits
from finch.conversions import DecHook, checked_hook, type_name, why_never_filled
from finch.errors import HTTPError
from finch.headers import Headers
from finch.http.body import BodySource, Pieces, Whole
from finch.http.media import charset_of, codec_of, content_type_of
from finch.turns import account
from finch.typed import Decode, decoder, shared_decoder
from finch.wire.numbers import LONG, TOO_COSTLY, too_costly

if TYPE_CHECKING:
    from finch.http.forms import FormData

T = TypeVar("T")

_FORM: Final = "finch.form"  # where the state of a request has its form

_decode_any: Final = msgspec.json.Decoder().decode


class AsyncClosable(Protocol):
    """What is closed when the request is answered."""

    async def aclose(self) -> None:
        """Close it."""


class Readable(ABC):
    """The part of a request that reads its body.

    It is a base class of the request, not an object of its own: that would cost an allocation for
    each request.
    """

    __slots__ = ("_body", "_max_body", "_source", "app")

    app: Any
    _source: BodySource | None
    _body: bytes | None  # as soon as it was read whole
    _max_body: int  # bytes of a body that is read whole

    @property
    @abstractmethod
    def headers(self) -> Headers:
        """The headers: a case-insensitive multi-mapping of str."""

    @property
    @abstractmethod
    def state(self) -> dict[str, Any]:
        """A dict in which middleware and handlers may store anything."""

    @abstractmethod
    def close_later(self, resource: AsyncClosable) -> None:
        """Close this when the request is answered. For Finch's own use."""

    def stream(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they arrive. Its length is not limited: the handler must set a
        limit itself.

        Raises:
            Disconnected: if the client leaves before the end.
            RuntimeError: if the body was already streamed.
        """
        return Pieces(self.take_source())

    def take_source(self) -> BodySource:
        """Where the body comes from; the caller reads it. For Finch's own use."""
        if self._body is not None:
            return Whole(self._body)
        source, self._source = self._source, None
        if source is None:
            raise RuntimeError(
                "the body was already streamed, or read as a form with files, and can be read only "
                "once; keep what you need of it"
            )
        return source

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            HTTPError: 413 if it is longer than ``Limits.max_body``.
            Disconnected: if the client leaves before the end.
        """
        if self._body is None:
            length = self.headers.get("content-length", "0")
            if len(length) > 18 or int(length) > self._max_body:
                raise self._too_large()
            source = self.take_source()
            pieces: list[bytes] = []
            left = self._max_body
            while piece := await source.read_body():
                left -= len(piece)
                if left < 0:
                    raise self._too_large()
                pieces.append(piece)
            self._body = b"".join(pieces)
        elif account.spend(len(self._body)):
            await trio.lowlevel.checkpoint()
        return self._body

    def _too_large(self) -> HTTPError:
        return HTTPError(413, f"the body is longer than {self._max_body} bytes")

    async def text(self) -> str:
        """The whole body as text, decoded with the charset of ``Content-Type``, or as UTF-8.

        Raises:
            HTTPError: 400 if the body cannot be decoded, 415 if the charset is unknown; 413 as in
                :meth:`body`.
        """
        charset = charset_of(content_type_of(self.headers))
        codec = codec_of(charset)
        try:
            return (await self.body()).decode(codec)
        except UnicodeError:
            raise HTTPError(400, f"the body is not {charset}") from None

    async def form(self, *, max_uploads: int | None = None) -> FormData:
        """The body as a form: the fields and files that a page or a program has sent.

        It is read once, and kept. Files go to disk if they are large; they are deleted when the
        request is answered.

        Parameters:
            max_uploads: bytes of all files, in place of ``Limits.max_uploads``.

        Raises:
            HTTPError: 415 if it is not a form, 400 if it is malformed; 413 if it has more than
                ``Limits.max_form_parts``, ``Limits.max_body`` (of text) or ``max_uploads`` allow.
            ConfigurationError: if it has files, and ``finch-trio[forms]`` is not installed.
            Disconnected: if the client leaves before the end.

        Source: RFC 7578; WHATWG URL, section 5.

        Example::

            form = await request.form()
            title, photo = form["title"], form["photo"]
        """
        form = self.state.get(_FORM)
        if form is None:
            from finch.http.forms import read_form  # few processes need it

            limits = getattr(self.app, "limits", None) or Limits()
            form = self.state[_FORM] = await read_form(self, limits, max_uploads)
        assert form is not None
        return form

    @overload
    async def json(self) -> Any: ...

    @overload
    async def json(self, type: type[T]) -> T: ...

    async def json(self, type: Any = Any) -> Any:
        """The whole body, parsed as JSON; converted and validated if a type is given.

        Parameters:
            type: any type that msgspec supports, such as a Struct, a dataclass, a TypedDict or
                ``list[int]``; or a type that the application's ``dec_hook`` makes.

        Raises:
            HTTPError: 400 if it is not JSON; 422 if it does not fit the type, or has too many
                elements for a set or dict (:mod:`finch.typed`); 413 as in :meth:`body`, or if it
                has too many numbers with an exponent (:mod:`finch.wire.numbers`).
            TypeError: if JSON cannot be converted to the type.
        """
        body = await self.body()
        if len(body) >= LONG and too_costly(body):
            raise HTTPError(413, TOO_COSTLY)
        try:
            return _decoder(type, getattr(self.app, "dec_hook", None))(body)
        except msgspec.ValidationError as error:
            fault = why_never_filled(type) if getattr(self.app, "dec_hook", None) is None else ""
            if fault:  # no JSON would fit: the type is wrong, not the client's data
                raise TypeError(f"request.json({type_name(type)}): {fault}") from None
            raise HTTPError(422, f"the body does not fit: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPError(400, f"the body is not JSON: {error}") from None


def _decoder(type: Any, hook: DecHook | None) -> Decode:
    if type is Any:
        return _decode_any
    checked = None if hook is None else checked_hook(hook)
    try:
        hash(type)
    except TypeError:  # Annotated[int, {}]
        return decoder(type, checked)
    return shared_decoder(type, checked)
