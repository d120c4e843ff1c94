"""Typed JSON: bytes to values of a type. Limits sets and dicts that would take too long to hash.

Python hashes numbers without a secret. So a client can choose numbers that all want the same places
in a hash table, and then each new number is compared with all the others. Text is hashed with a
secret that no client knows, so it is not counted here. The number of other elements is limited
before a set or dict is made of them.

Source: ``Python/pyhash.c``, ``Objects/dictobject.c`` and ``Objects/setobject.c`` of CPython.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect

Decode = Callable[[bytes | str | msgspec.Raw], Any]

# The cost that one message may have: for each set and dict, the number of its elements times the
# sum of their weights. 10,246 integers of eight digits, in the worst case, take 50 ms.
_BUDGET: Final = 105_000_000
# The weight of a value that shares its hash with few others. It still meets others in the table: a
# client that chooses which places are full can send the next key through all of them. Keys of eight
# digits are enough for that.
_LIGHT: Final = 1
# The weight of a value that may share its hash with any number of others, and is compared with each
# of them. 512 of these cost the whole budget. UUIDs are the slowest: they compare in Python, and
# take 20 ms.
_HEAVY: Final = 400
_PART: Final = 100  # for each value in an element that is an array or object; counts at least four
_EACH: Final = 250  # for each set and dict: an empty one takes 200 bytes and a microsecond
_FEW: Final = 8  # a set of up to 8 elements takes no longer to make than its elements
MOST_LIGHT: Final = 10_246
"""How many integers, floats and times one set, or the keys of one dict, may hold."""
MOST_HEAVY: Final = 512
"""How many elements it may hold of any other counted type, such as UUIDs and tuples."""
LONGEST_LIGHT: Final = 20
"""Characters of an integer. A longer one has the weight of other types: the hash is the integer
modulo 2**61 - 1, so at most 44 shorter integers share a hash, but any number of longer ones."""


@lru_cache(maxsize=256)
def shared_decoder(type: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> Decode:
    """The :func:`decoder` of a type, cached. The type itself must be hashable."""
    return decoder(type, dec_hook)


def decoder(type: Any, dec_hook: Callable[[type, Any], Any] | None = None) -> Decode:
    """A function that turns JSON into values of a type.

    Parameters:
        type: any type that msgspec can convert to.
        dec_hook: as for ``msgspec.json.Decoder``: makes values of types that msgspec does not
            know.

    Returns:
        The function. It raises ``msgspec.ValidationError`` if the JSON does not fit the type or
        has too much to hash, and ``msgspec.DecodeError``, ``UnicodeDecodeError`` or
        ``RecursionError`` if it is not JSON.

    Raises:
        TypeError: if msgspec does not support the type, or if the elements of a set have a type
            that cannot be hashed.

    Example::

        decode = decoder(dict[int, str])
        decode(b'{"1": "a"}')  # {1: "a"}
    """
    decode: Decode = msgspec.json.Decoder(type, dec_hook=dec_hook).decode
    counter = _Counter(inspect.type_info(type))
    if not counter.needed:
        return decode

    def bounded(raw: bytes | str | msgspec.Raw) -> Any:
        counter.check(raw)
        try:
            return decode(raw)
        except TypeError as error:  # a list in a set[Any]
            raise msgspec.ValidationError(
                f"Expected elements that can be hashed: {error}"
            ) from None

    return bounded


class _Weights(NamedTuple):
    """What one element of a set, or one key of a dict, costs. 0 if it is not counted."""

    number: int = 0
    text: int = 0  # in JSON, all keys are text
    long: int = 0  # a number or text that is longer than LONGEST_LIGHT
    part: int = 0  # a value inside an array or object

    def of(self, element: Any) -> int:
        """The weight of an element that :func:`_parse` has read."""
        if isinstance(element, list | tuple):
            return self.part and self.part * max(_HEAVY // _PART, _count_values(element))
        if isinstance(element, bool) or element is None:
            return 0
        if isinstance(element, str):
            weight, size = self.text, len(element)
        else:
            weight, size = self.number, element if isinstance(element, int) else 0
        return self.long if weight and size > LONGEST_LIGHT else weight


# text, bytes and dates, and types with few values: None, bool, enums, literals
_FREE: Final = _Weights()
_WEIGHTS: Final[dict[type[inspect.Type], _Weights]] = {
    inspect.AnyType: _Weights(number=_LIGHT, long=_HEAVY),
    inspect.IntType: _Weights(number=_LIGHT, text=_LIGHT, long=_HEAVY),
    inspect.FloatType: _Weights(number=_LIGHT, text=_LIGHT, long=_LIGHT),
    inspect.DateTimeType: _Weights(text=_LIGHT, long=_LIGHT),  # with a time zone, it is a number
    inspect.TimeType: _Weights(text=_LIGHT, long=_LIGHT),
    inspect.TimeDeltaType: _Weights(text=_LIGHT, long=_LIGHT),
    inspect.DecimalType: _Weights(number=_HEAVY, text=_HEAVY, long=_HEAVY),
    inspect.UUIDType: _Weights(text=_HEAVY, long=_HEAVY),
    inspect.CustomType: _Weights(number=_HEAVY, text=_HEAVY, long=_HEAVY, part=_PART),
}
_ANY_PARTS: Final = _Weights(part=_PART)
_NEVER_HASHABLE: Final = (
    inspect.ListType,
    inspect.SetType,
    inspect.DictType,
    inspect.TypedDictType,
    inspect.ByteArrayType,
    inspect.RawType,
)
_OBJECTS: Final = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_DICTS: Final = (inspect.DictType, getattr(inspect, "FrozenDictType", inspect.DictType))


def _weigh(kind: inspect.Type) -> _Weights:
    """The weights of elements of that type.

    Raises:
        TypeError: if they cannot be hashed.
    """
    if isinstance(kind, inspect.Metadata):
        return _weigh(kind.type)
    if isinstance(kind, inspect.UnionType):
        weights = _Weights(*map(max, zip(*map(_weigh, kind.types), strict=True)))
        if any(isinstance(each, inspect.StrType) for each in kind.types):
            return weights._replace(text=0)  # then text becomes str, not another type of the union
        return weights
    if isinstance(kind, _NEVER_HASHABLE) or not _is_hashable(getattr(kind, "cls", None)):
        name = type(kind).__name__.removesuffix("Type").lower()
        what = getattr(kind, "cls", None)
        raise TypeError(
            f"the elements of a set must be hashable, and "
            f"{name if what is None else what.__name__} is not"
            + ("" if what is None else "; declare it with frozen=True")
        )
    parts = [part for part in _reach(kind) if part is not kind]
    if parts:  # a tuple, a frozenset or a class
        return _ANY_PARTS if any(type(part) in _WEIGHTS for part in parts) else _FREE
    return _WEIGHTS.get(type(kind), _FREE)


def _is_hashable(cls: Any) -> bool:
    config = getattr(cls, "__struct_config__", None)  # a Struct always has a __hash__; it may raise
    if config is not None and config.eq:
        return bool(config.frozen)
    return getattr(cls, "__hash__", None) is not None


class _Counter:
    """Counts all that a message has to hash, anywhere in its type."""

    def __init__(self, kind: inspect.Type) -> None:
        self._kind = kind
        kinds = _reach(kind)
        # the keys are ids, because the type of an object may contain itself
        self._weights = {id(each): _weigh_elements(each) for each in kinds}
        self._leads = {known for known, weights in self._weights.items() if weights != _FREE}
        before = 0
        while before < len(self._leads):  # add the types that contain one of them, until all are in
            before = len(self._leads)
            for each in kinds:
                if any(id(part) in self._leads for part in _parts(each)):
                    self._leads.add(id(each))

    @property
    def needed(self) -> bool:
        """Whether a value of the type can have anything to count."""
        return bool(self._leads)

    def check(self, raw: bytes | str | msgspec.Raw) -> None:
        """Refuse JSON that has too much to hash.

        Raises:
            msgspec.ValidationError: if it has.
            msgspec.DecodeError, RecursionError: if it is not JSON.
        """
        data = raw.encode("utf-8", "replace") if isinstance(raw, str) else bytes(raw)
        if data.count(b",") < MOST_HEAVY:
            return  # too few values to matter. Nearly all messages end here
        left = _BUDGET
        waiting: list[tuple[inspect.Type, list[Any], str]] = [(self._kind, [_parse(data)], "$")]
        while waiting:
            kind, values, where = waiting.pop()
            weights = self._weights[id(kind)]
            if weights != _FREE:
                left -= _EACH * len(values)
                if left < 0:
                    raise msgspec.ValidationError(
                        f"Too many sets or dicts: at most {_BUDGET // _EACH} - at `{where}`"
                    )
                for value in values:
                    if isinstance(value, list | tuple) and len(value) > _FEW:
                        left -= _cost(weights, kind, value, left, where)
            for inner, found, name in _inside(kind, values):
                if found and id(inner) in self._leads:
                    waiting.append((inner, found, where + name))


def _weigh_elements(kind: inspect.Type) -> _Weights:
    if isinstance(kind, inspect.SetType | inspect.FrozenSetType):
        return _weigh(kind.item_type)
    if isinstance(kind, _DICTS):
        weights = _weigh(kind.key_type)
        return weights._replace(number=0, part=0) if weights.text else _FREE
    return _FREE


def _parse(data: bytes) -> Any:
    """Parse JSON: an object becomes a tuple of pairs, an integer the number of its characters.

    A dict would not show that a key came many times, but each time costs a look-up.
    """
    read = json.JSONDecoder(object_pairs_hook=tuple, parse_int=len, strict=False).decode
    try:
        return read(data.decode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from None


def _cost(
    weights: _Weights, kind: inspect.Type, value: list[Any] | tuple[Any, ...], left: int, where: str
) -> int:
    """The cost of making a set or dict of a value.

    Raises:
        msgspec.ValidationError: if it is more than what is left.
    """
    if isinstance(kind, _DICTS) != isinstance(value, tuple):
        return 0  # the value does not fit the type, so no set or dict is made of it
    count = total = 0
    for element in value:
        weight = weights.of(element[0] if isinstance(value, tuple) else element)
        if weight:
            count += 1
            total += weight
            if count * total > left:
                raise msgspec.ValidationError(
                    f"Too many keys or elements of a set: at most {MOST_LIGHT} may be numbers or "
                    f"times, at most {MOST_HEAVY} of any other type but text, fewer if there are "
                    f"several sets - at `{where}`"
                )
    return count * total


def _count_values(element: Any) -> int:
    """How many values there are in an array or object, including those in inner ones."""
    count = 0
    waiting = [element]
    while waiting:
        inner = waiting.pop()
        values = [value for _, value in inner] if isinstance(inner, tuple) else inner
        count += len(values)
        waiting += [value for value in values if isinstance(value, list | tuple)]
    return count


def _reach(kind: inspect.Type) -> list[inspect.Type]:
    """A type and all types inside it, each once."""
    found: dict[int, inspect.Type] = {}
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += _parts(each)
    return list(found.values())


def _parts(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a type is made of."""
    for name in ("type", "item_type", "key_type", "value_type"):
        if isinstance(part := getattr(kind, name, None), inspect.Type):
            yield part
    yield from getattr(kind, "types", ())
    yield from getattr(kind, "item_types", ())
    for field in getattr(kind, "fields", ()):
        yield field.type


def _inside(kind: inspect.Type, values: list[Any]) -> Iterator[tuple[inspect.Type, list[Any], str]]:
    """For values of one type, yield each inner type, the values that belong to it, and their
    place."""
    if isinstance(kind, inspect.Metadata):
        yield kind.type, values, ""
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield each, values, ""
    elif isinstance(kind, _DICTS):
        items = [item for value in values if isinstance(value, tuple) for _, item in value]
        yield kind.value_type, items, "[...]"
    elif isinstance(kind, inspect.CollectionType):
        yield kind.item_type, [item for value in _arrays(values) for item in value], "[...]"
    elif isinstance(kind, inspect.TupleType):
        yield from _columns(kind.item_types, values)
    elif isinstance(kind, inspect.NamedTupleType):
        yield from _columns([field.type for field in kind.fields], values)
    elif isinstance(kind, inspect.StructType) and kind.array_like:
        fields = [field.type for field in kind.fields]
        if kind.tag is not None:
            values = [value[1:] for value in _arrays(values) if _fits(kind.tag, value[:1])]
        yield from _columns(fields, values)
    elif isinstance(kind, _OBJECTS):
        yield from _fields(kind, values)


def _arrays(values: list[Any]) -> list[list[Any]]:
    return [value for value in values if isinstance(value, list)]


def _columns(
    kinds: Sequence[inspect.Type], values: list[Any]
) -> Iterator[tuple[inspect.Type, list[Any], str]]:
    arrays = _arrays(values)
    for place, kind in enumerate(kinds):
        yield kind, [array[place] for array in arrays if len(array) > place], f"[{place}]"


def _fields(
    kind: inspect.StructType | inspect.DataclassType | inspect.TypedDictType, values: list[Any]
) -> Iterator[tuple[inspect.Type, list[Any], str]]:
    found: dict[str, list[Any]] = {field.encode_name: [] for field in kind.fields}
    tag_field, tag = getattr(kind, "tag_field", None), getattr(kind, "tag", None)
    for value in values:
        if isinstance(value, tuple) and (
            tag is None or _fits(tag, [item for key, item in value if key == tag_field])
        ):
            for key, item in value:
                if key in found:
                    found[key].append(item)
    for field in kind.fields:
        yield field.type, found[field.encode_name], f".{field.encode_name}"


def _fits(tag: str | int, said: list[Any]) -> bool:
    """Whether an object with these tags may belong to the type with that tag. An object without a
    tag may."""
    return not isinstance(tag, str) or not said or tag in said
