"""What every Python peer does with a message: parse it, look its path up, make the envelope.

The standard library's ``json`` is what these frameworks' users write; ``BENCHMARK_JSON=msgspec``
gives all of them the library that Finch uses.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Final

CLIENT: Final = "0123456789abcdefghijkl"
"""Stands where Finch has the recipient's id: as long, but the same for all."""

if os.environ.get("BENCHMARK_JSON") == "msgspec":
    import msgspec

    _decoder = msgspec.json.Decoder()
    _encoder = msgspec.json.Encoder()

    def loads(text: str | bytes) -> Any:
        """A value from JSON."""
        return _decoder.decode(text)

    def dumps(value: Any) -> str:
        """A value as JSON."""
        return _encoder.encode(value).decode()
else:
    _decode = json.JSONDecoder().decode
    _encode = json.JSONEncoder(separators=(",", ":")).encode

    def loads(text: str | bytes) -> Any:
        return _decode(text if isinstance(text, str) else text.decode())

    def dumps(value: Any) -> str:
        return _encode(value)


def parse(text: str | bytes) -> tuple[str, Any]:
    """A message's path and data."""
    message = loads(text)
    return message["path"], message.get("data")


def timestamp() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def envelope(path: str, data: Any, status: int = 200, **more: str) -> str:
    """The message that a server sends, as Finch writes it."""
    return dumps(
        {
            "path": path,
            "status": status,
            "timestamp": timestamp(),
            "language": "en",
            "client": CLIENT,
            "data": data,
            **more,
        }
    )


def not_found(path: str) -> str:
    """The answer to a path that nobody handles."""
    return envelope("error", {"message": "nobody handles this path", "path": path}, 404)
