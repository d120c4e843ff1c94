"""What a handler takes beside the path's parameters: the markers ``Query``, ``Header``, ``Cookie``,
``Body``, ``Form`` and ``File``, and where their values come from.

Everything that can be known is found out when the route is created: see
:mod:`finch.http.signatures`. Here is what happens for each request.
"""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from finch.conversions import checked_hook, type_name, why_never_filled
from finch.errors import ConfigurationError, HTTPError
from finch.http.media import media_type
from finch.http.shapes import (
    allows_none,
    fields_of,
    fits_file,
    fits_text,
    is_switch,
    shape_of,
    switched,
    takes_many,
)

if TYPE_CHECKING:
    from finch.headers import MultiMapping
    from finch.http.request import Request

T = TypeVar("T")


class Source(enum.Enum):
    """Where the value of a parameter comes from. The value is how errors name it.

    - ``Query``: a parameter of the query, ``page: Query[int] = 1``. A list gets all values of the
      name; a Struct or dataclass is filled from the whole query.
    - ``Header``: ``user_agent: Header[str]``. An underscore in the name stands for a hyphen.
    - ``Cookie``: ``theme: Cookie[str] = "light"``.
    - ``Body``: the whole body, as JSON that msgspec converts, or as bytes or text for
      ``Body[bytes]`` and ``Body[str]``.
    - ``Form``: a field of a form, ``name: Form[str]``. A Struct or dataclass is filled from the
      whole form.
    - ``File``: a file of a form, ``photo: File[Upload]``, ``photos: File[list[Upload]]``.
    """

    QUERY = "query parameter"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"
    FORM = "form field"
    FILE = "file"


class Marker:
    """A marker as a program sees it. To a type checker, ``Query[int]`` is an ``int``.

    It is an object of its own, and not a generic alias, so that ``Query(1)``, which other
    frameworks have, gets an error that says what to write.

    Attributes:
        source: where the value of a parameter with this marker comes from.
    """

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, type: Any) -> Any:
        return Annotated[type, self.source]

    def __call__(self, *_: object, **__: object) -> typing.NoReturn:
        name = repr(self)
        raise ConfigurationError(
            f"{name} takes its type in brackets, and the default stands behind it: write value: "
            f"{name}[int] = 1. Bounds are those of msgspec: Annotated[{name}[int], Meta(ge=1)]"
        )

    def __repr__(self) -> str:
        return self.source.name.title()


if TYPE_CHECKING:
    Query = Annotated[T, Source.QUERY]
    Header = Annotated[T, Source.HEADER]
    Cookie = Annotated[T, Source.COOKIE]
    Body = Annotated[T, Source.BODY]
    Form = Annotated[T, Source.FORM]
    File = Annotated[T, Source.FILE]
else:
    Query = Marker(Source.QUERY)
    Header = Marker(Source.HEADER)
    Cookie = Marker(Source.COOKIE)
    Body = Marker(Source.BODY)
    Form = Marker(Source.FORM)
    File = Marker(Source.FILE)


class Named(NamedTuple):
    """What :func:`named` makes."""

    name: str


def named(name: str) -> Named:
    """Give a parameter another name in the request than in Python.

    Example::

        async def search(page: Annotated[Query[int], named("page-number")] = 1): ...
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"named() takes the name in the request as text, not {name!r}")
    return Named(name)


MISSING: Final = inspect.Parameter.empty
"""The default of a parameter that has none."""

_SHOWN: Final = 60  # characters of a Content-Type that a client sent
_NONE_AT_ALL: Final = ()  # no value of a name that may have several


class Argument:
    """One marked parameter of a handler.

    Attributes:
        name: the name in Python.
        source: where its value comes from.
        key: the name in the request.
        type: what the value is converted to.
        default: the value if the request has none; ``MISSING`` if it must have one.
        many: whether it gets all values of the name, as a list.
        fields: for a Struct or dataclass that is filled from all values: its fields by their names
            in the request, and whether each takes a list; else None.
    """

    __slots__ = (
        "_is_bool",
        "_switches",
        "default",
        "fields",
        "key",
        "many",
        "name",
        "source",
        "type",
    )

    def __init__(self, name: str, source: Source, key: str, type: Any, default: Any) -> None:
        self.name = name
        self.source = source
        self.key = key
        self.type = type
        shape = shape_of(type)
        self.many = takes_many(shape)
        fields = fields_of(shape) if source in (Source.QUERY, Source.FORM) else None
        many = {name: takes_many(kind) for name, kind in (fields or {}).items()}
        self.fields = None if fields is None else many
        self._switches = [name for name, kind in (fields or {}).items() if is_switch(kind)]
        if default is MISSING and source is not Source.BODY:
            if self.many:
                default = _NONE_AT_ALL
            elif allows_none(shape):
                default = None
        self.default = default
        self._is_bool = is_switch(shape)

    def why_never_filled(self, dec_hook: Callable[[Any, Any], Any] | None) -> str:
        """Why no request has a value of this type; empty if some have."""
        shape = shape_of(self.type)
        fits = fits_file if self.source is Source.FILE else fits_text
        if self.source is not Source.BODY and self.fields is None and not fits(shape):
            wanted = "Upload or list[Upload]" if self.source is Source.FILE else "str or list[int]"
            return (
                f"no {self.source.value} would ever fit {type_name(self.type)}; write a type such "
                f"as {wanted}"
            )
        if self.source is Source.FILE or self.type in (bytes, str, Any):
            return ""
        return why_never_filled(self.type, has_hook=dec_hook is not None)

    def read(self, values: MultiMapping[Any] | Any, hook: Callable[[Any, Any], Any] | None) -> Any:
        """The value, from the query, the headers, the cookies or a form.

        Raises:
            ValueError: if it is missing or does not fit. The message is for the client.
        """
        if self.fields is not None:
            said: Any = {
                key: values.getlist(key) if many else values[key]
                for key, many in self.fields.items()
                if key in values
            }
            if not said and self.default is not MISSING:
                return self.default
            for key in self._switches:
                if key in said:
                    said[key] = switched(said[key])
        elif self.key not in values:
            if self.default is MISSING:
                raise ValueError(f"the {self._what} is missing")
            if self.default is not _NONE_AT_ALL:
                return self.default
            said = []
        elif self.many:
            said = values.getlist(self.key)
        else:
            said = values[self.key]
        if self.type is str and type(said) is str:  # most are
            return said
        if self._is_bool:
            said = switched(said)
        try:
            return msgspec.convert(said, self.type, strict=False, dec_hook=hook)
        except msgspec.ValidationError as error:
            raise ValueError(f"the {self._what} does not fit: {error}") from None

    @property
    def _what(self) -> str:
        if self.fields is None:
            return f"{self.source.value} {self.key!r}"
        return "query" if self.source is Source.QUERY else "form"


class Fault(NamedTuple):
    """A parameter whose value is missing or does not fit."""

    where: str
    name: str
    said: str


class Plan:
    """How a handler is called.

    Parameters:
        arguments: its marked parameters.
        takes_request: whether the request comes first.
    """

    __slots__ = ("_body", "_form", "_plain", "arguments", "takes_request")

    def __init__(self, arguments: Sequence[Argument], takes_request: bool) -> None:
        self.arguments = tuple(arguments)
        self.takes_request = takes_request
        self._plain = [one for one in arguments if one.source in _PLAIN]
        self._form = [one for one in arguments if one.source in (Source.FORM, Source.FILE)]
        self._body = next((one for one in arguments if one.source is Source.BODY), None)

    def check(self, dec_hook: Callable[[Any, Any], Any] | None, path: str) -> None:
        """Refuse types that no request can fill.

        Raises:
            ConfigurationError: if there is one, or if it takes files and ``finch-trio[forms]`` is
                not installed. The message says what to write.
        """
        if any(one.source is Source.FILE for one in self.arguments):
            from finch.http.multipart import require_multipart  # few routes need it

            require_multipart()
        for one in self.arguments:
            fault = one.why_never_filled(dec_hook)
            if fault:
                raise ConfigurationError(f"{one.name} of the handler of {path}: {fault}")

    async def fill(self, request: Request) -> dict[str, Any]:
        """The values of the marked parameters.

        Raises:
            HTTPError: 422 if values are missing or do not fit; the message names each of them, as
                does ``extra["errors"]``: each with ``in``, ``name`` and ``detail``. 400,
                413 and 415 as for :meth:`finch.Request.json` and :meth:`finch.Request.form`.
            Disconnected: if the client leaves before its body is complete.
        """
        hook = getattr(request.app, "dec_hook", None)
        if hook is not None:
            hook = checked_hook(hook)
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for one in self._plain:
            _read(one, _PLAIN[one.source](request), hook, values, faults)
        if self._form:
            form = await request.form()
            for one in self._form:
                _read(one, form, hook, values, faults)
        if faults:
            errors = [{"in": one.where, "name": one.name, "detail": one.said} for one in faults]
            message = "; ".join(one.said for one in faults)
            raise HTTPError(422, message, extra={"errors": errors})
        if self._body is not None:
            values[self._body.name] = await _read_body(request, self._body)
        return values


def _read(
    argument: Argument, of: Any, hook: Any, values: dict[str, Any], faults: list[Fault]
) -> None:
    try:
        values[argument.name] = argument.read(of, hook)
    except ValueError as error:
        faults.append(Fault(argument.source.name.lower(), argument.key, str(error)))


async def _read_body(request: Request, argument: Argument) -> Any:
    if argument.default is not MISSING and not await request.body():
        return argument.default
    if argument.type is bytes:
        return await request.body()
    if argument.type is str:
        return await request.text()
    kind = media_type(request.content_type)
    if kind != "application/json" and not kind.endswith("+json"):
        # Without a type as well: a page of any site can make a browser send such a body, with the
        # visitor's cookies (a Blob without a type).
        said = ascii(kind[:_SHOWN]) if kind else "of no type"
        raise HTTPError(415, f"the body is {said}, but this takes application/json")
    return await request.json(argument.type)


class _Single(dict[str, str]):
    """Cookies as a mapping with several values per name, each of which has one."""

    def getlist(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


_PLAIN: Final[dict[Source, Callable[[Request], Any]]] = {
    Source.QUERY: lambda request: request.query,
    Source.HEADER: lambda request: request.headers,
    Source.COOKIE: lambda request: _Single(request.cookies),
}


def read_marks(metadata: Iterable[Any]) -> tuple[Source | None, str | None]:
    """The marker of an annotation, and the name that :func:`named` gives it.

    Parameters:
        metadata: what stands behind the type in ``Annotated``.
    """
    source = name = None
    for mark in metadata:
        if isinstance(mark, Source):
            source = mark
        elif isinstance(mark, Marker):  # Annotated[int, Query]
            source = mark.source
        elif isinstance(mark, Named):
            name = mark.name
    return source, name


def unmarked(annotation: Any) -> Any:
    """The annotation without markers, but with msgspec's ``Meta``."""
    base, *metadata = typing.get_args(annotation)
    for mark in metadata:
        if not isinstance(mark, Source | Named | Marker):
            base = Annotated[base, mark]
    return base
