"""What to write instead of a value that cannot be a response, a body, a status or a chunk.

Only error messages use it: each function takes the wrong value and returns the end of a message.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from finch.explain import hint, kind, shown


class Elsewhere:
    """An attribute of other frameworks' responses. Using it raises an error that says what to write
    in Finch.

    Parameters:
        instead: what to write.

    Example::

        status_code = Elsewhere("response.status = 404")
    """

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, response: object, owner: type) -> Any:
        if response is None:
            return self
        raise AttributeError(self._message(response), name=self._name, obj=response)

    def __set__(self, response: object, value: object) -> NoReturn:
        raise AttributeError(self._message(response))

    def _message(self, response: object) -> str:
        return f"a {type(response).__name__} has no {self._name}; write {self._instead}"


_JSON: Final = (dict, list, msgspec.Struct)


def is_json(value: object) -> bool:
    """Whether Finch sends a value as JSON if a handler returns it."""
    return isinstance(value, _JSON) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def body_advice(body: object) -> str:
    """What to write instead of a body that is neither bytes nor text."""
    if body is None:
        return "leave it out for an empty body"
    if is_json(body):
        return "JSONResponse(...) sends it as JSON"
    if isinstance(body, AsyncIterable):
        return "StreamingResponse(...) sends what it yields"
    return hint(body) or "write str(...) around it"


def status_advice(status: Any) -> str:
    """What to write instead of a wrong status, after a semicolon; empty if unknown."""
    if isinstance(status, str) and status.isdecimal() and len(status) < 20:
        return f"; write {int(status)}, without quotes"
    if isinstance(status, float) and status.is_integer():
        return f"; write {status:.0f}"
    if isinstance(status, Mapping):
        return "; headers come after the status"
    return ""


def chunk_advice(chunk: object) -> str:
    """What to yield instead of a chunk that is neither bytes nor text."""
    if chunk is None:
        return "leave out the yield, or yield b''"
    if is_json(chunk):
        return "for one JSON per line, yield msgspec.json.encode(...) + b'\\n'"
    return hint(chunk) or "write str(...) around it"


def stream_advice(chunks: object) -> str:
    """What to write instead of chunks that are not an async iterable."""
    if isinstance(chunks, str | bytes | bytearray):
        return "Response(...) sends it at once"
    if hint(chunks).startswith("call it"):
        return "call it, with parentheses"
    return "write an async generator, 'async def' with 'yield', and call it"


def events_advice(events: object) -> str:
    """What to write instead of a value that is no event, or no iterator of events."""
    if events is None:
        return "write ServerEvent(comment='...') for something that browsers ignore"
    if isinstance(events, bytes | bytearray | memoryview):
        return "write .decode() behind it: events are text"
    if isinstance(events, str | Mapping):
        return "write an async generator that yields it"
    return stream_advice(events)


def return_advice(value: object) -> str:
    """What to return instead of a value that cannot be a response; empty if unknown."""
    if isinstance(value, tuple):
        return _for_tuple(value)
    if isinstance(value, BaseException):
        return "raise it, do not return it"
    if isinstance(value, os.PathLike):
        return "return its content: .read_bytes()"
    if kind(value) == "a generator":
        return "write 'async def' with 'yield', or return ''.join(...)"
    return hint(value)


def _for_tuple(value: tuple[Any, ...]) -> str:
    if len(value) not in (2, 3):
        return f"it has {len(value)} items; for a JSON array return a list"
    status = value[1]
    if isinstance(status, Mapping | list):
        return "the status comes second: write (value, 200, headers)"
    instead = status_advice(status) or "; write a number, or for a JSON array return a list"
    return f"its status is {shown(status)}{instead}"
