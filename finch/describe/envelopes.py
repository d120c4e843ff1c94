"""The messages of ``docs/wire.md`` as JSON schemas, for AsyncAPI: the envelopes, and Finch's own
messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from finch.describe.schemas import REFERENCE

FROM_CLIENT: Final = "finch.FromClient"
FROM_SERVER: Final = "finch.FromServer"
ERROR: Final = "finch.Error"
JOINED: Final = "finch.Joined"
PRESENCE: Final = "finch.Presence"
ENTRY: Final = "finch.Entry"

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer"}
_SWITCH: Final = {"type": "boolean"}
_ENTRIES: Final = {"type": "array", "items": {"$ref": REFERENCE.format(name=ENTRY)}}


def _object(
    title: str, description: str, required: list[str], properties: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "type": "object",
        "properties": dict(properties),
        "required": required,
    }


COMPONENTS: Final[Mapping[str, dict[str, Any]]] = {
    FROM_CLIENT: _object(
        "FromClient",
        "What a client sends.",
        ["path"],
        {
            "path": {**_TEXT, "description": "Which handler gets it."},
            "data": {"description": "The message; null if absent."},
            "id": {"description": "Asks for an answer, which has this value as reply."},
            "room": {**_TEXT, "description": "The room that it is addressed to."},
            "once": {**_TEXT, "description": "It may be sent again, and is handled only once."},
        },
    ),
    FROM_SERVER: _object(
        "FromServer",
        "What a client gets.",
        ["path", "status", "timestamp", "language", "client", "data"],
        {
            "path": {**_TEXT, "description": "Which handler on the client's side gets it."},
            "status": {**_NUMBER, "description": "As in HTTP: 400 or more for errors."},
            "timestamp": {**_NUMBER, "description": "Milliseconds since the epoch."},
            "language": {**_TEXT, "description": "The language tag chosen for this client."},
            "client": {**_TEXT, "description": "The id of the recipient."},
            "data": {"description": "The message."},
            "reply": {"description": "The id of the message that this one answers."},
            "id": {**_TEXT, "description": "The server asks for an answer with this as reply."},
            "more": {**_SWITCH, "description": "Another part of the same answer follows."},
            "room": {**_TEXT, "description": "The room that it was sent to."},
            "seq": {**_NUMBER, "description": "The message's number in its room."},
            "epoch": {**_TEXT, "description": "The numbering that seq counts in."},
        },
    ),
    ERROR: _object(
        "Error",
        "What was wrong with a message.",
        ["message"],
        {"message": _TEXT, "path": {**_TEXT, "description": "That of the message."}},
    ),
    ENTRY: _object(
        "Entry",
        "Someone who is in a room.",
        ["user", "meta", "devices", "since"],
        {
            "user": {"type": ["string", "integer", "null"]},
            "meta": {},
            "devices": _NUMBER,
            "since": _NUMBER,
            "client": _TEXT,
        },
    ),
    JOINED: _object(
        "Joined",
        "The client is in the room.",
        ["recovered"],
        {"recovered": _SWITCH, "missed": _NUMBER, "presence": _ENTRIES, "count": _NUMBER},
    ),
    PRESENCE: _object(
        "Presence",
        "Who has come to a room and gone.",
        ["count"],
        {"joins": _ENTRIES, "leaves": _ENTRIES, "presence": _ENTRIES, "count": _NUMBER},
    ),
}
"""The schemas that every description of sockets has."""


def payload(
    envelope: str, path: str | None, data: Mapping[str, Any], required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The schema of a message.

    Parameters:
        envelope: ``FROM_CLIENT`` or ``FROM_SERVER``.
        path: that of the message; None if it may have any.
        data: the schema of its data.
        required: which keys it must have, beside those that every message has.
    """
    properties: dict[str, Any] = {} if path is None else {"path": {"const": path}}
    found: dict[str, Any] = {
        "allOf": [{"$ref": REFERENCE.format(name=envelope)}],
        "type": "object",
        "properties": {**properties, "data": dict(data)},
    }
    if required:
        found["required"] = list(required)
    return found


def reference(name: str) -> dict[str, str]:
    """A reference to one of :data:`COMPONENTS`."""
    return {"$ref": REFERENCE.format(name=name)}


_SCHEMAS: Final = ("items", "additionalItems", "additionalProperties", "not")
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties")


def older(schema: Any) -> Any:
    """A schema of JSON Schema 2020-12, as msgspec makes it, in the words of draft 7: that is what
    AsyncAPI's own schemas are.

    Example::

        older({"type": "array", "prefixItems": [{}], "items": False})
        # {"type": "array", "items": [{}], "additionalItems": False}
    """
    if not isinstance(schema, Mapping):
        return schema  # True, False
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _SCHEMAS:
            found[key] = older(value)
        elif key in _LISTS:
            found[key] = [older(one) for one in value]
        elif key in _MAPS:
            found[key] = {name: older(one) for name, one in value.items()}
        elif key != "discriminator":  # a mapping there, and a text here; the tags say the same
            found[key] = value
    if "prefixItems" in found:
        found["additionalItems"] = found.get("items", True)
        found["items"] = found.pop("prefixItems")
    if "$ref" in found and len(found) > 1:  # draft 7 ignores what is beside it
        found["allOf"] = [{"$ref": found.pop("$ref")}, *found.get("allOf", ())]
    return found
