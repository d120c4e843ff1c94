"""The JSON encoder of all that Finch sends: msgspec's, and subclasses of int and float.

msgspec encodes an ``int``, but not an instance of a subclass, such as :class:`finch.Sent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec


def _plain(value: Any) -> Any:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder(enc_hook=_plain).encode
"""Encodes a value as JSON, in UTF-8.

Raises:
    TypeError and others: if the value has no JSON form.

Example::

    encode({"a": [1, 2]})  # b'{"a":[1,2]}'
"""
