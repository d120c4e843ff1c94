"""Parses a route's path into literal text and parameters, and knows the converters.

A path that no request could ever match raises an error that says what to write instead. Examples:
a parameter in the syntax of another framework, a query, percent-encoding.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import unquote
from uuid import UUID

from finch.errors import ConfigurationError

CONVERTERS: Final[dict[str, Callable[[str], Any]]] = {
    "str": str,
    "int": int,
    "float": float,
    "uuid": UUID,
    "path": str,
}
"""What makes a value of a parameter's text, by the converter's name: a type, or an application's
own function (:mod:`finch.http.converters`)."""


def choice() -> str:
    """The names of the converters, for an error message."""
    return ", ".join(CONVERTERS)


class Parameter(NamedTuple):
    """One parameter of a path.

    Attributes:
        name: the handler's argument.
        converter: a key of ``CONVERTERS``; None if the path gives no converter.
    """

    name: str
    converter: str | None


Element = str | Parameter
"""A piece of a path: a literal text, which is never empty, or a parameter."""

_PARAMETER: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = r"[^\W\d]\w*"

# Names that other frameworks use for the same converters.
_ALIASES: Final = {
    "string": "str",
    "text": "str",
    "slug": "str",
    "default": "str",
    "integer": "int",
    "long": "int",
    "double": "float",
    "decimal": "float",
    "guid": "uuid",
}

_FLASK: Final = re.compile(r"<([^<>/]*)>")
_EXPRESS: Final = re.compile(rf"(?<=/):{_NAME}[^/]*")
_EXPRESS_NAME: Final = re.compile(rf":({_NAME})(?:\([^()]*\))?[?*+]?")
_NEXT: Final = re.compile(rf"(?<=/)\[+(\.\.\.)?({_NAME})\]+(?=/|\Z)")
_STAR: Final = re.compile(r"(?<=/)\*+(\w*)(?=/|\Z)")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*(.*)", re.DOTALL)
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNWRITABLE: Final = re.compile(r"%(?:23|25|2F|3F|7B|7D)", re.IGNORECASE)  # # % / ? { }


def parse_path(path: object) -> tuple[Element, ...]:
    """Split a route's path into its elements.

    Parameters:
        path: as the application gives it; anything that is not text raises an error.

    Raises:
        ConfigurationError: if the path is invalid, or no request could ever match it. The message
            says what to write.

    Example::

        parse_path("/birds/{bird_id:int}")  # ("/birds/", Parameter("bird_id", "int"))
    """
    if not isinstance(path, str):
        raise ConfigurationError(_not_text(path))
    _refuse_what_never_matches(path)
    elements: list[Element] = []
    names: set[str] = set()
    end = 0
    for found in _PARAMETER.finditer(path):
        elements.extend(_literal(path, end, found.start()))
        parameter = _parameter(found[1], path)
        if parameter.name in names:
            raise ConfigurationError(f"route {path!r} has the parameter {parameter.name!r} twice")
        names.add(parameter.name)
        elements.append(parameter)
        end = found.end()
    elements.extend(_literal(path, end, len(path)))
    for element in elements:
        if isinstance(element, str):
            _refuse_unsent(element, path)
    return tuple(elements)


def _literal(path: str, begin: int, end: int) -> tuple[str, ...]:
    text = path[begin:end]
    if "{" in text or "}" in text:
        raise ConfigurationError(
            f"route {path!r} has an unmatched brace; a parameter is written {{name}}"
        )
    return (text,) if text else ()


def _parameter(inside: str, path: str) -> Parameter:
    name, colon, converter = inside.partition(":")
    if not name.isidentifier():
        raise ConfigurationError(
            f"'{{{inside}}}' in route {path!r} is not a valid parameter name{_meant(inside)}"
        )
    if colon and converter not in CONVERTERS:
        raise ConfigurationError(
            f"route {path!r} has the unknown converter {converter!r}; the converters are "
            f"{choice()}{_meant(inside)}"
        )
    return Parameter(name, converter if colon else None)


def _meant(inside: str) -> str:
    """What the text inside braces probably means, as the end of an error message."""
    name, _, converter = inside.partition(":")
    several = "*" in inside or "..." in name
    name = name.strip(" *.?")
    name = "_".join(name.partition("!")[0].partition("=")[0].split())
    converter = converter.strip()
    if name in CONVERTERS and converter.isidentifier():
        name, converter = converter, name  # Flask has the converter first
    known = _known(converter)
    if not name.isidentifier() or known is None:
        return ""
    return f"; write {_written(name, 'path' if several else known)}"


def _known(converter: str) -> str | None:
    """Finch's name for the converter: "" for the default one, None if there is no such
    converter."""
    if not converter or converter == "*":
        return ""
    converter = converter.lower()
    converter = _ALIASES.get(converter, converter)
    return converter if converter in CONVERTERS else None


def _written(name: str, converter: str) -> str:
    return f"{{{name}:{converter}}}" if converter not in ("", "str") else f"{{{name}}}"


def _not_text(path: object) -> str:
    if callable(path):
        name = getattr(path, "__qualname__", repr(path))
        return (
            f"a route's path is text, but this is the function {name}: the path comes first, "
            'in parentheses; write @app.get("/path") or FinchRoute("/path", handler)'
        )
    return f"a route's path is text such as '/birds', not {path!r}"


def _refuse_what_never_matches(path: str) -> None:
    if path != path.strip():
        raise ConfigurationError(
            f"route {path!r} begins or ends with white space: write {path.strip()!r}"
        )
    if url := _URL.fullmatch(path):
        raise ConfigurationError(
            f"route {path!r} is a URL, but a route has neither scheme nor host: "
            f"write {url[1] or '/'!r}"
        )
    if not path.startswith("/"):
        raise ConfigurationError(f"a route's path begins with a slash: write {'/' + path!r}")
    _refuse_foreign_parameters(path)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"route {path!r} has a lone surrogate, but a request's path is valid UTF-8"
        ) from None


def _refuse_unsent(text: str, path: str) -> None:
    """Refuse literal text that a request's decoded path has only if it was encoded twice."""
    if "?" in text:
        raise ConfigurationError(
            f"route {path!r} has a '?', but the query is not part of a route's path: "
            f"write {path[: path.index('?')]!r}, and read request.query in the handler"
        )
    if "#" in text:
        raise ConfigurationError(
            f"route {path!r} has a '#', but a browser does not send '#' or what follows it: "
            f"write {path[: path.index('#')]!r}"
        )
    if _ENCODED.search(text):
        meant = unquote(path)
        if _UNWRITABLE.search(path) or "\ufffd" in meant:
            hint = "use a parameter, and compare its value in the handler"
        else:
            hint = f"write {meant!r}"
        raise ConfigurationError(
            f"route {path!r} is percent-encoded, but paths are compared after decoding: {hint}"
        )


def _refuse_foreign_parameters(path: str) -> None:
    """Refuse wildcards, and parameters in the syntax of Flask, Express or Next.js."""
    hint = ""
    if found := _FLASK.search(path):
        meant = _FLASK.sub(_from_flask, path)
        if " " in found[1]:  # f"/birds/{id}" has become "/birds/<built-in function id>"
            hint = " (and without f before the quotes)"
    elif found := _EXPRESS.search(path):
        meant = _EXPRESS.sub(lambda part: _EXPRESS_NAME.sub(r"{\1}", part[0]), path)
    elif found := _NEXT.search(path):
        meant = _NEXT.sub(lambda part: _written(part[2], "path" if part[1] else ""), path)
    elif found := _STAR.search(path):
        meant = _STAR.sub(lambda part: _written(part[1] or "rest", "path"), path)
    else:
        return
    raise ConfigurationError(
        f"route {path!r} has {found[0]!r}, which is literal text here; a parameter is written in "
        f"braces: write {meant!r}{hint}"
    )


def _from_flask(found: re.Match[str]) -> str:
    converter, _, name = found[1].rpartition(":")
    known = _known(converter.partition("(")[0])
    return _written(name if name.isidentifier() else "name", known or "")
