"""What waits for the answer to a call: the task that has made it, or a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import trio

from finch.client.calls import value_of
from finch.client.said import NOTHING
from finch.errors import CallFailed, FinchError
from finch.typed import decoder, shared_decoder


class Waiter(Protocol):
    """Who waits for the answer to a call."""

    def item(self, data: msgspec.Raw) -> None:
        """A part of a streamed answer."""

    def answered(self, data: msgspec.Raw, error: FinchError | None) -> None:
        """The end of the answer."""

    @property
    def fullness(self) -> float:
        """How many parts wait to be read: 1.0 and more is full."""


class Answer:
    """The answer to a call, when it has come.

    Parameters:
        limit: how long all parts of a streamed answer together may be, in bytes.
    """

    fullness = 0.0  # its limit is another one

    def __init__(self, limit: int) -> None:
        self.ended = trio.Event()
        self._left = limit  # bytes that the parts may still have
        self._items: list[msgspec.Raw] | None = None
        self._data: msgspec.Raw | None = None
        self._error: FinchError | None = None

    def item(self, data: msgspec.Raw) -> None:
        self._left -= len(memoryview(data))
        if self._left < 0 and self._error is None:
            self._error = CallFailed(413, "the parts of the answer are too long; use stream()")
            self.ended.set()
        elif self._items is None:
            self._items = [data]
        else:
            self._items.append(data)

    def answered(self, data: msgspec.Raw, error: FinchError | None) -> None:
        self._data, self._error = data, self._error or error
        self.ended.set()

    def value(self, as_type: Any) -> Any:
        """The data of the answer; a list, if it had parts."""
        if self._error is not None:
            raise self._error
        decode = decoder_of(as_type)
        if self._items is not None:
            return [value_of(one, decode) for one in self._items]
        return value_of(self._data or NOTHING, decode)


def decoder_of(as_type: Any) -> Callable[[msgspec.Raw], Any]:
    """What converts answers to a type.

    Raises:
        TypeError: if JSON cannot be converted to this type.
    """
    try:
        hash(as_type)
        make: Any = shared_decoder
    except TypeError:
        make = decoder
    try:
        convert: Callable[[msgspec.Raw], Any] = make(as_type)
        return convert
    except TypeError as error:
        raise TypeError(f"as_type={as_type!r}: {error}") from None
