"""The calls of a client that are not answered. Plain data: no I/O, no clock.

A call is *sent* once its text was given to a connection. If that connection is cut, nobody knows
whether the server has handled the call. So it fails, unless the server can tell that it is the same
call again: then it is kept for the next connection, for a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from finch.client.events import Ended, Happening, Item
from finch.client.said import NOTHING, Said, read_any
from finch.errors import CallFailed, ConnectionLost, FinchError

RETRY_AGE: Final = 60.0
"""Seconds after a cut in which a call is sent again. The server remembers its answers for as
long."""


class Call:
    """One call.

    Attributes:
        id: the ``id`` of its message.
        path: the channel.
        text: the whole message.
        retry: whether it is sent again after a cut.
        sent: whether its text was given to a connection.
        cut_at: when its connection was cut, in seconds; None if it was not, or is open again.
        items: how many parts of a streamed answer have come.
    """

    __slots__ = ("cut_at", "id", "items", "path", "retry", "sent", "text")

    def __init__(self, id: int, path: str, text: str, retry: bool) -> None:
        self.id = id
        self.path = path
        self.text = text
        self.retry = retry
        self.sent = False
        self.cut_at: float | None = None
        self.items = 0


class Calls:
    """The calls of one client, in the order in which they were made."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[int, Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, call: Call) -> bool:
        return call.id in self._calls

    def begin(self, call: Call) -> None:
        """A call waits for its answer from now on."""
        self._calls[call.id] = call

    def forget(self, call: Call) -> bool:
        """Nobody waits for the answer any longer. Returns whether somebody has."""
        return self._calls.pop(call.id, None) is not None

    def answered(self, said: Said) -> Happening | None:
        """What an answer means; None if nobody waits for it."""
        call = self._calls.get(said.reply)
        if call is None:
            return None
        if said.more:
            call.items += 1
            return Item(call, said.data)
        del self._calls[call.id]
        if said.status >= 400:
            try:
                data = read_any(said.data)
            except ValueError:
                data = None  # the call has ended all the same
            return Ended(call, NOTHING, CallFailed(said.status, data))
        return Ended(call, said.data)

    def cut(self, now: float) -> Iterator[Ended]:
        """The connection was cut: calls that were sent fail, unless they are sent again."""
        for call in list(self._calls.values()):
            if not call.sent:
                continue
            if call.retry:
                call.cut_at = now
            else:
                yield self.fail(call, ConnectionLost(f"the connection was cut under {call.path!r}"))

    def too_old(self, now: float) -> Iterator[Ended]:
        """The calls that can no longer be sent again, since the server has forgotten them."""
        for call in list(self._calls.values()):
            if call.cut_at is not None and now >= call.cut_at + RETRY_AGE:
                why = f"the connection was cut under {call.path!r}, {RETRY_AGE:g} s ago"
                yield self.fail(call, ConnectionLost(why))

    @property
    def deadline(self) -> float:
        """When the first of these is too old, in seconds; ``inf`` if there is none."""
        cuts = [call.cut_at for call in self._calls.values() if call.cut_at is not None]
        return min(cuts) + RETRY_AGE if cuts else float("inf")

    def to_send_again(self) -> list[Call]:
        """The calls that were sent on earlier connections."""
        again = [call for call in self._calls.values() if call.sent]
        for call in again:
            call.cut_at = None  # the server has heard of it again: a handler may take its time
        return again

    def fail_all(self, error: FinchError) -> Iterator[Ended]:
        """No answer will ever come."""
        for call in list(self._calls.values()):
            yield self.fail(call, another(error))

    def fail(self, call: Call, error: FinchError) -> Ended:
        """End one call with an error."""
        self.forget(call)
        return Ended(call, NOTHING, error)


def another(error: FinchError) -> FinchError:
    """The same error once more: each task that raises it needs a traceback of its own."""
    return type(error)(*error.args)


def value_of(raw: msgspec.Raw, decode: Any) -> Any:
    """The value of an answer.

    Raises:
        CallFailed: with 422 if the data has another type than the caller wants.
    """
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CallFailed(422, f"the answer does not fit: {error}") from None
