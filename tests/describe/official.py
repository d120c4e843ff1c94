"""What the makers of OpenAPI and AsyncAPI say of a description."""

import json
from functools import cache

import jsonschema_rs
import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.js.tools import package


def sent(document):
    """A description as a client gets it."""
    return json.loads(msgspec.json.encode(document))


def checked_openapi(app):
    """The OpenAPI of an application; it is valid."""
    document = sent(app.openapi())
    OpenAPIV31SpecValidator(document).validate()
    check_references(document)
    return document


def checked_asyncapi(app):
    """The AsyncAPI of an application; it is valid."""
    document = sent(app.asyncapi())
    asyncapi_schema().validate(document)
    check_references(document)
    return document


@cache
def asyncapi_schema():
    schema = package("@asyncapi/specs") / "schemas" / "3.0.0.json"
    return jsonschema_rs.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))


def check_references(document):
    """Everything that a description refers to is in it."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("$ref"), str):
                found = document
                assert one["$ref"].startswith("#/"), one
                for key in one["$ref"][2:].split("/"):
                    found = found[key]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
