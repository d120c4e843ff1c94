"""What a handler answers, read off its return annotation: statuses, media types and types."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple

import msgspec

from finch.describe.schemas import hashed
from finch.http.response import BYTES, JSON, TEXT, RedirectResponse, Response
from finch.sockets.annotations import given

SUCCESS: Final = "2XX"
"""Any status of success: what OpenAPI writes if it is not known which."""

_STREAMS: Final = (
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
)
_UNIONS: Final = (typing.Union, UnionType)
_JSON_TYPES: Final = (dict, list, msgspec.Struct, collections.abc.Mapping, collections.abc.Sequence)


class Answer(NamedTuple):
    """One kind of answer.

    Attributes:
        status: such as ``"200"``; ``"2XX"`` for any of these.
        media: its media type; None if it has no body, or if that is not known.
        type: the type of the body; Any if it is not known.
    """

    status: str
    media: str | None = None
    type: Any = Any


def answers(handler: Callable[..., Any]) -> list[Answer]:
    """What a handler may answer if nothing goes wrong.

    Example::

        async def bird(request) -> Bird | None: ...

        answers(bird)  # [Answer("200", "application/json", Bird), Answer("204")]
    """
    annotation = given(handler)
    if annotation is Any and inspect.isasyncgenfunction(handler):
        return [Answer("200", _plain(TEXT))]
    return list(
        {(one.status, one.media, hashed(one.type)): one for one in _of(annotation)}.values()
    )


def _of(annotation: Any) -> Iterator[Answer]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated and typing.get_origin(typing.get_args(annotation)[0]) in _UNIONS:
        yield from _of(typing.get_args(annotation)[0])
    elif origin in _UNIONS:
        for one in typing.get_args(annotation):
            yield from _of(one)
    elif type(annotation).__name__ == "TypeAliasType":
        yield from _of(annotation.__value__)
    elif hasattr(annotation, "__supertype__"):  # a NewType
        yield from _of(annotation.__supertype__)
    elif origin is tuple:
        yield from _of_tuple(typing.get_args(annotation))
    elif annotation is None or annotation is NoneType:
        yield Answer("204")
    elif annotation is not typing.NoReturn and annotation is not typing.Never:
        yield _whole(annotation)


def _of_tuple(parts: tuple[Any, ...]) -> Iterator[Answer]:
    """``(value, status)`` and ``(value, status, headers)``."""
    if len(parts) not in (2, 3) or parts[1] is Ellipsis:
        yield Answer(SUCCESS)
        return
    said = typing.get_args(parts[1]) if typing.get_origin(parts[1]) is typing.Literal else ()
    statuses = [str(one) for one in said if type(one) is int and 100 <= one < 600] or [SUCCESS]
    for answer in _of(parts[0]):
        for status in statuses:
            yield answer._replace(status=status)


def _whole(annotation: Any) -> Answer:
    kind = _class_of(annotation)
    if kind is None or issubclass(kind, tuple):
        return Answer(SUCCESS)
    if issubclass(kind, RedirectResponse):
        return Answer("3XX")
    if issubclass(kind, Response):
        media = kind.default_content_type
        return Answer(SUCCESS, _plain(media) if isinstance(media, str) else None)
    if issubclass(kind, str):
        return Answer("200", _plain(TEXT), str)
    if issubclass(kind, bytes | bytearray | memoryview):
        return Answer("200", BYTES)
    if kind in _STREAMS or issubclass(kind, collections.abc.AsyncIterable):
        return Answer("200", _plain(TEXT))
    if issubclass(kind, _JSON_TYPES) or dataclasses.is_dataclass(kind):
        return Answer("200", JSON, annotation)
    return Answer(SUCCESS)


def _class_of(annotation: Any) -> type | None:
    """The class of the values; None if an annotation allows several, or is none."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is typing.Literal:
        kinds = {type(one) for one in typing.get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else None
    if typing.is_typeddict(typing.get_origin(annotation) or annotation):
        return dict
    kind = typing.get_origin(annotation) or annotation
    return kind if isinstance(kind, type) and kind is not object else None


def _plain(media: str) -> str:
    """A media type without its parameters."""
    return media.partition(";")[0].strip()
