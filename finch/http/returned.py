"""Converts what a handler returns to a response, and what its generator yields to bytes."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any, Final

from finch.explain import kind, not_text, where
from finch.headers import header_items
from finch.http.advice import chunk_advice, is_json, return_advice
from finch.http.response import BYTES_LIKE, JSONResponse, Response, TextResponse
from finch.http.streaming import StreamingResponse

_JSON: Final = frozenset((dict, list))


def to_response(value: Any, *, origin: object = "the handler") -> Response:
    """Convert what a handler returned to a response that belongs to one request.

    Parameters:
        value: ``str`` is sent as text, ``bytes`` as bytes; ``None`` becomes a 204; ``dict``,
            ``list``, Struct and dataclass are sent as JSON; an async generator becomes a streamed
            body; ``(value, status)`` and ``(value, status, headers)`` set the status and headers,
            too; a :class:`Response` is copied.
        origin: the function that returned it, or any text; error messages name it.

    Raises:
        TypeError: if ``value`` is anything else, or JSON cannot hold it.
        ValueError: if a status or a header cannot be sent, or a text is not valid Unicode.
        RuntimeError: if ``value`` is a :class:`StreamingResponse` that was returned before.
    """
    if isinstance(value, Response):
        return value.fresh()
    try:
        if isinstance(value, str):
            return TextResponse(value)
        if type(value) in _JSON:  # a quick answer to what is_json() asks below
            return JSONResponse(value)
        if isinstance(value, BYTES_LIKE):
            return Response(bytes(value))
        if value is None:
            response = Response(b"", 204)
            response.remove_header("content-type")
            return response
        if is_json(value):
            return JSONResponse(value)
    except (TypeError, ValueError) as error:
        cls = TypeError if isinstance(error, TypeError) else ValueError
        raise cls(f"{where(origin)} returned {kind(value)}: {error}") from error.__cause__
    if isinstance(value, tuple):
        return _from_tuple(value, origin)
    if isinstance(value, AsyncIterable):
        return StreamingResponse(value)
    raise _no_response(value, origin)


def _from_tuple(value: tuple[Any, ...], origin: object) -> Response:
    if len(value) not in (2, 3) or not isinstance(value[1], int):
        raise _no_response(value, origin)
    response = to_response(value[0], origin=origin)
    try:
        response.status = value[1]
        if len(value) == 3 and value[2] is not None:
            items = header_items(value[2], "(value, status, headers)")
            for name, _ in items:
                response.remove_header(name)
            for name, text in items:
                response.add_header(name, text)
    except (TypeError, ValueError) as error:
        cls = TypeError if isinstance(error, TypeError) else ValueError
        raise cls(f"{where(origin)} returned a tuple: {error}") from None
    return response


def _no_response(value: object, origin: object) -> TypeError:
    name, detail = kind(value).partition(" ")[2], return_advice(value)
    return TypeError(
        f"{where(origin)} returned {name}, which is not a response{detail and f': {detail}'}. "
        "Return str, bytes, dict, list, a Struct or dataclass, None, an async generator, a "
        "Response, or a tuple of (value, status) or (value, status, headers)."
    )


def chunk_to_bytes(chunk: Any, origin: object) -> bytes:
    """Convert one chunk of a streamed body to bytes.

    Parameters:
        chunk: what was yielded.
        origin: the generator that yielded it, or any text; error messages name it.

    Raises:
        TypeError: if ``chunk`` is neither bytes nor text.
        ValueError: if ``chunk`` is text that UTF-8 cannot hold.
    """
    if isinstance(chunk, str):
        try:
            return chunk.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"{where(origin)} yielded text with {not_text(chunk)}") from None
    if isinstance(chunk, BYTES_LIKE):
        return bytes(chunk)
    raise TypeError(
        f"{where(origin)} yielded {kind(chunk)}; a streamed response takes str or bytes: "
        f"{chunk_advice(chunk)}"
    )
