"""What a request has to have, as OpenAPI says it: parameters and bodies, read off a route."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from finch.describe.schemas import Schemas
from finch.http.arguments import MISSING, Argument, Source
from finch.http.patterns import DIGITS
from finch.http.response import BYTES, JSON
from finch.http.routing import FinchRoute

_MOST: Final = 10**DIGITS - 1
_SEGMENT: Final = {"type": "string", "pattern": "^[^/]+$"}
CONVERTED: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": _SEGMENT,
    "int": {"type": "integer", "minimum": -_MOST, "maximum": _MOST},
    "float": {"type": "number", "minimum": -_MOST, "maximum": _MOST},
    "uuid": {"type": "string", "format": "uuid"},
    "path": {"type": "string", "minLength": 1},
}
"""The schemas of the texts that Finch's own converters take."""

_PLACES: Final = {Source.QUERY: "query", Source.HEADER: "header", Source.COOKIE: "cookie"}
_NOT_DESCRIBED: Final = ("accept", "content-type", "authorization")
"""Headers that are no parameters: the body, the responses and the security say it. "If in is
"header" and the name field is "Accept", "Content-Type" or "Authorization", the parameter definition
SHALL be ignored" (OpenAPI 3.1.0, section 4.8.12.2)."""

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
_FILE: Final = {"type": "string", "format": "binary"}


def arguments_of(route: FinchRoute) -> tuple[Argument, ...]:
    """The marked parameters of a route's handler."""
    return () if route.plan is None else route.plan.arguments


def types_in(route: FinchRoute) -> list[Any]:
    """The types of the marked parameters, and of the single values of lists in headers."""
    arguments = [one for one in arguments_of(route) if one.source is not Source.FILE]
    return [one.type for one in arguments]


def parameters_of(
    route: FinchRoute, names: Iterable[str], schemas: Schemas
) -> list[dict[str, Any]]:
    """The parameters of an operation.

    Parameters:
        route: the operation's.
        names: what the parameters of its path are called.
        schemas: those of its types.
    """
    found = [_in_path(*pair) for pair in zip(names, route.pattern.converters, strict=True)]
    seen = set()
    for one in arguments_of(route):
        place = _PLACES.get(one.source)
        for key, required, schema in _values(one, schemas) if place else ():
            same = (place, key.lower() if place == "header" else key)
            if same in seen or same[1] in _NOT_DESCRIBED * (place == "header"):
                continue
            seen.add(same)
            parameter = {"name": key, "in": place, "required": required, "schema": schema}
            if "description" in schema:
                parameter["description"] = schema["description"]
            found.append(parameter)
    return found


def body_of(route: FinchRoute, schemas: Schemas) -> dict[str, Any] | None:
    """The request body of an operation; None if it has none."""
    arguments = arguments_of(route)
    for one in arguments:
        if one.source is Source.BODY:
            return _whole(one, schemas)
    fields = [one for one in arguments if one.source in (Source.FORM, Source.FILE)]
    if not fields:
        return None
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for one in fields:
        for key, required, value in _values(one, schemas):
            schema["properties"].setdefault(key, value)
            if required and key not in schema["required"]:
                schema["required"].append(key)
    has_files = any(one.source is Source.FILE for one in fields)
    content = {media: {"schema": schema} for media in (FORM, MULTIPART)[has_files:]}
    return {"required": bool(schema["required"]), "content": content}


def _in_path(name: str, converter: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "in": "path",
        "required": True,
        "schema": dict(CONVERTED.get(converter, _SEGMENT)),
    }
    if converter not in CONVERTED:
        found["description"] = f"What the converter {converter} reads."
    if converter == "path":
        found["description"] = "May have slashes."
    return found


def _whole(argument: Argument, schemas: Schemas) -> dict[str, Any]:
    if argument.type is bytes:  # an empty body will do
        return {"required": False, "content": {BYTES: {}}}
    if argument.type is str:
        return {"required": False, "content": {"text/plain": {"schema": {"type": "string"}}}}
    schema = _with_default(schemas.of(argument.type), argument.default)
    return {"required": argument.default is MISSING, "content": {JSON: {"schema": schema}}}


def _values(argument: Argument, schemas: Schemas) -> Iterator[tuple[str, bool, dict[str, Any]]]:
    """What an argument is made of: names, whether each is required, and schemas."""
    if argument.source is Source.FILE:
        schema = {"type": "array", "items": _FILE} if argument.many else dict(_FILE)
        yield argument.key, argument.default is MISSING, schema
        return
    if argument.fields is None:
        schema = _with_default(schemas.of(argument.type), argument.default)
        if argument.many and argument.source in (Source.HEADER, Source.COOKIE):
            schema = _each(schema)
        yield argument.key, argument.default is MISSING, schema
        return
    whole = schemas.resolved(argument.type)
    for key in argument.fields:
        required = argument.default is MISSING and key in whole.get("required", ())
        yield key, required, dict(whole.get("properties", {}).get(key, {}))


def _each(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value of a list: each is a header of its own. What OpenAPI calls an array
    in a header would be one header with commas."""
    items = schema.get("items")
    found = dict(items) if isinstance(items, Mapping) else {}
    return {**found, "description": "May be sent several times."}


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    if default is MISSING or default is None or default == ():
        return schema
    try:
        said = json.loads(msgspec.json.encode(default))
    except Exception:  # a value of the application's own: no description need have it
        return schema
    return {**schema, "default": said}
