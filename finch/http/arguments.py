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
from msgspec import inspect as shapes

from finch.conversions import checked_hook, type_name, why_never_filled
from finch.errors import ConfigurationError, HTTPError

if TYPE_CHECKING:
    from finch.headers import MultiMapping
    from finch.http.request import Request

T = TypeVar("T")


class Source(enum.Enum):
    """Where the value of a parameter comes from. The value is how errors name it."""

    QUERY = "query parameter"
    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"
    FORM = "form field"
    FILE = "file"


Query = Annotated[T, Source.QUERY]
"""A parameter of the query: ``page: Query[int] = 1``. A list gets all values of the name; a Struct
or dataclass is filled from the whole query."""
Header = Annotated[T, Source.HEADER]
"""A header: ``user_agent: Header[str]``. An underscore in the name stands for a hyphen."""
Cookie = Annotated[T, Source.COOKIE]
"""A cookie: ``theme: Cookie[str] = "light"``."""
Body = Annotated[T, Source.BODY]
"""The whole body: JSON that msgspec converts, or the bytes or text itself for ``Body[bytes]`` and
``Body[str]``."""
Form = Annotated[T, Source.FORM]
"""A field of a form: ``name: Form[str]``. A Struct or dataclass is filled from the whole form."""
File = Annotated[T, Source.FILE]
"""A file of a form: ``photo: File[Upload]``, ``photos: File[list[Upload]]``."""


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

_NONE_AT_ALL: Final = ()  # no value of a name that may have several
_YES: Final = frozenset(("on", "yes"))  # what a browser sends for a checkbox; what people write
_NO: Final = frozenset(("off", "no"))


_WITH_FIELDS: Final = (shapes.StructType, shapes.DataclassType, shapes.TypedDictType)
_NO_TEXT: Final = (  # what no text becomes
    *_WITH_FIELDS,
    shapes.DictType,
    shapes.RawType,
    shapes.CollectionType,
    shapes.TupleType,
)


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
        shape = _shape(type)
        self.many = _takes_many(shape)
        fields = _fields(shape) if source in (Source.QUERY, Source.FORM) else None
        many = {name: _takes_many(kind) for name, kind in (fields or {}).items()}
        self.fields = None if fields is None else many
        self._switches = [name for name, kind in (fields or {}).items() if _is_switch(kind)]
        if default is MISSING and source is not Source.BODY:
            if self.many:
                default = _NONE_AT_ALL
            elif _allows_none(shape):
                default = None
        self.default = default
        self._is_bool = _is_switch(shape)

    def why_never_filled(self, dec_hook: Callable[[Any, Any], Any] | None) -> str:
        """Why no request has a value of this type; empty if some have."""
        shape = _shape(self.type)
        if self.source is not Source.BODY and self.fields is None and not _fits_some(shape, self):
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
                    said[key] = _switched(said[key])
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
            said = _switched(said)
        try:
            return msgspec.convert(said, self.type, strict=False, dec_hook=hook)
        except msgspec.ValidationError as error:
            raise ValueError(f"the {self._what} does not fit: {error}") from None

    @property
    def _what(self) -> str:
        if self.fields is None:
            return f"{self.source.value} {self.key!r}"
        return "query" if self.source is Source.QUERY else "form"


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
            HTTPError: 422 if values are missing or do not fit; the message names each of them. 400,
                413 and 415 as for :meth:`finch.Request.json` and :meth:`finch.Request.form`.
            Disconnected: if the client leaves before its body is complete.
        """
        hook = getattr(request.app, "dec_hook", None)
        if hook is not None:
            hook = checked_hook(hook)
        values: dict[str, Any] = {}
        faults: list[str] = []
        for one in self._plain:
            _read(one, _PLAIN[one.source](request), hook, values, faults)
        if self._form:
            form = await request.form()
            for one in self._form:
                _read(one, form, hook, values, faults)
        if faults:
            raise HTTPError(422, "; ".join(faults))
        if self._body is not None:
            values[self._body.name] = await _read_body(request, self._body)
        return values


def _read(
    argument: Argument, of: Any, hook: Any, values: dict[str, Any], faults: list[str]
) -> None:
    try:
        values[argument.name] = argument.read(of, hook)
    except ValueError as error:
        faults.append(str(error))


async def _read_body(request: Request, argument: Argument) -> Any:
    if argument.default is not MISSING and not await request.body():
        return argument.default
    if argument.type is bytes:
        return await request.body()
    if argument.type is str:
        return await request.text()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise HTTPError(415, f"the body is {kind!r}, but this takes application/json")
    if not kind and "origin" in request.headers:
        # A page of any site may send a Blob without a type, without being asked (Fetch, CORS).
        raise HTTPError(415, "the body of a page has no Content-Type, and this takes JSON")
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
        elif isinstance(mark, Named):
            name = mark.name
    return source, name


def unmarked(annotation: Any) -> Any:
    """The annotation without markers, but with msgspec's ``Meta``."""
    base, *metadata = typing.get_args(annotation)
    if isinstance(base, TypeVar):  # Query without [...]
        base = str
    for mark in metadata:
        if not isinstance(mark, Source | Named):
            base = Annotated[base, mark]
    return base


def _shape(type: Any) -> shapes.Type:
    try:
        shape = shapes.type_info(type)
    except Exception as error:  # NameError, TypeError, whatever an annotation leads to
        raise TypeError(f"msgspec cannot make {type_name(type)}: {error}") from None
    while isinstance(shape, shapes.Metadata):
        shape = shape.type
    return shape


def _kinds(shape: shapes.Type) -> list[shapes.Type]:
    """The types that a type allows, without None."""
    if isinstance(shape, shapes.UnionType):
        return [one for part in shape.types for one in _kinds(part)]
    if isinstance(shape, shapes.Metadata):
        return _kinds(shape.type)
    return [] if isinstance(shape, shapes.NoneType) else [shape]


def _is_switch(shape: shapes.Type) -> bool:
    """Whether it is a bool, and the words of a checkbox do not stand for themselves."""
    kinds = _kinds(shape)
    return any(isinstance(one, shapes.BoolType) for one in kinds) and not any(
        isinstance(one, shapes.StrType) for one in kinds
    )


def _switched(said: Any) -> Any:
    word = said.lower() if isinstance(said, str) else ""
    return True if word in _YES else False if word in _NO else said


def _fits_some(shape: shapes.Type, argument: Argument) -> bool:
    """Whether a text, or several, may become this type; or an upload, if that is asked for."""
    kinds = _kinds(shape)
    if argument.many:
        kinds = [one for many in kinds for item in _items(many) for one in _kinds(item)]
    if argument.source is Source.FILE:
        return any(isinstance(one, shapes.CustomType | shapes.AnyType) for one in kinds)
    return not kinds or not all(isinstance(one, _NO_TEXT) for one in kinds)


def _items(shape: Any) -> list[shapes.Type]:
    return list(shape.item_types) if isinstance(shape, shapes.TupleType) else [shape.item_type]


def _takes_many(shape: shapes.Type) -> bool:
    if isinstance(shape, shapes.UnionType):
        return all(_takes_many(one) for one in shape.types if not isinstance(one, shapes.NoneType))
    if isinstance(shape, shapes.Metadata):
        return _takes_many(shape.type)
    return isinstance(shape, shapes.CollectionType | shapes.TupleType)


def _allows_none(shape: shapes.Type) -> bool:
    return isinstance(shape, shapes.UnionType) and shape.includes_none


def _fields(shape: shapes.Type) -> dict[str, shapes.Type] | None:
    kinds = _kinds(shape)
    if len(kinds) != 1 or not isinstance(kinds[0], _WITH_FIELDS):
        return None
    return {field.encode_name: field.type for field in kinds[0].fields}
