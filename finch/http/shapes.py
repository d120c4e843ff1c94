"""Which types texts become, such as those of a query or a form: what msgspec says of a type."""

from __future__ import annotations

from typing import Any, Final

from msgspec import inspect as shapes

from finch.conversions import type_name

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


def shape_of(type: Any) -> shapes.Type:
    """What msgspec makes of a type, without its constraints.

    Raises:
        TypeError: if msgspec cannot make it.
    """
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


def is_switch(shape: shapes.Type) -> bool:
    """Whether it is a bool, and the words of a checkbox do not stand for themselves."""
    kinds = _kinds(shape)
    return any(isinstance(one, shapes.BoolType) for one in kinds) and not any(
        isinstance(one, shapes.StrType) for one in kinds
    )


def switched(said: Any) -> Any:
    """The value of a switch, if the text is one of the words for it."""
    word = said.lower() if isinstance(said, str) else ""
    return True if word in _YES else False if word in _NO else said


def fits_text(shape: shapes.Type) -> bool:
    """Whether a text, or several, may become this type."""
    kinds = _single(shape)
    return not kinds or not all(isinstance(one, _NO_TEXT) for one in kinds)


def fits_file(shape: shapes.Type) -> bool:
    """Whether a file, or several, may be of this type."""
    return any(isinstance(one, shapes.CustomType | shapes.AnyType) for one in _single(shape))


def _single(shape: shapes.Type) -> list[shapes.Type]:
    """The types of one value: of the items, if it takes many."""
    kinds = _kinds(shape)
    if not takes_many(shape):
        return kinds
    return [one for many in kinds for item in _items(many) for one in _kinds(item)]


def _items(shape: Any) -> list[shapes.Type]:
    return list(shape.item_types) if isinstance(shape, shapes.TupleType) else [shape.item_type]


def takes_many(shape: shapes.Type) -> bool:
    """Whether it is a collection, which gets all values of a name."""
    if isinstance(shape, shapes.UnionType):
        return all(takes_many(one) for one in shape.types if not isinstance(one, shapes.NoneType))
    if isinstance(shape, shapes.Metadata):
        return takes_many(shape.type)
    return isinstance(shape, shapes.CollectionType | shapes.TupleType)


def allows_none(shape: shapes.Type) -> bool:
    """Whether None is one of its values."""
    return isinstance(shape, shapes.UnionType) and shape.includes_none


def fields_of(shape: shapes.Type) -> dict[str, shapes.Type] | None:
    """The types of the fields of a Struct or dataclass, by name; None if it is no such type."""
    kinds = _kinds(shape)
    if len(kinds) != 1 or not isinstance(kinds[0], _WITH_FIELDS):
        return None
    return {field.encode_name: field.type for field in kinds[0].fields}
