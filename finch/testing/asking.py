"""Turns what a test asks for into what is sent: the target, the headers, the body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from finch.testing.forms import FormItems, multipart, urlencoded

HeadersGiven = Mapping[str, str | Iterable[str]]

_ABSOLUTE: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_LOOSE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_PATH: Final = "/%:@!$&'()*+,;=~"  # besides letters, digits and "-._" (RFC 3986, section 3.3)
_QUERY: Final = _PATH + "?"


def target_of(path: str, params: Any = None) -> str:
    """The target of a request.

    Parameters:
        path: what the test wrote. Spaces, non-ASCII letters and the like are encoded; parts that
            are already encoded stay. A fragment is left out, as in browsers.
        params: added to the query. A mapping, whose values may be lists, or pairs.

    Raises:
        TypeError: if the path is not text.
        ValueError: if it does not begin with a slash.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is text, not {path!r}")
    absolute = _ABSOLUTE.match(path)
    if absolute is None and path != "*" and not path.startswith("/"):
        raise ValueError(f"a path begins with a slash: write {'/' + path!r}")
    begin = absolute.end() if absolute is not None else 0
    rest, question, query = path[begin:].partition("#")[0].partition("?")
    rest, query = _encoded(rest, _PATH), _encoded(query, _QUERY)
    if params:
        added = urlencode(params, doseq=True)
        question, query = "?", f"{query}&{added}" if query else added
    return path[:begin] + rest + question + query


def _encoded(text: str, safe: str) -> str:
    return quote(_LOOSE_PERCENT.sub("%25", text), safe)


def host_of(target: str) -> str:
    """The ``Host`` of a request. If the target is a whole URL, it is the host of that URL."""
    absolute = _ABSOLUTE.match(target)
    return absolute[1] if absolute is not None else "testserver"


class SentHeaders:
    """The headers of a request, in layers. A name in a later layer replaces the same name in all
    earlier ones; case does not matter.

    Parameters:
        layers: mappings of names to a text or to a list of texts.

    Raises:
        TypeError: if a name or value is not text.
    """

    def __init__(self, *layers: HeadersGiven | None) -> None:
        self._lines: dict[str, list[tuple[str, str]]] = {}
        for layer in layers:
            self._add(layer or {})

    def _add(self, layer: HeadersGiven) -> None:
        if not isinstance(layer, Mapping):
            raise TypeError(f"headers are a dict of names and values, not {layer!r}")
        lines: dict[str, list[tuple[str, str]]] = {}
        for name, given in layer.items():
            values: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
            if not isinstance(name, str) or not all(isinstance(value, str) for value in values):
                raise TypeError(
                    f"a header is text, or a list of texts: {name!r} is {given!r}; write "
                    f"{str(given)!r}"
                )
            lines.setdefault(name.lower(), []).extend((name, value) for value in values)
        self._lines.update(lines)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def default(self, name: str, value: str) -> None:
        """Add a header, unless the test has set it."""
        if name not in self._lines:
            self._lines[name] = [(name, value)]

    def raw(self) -> list[tuple[bytes, bytes]]:
        """All header lines, as bytes.

        Raises:
            ValueError: if a name or value has a character that cannot be sent in a header.
        """
        try:
            return [
                (name.encode("ascii"), value.encode("latin-1"))
                for lines in self._lines.values()
                for name, value in lines
            ]
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{error.object[error.start]!r} cannot be sent in a header; percent-encode it"
            ) from None


def body_of(
    content: Any,
    json: Any,
    headers: SentHeaders,
    data: FormItems | None = None,
    files: FormItems | None = None,
) -> bytes:
    """The body of a request. If it is JSON or a form, its content type is added to the headers.

    Raises:
        TypeError: if the content is neither bytes nor text, or if several bodies are given.
    """
    is_form = data is not None or files is not None
    if bool(content) + (json is not msgspec.UNSET) + is_form > 1:
        raise TypeError("a request has one body: give content, or json, or data and files")
    if files is not None:
        body, content_type = multipart(data or {}, files)
        headers.default("content-type", content_type)
        return body
    if data is not None:
        headers.default("content-type", "application/x-www-form-urlencoded")
        return urlencoded(data)
    if json is not msgspec.UNSET:
        headers.default("content-type", "application/json")
        return msgspec.json.encode(json)
    if isinstance(content, str):
        return content.encode()
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(
            f"content is bytes or text, not {type(content).__name__}; write json= for JSON, and "
            "data= for a form"
        )
    return bytes(content)
