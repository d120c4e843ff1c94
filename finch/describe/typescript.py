"""TypeScript: the types of an application, for editors, made of msgspec's JSON schemas.

A field with a default need not be in what a client sends, and is always in what it gets. So a type
that is used in both directions may become two: ``Said``, and ``SaidInput`` for what is sent.
"""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final

from finch.describe.schemas import Schema, described, hashed
from finch.describe.surface import Call, Surface, rooms, surface
from finch.sockets.manager import SocketManager

_PLAIN: Final = {
    "null": "null",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
}
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_INDENT: Final = "  "
_RESERVED: Final = (
    "any", "bigint", "boolean", "never", "null", "number", "object", "string", "symbol",
    "undefined", "unknown", "void",
)  # fmt: skip


def whole_file(base: str, manager: SocketManager) -> str:
    """``finch.d.ts`` with the types of one application.

    Parameters:
        base: the ``finch.d.ts`` of all applications.
        manager: the manager whose sockets are described.
    """
    head = ""
    if len(manager.declared) > 1:
        # A room may match two patterns, as chat/lobby and chat/{name}. TypeScript finds the right
        # one all the same, but complains of the declaration.
        head = "// @ts-nocheck: names of rooms may match two patterns\n"
    return f"{head}{base}\n{declarations(manager)}"


def declarations(manager: SocketManager) -> str:
    """The declarations that describe one application, to stand behind those of ``finch.d.ts``.

    Parameters:
        manager: the manager whose sockets are described.
    """
    everything = surface(manager)
    of_rooms = rooms(manager)
    types = _Types([everything, *of_rooms.values()])
    parts = [
        f"export interface Calls {_block(_calls(everything, types))}",
        f"export interface Sends {_block(_sends(everything, types))}",
        f"export interface Rooms {_block(_rooms(of_rooms, types))}",
    ]
    named = types.declared()
    if named:
        inside = _indented("\n\n".join(named))
        parts.insert(
            0, f"/** The types of the application. */\nexport namespace App {{\n{inside}\n}}"
        )
    return "\n\n".join(parts) + "\n"


def _calls(one: Surface, types: _Types) -> list[str]:
    lines = [f"{_key(path)}: {_call(call, types)};" for path, call in one.calls.items()]
    if one.any_path and lines:
        lines.append("[path: string]: any;")
    return lines


def _call(call: Call, types: _Types) -> str:
    answer = "item" if call.streams else "answer"
    return f"{{ data: {types.taken(call.data)}; {answer}: {types.given(call.answer)} }}"


def _sends(one: Surface, types: _Types) -> list[str]:
    return [f"{_key(path)}: {types.given(sent)};" for path, sent in one.sends.items()]


def _rooms(found: Mapping[tuple[Any, ...], Surface], types: _Types) -> list[str]:
    lines = []
    for shape, one in found.items():
        calls, sends = _block(_calls(one, types)), _block(_sends(one, types))
        lines.append(f"{_room(shape)}: {_block([f'calls: {calls};', f'sends: {sends};'])};")
    return lines


def _room(shape: tuple[Any, ...]) -> str:
    """A name of rooms: a plain key, or a template such as ``chat/${string}``."""
    if all(isinstance(piece, str) for piece in shape):
        return _key("".join(shape).lstrip("/"))
    text = "".join(
        re.sub(r"([\\`$])", r"\\\1", piece)
        if isinstance(piece, str)
        else "${number}"
        if piece[0] in ("int", "float")
        else "${string}"
        for piece in shape
    )
    return f"[name: `{text.removeprefix('/')}`]"


class _Types:
    """The types of an application's messages, as TypeScript.

    Parameters:
        surfaces: everything that the application takes and gives.
    """

    def __init__(self, surfaces: Iterable[Surface]) -> None:
        surfaces = list(surfaces)
        taken = [one for each in surfaces for one in each.taken()]
        given = [one for each in surfaces for one in each.given()]
        self._schemas, self._components = described([*taken, *given], "{name}", _unknown)
        self._sparse = _that_omit_defaults([*taken, *given])
        self._taken = self._reached(self._schemas[hashed(one)] for one in taken)
        self._given = self._reached(self._schemas[hashed(one)] for one in given)
        differ = {name for name in self._components if self._has_defaults(name)}
        while True:
            more = {name for name in self._components if differ & _refers(self._components[name])}
            if more <= differ:
                break
            differ |= more
        self._two = differ & self._taken & self._given
        self._labels = _labels(self._components, self._two)

    def taken(self, one: Any) -> str:
        """The type of what a client sends."""
        return self._text(self._schemas[hashed(one)], False)

    def given(self, one: Any) -> str:
        """The type of what a client gets."""
        return self._text(self._schemas[hashed(one)], True)

    def declared(self) -> list[str]:
        """A declaration of each type with a name."""
        texts = []
        for name in self._components:
            if name in self._given:
                texts.append(self._declaration(name, True))
            if name in self._taken and (name in self._two or name not in self._given):
                texts.append(self._declaration(name, False))
        return texts

    def _declaration(self, name: str, given: bool) -> str:
        schema = self._components[name]
        comment = _comment(schema.get("description"))
        label = self._name(name, given)
        body = self._text(schema, given)
        if "properties" in schema:
            return f"{comment}export interface {label} {body}"
        return f"{comment}export type {label} = {body};"

    def _name(self, name: str, given: bool) -> str:
        return self._labels[name, given or name not in self._two]

    def _text(self, schema: Schema, given: bool) -> str:
        if "$ref" in schema:
            return f"App.{self._name(schema['$ref'], given)}"
        if "anyOf" in schema:
            parts = [self._text(one, given) for one in schema["anyOf"]]
            return " | ".join(dict.fromkeys(parts))
        if "enum" in schema:
            return " | ".join(json.dumps(value) for value in schema["enum"])
        if "const" in schema:
            return json.dumps(schema["const"])
        kind = schema.get("type")
        if kind == "array":
            return self._array(schema, given)
        if kind == "object":
            return self._object(schema, given)
        if isinstance(kind, list):
            return " | ".join(_PLAIN.get(one, "any") for one in kind)
        return _PLAIN.get(str(kind), "any")

    def _array(self, schema: Schema, given: bool) -> str:
        if "prefixItems" in schema:
            least = schema.get("minItems", 0)
            parts = [
                self._text(one, given) + ("?" if place >= least and not given else "")
                for place, one in enumerate(schema["prefixItems"])
            ]
            return f"[{', '.join(_bracketed_if_optional(part) for part in parts)}]"
        items = schema.get("items")
        if not isinstance(items, Mapping):
            return "any[]"
        text = self._text(items, given)
        return f"({text})[]" if " " in text and not text.startswith(("{", "[")) else f"{text}[]"

    def _object(self, schema: Schema, given: bool) -> str:
        if "properties" not in schema:
            values = schema.get("additionalProperties")
            text = self._text(values, given) if isinstance(values, Mapping) else "any"
            return f"{{ [key: string]: {text} }}"
        lines = []
        for name, field in schema["properties"].items():
            is_there = name in schema.get("required", ())
            if given and "default" in field and schema.get("title") not in self._sparse:
                is_there = True
            mark = "" if is_there else "?"
            comment = _comment(field.get("description"))
            lines.append(f"{comment}{_key(name)}{mark}: {self._text(field, given)};")
        return _block(lines)

    def _has_defaults(self, name: str) -> bool:
        schema = self._components[name]
        required = schema.get("required", ())
        if name in self._sparse:
            return False
        fields = schema.get("properties", {})
        return any("default" in field and key not in required for key, field in fields.items()) or (
            len(schema.get("prefixItems", ())) > schema.get("minItems", 0)
        )

    def _reached(self, schemas: Iterable[Schema]) -> set[str]:
        """The names of all types that some schemas refer to, directly or not."""
        reached: set[str] = set()
        coming = [name for schema in schemas for name in _refers(schema)]
        while coming:
            name = coming.pop()
            if name not in reached:
                reached.add(name)
                coming += _refers(self._components[name])
        return reached


def _bracketed_if_optional(part: str) -> str:
    return f"({part[:-1]})?" if part.endswith("?") and " " in part else part


def _unknown(_: type) -> dict[str, Any]:
    """The schema of a type that only the application's dec_hook knows: anything. (msgspec takes
    an empty one for none.)"""
    return {"title": ""}


def _labels(names: Iterable[str], two: set[str]) -> dict[tuple[str, bool], str]:
    """What types are called in TypeScript, by name and whether they are given. No two are equal."""
    labels: dict[tuple[str, bool], str] = {}
    used = set(_RESERVED)

    def take(name: str, given: bool, label: str) -> None:
        while label in used:
            label += "_"
        used.add(label)
        labels[name, given] = label

    names = sorted(names)
    for name in names:
        label = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "Type"
        take(name, True, f"_{label}" if label[0].isdigit() else label)
    for name in names:
        if name in two:
            take(name, False, f"{labels[name, True]}Input")
    return labels


def _that_omit_defaults(types: Iterable[Any]) -> set[str]:
    """The names of the Structs whose defaults are not sent."""
    found = set()
    seen: set[int] = set()
    coming = list(types)
    while coming:
        one = coming.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        coming += typing.get_args(one)
        config = getattr(one, "__struct_config__", None)
        if config is not None and config.omit_defaults:
            found.add(one.__name__)
        if config is not None or hasattr(one, "__dataclass_fields__"):
            try:
                coming += typing.get_type_hints(one, include_extras=True).values()
            except Exception:
                pass  # the schema knows better
    return found


def _refers(schema: object) -> set[str]:
    """The names of the types that a schema, or a list of schemas, mentions."""
    if isinstance(schema, list):
        return set[str]().union(*map(_refers, schema))
    if not isinstance(schema, Mapping):
        return set()
    if "$ref" in schema:
        return {schema["$ref"]}
    inside = [schema.get(key) for key in ("items", "prefixItems", "anyOf", "additionalProperties")]
    return _refers([*inside, *schema.get("properties", {}).values()])


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _comment(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        return ""
    return f"/** {' '.join(text.split()).replace('*/', '* /')} */\n"


def _block(lines: list[str]) -> str:
    return "{\n" + _indented("\n".join(lines)) + "\n}" if lines else "{}"


def _indented(text: str) -> str:
    return "\n".join(_INDENT + line if line else line for line in text.split("\n"))
