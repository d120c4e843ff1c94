"""The JSON encoder of all that Finch sends: msgspec's, and subclasses of int and float.

msgspec encodes an ``int``, but not an instance of a subclass, such as :class:`finch.Sent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

_NAME: Final = type.__dict__["__name__"].__get__


def _plain(value: Any) -> Any:
    # a bool comes here only as a key, and is not meant to be the key "1"
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return float(value)
    name = _NAME(type(value))  # a metaclass may have a __name__ of its own, and that may raise
    raise TypeError(f"Encoding objects of type {name} is unsupported")


encode: Final[Callable[[Any], bytes]] = msgspec.json.Encoder(enc_hook=_plain).encode
"""Encodes a value as JSON, in UTF-8.

Raises:
    TypeError and others: if the value has no JSON form.

Example::

    encode({"a": [1, 2]})  # b'{"a":[1,2]}'
"""
